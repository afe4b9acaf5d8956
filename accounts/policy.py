"""Who may sign in without an identity provider, and switching that off for all but break-glass administrators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from accounts.models import LocalSignIn, Session, SignInPolicy, User
from accounts.sessions import Door
from audit.kinds import Kind
from audit.log import record
from audit.models import Event

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.actors import Actor


class PolicyRefused(Exception):
    """The switch stays as it is; `str()` is a sentence for the administrator."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The last time that each way in was seen to work, within the days that count; None: not within them."""

    sso: datetime | None
    break_glass: datetime | None

    @property
    def missing(self) -> list[str]:
        """What has to be shown before passwords can be switched off, in words."""
        days = settings.PORTICO_BREAK_GLASS_PROOF_DAYS
        within = f"within the last {days} days" if days != 1 else "within the last day"
        found = []
        if self.sso is None:
            found.append(f"a sign-in through an identity provider {within}")
        if self.break_glass is None:
            found.append(f"a sign-in of a break-glass administrator who may still sign in {within}")
        return found


def is_restricted() -> bool:
    """Whether passwords are switched off for everybody but break-glass administrators. One query."""
    return SignInPolicy.current().local_sign_in == LocalSignIn.BREAK_GLASS


def may_sign_in_locally(user: User) -> bool:
    """Whether the site's policy lets this person in without an identity provider. At most one query."""
    return user.is_break_glass or not is_restricted()


def proof(now: datetime) -> Proof:
    """What has been seen to work."""
    since = now - timedelta(days=settings.PORTICO_BREAK_GLASS_PROOF_DAYS)
    recent = Event.objects.filter(at__gte=since).order_by("-at")
    keepers = [str(pk) for pk in User.objects.filter(is_break_glass=True, is_active=True).values_list("pk", flat=True)]
    sso = recent.filter(kind=Kind.SSO_SIGN_IN).first()
    glass = recent.filter(kind=Kind.BREAK_GLASS_SIGN_IN, subject_id__in=keepers).first()
    return Proof(sso.at if sso else None, glass.at if glass else None)


def switch(to: LocalSignIn, *, now: datetime, actor: Actor) -> int:
    """Change the policy; returns how many sessions ended: those of people whom it keeps out from now on.

    One transaction. Raises PolicyRefused, naming what is missing, where nobody has shown that they can still get in.
    """
    with transaction.atomic():
        SignInPolicy.objects.get_or_create(pk=1, defaults={"changed_at": now})
        row = SignInPolicy.objects.select_for_update().get(pk=1)
        if row.local_sign_in == to:
            return 0
        ended = 0
        if to is LocalSignIn.BREAK_GLASS:
            if missing := proof(now).missing:
                raise PolicyRefused(f"Passwords stay as they are. What is missing: {'; and '.join(missing)}.")
            ended = Session.objects.filter(door=Door.LOCAL, user__is_break_glass=False).delete()[0]
        before, row.local_sign_in, row.changed_at = row.local_sign_in, to, now
        row.save()
        record(
            Kind.SIGN_IN_POLICY_CHANGED, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip,
            subject_type="policy", subject="sign-in by password",
            data={"from": before, "to": to.value, "sessions_ended": ended},
        )  # fmt: skip
    return ended
