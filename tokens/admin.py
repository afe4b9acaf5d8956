"""API tokens and service accounts in the administration. A secret is in one page only, the answer to its making."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts import freshness
from accounts.actors import Actor
from audit.admin import ReadOnly
from tokens import issuing, service_accounts
from tokens.forms import ServiceAccountForm, TokenForm
from tokens.models import ApiToken, ServiceAccount, State
from tokens.scopes import may_have, within_reach

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

    from tokens.models import ApiTokenQuerySet

    _TokenAdmin = admin.ModelAdmin[ApiToken]
    _AccountAdmin = admin.ModelAdmin[ServiceAccount]
else:  # generic for the type checker only
    _TokenAdmin = _AccountAdmin = admin.ModelAdmin


MOST_AT_ONCE = 500


class StateFilter(admin.SimpleListFilter):
    """Filter by what has become of a token."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Every state there is."""
        return [(state.name.lower(), state.value.capitalize()) for state in State]

    def queryset(self, request: HttpRequest, queryset: ApiTokenQuerySet) -> ApiTokenQuerySet:  # type: ignore[override]  # noqa: ARG002 - our own queryset; Django's signature
        """Tokens in the chosen state; a word that is none chooses nothing."""
        chosen = State.__members__.get((self.value() or "").upper())
        return queryset if chosen is None else queryset.in_state(chosen, timezone.now())


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly, _TokenAdmin):
    """Everybody's tokens: looked at and revoked."""

    list_display = ("name", "prefix", "user", "state", "scope_names", "expires_at", "last_used_at")
    list_filter = (StateFilter, ("user__is_service_account", admin.BooleanFieldListFilter))
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__email")
    search_help_text = "Name, first characters of the token, or the owner's address"
    show_full_result_count = False
    fields = (
        "name", "prefix", "user", "state", "scope_names", "created_at", "expires_at", "last_used_at", "last_used_ip",
        "last_used_by", "revoked_at", "revoked_by",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("revoke_chosen",)
    change_form_template = "admin/tokens/apitoken/change_form.html"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Who may change tokens may do the one thing that can be changed about them."""
        return bool(request.user.has_perm("tokens.change_apitoken"))

    def has_view_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """Who may revoke may look."""
        return super().has_view_permission(request, obj) or self.has_revoke_permission(request)

    def get_urls(self) -> list[Any]:
        """The button's address, before Django's own."""
        own = path("<uuid:pk>/revoke/", self.admin_site.admin_view(self.revoke_one), name="tokens_apitoken_revoke")
        return [own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the button, while there is something to revoke."""
        token = self.get_object(request, object_id)
        offered = token is not None and token.revoked_at is None and self.has_revoke_permission(request)
        return super().change_view(request, object_id, form_url, {"may_revoke": offered} | (extra_context or {}))

    @admin.display(description="state")
    def state(self, token: ApiToken) -> str:
        """What has become of it."""
        return token.state(timezone.now()).value

    @admin.display(description="scopes")
    def scope_names(self, token: ApiToken) -> str:
        """What it may do."""
        return ", ".join(token.scopes)

    def revoke_one(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The button on the page of one token."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        token = ApiToken.objects.select_related("user").filter(pk=pk).first()
        if token is None:
            raise Http404
        asked = self._revoke(request, [token])
        return asked or redirect("admin:tokens_apitoken_change", pk)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke_chosen(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> HttpResponse | None:
        """Revoke those that were chosen, after a page that lists them."""
        chosen = list(queryset.select_related("user")[: MOST_AT_ONCE + 1])
        if len(chosen) > MOST_AT_ONCE:
            messages.warning(request, f"That is too much for one page: choose at most {MOST_AT_ONCE} tokens.")
            return None
        return self._revoke(request, chosen)

    def _revoke(self, request: HttpRequest, tokens: list[ApiToken]) -> HttpResponse | None:
        """The page that asks; None once it was answered and they are revoked."""
        if request.POST.get("confirm") != "yes":
            facts = {**self.admin_site.each_context(request), "title": "Revoke", "tokens": tokens, "opts": self.opts}
            return render(request, "admin/tokens/apitoken/revoke.html", facts)
        now, actor = timezone.now(), Actor.at(request)
        done = sum(issuing.revoke(token, now=now, actor=actor) for token in tokens)
        messages.success(request, f"{done} token{' is' if done == 1 else 's are'} revoked, and open nothing any more.")
        return None


@admin.register(ServiceAccount)
class ServiceAccountAdmin(_AccountAdmin):
    """Accounts that are no person's: made here and nowhere else, and given their tokens here."""

    form = ServiceAccountForm
    list_display = ("name", "address", "contact", "active", "live_tokens", "created_at", "created_by")
    list_select_related = ("user",)
    search_fields = ("user__display_name", "user__email", "contact")
    show_full_result_count = False
    _facts = ("address", "active", "tokens", "created_at", "created_by")
    change_form_template = "admin/tokens/serviceaccount/change_form.html"

    # --- Who may ---

    def has_delete_permission(self, request: HttpRequest, obj: ServiceAccount | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """It is switched off, as every account is: what it did stays traceable."""
        return False

    # --- What is on the pages ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceAccount]:
        """With how many tokens of each work, in the one query."""
        now = timezone.now()
        live = Count(
            "user__api_tokens",
            filter=Q(user__api_tokens__revoked_at__isnull=True, user__api_tokens__expires_at__gt=now),
        )
        return super().get_queryset(request).annotate(live=live)

    def get_fieldsets(self, request: HttpRequest, obj: ServiceAccount | None = None) -> Any:
        """Adding asks for a name and a contact; the rest follows."""
        asked = ("name", "contact") if obj is None or self.has_change_permission(request, obj) else ("contact",)
        return ((None, {"fields": asked if obj is None else (*asked, *self._facts)}),)

    def get_readonly_fields(self, request: HttpRequest, obj: ServiceAccount | None = None) -> tuple[str, ...]:  # noqa: ARG002 - Django's signature
        """What follows from the making."""
        return () if obj is None else self._facts

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the button that makes a token."""
        account = self.get_object(request, object_id)
        offered = account is not None and account.user.is_active and self.has_change_permission(request, account)
        return super().change_view(request, object_id, form_url, {"may_issue": offered} | (extra_context or {}))

    @admin.display(description="name", ordering="user__display_name")
    def name(self, account: ServiceAccount) -> str:
        """What it is called."""
        return account.user.display_name

    @admin.display(description="account", ordering="user__email_key")
    def address(self, account: ServiceAccount) -> SafeString:
        """What the audit log calls it, leading to the account: rights are given and it is switched off there."""
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:accounts_user_change", args=[account.pk]), account.user
        )

    @admin.display(description="active", boolean=True)
    def active(self, account: ServiceAccount) -> bool:
        """Whether its tokens open anything."""
        return account.user.is_active

    @admin.display(description="tokens that work")
    def live_tokens(self, account: ServiceAccount) -> int:
        """How many."""
        return int(getattr(account, "live", 0))

    @admin.display(description="tokens")
    def tokens(self, account: ServiceAccount) -> SafeString:
        """How many work, leading to the list of all."""
        return link_to_tokens_of(account.pk, self.live_tokens(account))

    # --- What is done ---

    def save_model(self, request: HttpRequest, obj: ServiceAccount, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """On record."""
        facts = {"name": form.cleaned_data["name"], "contact": form.cleaned_data["contact"]}
        now, actor = timezone.now(), Actor.at(request)
        if change:
            service_accounts.change(obj, now=now, actor=actor, **facts)
        else:
            # Django goes on with the row that it has.
            obj.__dict__.update(service_accounts.create(now=now, actor=actor, **facts).__dict__)

    def get_urls(self) -> list[Any]:
        """The button's address, before Django's own."""
        own = path("<uuid:pk>/token/", self.admin_site.admin_view(self.issue), name="tokens_serviceaccount_token")
        return [own, *super().get_urls()]

    def issue(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """A token for the account: the form, then the one page that shows the secret.

        No scope is offered that the account may not have, nor one that whoever makes it may not have either.
        """
        account = ServiceAccount.objects.select_related("user").filter(pk=pk).first()
        if account is None:
            raise Http404
        if not self.has_change_permission(request, account):
            raise PermissionDenied
        now = timezone.now()
        if not freshness.is_fresh(request, now):
            return redirect(f"{reverse('sign_in_again')}?{urlencode({'next': request.path})}")
        assert request.user.is_authenticated  # noqa: S101 - the admin site has seen to it
        offered = [scope for scope in within_reach(account.user) if may_have(request.user, scope)]
        form = TokenForm(account.user, offered, now, request.POST if request.method == "POST" else None)
        facts = {**self.admin_site.each_context(request), "opts": self.opts, "original": account, "form": form}
        if form.is_bound and form.is_valid():
            try:
                issued = form.issue(now=now, actor=Actor.at(request))
            except issuing.MadeAlready as already:
                messages.error(request, f"The form came twice: the first time it made and showed {already.token}.")
                return redirect("admin:tokens_serviceaccount_change", pk)
            if issued is not None:
                token, secret = issued
                facts |= {"title": "Copy the token now", "token": token, "secret": secret.reveal()}
                response = render(request, "admin/tokens/serviceaccount/shown_once.html", facts, status=201)
                response.headers["Cache-Control"] = "no-store"
                return response
        facts["title"] = f"New token for {account}"
        return render(request, "admin/tokens/serviceaccount/token.html", facts)


def link_to_tokens_of(owner: UUID, live: int) -> SafeString:
    """How many tokens of this owner work, leading to the list of all."""
    address = f"{reverse('admin:tokens_apitoken_changelist')}?{urlencode({'user__id__exact': owner})}"
    return format_html('<a href="{}">{} that work{}</a>', address, live, "s" if live == 1 else "")
