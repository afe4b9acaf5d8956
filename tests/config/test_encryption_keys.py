"""PORTICO_ENCRYPTION_KEYS is read loudly, and never aloud."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from config import env

NAME = "PORTICO_ENCRYPTION_KEYS"


def test_without_it_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    assert env.fernet_keys(NAME) == []


def test_several_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    monkeypatch.setenv(NAME, f"{first}, {second},")
    assert env.fernet_keys(NAME) == [first, second]


@pytest.mark.parametrize("wrong", ["secret", "not-ascii-ü", "c2hvcnQ="])
def test_a_faulty_one_stops_the_start_and_is_not_repeated(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv(NAME, f"{Fernet.generate_key().decode()},{wrong}")
    with pytest.raises(ImproperlyConfigured, match="key 2 of 2 is not a Fernet key") as caught:
        env.fernet_keys(NAME)
    assert wrong not in str(caught.value)
