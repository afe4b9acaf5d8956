"""A person's own API tokens: seen, made, rotated, revoked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts import freshness, second_factor
from accounts.actors import Actor
from tokens import issuing
from tokens.forms import TokenForm
from tokens.models import ApiToken, State
from tokens.scopes import Scope, within_reach

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from accounts.models import User
    from tokens.secrets import Secret

MOST_ENDED_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """A token as its owner sees it."""

    row: ApiToken
    state: State

    @property
    def is_live(self) -> bool:
        """Whether it opens anything."""
        return self.state in {State.LIVE, State.EXPIRING}


@require_safe
@login_required
def listed(request: HttpRequest) -> HttpResponse:
    """The tokens that work, and the latest of those that do not any more."""
    now, own = timezone.now(), _person(request).api_tokens
    live = [Listed(row, row.state(now)) for row in own.live(now)]
    ended = [Listed(row, row.state(now)) for row in own.ended(now)[:MOST_ENDED_SHOWN]]
    context = {"live": live, "ended": ended, "most": settings.PORTICO_TOKENS_PER_USER}
    return render(request, "tokens/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: HttpRequest) -> HttpResponse:
    """The form; then the one page that shows the secret."""
    now, owner = timezone.now(), _person(request)
    if (first := _first(request, now)) is not None:
        return first
    form = TokenForm(owner, within_reach(owner), now, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            issued = form.issue(now=now, actor=Actor.at(request))
        except issuing.MadeAlready as already:
            return render(request, "tokens/made_already.html", {"token": already.token}, status=409)
        if issued is not None:
            return shown_once(request, *issued)
    return render(request, "tokens/new.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def rotate(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask; then another secret for the same purpose, which lives as long as the first was to live.

    Of a token that has ended the question is not worth asking: the answer is the same as for a second press.
    """
    now, token = timezone.now(), _own(request, pk)
    if (first := _first(request, now)) is not None:
        return first
    days = min((token.expires_at - token.created_at).days or 1, settings.PORTICO_TOKEN_MAX_DAYS)
    if request.method != "POST" and Listed(token, token.state(now)).is_live:
        return render(request, "tokens/rotate.html", {"token": token, "days": days})
    try:
        issued = issuing.rotate(token, now=now, actor=Actor.at(request), expires_in_days=days)
    except issuing.IssueRefused as refusal:
        messages.error(request, f"{refusal} If you pressed twice: its successor is in the list, and can be rotated.")
        return redirect("api_tokens")
    return shown_once(request, *issued)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def revoke(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask; then it is over. What protects needs no fresh sign-in."""
    token = _own(request, pk)
    if request.method != "POST":
        return render(request, "tokens/revoke.html", {"token": token})
    if issuing.revoke(token, now=timezone.now(), actor=Actor.at(request)):
        messages.success(request, f"{token.name} is revoked: it opens nothing any more.")
    else:
        messages.info(request, f"{token.name} was revoked before.")
    return redirect("api_tokens")


def shown_once(request: HttpRequest, token: ApiToken, secret: Secret) -> HttpResponse:
    """The answer to the POST itself: the secret is in no address, no session and no cache, and never seen again."""
    context = {
        "token": token,
        "scopes": [Scope(scope).description for scope in token.scopes],
        "secret": secret.reveal(),
        "command": f"portico login --host {settings.PORTICO_BASE_URL} --with-token",
    }
    response = render(request, "tokens/shown_once.html", context, status=201)
    response.headers["Cache-Control"] = "no-store"
    return response


def _person(request: HttpRequest) -> User:
    assert request.user.is_authenticated  # noqa: S101 - login_required
    return request.user


def _own(request: HttpRequest, pk: UUID) -> ApiToken:
    """404 for other people's tokens, as for those that do not exist."""
    return get_object_or_404(ApiToken.objects.select_related("user"), pk=pk, user=_person(request))


def _first(request: HttpRequest, now: datetime) -> HttpResponse | None:
    """What has to happen before a token is made: a second factor where one is owed, and a sign-in that is young."""
    if freshness.is_fresh(request, now) and not second_factor.is_owed(request):
        return None
    return redirect(f"{reverse('sign_in_again')}?{urlencode({'next': request.path})}")


urlpatterns = [
    path("", listed, name="api_tokens"),
    path("new/", new, name="api_token_new"),
    path("<uuid:pk>/rotate/", rotate, name="api_token_rotate"),
    path("<uuid:pk>/revoke/", revoke, name="api_token_revoke"),
]
