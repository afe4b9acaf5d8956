"""The bearer check: from an Authorization header to a token that opens the door, in one query (RFC 6750)."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Exists, Q

from accounts.models import LocalSignIn, SignInPolicy
from audit.statements import Given, Select, Update
from tokens import secrets, throttle
from tokens.models import ApiToken

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.models import User
    from accounts.origins import Origin

_SCHEMES = frozenset({"bearer", "apk"})
_USE_IS_WRITTEN_EVERY = timedelta(minutes=1)

_HELD: Select[Any] = Select(  # Any: of what annotate adds no model knows
    lambda: (
        ApiToken.objects.select_related("user")
        .annotate(passwords_off=Exists(SignInPolicy.objects.filter(local_sign_in=LocalSignIn.BREAK_GLASS)))
        .filter(digest=Given("digest"))
    )
)
# Of two uses at the same moment one is written down: the condition is looked at again once the row is locked.
_USED = Update(
    lambda: ApiToken.objects.filter(
        Q(last_used_at__isnull=True) | Q(last_used_at__lte=Given("a_minute_ago")), pk=Given("token")
    ),
    last_used_at=Given("now"), last_used_ip=Given("ip"), last_used_by=Given("by"),
)  # fmt: skip


class BearerRefused(Exception):
    """No way in with this header.

    `code` is for programs and never changes; `detail` is for people and says what to do; `idp` names the identity
    provider, where it is up to one.
    """

    code: ClassVar[str]

    def __init__(self, detail: str, *, idp: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.idp = idp


class TokenMissing(BearerRefused):
    """No token came."""

    code = "token_missing"


class TokenMalformed(BearerRefused):
    """What came is none of ours: a wrong form, or a wrong checksum."""

    code = "token_malformed"


class TokenUnknown(BearerRefused):
    """It could be one of ours, and is not."""

    code = "token_unknown"


class TokenRevoked(BearerRefused):
    """Its owner, an administrator or a deactivation has ended it."""

    code = "token_revoked"


class TokenExpired(BearerRefused):
    """Its end has come."""

    code = "token_expired"


class OwnerInactive(BearerRefused):
    """Its owner's account is switched off."""

    code = "owner_inactive"


class IdpDisabled(BearerRefused):
    """The identity provider that vouches for its owner is disabled."""

    code = "idp_disabled"


class SignInNeeded(BearerRefused):
    """The identity provider that vouches for its owner has not been heard of for too long."""

    code = "sign_in_needed"


class PasswordSignInOff(BearerRefused):
    """Its owner could sign in by password only, and that is switched off."""

    code = "password_sign_in_off"


class TooMany(Exception):
    """Too many refusals for one address; `retry_after` is in seconds, `detail` repeats what was wrong with the last."""

    def __init__(self, retry_after: int, last: BearerRefused) -> None:
        self.retry_after = retry_after
        self.detail = f"Too many refused tokens from this address. The last one: {last.detail}"
        super().__init__(self.detail)


def authenticate(header: str, *, now: datetime, origin: Origin) -> ApiToken:
    """The token of this Authorization header, with its owner as `.user`; its use is written down once a minute.

    `header` is the value as it came, empty if there was none. One query, and none for what cannot be a token. Raises
    BearerRefused, or TooMany instead when this address has been refused too often.
    """
    text = _token_of(header)
    try:
        token, passwords_off = _find(text)
        # First: switching an account off has revoked its tokens, and to make a new one is no cure.
        check_active(token.user)
        check_token(token, now)
        check_owner(token.user, now, passwords_off=passwords_off)
    except BearerRefused as refusal:
        if (wait := throttle.seconds_to_wait(origin.ip, now)) is not None:
            raise TooMany(wait, refusal) from None
        raise
    if token.last_used_at is None or token.last_used_at <= now - _USE_IS_WRITTEN_EVERY:
        _note_use(token, now, origin)
    return token


def check_active(owner: User) -> None:
    """Raises OwnerInactive."""
    if not owner.is_active:
        raise OwnerInactive("The account of this token's owner is switched off. Ask your administrator.")


def check_token(token: ApiToken, now: datetime) -> None:
    """Raises TokenRevoked or TokenExpired."""
    if token.revoked_at is not None:
        raise TokenRevoked(f"This token was revoked on {token.revoked_at:%d %B %Y}. Make a new one in your profile.")
    if token.expires_at <= now:
        raise TokenExpired(f"This token expired on {token.expires_at:%d %B %Y}. Make a new one in your profile.")


def check_owner(owner: User, now: datetime, *, passwords_off: bool) -> None:
    """A token lives no longer than its owner's right to sign in: raises a BearerRefused where no door is left to them.

    Those for whom an identity provider vouches need its word; those who have a password, that passwords are asked for;
    one who has both needs one of the two.
    """
    if owner.is_service_account:
        return
    if not owner.is_managed and (owner.is_break_glass or not passwords_off):
        return
    if not owner.sso_label:
        raise PasswordSignInOff(
            "Signing in by password is switched off here, and tokens of those who have no other way in with it. "
            "Ask your administrator for access through an identity provider."
        )
    _check_vouched_for(owner, now)


def _check_vouched_for(owner: User, now: datetime) -> None:
    idp = owner.sso_label
    if owner.sso_suspended:
        raise IdpDisabled(f"{idp} is switched off here for the moment. Ask your administrator.", idp=idp)
    if owner.sso_valid_until is not None and owner.sso_valid_until <= now:
        raise SignInNeeded(f"Sign in through {idp} to go on.", idp=idp)


def _token_of(header: str) -> str:
    """What comes after `Bearer` (or `apk`), if it can be a token. No message repeats it: it may be a secret."""
    scheme, _, text = header.strip().partition(" ")
    if scheme.lower() not in _SCHEMES or not text.strip():
        raise TokenMissing("No token came. Send it in the header: Authorization: Bearer ptc_…")
    text = text.strip()
    if not secrets.is_well_formed(text):
        raise TokenMalformed(
            "That is no token of this site: a character is wrong or missing. Copy the whole of it anew."
        )
    return text


def _find(text: str) -> tuple[ApiToken, bool]:
    """The token with its owner, and whether passwords are switched off for all but break-glass administrators."""
    digest = secrets.digest(text)
    token = _HELD.first(digest=digest)
    if token is None or not hmac.compare_digest(token.digest, digest):
        raise TokenUnknown("This site knows no such token. Make one in your profile, or check which site it is for.")
    return token, token.passwords_off


def _note_use(token: ApiToken, now: datetime, origin: Origin) -> None:
    if _USED.run(
        token=token.pk, now=now, a_minute_ago=now - _USE_IS_WRITTEN_EVERY, ip=origin.ip, by=origin.user_agent
    ):  # fmt: skip
        token.last_used_at, token.last_used_ip, token.last_used_by = now, origin.ip, origin.user_agent
