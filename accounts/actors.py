"""Who changes something, as the audit log will name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accounts.origins import Origin

if TYPE_CHECKING:
    from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Actor:
    """A person at a browser, or a command.

    `is_superuser` says whether what only superusers may do is for them: a superuser, or whoever may run a command.
    """

    label: str
    id: str = ""
    ip: str | None = None
    is_superuser: bool = False

    @classmethod
    def at(cls, request: HttpRequest) -> Actor:
        """The person who is signed in."""
        user = request.user
        above = user.is_active and user.is_superuser
        return cls(label=str(user), id=str(user.pk), ip=Origin.of(request).ip, is_superuser=above)

    @classmethod
    def command(cls, name: str) -> Actor:
        """A management command, by name: whoever may run one needs no account."""
        return cls(label=f"manage.py {name}", is_superuser=True)
