"""The admin page of the sign-in policy: one switch, and what must be seen to work before it can be thrown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts import policy
from accounts.actors import Actor
from accounts.models import LocalSignIn, SignInPolicy, User

if TYPE_CHECKING:
    from django.http import HttpRequest

    _PolicyAdmin = admin.ModelAdmin[SignInPolicy]
else:  # generic for the type checker only
    _PolicyAdmin = admin.ModelAdmin

_PAGE = "admin:accounts_signinpolicy_changelist"


@admin.register(SignInPolicy)
class SignInPolicyAdmin(_PolicyAdmin):
    """One page, for superusers."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """There is one row, made when it is needed."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: SignInPolicy | None = None) -> bool:  # noqa: ARG002 - as above
        """By the page's own button."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SignInPolicy | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """The row stays."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: SignInPolicy | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Superusers."""
        return bool(request.user.is_superuser)

    def get_urls(self) -> list[Any]:
        """The button's address."""
        switch = self.admin_site.admin_view(require_POST(self.switch))
        return [path("switch/", switch, name="accounts_signinpolicy_switch"), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        object_id: str,  # noqa: ARG002 - as above
        form_url: str = "",  # noqa: ARG002 - as above
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - as above
    ) -> HttpResponse:
        """All there is to see is on the one page."""
        return HttpResponseRedirect(reverse(_PAGE))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """The switch, and what is missing before it can be thrown."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Sign-in policy",
            "opts": self.opts,
            "policy": SignInPolicy.current(),
            "restricted": policy.is_restricted(),
            "proof": policy.proof(timezone.now()),
            "days": settings.PORTICO_BREAK_GLASS_PROOF_DAYS,
            "keepers": User.objects.filter(is_break_glass=True, is_active=True),
            "choices": LocalSignIn,
        }
        return render(request, "admin/accounts/signinpolicy/page.html", context)

    def switch(self, request: HttpRequest) -> HttpResponse:
        """Throw the switch, or say why not."""
        if not self.has_view_permission(request) or request.POST.get("to") not in LocalSignIn.values:
            raise PermissionDenied
        to = LocalSignIn(request.POST["to"])
        try:
            ended = policy.switch(to, now=timezone.now(), actor=Actor.at(request))
        except policy.PolicyRefused as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, f"Sign-in by password is open to {to.label} now; {ended} session(s) ended.")
        return HttpResponseRedirect(reverse(_PAGE))
