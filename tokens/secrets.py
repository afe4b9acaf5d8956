"""The secret of a token: made, recognised and turned into what the database keeps. No Django, no clock.

`ptc_`, 40 characters of randomness (238 bits) and a checksum of 6: the prefix lets scanners find a token that has
leaked, the checksum lets us refuse a mistyped one without asking the database.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import NoReturn

PREFIX = "ptc_"
SHOWN = 8  # characters that a page shows of a token: the prefix and four more
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM = 40
_CHECKSUM = 6
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")


class Secret:
    """A token's text, once, on its way to its owner. It prints as nothing and cannot be stored by accident."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "<Secret>"

    def __reduce__(self) -> NoReturn:
        """Python's hook for copies and caches, all of which would keep the text."""
        raise TypeError("A secret is shown once and kept nowhere.")


def mint() -> Secret:
    """A new one, of the operating system's randomness."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return Secret(body + _checksum(body))


def is_well_formed(text: str) -> bool:
    """Whether this can be one of ours: its form and its checksum are right."""
    return _FORM.fullmatch(text) is not None and _checksum(text[:-_CHECKSUM]) == text[-_CHECKSUM:]


def digest(text: str) -> str:
    """SHA-256 in hexadecimal: what the database keeps. So much randomness needs neither salt nor a slow hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def shown(secret: Secret) -> str:
    """As much of it as its owner needs to tell it from another."""
    return secret.reveal()[:SHOWN]


def _checksum(body: str) -> str:
    """CRC-32 of the ASCII text in base 62, most significant digit first."""
    number, digits = zlib.crc32(body.encode("ascii")), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
