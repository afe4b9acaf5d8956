"""Making, rotating and revoking tokens, whoever asks for it: a page, an administrator or a program.

Whatever changes a person's tokens first locks that person's row: so the limit holds when two are made at once, and none
is made while the account is being switched off.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction

from accounts import mail
from accounts.models import User
from audit.kinds import Kind
from audit.log import record
from tokens import secrets
from tokens.models import MAX_NAME, ApiToken
from tokens.scopes import Scope, may_have

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from accounts.actors import Actor
    from tokens.secrets import Secret

_MARGIN = timedelta(seconds=1)  # days are whole; what asks for exactly its own end must not fail by a moment


class IssueRefused(Exception):
    """No token is made; `field` names the value that is wrong, or is empty where none is. `str()` is a sentence."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class MadeAlready(Exception):
    """The same form was sent before, and made this token."""

    def __init__(self, token: ApiToken) -> None:
        super().__init__(str(token))
        self.token = token


def create(  # noqa: PLR0913 - what a token is made of, all keyword-only
    user: User,
    *,
    name: str,
    scopes: Iterable[str],
    expires_in_days: int | None,
    now: datetime,
    actor: Actor,
    below: ApiToken | None = None,
    once: UUID | None = None,
) -> tuple[ApiToken, Secret]:
    """Make a token for the user; the secret that is returned with it can never be had again.

    Without `expires_in_days` it lives for PORTICO_TOKEN_DAYS, or as long as `below` if that is shorter. `below` is the
    token by which a program asks: the new one gets no scope that it lacks, and no later end. `once` names the form that
    was sent: sent again, it raises MadeAlready. One transaction; the owner is told by mail. Raises IssueRefused.
    """
    with transaction.atomic():
        owner = _locked(user)
        check_active(owner)
        check_once(owner, once)
        name = checked_name(name)
        chosen = checked_scopes(owner, scopes, below)
        expires_at = checked_end(expires_in_days, now, below)
        check_limit(owner, now)
        token, secret = _write(owner, name=name, scopes=chosen, now=now, expires_at=expires_at, form_key=once)
        facts = {"scopes": token.scopes, "expires_at": expires_at.isoformat()}
        if below is not None:
            facts["by_token"] = str(below)
        _record(Kind.TOKEN_CREATED, token, now=now, actor=actor, data=facts)
        _tell(token, actor=actor)
    return token, secret


def rotate(
    token: ApiToken, *, now: datetime, actor: Actor, expires_in_days: int | None = None
) -> tuple[ApiToken, Secret]:
    """Put a token with a new secret in the place of this one, which stops at once; the name and the scopes stay.

    So does the end, unless `expires_in_days` says another: a program that holds a token cannot make it live for ever.
    One transaction; of two rotations at once, one is refused. Raises IssueRefused.
    """
    with transaction.atomic():
        owner = _locked(token.user)
        check_active(owner)
        # As it is now: the lock of the owner's row has let every other change of it end.
        held = ApiToken.objects.get(pk=token.pk)
        if held.revoked_at is not None or held.expires_at <= now:
            raise IssueRefused("", "This token has ended meanwhile. Make a new one.")
        end = held.expires_at if expires_in_days is None else checked_end(expires_in_days, now)
        _end(ApiToken.objects.filter(pk=held.pk), now, actor.label)
        new, secret = _write(owner, name=held.name, scopes=held.scopes, now=now, expires_at=end)
        facts = {"replaces": str(held), "replaces_id": str(held.pk), "expires_at": end.isoformat()}
        _record(Kind.TOKEN_ROTATED, new, now=now, actor=actor, data=facts)
        _tell(new, actor=actor, replaces=held)
    return new, secret


def revoke(token: ApiToken, *, now: datetime, actor: Actor) -> bool:
    """End this token for good; False if it was revoked before. One transaction; `token` is brought up to date."""
    with transaction.atomic():
        _locked(token.user)
        revoked = _end(ApiToken.objects.filter(pk=token.pk), now, actor.label) > 0
        if revoked:
            own = actor.id == str(token.user_id)
            _record(Kind.TOKEN_REVOKED if own else Kind.TOKEN_REVOKED_BY_ADMIN, token, now=now, actor=actor, data={})
    token.refresh_from_db(fields=["revoked_at", "revoked_by"])
    return revoked


def revoke_all_of(user: User, now: datetime) -> int:
    """End every token of this user for good; returns how many there were, which deactivation writes down."""
    return _end(user.api_tokens.all(), now, "the account was switched off")


def check_active(owner: User) -> None:
    """Raises IssueRefused of an account that is switched off."""
    if not owner.is_active:
        raise IssueRefused("", f"{owner} is switched off: it can have no tokens.")


def check_once(owner: User, form_key: UUID | None) -> None:
    """Raises MadeAlready where this form has made a token of this owner's."""
    made = None if form_key is None else owner.api_tokens.filter(form_key=form_key).first()
    if made is not None:
        raise MadeAlready(made)


def checked_name(name: str) -> str:
    """The name without blanks around it. Raises IssueRefused."""
    name = name.strip()
    if not name:
        raise IssueRefused("name", "Give the token a name: where it is used, so that you know it again.")
    if len(name) > MAX_NAME:
        raise IssueRefused("name", f"The name may have {MAX_NAME} characters, but has {len(name)}.")
    if not name.isprintable():
        raise IssueRefused("name", "The name may hold printable characters only, in one line.")
    return name


def checked_scopes(owner: User, scopes: Iterable[str], below: ApiToken | None = None) -> list[str]:
    """The scopes, each once, in the order in which they are always written. Raises IssueRefused."""
    asked = set(scopes)
    if not asked:
        raise IssueRefused("scopes", "Choose at least one thing that the token may do.")
    if unknown := sorted(asked - set(Scope)):
        raise IssueRefused("scopes", f"There is no scope {unknown[0][:40]!r}. There are: {', '.join(Scope)}.")
    chosen = [scope for scope in Scope if scope in asked]
    for scope in chosen:
        if not may_have(owner, scope):
            raise IssueRefused("scopes", f"{owner} may not do what {scope} stands for, so no token of theirs may.")
        if below is not None and not below.carries(scope):
            raise IssueRefused("scopes", f"The token in use lacks {scope}: it cannot make one that has it.")
    return [scope.value for scope in chosen]


def checked_end(expires_in_days: int | None, now: datetime, below: ApiToken | None = None) -> datetime:
    """When the token ends. Raises IssueRefused."""
    latest = settings.PORTICO_TOKEN_MAX_DAYS
    if expires_in_days is None:
        usual = now + timedelta(days=settings.PORTICO_TOKEN_DAYS)
        return usual if below is None else min(usual, below.expires_at)
    if not 1 <= expires_in_days <= latest:
        raise IssueRefused("expires_in_days", f"A token lives for 1 to {latest} days, not {expires_in_days}.")
    end = now + timedelta(days=expires_in_days)
    if below is not None and end > below.expires_at + _MARGIN:
        raise IssueRefused(
            "expires_in_days", f"The token in use ends on {below.expires_at:%d %B %Y}: one that it makes ends no later."
        )
    return end if below is None else min(end, below.expires_at)


def check_limit(owner: User, now: datetime) -> None:
    """Raises IssueRefused where the owner has as many tokens that work as anybody may."""
    most = settings.PORTICO_TOKENS_PER_USER
    if owner.api_tokens.live(now).count() >= most:
        raise IssueRefused("", f"{owner} has {most} tokens already, and may have no more. Revoke one that is not used.")


def _locked(user: User) -> User:
    return User.objects.select_for_update().get(pk=user.pk)


def addressee(owner: User) -> str:
    """Who is told about tokens of this owner: the person, or whoever looks after a service account."""
    return owner.service_account.contact if owner.is_service_account else owner.email


def _tell(token: ApiToken, *, actor: Actor, replaces: ApiToken | None = None) -> None:
    """Once it is certain: nobody is told of a token that a fault took away again."""
    facts = {"user": token.user, "token": token, "actor": actor, "replaces": replaces}
    letter = mail.letter("token_made", addressee(token.user), facts)
    transaction.on_commit(lambda: mail.send_soon(letter))


def _write(owner: User, *, scopes: list[str], now: datetime, **facts: Any) -> tuple[ApiToken, Secret]:
    secret = secrets.mint()
    token = ApiToken.objects.create(
        user=owner, prefix=secrets.shown(secret), digest=secrets.digest(secret.reveal()), scopes=scopes, created_at=now,
        **facts,
    )  # fmt: skip
    return token, secret


def _end(tokens: Any, now: datetime, by: str) -> int:
    return int(tokens.filter(revoked_at__isnull=True).update(revoked_at=now, revoked_by=by[:254]))


def _record(kind: Kind, token: ApiToken, *, now: datetime, actor: Actor, data: dict[str, Any]) -> None:
    record(
        kind, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="token", subject_id=token.pk,
        subject=token, data={"owner": str(token.user), "owner_id": str(token.user_id), **data},
    )  # fmt: skip
