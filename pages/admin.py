"""People, in the administration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from accounts import deactivation, lookalikes
from accounts.actors import Actor
from accounts.models import Session, User
from orgs.desk import InWords
from orgs.person_admin import AssignmentsOfPerson
from pages import policy_admin  # noqa: F401 - importing registers its page
from pages.person_forms import NewPersonForm, PersonForm
from pages.person_pages import PersonPages, hand_over, invite
from saml_sp import moving
from saml_sp.domain_admin import copyable
from saml_sp.protocol.errors import ConfigurationRefused
from tokens.admin import link_to_tokens_of

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

if TYPE_CHECKING:
    UserAdminBase = UserAdmin[User]
else:
    # Generic in the type stubs only.
    UserAdminBase = UserAdmin

# allauth's own pages: a table that stays empty, and the secrets of second factors.
admin.site.unregister([EmailAddress, Authenticator])

RIGHTS = ("is_staff", "is_superuser", "is_break_glass", "groups")


class AssertedAddressFilter(admin.SimpleListFilter):
    """People whom an identity provider calls by another address than their account's."""

    title = "address at the identity provider"
    parameter_name = "asserted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Only one choice is worth making."""
        return [("differs", "Differs from the one here")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:  # noqa: ARG002 - Django's signature
        """Accounts with such an identity."""
        if self.value() != "differs":
            return queryset
        return queryset.filter(identities__isnull=False).exclude(identities__email_key=F("email_key"))


@admin.register(User)
class PersonAdmin(InWords, PersonPages, AssignmentsOfPerson, UserAdminBase):
    """Accounts: made, found, moved, switched off. Only superusers hand out rights, and nobody changes their own."""

    form = PersonForm
    add_form = NewPersonForm
    change_form_template = "admin/accounts/user/change_form.html"
    ordering = ("email_key",)
    list_display = ("email", "full_name", "vouched_for_by", "is_active", "is_staff", "last_login")
    list_filter = (
        "is_active", "is_staff", "is_superuser", "is_break_glass", "is_service_account", AssertedAddressFilter,
        "sso_label",
    )  # fmt: skip
    search_fields = ("email", "first_name", "last_name")
    filter_horizontal = ("groups",)
    _facts = (
        "state", "vouched_for_by", "identities", "sign_in_address", "look_alikes", "live_sessions", "last_login",
        "api_tokens", "date_joined",
    )  # fmt: skip
    readonly_fields = _facts
    actions = ("invite", "assign_to_organization", "switch_off")

    class Media:
        js = ("copy.js",)

    # --- What is on the pages ---

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Adding asks who vouches; the page of an account that exists has a button for changing that."""
        if obj is None:
            who = ["email", "first_name", "last_name"]
            if request.user.has_perm("saml_sp.add_federatedidentity"):
                who.append("provider")
            if request.user.is_superuser:
                who.append("is_break_glass")
            password = ("usable_password", "password1", "password2")
            return ((None, {"fields": who}), ("Local account", {"fields": password}))
        shown = () if obj.is_managed and not obj.is_break_glass else ("password",)
        return (
            (None, {"fields": ("email", *shown, "first_name", "last_name")}),
            ("Sign-in", {"fields": self._facts}),
            *self.access_fieldsets(request, obj),
            ("Rights in this administration", {"fields": RIGHTS}),
        )

    def get_form(
        self,
        request: HttpRequest,
        obj: User | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> type[ModelForm[User]]:
        """Who may not choose the provider has no field for it, on the page or behind it."""
        form = super().get_form(request, obj, change=change, **kwargs)
        if obj is None and not request.user.has_perm("saml_sp.add_federatedidentity"):
            form.base_fields.pop("provider")
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Rights are a superuser's to give; one's own stay as they are, so that nobody locks themselves out."""
        if obj is None:
            return ()
        own = obj.pk == request.user.pk
        facts = (*self._facts, *self.access_facts)
        return (*facts, *RIGHTS) if own or not request.user.is_superuser else facts

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the buttons that are for this reader."""
        person = self.get_object(request, object_id)
        buttons = {
            "may_hand_out_rights": person is not None and self.may_hand_out_rights(request, person),
            "may_move": person is not None and self.may_move(request, person),
        }
        return super().change_view(request, object_id, form_url, buttons | (extra_context or {}))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - Django's signature
        """Somebody else's password, where they have a local account; one's own is changed on one's own pages."""
        if str(request.user.pk) == id:
            return redirect("account_change_password")
        person = self.get_object(request, id)
        if person is not None and person.is_managed and not person.is_break_glass:
            raise PermissionDenied
        with transaction.atomic():
            if person is not None:
                # Django's page writes every column back: nobody may change one in between.
                User.objects.select_for_update().get(pk=person.pk)
            return super().user_change_password(request, id, form_url)

    @admin.display(description="name", ordering="last_name")
    def full_name(self, person: User) -> str:
        """First and last name, as far as known."""
        return f"{person.first_name} {person.last_name}".strip()

    @admin.display(description="state")
    def state(self, person: User) -> str:
        """On or off, and why."""
        if person.is_active:
            return "active"
        return f"switched off: {person.inactive_because}" if person.inactive_because else "switched off"

    @admin.display(description="identity provider", ordering="sso_label")
    def vouched_for_by(self, person: User) -> str:
        """Who vouched at the last sign-in, or that the account lives here alone."""
        return person.sso_label or "local account"

    @admin.display(description="identities")
    def identities(self, person: User) -> SafeString | str:
        """What identity providers call this person; another address than the account's is pointed out."""
        lines = [
            (
                row.email_key,
                row.idp,
                ", awaiting the first sign-in" if row.pending else "",
                "" if row.email_key == person.email_key else " ⚠ not the address of the account",
            )
            for row in person.identities.select_related("idp").order_by("idp__description", "pk")
        ]
        return format_html_join("\n", "<div>{} at {}{}{}</div>", lines) or "none"

    @admin.display(description="sign-in address to hand over")
    def sign_in_address(self, person: User) -> SafeString | str:
        """Nobody mails people of an identity provider: this is what to tell them."""
        idp = moving.provider_of(person)
        if idp is None:
            return "-"
        where = moving.where_to_sign_in(idp)
        return copyable(where) if where else f"the portal of {idp}, whose address is not known here"

    @admin.display(description="addresses that look like this one")
    def look_alikes(self, person: User) -> SafeString | str:
        """Perhaps one person twice, perhaps somebody who wants to be taken for another."""
        found = [(other,) for other in lookalikes.of(person)[:10]]
        return format_html("⚠ {}", format_html_join(", ", "{}", found)) if found else "none"

    @admin.display(description="signed in now")
    def live_sessions(self, person: User) -> str:
        """In how many browsers."""
        count = Session.objects.live(timezone.now()).filter(user=person, adopted_at__isnull=False).count()
        return f"in {count} browser{'' if count == 1 else 's'}" if count else "no"

    @admin.display(description="API tokens")
    def api_tokens(self, person: User) -> SafeString:
        """How many work, leading to the list of all."""
        return link_to_tokens_of(person.pk, person.api_tokens.live(timezone.now()).count())

    # --- Who may ---

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Who may not hand out rights may not take over the account of somebody who has some, by its password.

        A service account has a page of its own, and nothing of a person's to be changed.
        """
        above = obj is not None and (obj.is_staff or obj.is_superuser) and not request.user.is_superuser
        no_person = obj is not None and obj.is_service_account
        return super().has_change_permission(request, obj) and not above and not no_person

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Deleting is for superusers, one account at a time, and not for one's own: switching off is the usual way."""
        return obj is not None and bool(request.user.is_superuser) and obj.pk != request.user.pk

    def has_rights_permission(self, request: HttpRequest) -> bool:
        """Django's hook for actions that only superusers are offered."""
        return bool(request.user.is_superuser)

    # --- What is done ---

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool) -> None:  # noqa: FBT001 - Django's signature
        """A new account goes to its identity provider, or gets its invitation; look-alikes are pointed out."""
        if change:
            # Only what was changed here: somebody may be switching the account off at this moment.
            columns = {column.name for column in obj._meta.concrete_fields}  # noqa: SLF001 - Django's public name for it
            obj.save(update_fields=columns.intersection(form.changed_data))
        else:
            super().save_model(request, obj, form, change)
            self._settle(request, obj, form)
        if (not change or "email" in form.changed_data) and (alike := lookalikes.of(obj)[:3]):
            others = ", ".join(str(other) for other in alike)
            question = "Is it somebody else, or one person twice?"
            messages.warning(request, f"The address {obj} looks much like {others}. {question}")

    def _settle(self, request: HttpRequest, person: User, form: ModelForm[User]) -> None:
        assert isinstance(form, NewPersonForm)  # noqa: S101 - the form of a new account
        idp = form.cleaned_data.get("provider")
        if idp is None:
            if not person.has_usable_password():
                invite(request, person)
            return
        if form.owner is not None:
            domain = person.email.rpartition("@")[2]
            messages.warning(request, f"The domain {domain} belongs to {idp}, so this is not a local account.")
        try:
            moving.assign(person, idp, now=timezone.now(), actor=Actor.at(request))
        except ConfigurationRefused as refusal:
            messages.error(request, str(refusal))
        else:
            hand_over(request, person, idp)

    @admin.action(description="Mail an invitation to choose a password", permissions=["change"])
    def invite(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Invite those who were chosen and have no way in yet; say of each of the others why not."""
        for person in queryset:
            invite(request, person)

    @admin.action(description="Switch off", permissions=["rights"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        """Deactivate those who were chosen, after a page that lists them."""
        people = [person for person in queryset if person.pk != request.user.pk]
        if not people:
            messages.warning(request, "Nobody switches their own account off.")
            return None
        if request.POST.get("confirm") != "yes":
            facts = {**self.admin_site.each_context(request), "title": "Switch off", "people": people}
            return render(request, "admin/accounts/user/switch_off.html", facts)
        now, actor = timezone.now(), Actor.at(request)
        for person in people:
            deactivation.deactivate(person, now=now, actor=actor)
        messages.success(request, f"{len(people)} account(s) are switched off, and their sessions have ended.")
        return None
