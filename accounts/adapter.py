"""What django-allauth asks of the site: one account model, our sessions at its door, our words."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib import messages
from django.db import transaction
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import addresses, break_glass, mail, policy, sessions
from accounts.origins import Origin
from audit.kinds import Kind
from audit.log import record

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from accounts.models import User

# allauth's notices, by template: what is written down, and the sentence that goes to the account's address.
NOTICES = {
    "account/email/password_changed": (Kind.PASSWORD_CHANGED, "Your password was changed."),
    "account/email/password_set": (Kind.PASSWORD_SET, "A password was set for your account."),
    "account/email/password_reset": (Kind.PASSWORD_SET, "A password was set for your account, by the link in a mail."),
    "mfa/email/totp_activated": (Kind.SECOND_FACTOR_ADDED, "An authenticator app was added to your account."),
    "mfa/email/totp_deactivated": (Kind.SECOND_FACTOR_REMOVED, "The authenticator app was removed from your account."),
    "mfa/email/webauthn_added": (Kind.SECOND_FACTOR_ADDED, "A passkey was added to your account."),
    "mfa/email/webauthn_removed": (Kind.SECOND_FACTOR_REMOVED, "A passkey was removed from your account."),
    "mfa/email/recovery_codes_generated": (Kind.RECOVERY_CODES_MADE, "New recovery codes were made for your account."),
}


class AccountAdapter(DefaultAccountAdapter):
    """Our answers. The address of an account is its own row's; allauth's table of addresses stays empty."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "too_many_login_attempts": "Too many attempts. Wait five minutes, then try again.",
        "rate_limited": "Too many attempts. Wait a minute, then try again.",
        "incorrect_password": "That is not your password.",
        "enter_current_password": "That is not your current password.",
        "invalid_password_reset": "This link is not valid any more.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth's signature
        """Accounts are made by administrators and identity providers."""
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        """Pages are pages. One address gives data: the challenge for signing in by passkey."""
        return request.method == "GET" and request.path == reverse("mfa_login_webauthn")

    def is_safe_url(self, url: str) -> bool:
        """Only paths on this site are gone on to: no host, not even our own."""
        return url.startswith("/") and url.isprintable() and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that rate limits count by; those that cannot be told share one count."""
        return Origin.of(request).ip or "unknown"

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:  # noqa: ARG002 - allauth's signature
        """One count per account. allauth's own varies with the Host header, of which a client may choose."""
        return addresses.key(credentials.get("email", ""))

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Write it down: the address as far as it is one, for people type passwords into the wrong field."""
        if hasattr(request.allauth, "headless"):  # type: ignore[attr-defined]  # its middleware's
            return  # the REST door, which writes down each of its refusals with a code
        address = credentials.get("email", "")
        record(
            Kind.LOCAL_SIGN_IN_REFUSED, now=timezone.now(), subject_type="user",
            subject=address if addresses.is_address(address) else "", ip=Origin.of(request).ip,
        )  # fmt: skip

    def reauthenticate(self, user: User, password: str) -> bool:
        """Whether this is the password of somebody who is signed in."""
        return bool(self.authenticate(context.request, email=user.email, password=password) == user)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:  # noqa: ARG002 - allauth's signature
        """Not of somebody who has only just signed in."""
        recent = timedelta(seconds=app_settings.REAUTHENTICATION_TIMEOUT)
        return not sessions.began_within(context.request, recent, timezone.now())

    def login(self, request: HttpRequest, user: User) -> None:
        """The end of every sign-in that is not an identity provider's: after the password, the code, or by passkey."""
        closed = not user.is_active or user.is_managed or user.is_service_account
        if closed or not policy.may_sign_in_locally(user):
            raise ImmediateHttpResponse(self.respond_user_inactive(request, user))
        now, origin = timezone.now(), Origin.of(request)
        factors = [str(used["type"]) for used in get_authentication_records(request, user) if used["method"] == "mfa"]
        with transaction.atomic():
            super().login(request, user)
            sessions.begin_local(request, origin, now)
            record(
                Kind.LOCAL_SIGN_IN, now=now, actor=user, actor_id=user.pk, subject_type="user", subject_id=user.pk,
                subject=user, ip=origin.ip, data={"second_factor": factors[-1]} if factors else {},
            )  # fmt: skip
            break_glass.note_sign_in(user, now=now, ip=origin.ip)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:  # noqa: ARG002 - allauth's signature
        """Back to the sign-in page, which says no more about an account than for a wrong password."""
        messages.error(request, "That does not open an account here.")
        return redirect("account_login")

    def set_password(self, user: User, password: str) -> None:
        """A new password ends every session but the one in which it was chosen."""
        with transaction.atomic():
            user.set_password(password)
            user.save(update_fields=["password"])
            sessions.end_others(user, keep=self._own_session(user))
        self._delete_login_attempts_cached_email(self.request, email=user.email)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:  # noqa: ARG002 - allauth's signature
        """Back to the profile, which says that it is done."""
        return reverse("profile")

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:  # fmt: skip
        """Write down what has changed about somebody's way in, and tell them."""
        del context, email
        kind, what = NOTICES[template_prefix]
        now, origin = timezone.now(), Origin.of(self.request)
        if kind == Kind.SECOND_FACTOR_ADDED:
            # What was begun without it may have been begun by somebody else.
            sessions.end_others(user, keep=self._own_session(user))
        record(
            kind, now=now, actor=user, actor_id=user.pk, subject_type="user", subject_id=user.pk, subject=user,
            ip=origin.ip, data={"what": template_prefix.rpartition("/")[2]},
        )  # fmt: skip
        mail.send_soon(mail.letter("notice", user.email, {"user": user, "what": what, "now": now, "origin": origin}))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Every mail that this site sends is one of ours; one of allauth's would be a mistake."""
        raise NotImplementedError(template_prefix)

    def _own_session(self, user: User) -> str | None:
        return self.request.session.session_key if self.request.user.pk == user.pk else None
