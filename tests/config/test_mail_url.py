"""PORTICO_EMAIL_URL: where mail goes out."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env

NAME = "PORTICO_TEST_EMAIL_URL"


def read(value: str) -> dict[str, Any]:
    os.environ[NAME] = value
    try:
        return env.mail(NAME)
    finally:
        del os.environ[NAME]


def test_it_reads_a_mail_server_with_credentials() -> None:
    settings = read("smtp://portico:p%40ss%2Fword@mail.example.com")
    assert settings == {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend", "EMAIL_HOST": "mail.example.com",
        "EMAIL_PORT": 587, "EMAIL_HOST_USER": "portico", "EMAIL_HOST_PASSWORD": "p@ss/word", "EMAIL_USE_TLS": True,
        "EMAIL_USE_SSL": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtps://mail.example.com", 465, False, True),
        ("smtp+plain://127.0.0.1", 25, False, False),
        ("smtp://mail.example.com:2525/", 2525, True, False),
    ],
)
def test_the_scheme_says_how_it_is_protected(url: str, port: int, tls: bool, ssl: bool) -> None:  # noqa: FBT001 - a table
    settings = read(url)
    assert (settings["EMAIL_PORT"], settings["EMAIL_USE_TLS"], settings["EMAIL_USE_SSL"]) == (port, tls, ssl)


def test_it_reads_a_folder_and_the_console() -> None:
    assert read("file:///var/mail%20of%20ours")["EMAIL_FILE_PATH"] == "/var/mail of ours"
    assert read("console:")["EMAIL_BACKEND"].endswith("console.EmailBackend")


def test_unset_is_no_mail() -> None:
    assert env.mail(NAME) == {}


@pytest.mark.parametrize(
    "url",
    ["mail.example.com", "smtp://", "smtp:///x", "http://mail.example.com", "smtp://h:notaport", "file://relative",
     "file:x", "smtp://secret:pass@h/path", "smtp://h?tls=0", "smtp://[::1"],
)  # fmt: skip
def test_a_mistake_is_named_without_repeating_what_may_be_a_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=NAME) as raised:
        read(url)
    assert "secret" not in str(raised.value)
