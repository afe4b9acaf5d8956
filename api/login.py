"""Signing in by password without a browser: a token in place of a session.

It respects what the sign-in page does: the site's policy, the rate limits, codes that work once. Whoever has an
identity provider is told so; nobody's password is even looked at before that.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from allauth.core import ratelimit
from allauth.headless.constants import Client
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from ninja import Router
from ninja.responses import Status

from accounts import addresses, break_glass, policy, second_factor
from accounts.actors import Actor
from accounts.forms import CodeInput, whose
from accounts.models import User
from accounts.origins import Origin
from api.own import issued
from api.payloads import Issued, Login
from api.problems import Code, Refused, invalid
from audit.kinds import Kind
from audit.log import record
from saml_sp import provisioning
from tokens import issuing

if TYPE_CHECKING:
    from datetime import datetime

    from tokens.models import ApiToken
    from tokens.secrets import Secret

router = Router(tags=["Sign-in"])

SSO_REQUIRED = (
    "SSORequiredError: The user is registered via single sign-on and may only log in through the identity provider"
)
LIMITED_S, FAILED_S = 60, 300  # how long allauth counts attempts of a client, and failures for an account
_METHODS = {"totp": "totp", "recovery_codes": "recovery_code"}
_NOT_ON_RECORD = (Code.SECOND_FACTOR_REQUIRED, Code.TOO_MANY)  # one is half of a sign-in, the other comes in floods


@router.post(
    "/login",
    response={201: Issued},
    operation_id="login",
    summary="Sign in by password",
    openapi_extra={
        "x-refusals": [
            Code.CREDENTIALS_WRONG, Code.SECOND_FACTOR_REQUIRED, Code.SECOND_FACTOR_WRONG, Code.SSO_REQUIRED,
            Code.PASSKEY_ONLY, Code.CONFLICT, Code.TOO_MANY,
        ]
    },
)  # fmt: skip
def login(request: HttpRequest, given: Login) -> Any:
    """A token for somebody with a local account. It begins no session.

    Somebody with a second factor is asked for it (`second_factor_required`): send the same again with `code`. People
    who sign in through an identity provider make their tokens in the browser.
    """
    now, origin = timezone.now(), Origin.of(request)
    # As allauth marks what comes to its own headless views.
    request.allauth.headless = SimpleNamespace(client=Client.APP)  # type: ignore[attr-defined]  # its middleware's
    if not ratelimit.consume(request, action="login"):
        raise too_many(LIMITED_S)
    if not addresses.is_address(given.email):
        raise invalid("email", "Enter a plain e-mail address: name@example.com.")
    try:
        user = identified(request, given)
        check_wishes(user, given, now)
        factor = proven(user, given)
    except Refused as refusal:
        if refusal.code not in _NOT_ON_RECORD:
            record(
                Kind.API_SIGN_IN_REFUSED, now=now, subject_type="user", subject=given.email, ip=origin.ip,
                data={"code": refusal.code.value},
            )  # fmt: skip
        raise
    token, secret = begin(user, given, factor, now=now, origin=origin)
    return Status(201, issued(token, secret, current=None))


def identified(request: HttpRequest, given: Login) -> User:
    """Whose address and password these are. Raises Refused."""
    if provisioning.registered_via_sso(given.email):
        raise Refused(Code.SSO_REQUIRED, SSO_REQUIRED)
    try:
        user = whose(request, given.email, given.password.get_secret_value())
    except ValidationError:
        raise too_many(FAILED_S) from None
    if user is None and policy.is_restricted():
        # To everybody alike: who the break-glass administrators are is nobody's business.
        raise Refused(
            Code.PASSWORD_SIGN_IN_OFF,
            "Signing in by password is switched off here for all but break-glass administrators, and this does not "
            "open the account of one.",
            status=403,
        )
    if user is None:
        raise Refused(Code.CREDENTIALS_WRONG, "E-mail and password do not match an account here.")
    return user


def check_wishes(user: User, given: Login, now: datetime) -> None:
    """Before a code is used up: could there be such a token? Raises IssueRefused, or Refused."""
    issuing.checked_name(given.name)
    scopes = issuing.checked_scopes(user, given.scopes)
    issuing.checked_end(given.expires_in_days, now)
    issuing.check_limit(user, now)
    if second_factor.owes_one(user) and any(scope.startswith("admin:") for scope in scopes):
        raise Refused(
            Code.NOT_ALLOWED, "Staff administer nothing by a password alone. Set up a second factor in your profile."
        )


def proven(user: User, given: Login) -> str:
    """What proved that it is them beside the password; empty where nothing is asked for. Raises Refused."""
    if not second_factor.has_one(user):
        return ""
    methods = [_METHODS[kind] for kind in second_factor.methods_of(user) if kind in _METHODS]
    if not methods:
        raise Refused(
            Code.PASSKEY_ONLY,
            "This account's second factor is a passkey. Sign in in a browser, and make a token there.",
        )
    if given.code is None:
        raise Refused(
            Code.SECOND_FACTOR_REQUIRED,
            "Send the same again with code: six digits of your app, or a recovery code.",
            methods=sorted(methods, reverse=True),
        )
    form = CodeInput(data={"code": given.code.get_secret_value()}, user=user)
    if form.is_valid():
        form.authenticator.record_usage()
        return str(form.authenticator.type)
    if form.has_error("code", "too_many_login_attempts"):
        raise too_many(FAILED_S)
    raise Refused(Code.SECOND_FACTOR_WRONG, "That code is not right, or was used before.")


def begin(
    user: User, given: Login, factor: str, *, now: datetime, origin: Origin
) -> tuple[ApiToken, Secret]:  # fmt: skip
    """Make the token and write the sign-in down, both or neither. Raises IssueRefused."""
    actor = Actor(str(user), str(user.pk), origin.ip)
    with transaction.atomic():
        token, secret = issuing.create(
            user, name=given.name, scopes=given.scopes, expires_in_days=given.expires_in_days, now=now, actor=actor
        )
        User.objects.filter(pk=user.pk).update(last_login=now)
        facts = {"token": str(token)} | ({"second_factor": factor} if factor else {})
        record(
            Kind.API_SIGN_IN, now=now, actor=user, actor_id=user.pk, subject_type="user", subject_id=user.pk,
            subject=user, ip=origin.ip, data=facts,
        )  # fmt: skip
        break_glass.note_sign_in(user, now=now, ip=origin.ip)
    return token, secret


def too_many(seconds: int) -> Refused:
    """The refusal of one attempt too many."""
    return Refused(
        Code.TOO_MANY, "Too many attempts. Wait, then try again.", headers={"Retry-After": str(seconds)}
    )  # fmt: skip
