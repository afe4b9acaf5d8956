"""The admin pages of e-mail domains: claim one, then verify it by DNS or vouch for it with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from accounts.actors import Actor
from saml_sp import domains
from saml_sp.models import EmailDomain
from saml_sp.protocol.errors import ConfigurationRefused

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    _DomainAdmin = admin.ModelAdmin[EmailDomain]
else:  # generic for the type checker only
    _DomainAdmin = admin.ModelAdmin


def copyable(value: str) -> SafeString:
    """A value to be entered elsewhere, with a button that a script shows where it can copy."""
    return format_html(
        '<code class="copyable">{}</code> <button type="button" class="copy" data-copy="{}" hidden>Copy</button>',
        value,
        value,
    )


class VerifiedFilter(admin.SimpleListFilter):
    """Claims that count, or those that do not yet."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """The two states."""
        return [("verified", "Verified"), ("claimed", "Claimed only")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Claims in the chosen state."""
        if self.value() in {"verified", "claimed"}:
            return queryset.filter(verified_at__isnull=self.value() == "claimed")
        return queryset


@admin.register(EmailDomain)
class EmailDomainAdmin(_DomainAdmin):
    """A claim is added, verified or vouched for, and released; none is edited."""

    change_form_template = "admin/saml_sp/emaildomain/change_form.html"
    list_display = ("domain", "idp", "verified_at", "proof")
    list_filter = (VerifiedFilter, "idp")
    list_select_related = ("idp",)
    search_fields = ("domain", "idp__description")
    actions = None

    class Media:
        js = ("copy.js",)

    def get_fieldsets(self, request: HttpRequest, obj: EmailDomain | None = None) -> Any:  # noqa: ARG002 - Django's signature
        """Adding names the domain; the page that follows says how to verify it."""
        if obj is None:
            text = (
                "People with an address of this domain belong to this identity provider, once the claim is verified: "
                "it may take over accounts that nobody has signed in to, and no other one may. "
                "Subdomains are claims of their own."
            )
            return ((None, {"fields": ("idp", "domain"), "description": text}),)
        return (
            (None, {"fields": ("domain", "idp", "claimed_at", "verified_at", "proof", "reason")}),
            ("DNS record", {"fields": ("record_name_text", "record_value_text")}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: EmailDomain | None = None) -> Any:  # noqa: ARG002 - Django's signature
        """Nothing is edited."""
        if obj is None:
            return ()
        shown = ("domain", "idp", "claimed_at", "verified_at", "proof", "reason")
        return (*shown, "record_name_text", "record_value_text")

    @admin.display(description="TXT record at")
    def record_name_text(self, row: EmailDomain) -> SafeString:
        """Where the record belongs."""
        return copyable(row.record_name)

    @admin.display(description="Value")
    def record_value_text(self, row: EmailDomain) -> SafeString:
        """What it says."""
        return copyable(row.record_value)

    def has_change_permission(self, request: HttpRequest, obj: EmailDomain | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """By the buttons only."""
        return False

    def get_urls(self) -> list[Any]:
        """The buttons' addresses."""
        steps = {"verify": self.verify, "vouch": self.vouch}
        own = [
            path(
                f"<int:pk>/{name}/", self.admin_site.admin_view(require_POST(step)), name=f"saml_sp_emaildomain_{name}"
            )
            for name, step in steps.items()
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the buttons, for whoever may use them."""
        row = self.get_object(request, object_id)
        waiting = row is not None and row.verified_at is None
        context = {"may_act": waiting and self._may_act(request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: EmailDomain, form: Any, change: bool) -> None:  # noqa: FBT001, ARG002 - Django's signature
        """On record."""
        row = domains.claim(obj.idp, obj.domain, now=timezone.now(), actor=Actor.at(request))
        obj.pk, obj.domain = row.pk, row.domain

    def response_add(
        self,
        request: HttpRequest,
        obj: EmailDomain,
        post_url_continue: str | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """On to the page with the DNS record."""
        self.message_user(
            request, f"The domain {obj.domain} is claimed. It does not count before it is verified.", messages.SUCCESS
        )
        return HttpResponseRedirect(_page(obj.pk))

    def delete_model(self, request: HttpRequest, obj: EmailDomain) -> None:
        """On record."""
        domains.release(obj, now=timezone.now(), actor=Actor.at(request))

    def verify(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Look into the DNS now."""
        row = self._row(request, pk)
        return self._step(request, row, lambda now, actor: domains.verify(row, now=now, actor=actor))

    def vouch(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take the administrator's word."""
        row, reason = self._row(request, pk), request.POST.get("reason", "")
        return self._step(request, row, lambda now, actor: domains.vouch(row, reason, now=now, actor=actor))

    def _step(self, request: HttpRequest, row: EmailDomain, step: Any) -> HttpResponse:
        try:
            step(timezone.now(), Actor.at(request))
        except ConfigurationRefused as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, f"The domain {row.domain} belongs to {row.idp} now.", messages.SUCCESS)
        return HttpResponseRedirect(_page(row.pk))

    def _may_act(self, request: HttpRequest) -> bool:
        return request.user.has_perm("saml_sp.change_emaildomain")

    def _row(self, request: HttpRequest, pk: int) -> EmailDomain:
        if not self._may_act(request):
            raise PermissionDenied
        row = EmailDomain.objects.select_related("idp").filter(pk=pk).first()
        if row is None:
            raise Http404
        return row


def _page(pk: object) -> str:
    return reverse("admin:saml_sp_emaildomain_change", args=[pk])
