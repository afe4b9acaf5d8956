"""The admin pages of what people have: who is in which organisation, group and role, and why.

What an identity provider says is shown beside what was given by hand, with its reason, and is not edited here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.shortcuts import render

from orgs import assigning, history
from orgs.desk import ChosenFilter, InWords, LongList, Typed, TypedFields, WithHistory, by, people_like
from orgs.many import AssignMany
from orgs.models import (
    AccessLevel,
    BillingPermission,
    Grant,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    Organization,
    PropertyGrant,
    RoleGrant,
)
from orgs.spreadsheet import AsCsv

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from audit.models import Event

    _GrantAdmin = admin.ModelAdmin[Any]
    _GrantForm = forms.ModelForm[Any]
else:  # generic for the type checker only
    _GrantAdmin, _GrantForm = admin.ModelAdmin, forms.ModelForm

MOST_AT_ONCE = 20_000
MOST_LISTED = 100
BY_HAND = "Given by hand. What somebody has by an identity provider's word stays, whatever is done here."
ASSERTED = "An identity provider says so. It is changed there, or in that provider's mapping, and not by hand."
OWN = "This is what you have yourself: a superuser, or a colleague, changes it."


class GrantForm(_GrantForm):
    """Giving something to somebody, once."""

    def clean(self) -> dict[str, Any]:
        """Refuse what is given by hand already, rather than pretend that something was done."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk is None and (there := self._there(cleaned)) is not None:
            raise forms.ValidationError(
                f"By hand already: {there} ({there.why}). Change or withdraw that.", code="once"
            )
        return cleaned

    def _there(self, cleaned: dict[str, Any]) -> Grant | None:
        names = [name for name in ("user", assigning.COLUMN_OF.get(self._meta.model)) if name]
        if not all(cleaned.get(name) for name in names):
            return None
        same = {name: cleaned[name] for name in names}
        found: Grant | None = self._meta.model.objects.by_hand().filter(**same).first()
        return found


class MembershipForm(GrantForm):
    """Somebody's place in an organisation."""

    even_last_admin = forms.BooleanField(
        required=False, label="Even so",
        help_text="This is the last administrator of the organisation. Tick this if it is to have none.",
    )  # fmt: skip


def level_choices(request: HttpRequest, held: int | None = None) -> list[tuple[int, str]]:
    """The levels that this reader may give."""
    above = bool(request.user.is_superuser) or held == AccessLevel.SUPER_ADMIN
    levels = [level for level in AccessLevel if level != AccessLevel.NONE]
    return [(level.value, level.label) for level in levels if above or level != AccessLevel.SUPER_ADMIN]


class GrantAdmin(InWords, TypedFields, WithHistory, _GrantAdmin):
    """What all of them have in common; `column` is what is given, `ranks` what else is chosen."""

    column = ""
    ranks: tuple[str, ...] = ()
    thing_searched: tuple[str, ...] = ()
    form = GrantForm
    paginator = LongList
    show_full_result_count = False
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    ordering = ("-pk",)
    sortable_by = ()
    search_fields = ("user__email",)
    actions = ("withdraw",)
    delete_confirmation_template = "admin/orgs/withdraw_one.html"
    history_needs = ("orgs.view_membership",)

    # --- What is on the pages ---

    def get_list_display(self, request: HttpRequest) -> list[Any]:  # noqa: ARG002 - Django's signature
        """Who, what, and why."""
        return ["user", *([self.column] if self.column else []), *self.ranks, "source", "why"]

    def get_list_select_related(self, request: HttpRequest) -> tuple[str, ...]:  # noqa: ARG002 - as above
        """One query for a page of the list."""
        return ("user", self.column) if self.column else ("user",)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:  # noqa: ARG002 - as above
        """By the thing, found by typing; by rank and source."""
        return [*([(self.column, ChosenFilter)] if self.column else []), *self.ranks, "source"]

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:  # noqa: ARG002 - as above
        """Found by typing."""
        return ("user", self.column) if self.column else ("user",)

    def get_readonly_fields(self, request: HttpRequest, obj: Grant | None = None) -> tuple[str, ...]:  # noqa: ARG002 - as above
        """Who and what stays: another person gets a row of their own."""
        if obj is None:
            return ()
        return ("user", *([self.column] if self.column else []), "why")

    def get_fieldsets(self, request: HttpRequest, obj: Grant | None = None) -> Any:
        """With a word on why it can be changed, or cannot."""
        fields = ["user", *([self.column] if self.column else []), *self.ranks]
        if obj is None:
            return ((None, {"fields": fields, "description": BY_HAND}),)
        word = ASSERTED if not obj.by_hand else BY_HAND
        if _own(request, obj):
            word = OWN
        return ((None, {"fields": [*fields, *self.extra_fields(request, obj), "why"], "description": word}),)

    def extra_fields(self, request: HttpRequest, obj: Grant) -> list[str]:  # noqa: ARG002 - for those that need one
        """Further fields of the form."""
        return []

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        """Each word is in the person's address or name, or in the thing's name or external ID."""
        for word in search_term.split()[:5]:
            wanted = Q(user__in=people_like(word).values("pk"))
            if self.column:
                things: Any = self.model._meta.get_field(self.column).related_model  # noqa: SLF001 - Django's public name for it
                alike = Q()
                for name in self.thing_searched:
                    alike |= Q(**{f"{name}__icontains": word})
                wanted |= Q(**{f"{self.column}__in": things._base_manager.filter(alike).values("pk")})  # noqa: SLF001 - as above
            queryset = queryset.filter(wanted)
        return queryset, False

    @property
    def media(self) -> forms.Media:
        """Django's hook; the list filters by typing as well."""
        if not self.column:
            return super().media
        field: Any = self.model._meta.get_field(self.column)  # noqa: SLF001 - as above
        return super().media + Typed(field, self.admin_site).media

    # --- Who may ---

    def has_change_permission(self, request: HttpRequest, obj: Grant | None = None) -> bool:
        """What was given by hand and has a rank, and is not one's own."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or (bool(self.ranks) and obj.by_hand and not _own(request, obj)))

    def has_delete_permission(self, request: HttpRequest, obj: Grant | None = None) -> bool:
        """What was given by hand, and is not one's own."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or (obj.by_hand and not _own(request, obj)))

    def get_actions(self, request: HttpRequest) -> Any:
        """Ours in place of Django's, which would list a hundred thousand."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def history_of(self, obj: Grant) -> QuerySet[Event]:
        """What the person has, and had."""
        return history.of_person(obj.user)

    # --- What is done ---

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001 - Django's signature
        """Give it; there is nothing to change on what has no rank."""
        assigning.assign(obj.user, getattr(obj, self.column), **by(request))
        self._found(obj)

    def _found(self, obj: Any) -> None:
        """The row as it was written, for Django's log and for the way on."""
        same = {"user": obj.user} | ({self.column: getattr(obj, self.column)} if self.column else {})
        row = self.model._default_manager.filter(source=obj.source, **same).first()  # noqa: SLF001 - Django's public name for it
        if row is None:
            raise assigning.Gone
        obj.pk = row.pk

    def delete_model(self, request: HttpRequest, obj: Grant) -> None:
        """Take it back."""
        assigning.withdraw(obj, even_last_admin=_even_so(request), **by(request))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """With a question about the last administrator."""
        row = self.get_object(request, object_id)
        bare = assigning.without_administrator_but([row]) if row is not None and row.by_hand else []
        return super().delete_view(request, object_id, {"bare": bare} | (extra_context or {}))

    @admin.action(description="Withdraw what was given by hand", permissions=["delete"])
    def withdraw(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Take back what was chosen, after a page that says how much it is; what identity providers say stays."""
        related = ("user", self.column) if self.column else ("user",)
        rows = list(queryset.by_hand().select_related(*related).order_by("pk")[: MOST_AT_ONCE + 1])
        if len(rows) > MOST_AT_ONCE:
            messages.error(request, f"These are more than {MOST_AT_ONCE:,} at once. Choose fewer, by a filter.")
            return None
        if not rows:
            messages.warning(request, "None of these was given by hand: an identity provider says so, and stays right.")
            return None
        if request.POST.get("confirm") == "yes" and request.POST.get("was") == str(len(rows)):
            gone = assigning.withdraw_many(rows, even_last_admin=_even_so(request), **by(request))
            messages.success(request, f"{gone:,} withdrawn.")
            return None
        facts = {
            **self.admin_site.each_context(request), "title": "Withdraw what was given by hand", "opts": self.opts,
            "rows": rows[:MOST_LISTED], "count": len(rows), "more": max(0, len(rows) - MOST_LISTED),
            "asserted": queryset.exclude(source="manual")[:MOST_AT_ONCE].count(),
            "bare": assigning.without_administrator_but(rows), "selected": request.POST.getlist("_selected_action"),
            "across": request.POST.get("select_across", "0"),
        }  # fmt: skip
        return render(request, "admin/orgs/withdraw.html", facts)


def _own(request: HttpRequest, obj: Grant) -> bool:
    return obj.user_id == request.user.pk and not request.user.is_superuser


def _even_so(request: HttpRequest) -> bool:
    return request.POST.get("even_last_admin") == "on"


@admin.register(Membership)
class MembershipAdmin(AsCsv, AssignMany, GrantAdmin):
    """Who is what in which organisation."""

    column, ranks = "organization", ("role",)
    thing_searched = ("name", "external_id")
    search_help_text = "A person's address or name, an organisation's name or external ID."
    form = MembershipForm
    change_form_template = "admin/orgs/membership/change_form.html"

    def extra_fields(self, request: HttpRequest, obj: Grant) -> list[str]:
        """A question, where it arises."""
        asks = self.has_change_permission(request, obj) and assigning.without_administrator_but([obj])
        return ["even_last_admin"] if asks else []

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Give it, or make it another role."""
        role, even = MembershipRole(obj.role), bool(form.cleaned_data.get("even_last_admin"))
        if change:
            assigning.change_role(obj, role, even_last_admin=even, **by(request))
        else:
            assigning.assign(obj.user, obj.organization, rank=role, **by(request))
            self._found(obj)

    def history_of(self, obj: Any) -> QuerySet[Event]:
        """What the person was in this organisation, and what sign-ins have brought."""
        told = history.of_membership(obj.user, obj.organization)
        return told if obj.by_hand else history.of_person(obj.user)


@admin.register(BillingPermission)
class BillingPermissionAdmin(GrantAdmin):
    """Who may bill to which account."""

    column, thing_searched = "billing_account", ("name", "external_id", "organization__name")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """By hand alone, so the source is no news; the organisation is."""
        shown = super().get_list_display(request)
        return [shown[0], shown[1], "organization", "why"]

    def get_list_select_related(self, request: HttpRequest) -> tuple[str, ...]:
        """With the organisation."""
        return (*super().get_list_select_related(request), "billing_account__organization")

    def get_list_filter(self, request: HttpRequest) -> list[Any]:  # noqa: ARG002 - Django's signature
        """By the account alone."""
        return [("billing_account", ChosenFilter)]

    @admin.display(description="organisation")
    def organization(self, row: BillingPermission) -> Organization:
        """Whose account it is."""
        return row.billing_account.organization


@admin.register(GroupMembership)
class GroupMembershipAdmin(GrantAdmin):
    """Who is in which access group."""

    column, thing_searched = "group", ("name",)


@admin.register(RoleGrant)
class RoleGrantAdmin(GrantAdmin):
    """Who has which role."""

    column, thing_searched = "role", ("name",)


@admin.register(PropertyGrant)
class PropertyGrantAdmin(GrantAdmin):
    """Who has access to which property."""

    column, thing_searched = "property", ("name", "external_id")


@admin.register(LevelGrant)
class LevelGrantAdmin(GrantAdmin):
    """What access level each source gives; the highest counts."""

    ranks = ("level",)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Only superusers are offered the highest; none at all is to withdraw it."""
        if db_field.name == "level":
            kwargs["choices"] = level_choices(request)
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Grant | None = None) -> bool:
        """The highest level is a superuser's to take away."""
        return super().has_change_permission(request, obj) and not _above(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Grant | None = None) -> bool:
        """As for changing it."""
        return super().has_delete_permission(request, obj) and not _above(request, obj)

    def save_model(self, request: HttpRequest, obj: LevelGrant, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001 - Django's signature
        """Set it."""
        assigning.set_level(obj.user, AccessLevel(obj.level), **by(request))
        self._found(obj)


def _above(request: HttpRequest, obj: Any) -> bool:
    return obj is not None and obj.level == AccessLevel.SUPER_ADMIN and not request.user.is_superuser
