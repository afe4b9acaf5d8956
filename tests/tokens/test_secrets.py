"""The secret: its form, its checksum, and that it cannot print."""

from __future__ import annotations

import copy
import json
import pickle
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens import secrets

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_a_secret_has_a_prefix_forty_characters_and_a_checksum() -> None:
    text = secrets.mint().reveal()
    assert len(text) == 50
    assert text.startswith("ptc_")
    number = zlib.crc32(text[:44].encode())
    assert sum(ALPHABET.index(digit) * 62**place for place, digit in enumerate(reversed(text[44:]))) == number
    assert secrets.is_well_formed(text)
    assert len({secrets.mint().reveal() for _ in range(100)}) == 100


def test_a_known_secret_has_the_checksum_that_other_programs_compute() -> None:
    body = "ptc_" + "0" * 40
    assert zlib.crc32(body.encode()) == 3_150_101_602
    assert secrets.is_well_formed(body + "3RBVKM") is True


@given(st.integers(4, 49), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(position: int, character: str) -> None:
    text = secrets.mint().reveal()
    spoiled = text[:position] + character + text[position + 1 :]
    assert secrets.is_well_formed(spoiled) is (spoiled == text)


@pytest.mark.parametrize("text", ["", "ptc_", "ptc_" + "é" * 46, "ptc_" + "٣" * 46, "xxx_" + "0" * 46])
def test_what_has_another_form_is_no_secret(text: str) -> None:
    assert not secrets.is_well_formed(text)
    assert not secrets.is_well_formed(secrets.mint().reveal() + "\n")


def test_a_secret_shows_nothing_of_itself() -> None:
    secret = secrets.mint()
    for shown in (str(secret), repr(secret), f"{secret}", repr([secret])):
        assert "ptc_" not in shown


def test_a_secret_goes_into_no_cache_no_session_and_no_copy() -> None:
    secret = secrets.mint()
    for keep in (pickle.dumps, json.dumps, copy.copy):
        with pytest.raises(TypeError):
            keep(secret)


def test_the_digest_is_sha_256() -> None:
    assert secrets.digest("ptc_") == "4e6293f6c396f87cd4fe35d6d97990499428d0208cbe61f52610f148105a86a5"
