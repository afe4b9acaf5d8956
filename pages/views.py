"""The pages of a person's way in and out, and what is shown when something is not as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from allauth.core import ratelimit
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts import policy, second_factor, sessions
from accounts.models import Session
from accounts.origins import Origin
from audit.kinds import Kind
from audit.log import record
from orgs.holdings import holdings
from orgs.permissions import Permission
from pages import agents
from pages.arrival import arrival
from pages.context import site
from pages.forms import SignInForm
from saml_sp import logos, provisioning, slo
from saml_sp import logout as single_logout
from saml_sp.models import IdentityProvider, LogoPlace
from saml_sp.protocol.urls import local_path
from saml_sp.transport import drop_body

if TYPE_CHECKING:
    from django.http import HttpRequest

    from accounts.models import User

PENDING = "account_login"  # where allauth keeps, in the session, a sign-in that waits for the second factor
MOST_SESSIONS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session as its owner sees it in the list."""

    row: Session
    agent: str
    current: bool

    @property
    def handle(self) -> str:
        """What the form that ends it sends."""
        return sessions.handle(self.row.session_key)


@require_safe
@login_required
def landing(request: HttpRequest) -> HttpResponse:
    """Who you are, who vouched for you and until when; what you hold here and why, or why that is nothing."""
    user = request.user
    assert user.is_authenticated  # noqa: S101 - login_required
    session = Session.objects.filter(session_key=request.session.session_key).first()
    came, held = arrival(session), holdings(user)
    context = {
        "session": session,
        "arrival": came,
        "contact": came.idp.contact if came else "",
        "held": held,
        "is_capped": came is not None and came.caps(held),
        "sees_every_organization": user.is_superuser or Permission.VIEW_EVERY_ORGANIZATION in held.permissions,
        "sees_people": user.is_superuser or Permission.VIEW_PEOPLE in held.permissions,
    }
    return render(request, "pages/landing.html", context)


@dataclass(frozen=True, slots=True)
class Door:
    """An identity provider as the sign-in page shows it; addresses are empty where there are none."""

    name: str
    login_url: str
    portal_url: str
    logo_url: str = ""


@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """How to get in: straight to the default identity provider, or by one of the doors on the page.

    `?local=1` shows the page in any case, so that staff get in by password when the identity provider is down.
    """
    target = local_path(request.GET.get("next", ""))
    if request.user.is_authenticated:
        return render(request, "pages/sign_in.html", {"target": target or reverse("landing")})
    if request.method != "POST" and "local" not in request.GET:
        idp = IdentityProvider.objects.default()
        if idp is not None and idp.sp_initiated:
            return redirect(login_address(idp, target))
    return by_password(request)


@sensitive_post_parameters("password")
def by_password(request: HttpRequest) -> HttpResponse:
    """The page with the form, and what comes of it; then on to the page that was asked for."""
    target = local_path(request.POST.get("next", "")) or local_path(request.GET.get("next", ""))
    # Whoever comes here again begins again, in the middle of a sign-in too.
    request.session.pop(PENDING, None)
    form = SignInForm(request, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        if limited := ratelimit.consume_or_429(request, action="login"):
            return limited  # type: ignore[no-any-return]  # allauth ships no types
        if form.is_valid():
            return form.enter(target or reverse("landing"))
    found = provisioning.way_in(form.cleaned_data.get("username", "")) if form.is_bound else None
    led_to = found and door(found.idp, target)
    if led_to and led_to.login_url and form.address_alone:
        return render(request, "pages/lead.html", {"door": led_to})
    context = {
        "form": form,
        "passwords_restricted": policy.is_restricted(),
        "target": target,
        "passkeys_work": second_factor.passkeys_work(),
        "led_to": led_to,
        "by_domain": found and found.by_domain,
        "providers": [
            Door(str(row), login_address(row, target), row.portal_url, logo_address(row))
            for row in IdentityProvider.objects.on_sign_in_page()
        ],
    }
    return render(request, "pages/sign_in.html", context)


def door(idp: IdentityProvider, target: str | None) -> Door:
    """The way through one identity provider, by this site or by its portal."""
    return Door(str(idp), login_address(idp, target) if idp.sp_initiated else "", idp.portal_url)


def login_address(idp: IdentityProvider, target: str | None) -> str:
    """Where a sign-in through this identity provider begins, for a page on this site."""
    query = f"?{urlencode({'next': target})}" if target else ""
    return reverse("saml:login", args=[idp.slug]) + query


def logo_address(idp: IdentityProvider) -> str:
    """Its logo for the sign-in page, empty without one. `idp` comes from `on_sign_in_page`."""
    sha256 = getattr(idp, "logo", None)
    return logos.logo_url(idp.slug, LogoPlace.SIGN_IN, sha256) if sha256 else ""


@require_http_methods(["GET", "HEAD", "POST"])
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this browser's session. Only a POST with its token does: a link or an image on another site must not."""
    user = request.user
    if not user.is_authenticated:
        return redirect("signed_out")
    if request.method != "POST":
        return render(request, "pages/sign_out.html")
    now, ip = timezone.now(), Origin.of(request).ip
    with transaction.atomic():
        record(
            Kind.SIGN_OUT, now=now, actor=user, actor_id=user.pk, subject_type="user", subject_id=user.pk, subject=user,
            ip=ip,
        )  # fmt: skip
        farewell = single_logout.begin(request.session.session_key, now=now, ip=ip)
        logout(request)
    return slo.depart(request, farewell)


@require_safe
def signed_out(request: HttpRequest) -> HttpResponse:
    """Signed out here; what the identity provider remembers is another matter, and the page says so."""
    if request.user.is_authenticated:
        return redirect("landing")
    context = {
        "attempt": single_logout.attempt_of(request.GET.get("logout", "")),
        "not_asked": request.GET.get("idp") == slo.NOT_ASKED,
    }
    return render(request, "pages/signed_out.html", context)


@require_safe
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    """Who you are and who says so, what you can change, and the browsers in which you are signed in."""
    user = request.user
    assert user.is_authenticated  # noqa: S101 - login_required
    rows = Session.objects.live(timezone.now()).filter(user=user.pk, adopted_at__isnull=False)
    listed = [
        ListedSession(row, agents.describe(row.user_agent), row.session_key == request.session.session_key)
        for row in rows[:MOST_SESSIONS_SHOWN]
    ]
    current = next((session.row for session in listed if session.current), None)
    context = {
        "session": current,
        "sessions": listed,
        "portal_url": portal_of(user),
        "has_second_factor": second_factor.has_one(user),
    }
    return render(request, "pages/profile.html", context)


def portal_of(user: User) -> str:
    """The address of the portal of whoever vouches for this person; empty where there is none, or none is known."""
    idp = IdentityProvider.objects.filter(description=user.sso_label, enabled=True).first() if user.sso_label else None
    return idp.portal_url if idp else ""


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: the request was refused before anybody asked who sent it, so the page asks neither."""
    if isinstance(exception, RequestDataTooBig):
        return too_large(request)
    return HttpResponse(render_to_string("errors/bad_request.html", site()), status=400)


def too_large(request: HttpRequest) -> HttpResponse:
    """413, once the rest of the form has come and gone: a browser that is still sending shows no answer."""
    drop_body(request)
    return HttpResponse(render_to_string("errors/too_large.html", site()), status=413)


def too_many(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 - as Django's handlers
    """429: a rate limit. None of them counts for longer than five minutes, most for one."""
    response = render(request, "errors/too_many.html", status=429)
    response.headers["Retry-After"] = "60"
    return response


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """403: who you are, and that this is not for you; or that you should sign in first."""
    sign_in_url = f"{reverse('sign_in')}?{urlencode({'next': request.get_full_path()})}"
    return render(request, "errors/forbidden.html", {"sign_in_url": sign_in_url}, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """404, with nothing of what was asked for."""
    return render(request, "errors/not_found.html", status=404)


def server_error(_request: HttpRequest) -> HttpResponse:
    """500: whatever broke may be the database, so this page needs none, and no session."""
    return HttpResponse(render_to_string("errors/server_error.html", site()), status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's signature
    """403 for a form without a valid token: nearly always one that stood open for too long."""
    return render(request, "errors/csrf_failure.html", status=403)
