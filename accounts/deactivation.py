"""Switching accounts off and on.

Whoever keeps something by which a person acts here (sessions at identity providers, tokens) registers how it ends;
`deactivate` ends all of it in the one transaction that switches the account off. Reactivation brings none of it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from accounts import sessions
from accounts.models import BreakGlassLink, User
from audit.kinds import Kind
from audit.log import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from accounts.actors import Actor

    End = Callable[[User, datetime], int]

_ends: dict[str, End] = {}


def on_deactivate(what: str, end: End) -> None:
    """Register how something of a person's ends, for good, in the caller's transaction: it returns how many there were.

    `what` names it in the audit log. Called from `AppConfig.ready`.
    """
    _ends[what] = end


def deactivate(user: User, *, now: datetime, actor: Actor, because: str = "") -> dict[str, int]:
    """Switch the account off and end everything by which its person acts here; returns how many of what.

    One transaction. Of an account that is off already, what has been left over ends; its reason stays. `user` is
    brought up to date.
    """
    with transaction.atomic():
        held = _locked(user)
        ended = _end_everything(held, now)
        if held.is_active:
            held.is_active = False
            held.inactive_because = because[:300]
            held.epoch += 1
            held.save(update_fields=["is_active", "inactive_because", "epoch"])
            _record(Kind.USER_DEACTIVATED, held, now=now, actor=actor, data={"ended": ended, "because": because[:300]})
    user.refresh_from_db()
    return ended


def reactivate(user: User, *, now: datetime, actor: Actor) -> bool:
    """Let the person sign in again; False if they could already. For administrators: no sign-in ever does this.

    Nothing that ended comes back: what a sign-in left behind that was under way at that moment ends here.
    """
    with transaction.atomic():
        held = _locked(user)
        switched = not held.is_active
        if switched:
            _end_everything(held, now)
            held.is_active = True
            held.inactive_because = ""
            held.save(update_fields=["is_active", "inactive_because"])
            _record(Kind.USER_REACTIVATED, held, now=now, actor=actor, data={})
    user.refresh_from_db()
    return switched


def _locked(user: User) -> User:
    """The row as it is now, locked until the transaction ends: a session being opened for it waits, or is seen."""
    return User.objects.select_for_update().get(pk=user.pk)


def _end_everything(user: User, now: datetime) -> dict[str, int]:
    # Those that registered come first: they find by session keys what ends with the sessions.
    ended = {what: end(user, now) for what, end in _ends.items()}
    ended["break-glass links"] = BreakGlassLink.objects.filter(user=user).delete()[0]
    ended["sessions"] = sessions.end_all(user)
    return {what: count for what, count in ended.items() if count}


def _record(kind: Kind, user: User, *, now: datetime, actor: Actor, data: dict[str, object]) -> None:
    record(
        kind, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="user", subject_id=user.pk,
        subject=user, data=data,
    )  # fmt: skip
