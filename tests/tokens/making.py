"""Tokens that tests begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from accounts.actors import Actor
from tokens import issuing
from tokens.scopes import Scope

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.models import User
    from tokens.models import ApiToken


OPERATOR = Actor(label="operator@example.com", id="1")


def token_of(
    owner: User, *, name: str = "ci", scopes: tuple[str, ...] = (Scope.READ_SELF,), days: int | None = None,
    now: datetime | None = None,
) -> tuple[ApiToken, str]:  # fmt: skip
    """A token of this owner, and its text."""
    actor = Actor(label=str(owner), id=str(owner.pk))
    token, secret = issuing.create(
        owner, name=name, scopes=scopes, expires_in_days=days, now=now or timezone.now(), actor=actor
    )
    return token, secret.reveal()
