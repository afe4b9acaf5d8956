"""Changing by hand who vouches for somebody: to an identity provider, back to a local account, to another subject.

Each is a whole transaction with the person's row locked, and on record; what follows from it is what the pages spell
out before they do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import F

from accounts import addresses, second_factor, sessions
from accounts.models import User
from audit.kinds import Kind
from audit.log import record
from saml_sp import configuration, suspension
from saml_sp.models import FederatedIdentity, IdentityProvider, SamlSession
from saml_sp.protocol.errors import ConfigurationRefused

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.actors import Actor

LOCAL = "local account"


class MoveRefused(ConfigurationRefused):
    """It cannot be done; `str()` is a sentence for the administrator."""

    code = "move"


def provider_of(user: User) -> IdentityProvider | None:
    """The identity provider that vouches for this person, or will at the first sign-in; None for a local account."""
    latest = F("last_sign_in").desc(nulls_last=True)
    identity = user.identities.select_related("idp").order_by(latest, "-created_at", "-pk").first()
    return identity.idp if identity else None


def where_to_sign_in(idp: IdentityProvider) -> str:
    """The address to hand to its people; empty where they can only begin at a portal whose address is not known."""
    return idp.login_url if idp.sp_initiated else idp.portal_url


def check(user: User, idp: IdentityProvider | None, email: str = "") -> None:
    """Raises MoveRefused, in words, unless the person can be moved there (None: to a local account)."""
    if idp is None:
        if _provider_label(user) == LOCAL:
            raise MoveRefused(f"{user} has a local account already.")
        return
    if user.is_service_account:
        raise MoveRefused(f"{user} is a service account: nobody vouches for it, it has API tokens.")
    if user.identities.filter(idp=idp).exists():
        raise MoveRefused(f"{user} has an identity at {idp} already.")
    address = addresses.key(email or user.email)
    taken = FederatedIdentity.objects.select_related("user").filter(idp=idp, email_key=address).first()
    if taken is not None:
        raise MoveRefused(f"{address} at {idp} belongs to {taken.user} already. Remove that identity first.")


def assign(user: User, idp: IdentityProvider, *, now: datetime, actor: Actor, email: str = "") -> FederatedIdentity:
    """Let this identity provider vouch for the person: by a pending identity that the first sign-in completes.

    `email` is the address that it will assert, the person's own unless given. The password, second factors and sessions
    go, and identities at other providers; a break-glass administrator keeps password and second factors. Raises
    MoveRefused; then nothing has changed.
    """
    with transaction.atomic():
        # Locked, so that of two people who are given one address the second is refused in words.
        vouching = configuration.locked(idp)
        held = _locked(user)
        check(held, idp, email)
        before = _provider_label(held)
        unlinked = _unlink_all(held, now=now, actor=actor)
        if not held.is_break_glass:
            held.set_unusable_password()
            second_factor.remove_all(held)
        held.sso_label, held.sso_valid_until = idp.description, vouching.valid_until(now)
        held.sso_suspended = not vouching.enabled
        held.save(update_fields=["password", "sso_label", "sso_valid_until", "sso_suspended"])
        ended = unlinked + sessions.end_all(held)
        identity = FederatedIdentity(idp=idp, user=held, email_key=email or held.email, created_at=now)
        configuration.invite(identity, now=now, actor=actor)
        _record(held, {"from": before, "to": idp.description, "sessions_ended": ended}, now=now, actor=actor)
    user.refresh_from_db()
    return identity


def make_local(user: User, *, now: datetime, actor: Actor) -> None:
    """Let nobody vouch for the person any more: identities and sessions go, everything else of the account stays.

    A password is for the person to choose, by a link that the caller sends. Raises MoveRefused for a local account.
    """
    with transaction.atomic():
        held = _locked(user)
        check(held, None)
        before = _provider_label(held)
        ended = _unlink_all(held, now=now, actor=actor) + sessions.end_all(held)
        held.sso_label, held.sso_valid_until, held.sso_suspended = "", None, False
        held.save(update_fields=["sso_label", "sso_valid_until", "sso_suspended"])
        _record(held, {"from": before, "to": LOCAL, "sessions_ended": ended}, now=now, actor=actor)
    user.refresh_from_db()


def rebind(identity: FederatedIdentity, *, now: datetime, actor: Actor) -> int:
    """Forget who the person is at the identity provider: the next sign-in with this address says it anew.

    Ends the sessions that began by it; returns how many. Raises MoveRefused for an identity that is pending, or gone.
    """
    try:
        with transaction.atomic():
            held = configuration.locked_identity(identity)
            if held is None:
                raise MoveRefused(f"{identity} was removed by somebody else a moment ago.")
            if held.pending:
                raise MoveRefused(f"{held} awaits a sign-in already.")
            ended = configuration.end_sessions(SamlSession.objects.filter(idp=held.idp_id, user=held.user_id))
            configuration.record_identity(
                Kind.IDENTITY_REBOUND, held, now=now, actor=actor, data={"sessions_ended": ended}
            )
            held.subject = held.subject_key = None
            held.subject_attribute = held.name_id_format = held.name_qualifier = held.sp_name_qualifier = ""
            held.save()
    except IntegrityError:
        raise MoveRefused(f"Another identity with this address awaits its first sign-in at {identity.idp}.") from None
    identity.refresh_from_db()
    return ended


def end_of(user: User, now: datetime) -> int:  # noqa: ARG001 - as every end that is registered
    """What `deactivate` ends here: which of the person's sessions an identity provider began."""
    return SamlSession.objects.filter(user=user).delete()[0]


def identities_of(user: User) -> list[str]:
    """What `merge` moves, in words."""
    rows = user.identities.select_related("idp").order_by("pk")
    return [f"{row}{', awaiting its first sign-in' if row.pending else ''}" for row in rows]


def take_over(gone: User, keep: User) -> int:
    """Move identities to the account that stays; returns how many."""
    moved = FederatedIdentity.objects.filter(user=gone).update(user=keep)
    suspension.settle(keep)
    return moved


def _locked(user: User) -> User:
    return User.objects.select_for_update().get(pk=user.pk)


def _unlink_all(user: User, *, now: datetime, actor: Actor) -> int:
    identities = user.identities.select_related("idp", "user")
    return sum(configuration.unlink(identity, now=now, actor=actor) for identity in identities)


def _provider_label(user: User) -> str:
    idp = provider_of(user)
    return idp.description if idp else user.sso_label or LOCAL


def _record(user: User, data: dict[str, Any], *, now: datetime, actor: Actor) -> None:
    record(
        Kind.PROVIDER_CHANGED, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="user",
        subject_id=user.pk, subject=user, data=data,
    )  # fmt: skip
