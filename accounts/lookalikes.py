"""Addresses that a reader takes for one another: pointed out to administrators, never a reason to refuse anybody.

Addresses are ASCII, so no letters of other alphabets can be mistaken for ours; what is left are l and 1, rn and m, a
plus tag, a dot more or less.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from accounts import addresses

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.models import User

_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_ALIKE = str.maketrans({"0": "o", "1": "i", "l": "i", "|": "i", "5": "s", "$": "s", "8": "b", "2": "z"})
_JOINTS = re.compile(r"[._-]")
_HYPHEN = re.compile(r"-")


def look(address: str) -> str:
    """What addresses that look alike have in common: no tag, no joints, one letter for several. Never longer."""
    name, _, domain = addresses.key(address).rpartition("@")
    return f"{_blur(name.partition('+')[0], _JOINTS)}@{_blur(domain, _HYPHEN)}"


def _blur(part: str, joints: re.Pattern[str]) -> str:
    text = joints.sub("", part)
    for pair, letter in _PAIRS:
        text = text.replace(pair, letter)
    return text.translate(_ALIKE)


def of(user: User) -> QuerySet[User]:
    """Other accounts whose address looks like this one's. One query, on an index."""
    return type(user).objects.filter(look_key=look(user.email)).exclude(pk=user.pk).order_by("email_key")
