"""Getting in when nothing else works: a link, made on the server's shell, that signs an administrator in once.

Whoever has that shell has the database as well, so the link gives them nothing new; it leaves a record, and lets them
do with the product's own pages what they would otherwise do with SQL.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.auth import login
from django.db import transaction
from django.db.models import Q
from django.urls import reverse

from accounts import addresses, mail, sessions
from accounts.actors import Actor
from accounts.models import BreakGlassLink, User
from accounts.sessions import Door
from audit.kinds import Kind
from audit.log import record
from audit.models import Event

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest

    from accounts.origins import Origin

VALID = timedelta(minutes=10)
SHOWN = timedelta(days=7)
KINDS = (Kind.BREAK_GLASS_LINK_MADE, Kind.BREAK_GLASS_LINK_USED, Kind.BREAK_GLASS_SIGN_IN)
_BACKEND = "django.contrib.auth.backends.ModelBackend"
_ENTITLED = Q(is_active=True) & (Q(is_superuser=True) | Q(is_break_glass=True))


class NotEntitled(Exception):
    """There is no such link for this address; `str()` is a sentence for the operator."""


def make_link(email: str, *, now: datetime, actor: Actor) -> str:
    """The address of a page that signs this administrator in, once, within `VALID`; an earlier one is void.

    Nobody is made, switched on or given rights. Raises NotEntitled.
    """
    with transaction.atomic():
        key = addresses.key(email)
        user = User.objects.select_for_update().filter(_ENTITLED, email_key=key).first()
        if user is None:
            raise NotEntitled(f"There is no active superuser or break-glass administrator {email}. None was made.")
        token = secrets.token_urlsafe(32)
        BreakGlassLink.objects.filter(Q(user=user) | Q(expires_at__lte=now)).delete()
        BreakGlassLink.objects.create(digest=_digest(token), user=user, expires_at=now + VALID)
        _record(Kind.BREAK_GLASS_LINK_MADE, user, now, actor)
    return mail.link(reverse("break_glass", args=[token]))


def find(token: str, now: datetime) -> BreakGlassLink | None:
    """The link that this token opens, unless it was used, is too old, or its person is not entitled any more."""
    held = BreakGlassLink.objects.select_related("user").filter(user__in=User.objects.filter(_ENTITLED))
    return held.filter(digest=_digest(token), used_at__isnull=True, expires_at__gt=now).first()


def use(request: HttpRequest, token: str, *, origin: Origin, now: datetime) -> bool:
    """Sign in by the link, and write that down; False if it does not open anything (any more).

    Of two requests at once, on whatever nodes, one UPDATE wins. No second factor is asked for: the shell is one.
    """
    with transaction.atomic():
        link = find(token, now)
        if link is None:
            return False
        user = User.objects.select_for_update().filter(_ENTITLED, pk=link.user_id).first()
        unused = BreakGlassLink.objects.filter(digest=link.digest, used_at__isnull=True)
        if user is None or not unused.update(used_at=now):
            return False
        login(request, user, backend=_BACKEND)
        sessions.begin_local(request, origin, now, Door.GLASS)
        _record(Kind.BREAK_GLASS_LINK_USED, user, now, Actor(str(user), str(user.pk), origin.ip))
    return True


def note_sign_in(user: User, *, now: datetime, ip: str | None) -> None:
    """Write down that a break-glass administrator has come in at the local door, in the caller's transaction."""
    if user.is_break_glass:
        _record(Kind.BREAK_GLASS_SIGN_IN, user, now, Actor(str(user), str(user.pk), ip))


def recent(now: datetime) -> QuerySet[Event]:
    """What is shown for a week: links made and used, and sign-ins of break-glass administrators, newest first."""
    return Event.objects.filter(kind__in=KINDS, at__gte=now - SHOWN).order_by("-at", "-id")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _record(kind: Kind, user: User, now: datetime, actor: Actor) -> None:
    record(
        kind, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="user", subject_id=user.pk,
        subject=user,
    )  # fmt: skip
