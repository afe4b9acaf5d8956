"""Signing in once more, before something is done that outlasts the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts import freshness, second_factor, sessions
from accounts.sessions import Door
from pages import views
from saml_sp.models import SamlSession
from saml_sp.protocol.urls import local_path

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from accounts.models import User


@require_safe
@login_required
def sign_in_again(request: HttpRequest) -> HttpResponse:
    """Say why, and how: through the identity provider that vouched for this session, or by one's own password."""
    assert request.user.is_authenticated  # noqa: S101 - login_required
    target = local_path(request.GET.get("next", "")) or reverse("landing")
    if second_factor.is_owed(request):
        return redirect(f"{reverse('mfa_index')}?{urlencode({'next': target})}")
    if freshness.is_fresh(request, timezone.now()):
        return redirect(target)
    context: dict[str, Any] = {"hours": settings.PORTICO_FRESH_SIGN_IN_HOURS}
    if sessions.door(request) == Door.SSO:
        context["door"] = _door(request, target)
    elif _can_confirm(request.user):
        context["confirm_url"] = f"{reverse('account_reauthenticate')}?{urlencode({'next': target})}"
    return render(request, "pages/sign_in_again.html", context)


def _door(request: HttpRequest, target: str) -> views.Door | None:
    """The identity provider that began this session, if a sign-in through it can begin somewhere."""
    held = SamlSession.objects.select_related("idp").filter(session_key=request.session.session_key).first()
    return views.door(held.idp, target) if held is not None and held.idp.enabled else None


def _can_confirm(user: User) -> bool:
    return not user.is_managed and bool(get_adapter().get_reauthentication_methods(user))
