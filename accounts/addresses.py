"""E-mail addresses as identity: one strict form, one comparison key."""

from __future__ import annotations

import re

MAX_LENGTH = 254  # RFC 5321 4.5.3.1.3 less the angle brackets

# The dot-atom of RFC 5322 3.2.3 in ASCII, and host names of RFC 1123. No quoted local parts, comments, literals or
# internationalised forms: each of those has let two spellings of one address pass for two people, or the reverse.
_ADDRESS = re.compile(
    r"(?=.{3,254}\Z)(?=[^@]{1,64}@)"
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)


def is_address(value: str) -> bool:
    """Whether the text is an e-mail address as Portico accepts it: ASCII, no blanks or anything invisible around it."""
    return _ADDRESS.fullmatch(value) is not None


def key(address: str) -> str:
    """What two spellings of one address have in common: the value under the unique index (ASCII lower case).

    What is no address stays as it is: lower case of the whole of Unicode makes an ASCII k of the sign for kelvin.
    """
    return address.lower() if address.isascii() else address


def domain(address: str) -> str:
    """The part behind the @, in lower case."""
    return address.rpartition("@")[2].lower()
