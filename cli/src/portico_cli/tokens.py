"""An API token that cannot be printed by accident, and its shape."""

from __future__ import annotations

import re
import zlib
from typing import NoReturn, final

from portico_cli.errors import ExitCode, Refusal

PREFIX = "ptc_"
SECRET_LENGTH = 40
CHECKSUM_LENGTH = 6
LENGTH = len(PREFIX) + SECRET_LENGTH + CHECKSUM_LENGTH
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SHOWN = 8  # as many as the server shows

# What may be a token, in text that is about to be shown. A token's own prefix is shorter.
LOOKS_LIKE_ONE = re.compile(r"ptc_[0-9A-Za-z]{16,}")


def checksum(body: str) -> str:
    """The CRC-32 of the ASCII text `body` (prefix and secret), in base 62, most significant digit first, six digits."""
    number = zlib.crc32(body.encode("ascii"))
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


@final
class Token:
    """A well-formed token. Only `reveal` gives its text; str, repr and format show its first characters."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def parse(cls, pasted: str) -> Token:
        """The token in `pasted`, blanks around it dropped.

        Raises Refusal, which never repeats what was pasted, if it is none: so a slip is told without asking the server.
        """
        text = pasted.strip()
        fault = fault_of(text)
        if fault:
            raise Refusal(
                ExitCode.NOT_SIGNED_IN,
                f"This is not an API token: {fault}.",
                f"Copy it again, whole: {PREFIX} and {LENGTH - len(PREFIX)} letters and digits.",
                code="token_malformed",
            )
        return cls(text)

    def reveal(self) -> str:
        """The text itself: for the Authorization header, for where it is kept, and for `tokens create`."""
        return self._text

    @property
    def prefix(self) -> str:
        """Enough to recognise it by, too little to use."""
        return self._text[:SHOWN]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Token({self.prefix}…)"

    def __str__(self) -> str:
        return f"{self.prefix}…"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A token is not pickled.")


def fault_of(text: str) -> str:
    """What is wrong with `text` as a token, as half a sentence; empty if nothing is."""
    if not text:
        return "there is nothing"
    if not text.startswith(PREFIX):
        return f"it does not begin with {PREFIX}"
    if len(text) != LENGTH:
        return f"it has {len(text)} characters where a token has {LENGTH}"
    if not set(text.removeprefix(PREFIX)) <= set(ALPHABET):
        return "it has a character that is neither a letter A to Z nor a digit"
    body, written = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    if checksum(body) != written:
        return "its checksum does not fit, so a character is mistyped or missing"
    return ""
