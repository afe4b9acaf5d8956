"""Passwords of people who do not exist."""

from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class FewerRounds(PBKDF2PasswordHasher):
    """The product's own algorithm with a thousandth of its rounds: the suite hashes thousands of passwords."""

    iterations = 1000
