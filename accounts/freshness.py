"""Whether somebody has shown recently enough who they are, for what outlasts the session: tokens, trust."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from allauth.account.authentication import get_authentication_records
from django.conf import settings

from accounts import sessions

if TYPE_CHECKING:
    from django.http import HttpRequest


def is_fresh(request: HttpRequest, now: datetime) -> bool:
    """Whether this browser's person signed in, or confirmed who they are, within PORTICO_FRESH_SIGN_IN_HOURS."""
    past = timedelta(hours=settings.PORTICO_FRESH_SIGN_IN_HOURS)
    if sessions.began_within(request, past, now):
        return True
    records = get_authentication_records(request, request.user)
    return any(now - datetime.fromtimestamp(shown["at"], UTC) < past for shown in records)
