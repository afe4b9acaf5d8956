"""The administration, as part of the same product."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from accounts import break_glass, freshness, second_factor
from audit.kinds import Kind
from pages import views
from pages.context import PRODUCT
from saml_sp.models import Outcome, SignInAttempt
from saml_sp.protocol.urls import local_path

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase
    from django.template.response import TemplateResponse

RECENT = timedelta(hours=24)
MOST_SHOWN = 20
# The pages on which it is changed whom this site believes; and those among them that are forms.
TRUST = re.compile(r"saml_sp_(identityprovider|grouprule|emaildomain|federatedidentity|spkeypair)_([a-z]+)")
FORMS = frozenset({"add", "change", "delete"})
GLASS = {
    Kind.BREAK_GLASS_LINK_MADE: "a link was made on the server, to sign in as",
    Kind.BREAK_GLASS_LINK_USED: "such a link was used, to sign in as",
    Kind.BREAK_GLASS_SIGN_IN: "a break-glass administrator signed in,",
}


class Suggestions(AutocompleteJsonView):
    """What fields that are filled by typing suggest, as the admin of the model labels it if its name is too little."""

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        """Django's hook."""
        label = getattr(self.model_admin, "autocomplete_label", str)
        return {"id": str(getattr(obj, to_field_name)), "text": label(obj)}


class PorticoAdminSite(AdminSite):
    """Django's admin under the product's name, with its own door in and the pages' door out."""

    site_header = f"{PRODUCT} administration"
    site_title = PRODUCT
    index_title = "Administration"
    site_url = "/"
    # The start page lists what there is, and it is little: a second list beside every page would be noise.
    enable_nav_sidebar = False

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Django's wrapping of every page, with a sign-in that is young where trust is changed."""

        @wraps(view)
        def young(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return _first(request) or view(request, *args, **kwargs)

        return super().admin_view(young, cacheable)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The start page, with how many sign-ins were refused of late, and whether the glass was broken this week.

        One query each, on an index.
        """
        refused = None
        if request.user.has_perm("saml_sp.view_signinattempt"):
            since = timezone.now() - RECENT
            refused = SignInAttempt.objects.filter(outcome=Outcome.REFUSED, at__gte=since).count()
        glass = break_glass.recent(timezone.now())[:MOST_SHOWN] if request.user.has_perm("audit.view_event") else ()
        context = {"refused_recently": refused, "broken_glass": [(event, GLASS[Kind(event.kind)]) for event in glass]}
        return super().index(request, (extra_context or {}) | context)

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:  # type: ignore[override]  # Django's class-based views say no more
        """Django's hook for the suggestions."""
        return Suggestions.as_view(admin_site=self)(request)

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff, and with a second factor where one is asked for and no identity provider has seen to it."""
        return super().has_permission(request) and not second_factor.is_owed(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """To the local door of the sign-in page, or to setting up a second factor. Who may not come in is told so."""
        target = local_path(request.GET.get("next", "")) or reverse("admin:index")
        if not request.user.is_authenticated:
            return redirect(f"{reverse('sign_in')}?{urlencode({'local': '1', 'next': target})}")
        if second_factor.is_owed(request):
            return redirect(f"{reverse('mfa_index')}?{urlencode({'next': target})}")
        if not self.has_permission(request):
            raise PermissionDenied
        return redirect(target)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # type: ignore[override]  # noqa: ARG002 - as above
        """One's own password is changed where everybody changes theirs."""
        return redirect("account_change_password")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # type: ignore[override]  # noqa: ARG002 - Django's signature; its own returns a template, ours a redirect
        """Sign out as everywhere else."""
        return views.sign_out(request)


def _first(request: HttpRequest) -> HttpResponse | None:
    """Signing in once more: before a form that changes trust is filled in, and before anything is sent."""
    page = TRUST.fullmatch((request.resolver_match and request.resolver_match.url_name) or "")
    if page is None:
        return None
    model, action = page.groups()
    is_form = action in FORMS
    changes = request.method == "POST" or (is_form and request.user.has_perm(f"saml_sp.{action}_{model}"))
    if not changes or freshness.is_fresh(request, timezone.now()):
        return None
    target = request.path if is_form else reverse(f"admin:saml_sp_{model}_changelist")
    return redirect(f"{reverse('sign_in_again')}?{urlencode({'next': target})}")
