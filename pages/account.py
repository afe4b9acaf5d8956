"""What people change about their own way in: django-allauth's pages, as far as they are ours, and those it has not got.

A page of allauth's is reachable if it stands in OFFERED, and in no other way.
"""

from __future__ import annotations

from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from allauth.account import urls as account_urls
from allauth.account.decorators import reauthentication_required
from allauth.core import ratelimit
from allauth.mfa import urls as mfa_urls
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.shortcuts import redirect, render
from django.urls import URLPattern, URLResolver, include, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import email_change, second_factor, sessions
from accounts.forms import AddressForm
from accounts.origins import Origin
from audit.kinds import Kind
from audit.log import record
from pages import views
from saml_sp.protocol.urls import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.http import HttpRequest, HttpResponse

    from accounts.models import User

    View = Callable[..., HttpResponse]


class For(StrEnum):
    """Whom a page is for."""

    SIGNED_IN = "signed in"
    ANYBODY = "anybody"


OFFERED = {
    "account_reauthenticate": For.SIGNED_IN,
    "account_change_password": For.SIGNED_IN,
    "account_set_password": For.SIGNED_IN,
    "account_reset_password": For.ANYBODY,
    "account_reset_password_done": For.ANYBODY,
    "account_reset_password_from_key": For.ANYBODY,
    "account_reset_password_from_key_done": For.ANYBODY,
    "mfa_index": For.SIGNED_IN,
    "mfa_authenticate": For.ANYBODY,
    "mfa_reauthenticate": For.SIGNED_IN,
    "mfa_activate_totp": For.SIGNED_IN,
    "mfa_deactivate_totp": For.SIGNED_IN,
    "mfa_view_recovery_codes": For.SIGNED_IN,
    "mfa_generate_recovery_codes": For.SIGNED_IN,
    "mfa_download_recovery_codes": For.SIGNED_IN,
    "mfa_list_webauthn": For.SIGNED_IN,
    "mfa_add_webauthn": For.SIGNED_IN,
    "mfa_reauthenticate_webauthn": For.SIGNED_IN,
    "mfa_remove_webauthn": For.SIGNED_IN,
    "mfa_edit_webauthn": For.SIGNED_IN,
    "mfa_login_webauthn": For.ANYBODY,
}


def offered(patterns: Sequence[URLPattern | URLResolver]) -> list[URLPattern | URLResolver]:
    """The patterns whose names are OFFERED, each behind its guard."""
    found: list[URLPattern | URLResolver] = []
    for entry in patterns:
        if isinstance(entry, URLResolver):
            found.append(URLResolver(entry.pattern, offered(entry.url_patterns), entry.default_kwargs))
        elif entry.name in OFFERED:
            whom = OFFERED[entry.name]
            view = for_local_people(entry.callback, second_factors=entry.name.startswith("mfa_"))
            if whom is For.SIGNED_IN:
                view = login_required(view)
            found.append(URLPattern(entry.pattern, view, entry.default_args, entry.name))
    return found


def for_local_people(view: View, *, second_factors: bool = False) -> View:
    """Show somebody whom an identity provider manages who that is, instead of the page, whatever the method.

    On the pages of second factors it also tells the template of a member of staff who owes one.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated and request.user.is_managed:
            return managed(request, request.user)
        response = view(request, *args, **kwargs)
        if second_factors and getattr(response, "context_data", None) is not None:
            response.context_data |= {  # type: ignore[attr-defined]  # a TemplateResponse, not yet rendered
                "owed": second_factor.is_owed(request),
                "passkeys_work": second_factor.passkeys_work(),
                "target": local_path(request.GET.get("next", "")),
            }
        return response

    return guarded


def managed(request: HttpRequest, user: User) -> HttpResponse:
    """403: who keeps this, and where that is changed."""
    context = {"manager": user.sso_label, "portal_url": views.portal_of(user)}
    return render(request, "account/managed.html", context, status=403)


@require_safe
def start(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view takes it
    """The beginning of these pages is the profile."""
    return redirect("profile")


@require_safe
def to_sign_in(request: HttpRequest) -> HttpResponse:
    """Where allauth sends people who have to sign in (again): the local door of the sign-in page."""
    target = local_path(request.GET.get("next", ""))
    return redirect(f"{reverse('sign_in')}?{urlencode({'local': '1'} | ({'next': target} if target else {}))}")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def change_email(request: HttpRequest) -> HttpResponse:
    """Ask for another address, which then gets a link. An identity provider keeps those that it vouches for."""
    user = request.user
    if not user.is_authenticated or user.sso_label:
        return managed(request, user)  # type: ignore[arg-type]  # login_required: it is one of ours
    answer: HttpResponse = _change_email(request)
    return answer


@reauthentication_required(app="allauth.account")  # type: ignore[untyped-decorator]  # allauth ships no types
def _change_email(request: HttpRequest) -> HttpResponse:
    assert request.user.is_authenticated  # noqa: S101 - its caller has seen to it
    form = AddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if limited := ratelimit.consume_or_429(request, action="manage_email"):
            return limited  # type: ignore[no-any-return]  # allauth ships no types
        email_change.ask(request.user, form.cleaned_data["email"])
        return render(request, "account/email_sent.html", {"address": form.cleaned_data["email"]})
    return render(request, "account/email.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
def confirm_email(request: HttpRequest, token: str) -> HttpResponse:
    """The link that the new address got. Opening it only asks; whoever opens it need not be signed in."""
    if request.user.is_authenticated and request.user.sso_label:
        return managed(request, request.user)
    found = email_change.read(token)
    if request.method == "POST" and found:
        changed = email_change.carry_out(token, now=timezone.now(), ip=Origin.of(request).ip)
        return render(request, "account/email_changed.html", {"changed": changed}, status=200 if changed else 409)
    address = found[1] if found else ""
    return render(request, "account/email_confirm.html", {"address": address}, status=200 if found else 404)


@require_POST
@login_required
def end_session(request: HttpRequest) -> HttpResponse:
    """Sign out in one other browser, or in all of them. This browser's own session ends by signing out."""
    user, own = request.user, request.session.session_key
    assert user.is_authenticated  # noqa: S101 - login_required
    assert own  # noqa: S101 - as above
    named = request.POST.get("which", "")
    with transaction.atomic():
        if named == sessions.handle(own):
            return views.sign_out(request)
        ended = sessions.end_others(user, keep=own) if named == "others" else int(sessions.end_one(user, named))
        if ended:
            record(
                Kind.OTHER_SESSIONS_ENDED, now=timezone.now(), actor=user, actor_id=user.pk, subject_type="user",
                subject_id=user.pk, subject=user, ip=Origin.of(request).ip, data={"count": ended},
            )  # fmt: skip
    messages.info(request, "You are signed out there." if ended else "That session was over already.")
    return redirect("profile")


urlpatterns = [
    path("", start),
    # A name that allauth sends people to.
    path("sign-in/", to_sign_in, name="account_login"),
    path("email/", change_email, name="account_change_email"),
    path("email/confirm/<str:token>/", confirm_email, name="account_confirm_email_change"),
    path("sessions/end/", end_session, name="account_end_session"),
    *offered(account_urls.urlpatterns),
    path("second-factor/", include(offered(mfa_urls.urlpatterns))),
]
