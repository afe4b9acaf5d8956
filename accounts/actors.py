"""Who changes something, as the audit log will name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accounts.origins import Origin

if TYPE_CHECKING:
    from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Actor:
    """A person at a browser, or a command."""

    label: str
    id: str = ""
    ip: str | None = None

    @classmethod
    def at(cls, request: HttpRequest) -> Actor:
        """The person who is signed in."""
        return cls(label=str(request.user), id=str(request.user.pk), ip=Origin.of(request).ip)

    @classmethod
    def command(cls, name: str) -> Actor:
        """A management command, by name: whoever may run one needs no account."""
        return cls(label=f"manage.py {name}")
