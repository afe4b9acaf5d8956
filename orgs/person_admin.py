"""What somebody has, on their page in the administration: by hand, to be changed there; by assertion, to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.forms.models import BaseInlineFormSet
from django.http import Http404
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join

from accounts.models import User
from orgs import access, assigning, grants, history, many
from orgs.desk import TypedFields, by, history_page
from orgs.grant_admin import OWN, level_choices
from orgs.models import (
    AccessLevel,
    BillingPermission,
    Grant,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    PropertyGrant,
    RoleGrant,
    Source,
)

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.admin import AdminSite
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

    _Inline = admin.TabularInline[Any, User]
    _FormSet = BaseInlineFormSet[Any, User, Any]
    _Form = forms.ModelForm[Any]
else:  # generic for the type checker only
    _Inline, _FormSet, _Form = admin.TabularInline, BaseInlineFormSet, forms.ModelForm

# Beyond it the page sends to the list, where there are pages.
MOST_INLINE = 100
_KEPT = "_portico_too_many"  # on the person's instance, which lives for one request
RECENT = 10


class Shown(forms.Widget):
    """What stays as it is, in words and without a field."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def render(self, *args: Any, **kwargs: Any) -> SafeString:  # noqa: ARG002 - Django's signature
        """The words."""
        return format_html("<span>{}</span>", self.text)


def _column(model: Any) -> str:
    """What the rows are of; the level is of nothing."""
    return assigning.COLUMN_OF.get(model, "")


class HeldForm(_Form):
    """A row: what it is of stays, the rank is chosen."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        column = _column(self._meta.model)
        if self.instance.pk is not None and column in self.fields:
            thing = getattr(self.instance, column)
            self.fields[column].disabled = True
            self.fields[column].widget = Shown(_label(thing))
        if self.instance.pk is None and "level" in self.fields:
            # A default would make a new row look as if nothing had been chosen in it.
            self.initial.pop("level", None)
            self.fields["level"].initial = None


def _label(thing: Any) -> str:
    """With the organisation, where the name alone does not say whose it is."""
    return f"{thing} ({thing.organization})" if hasattr(thing, "organization") else str(thing)


class HeldFormSet(_FormSet):
    """What one person has by hand, of one kind; given and taken through `orgs.assigning`."""

    request: HttpRequest

    def clean(self) -> None:
        """Nothing twice, and no organisation without an administrator."""
        super().clean()
        column = _column(self.model)
        self._refuse_twice(column)
        if self.model is Membership and (bare := assigning.without_administrator_but(self._losing())):
            names = ", ".join(map(str, bare))
            raise forms.ValidationError(
                f"{names} would have no administrator any more. If that is meant, do it on the page of the membership, "
                "which asks for a confirmation.",
                code="last_admin",
            )

    def _refuse_twice(self, column: str) -> None:
        new = [form for form in self.extra_forms if form.has_changed() and form not in self.deleted_forms]
        if not column or not all(hasattr(form, "cleaned_data") for form in new):
            return
        chosen = [form.cleaned_data.get(column) for form in new]
        held = {getattr(form.instance, f"{column}_id") for form in self.initial_forms}
        for form, thing in zip(new, chosen, strict=True):
            if thing is not None and (thing.pk in held or chosen.count(thing) > 1):
                form.add_error(column, f"{thing} is given by hand already.")

    def _losing(self) -> list[Any]:
        losing = []
        for form in self.initial_forms:
            demoted = getattr(form, "cleaned_data", {}).get("role") == MembershipRole.MEMBER
            if form in self.deleted_forms or demoted:
                row = Membership.objects.select_related("user", "organization").filter(pk=form.instance.pk).first()
                losing += [row] if row is not None else []
        return losing

    def save_new(self, form: Any, commit: bool = True) -> Any:  # noqa: ARG002, FBT001, FBT002 - Django's signature
        """Give it."""
        row = super().save_new(form, commit=False)
        if isinstance(row, LevelGrant):
            assigning.set_level(self.instance, AccessLevel(row.level), **by(self.request))
        else:
            thing = getattr(row, _column(self.model))
            assigning.assign(
                self.instance,
                thing,
                rank=getattr(row, "role", 0) if isinstance(row, Membership) else 0,
                **by(self.request),
            )
        return row

    def save_existing(self, form: Any, obj: Any, commit: bool = True) -> Any:  # noqa: ARG002, FBT001, FBT002 - as above
        """Another rank."""
        row = form.save(commit=False)
        if isinstance(row, LevelGrant):
            assigning.set_level(self.instance, AccessLevel(row.level), **by(self.request))
        elif isinstance(row, Membership):
            assigning.change_role(row, MembershipRole(row.role), **by(self.request))
        return row

    def delete_existing(self, obj: Grant, commit: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - as above
        """Take it back."""
        assigning.withdraw(obj, **by(self.request))


class HeldInline(TypedFields, _Inline):
    """What one person has by hand, of one kind."""

    formset = HeldFormSet
    form = HeldForm
    extra = 0
    readonly_fields = ("why",)
    ranks: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """The field of what is given; the level has none."""
        return _column(self.model)

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:  # noqa: ARG002 - Django's signature
        """What, as what, and why."""
        return [*([self.column] if self.column else []), *self.ranks, "why"]

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:  # noqa: ARG002 - as above
        """Found by typing."""
        return (self.column,) if self.column else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """By hand alone: nothing else is changed here."""
        rows: Any = super().get_queryset(request).filter(source=Source.MANUAL).order_by("pk")
        return rows.select_related(self.column) if self.column else rows  # type: ignore[no-any-return]  # as it is declared

    def get_formset(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> Any:
        """Django's hook; what is done is done by whoever asks."""
        made = super().get_formset(request, obj, **kwargs)
        made.request = request  # type: ignore[attr-defined]  # a class of this one request
        return made

    def has_add_permission(self, request: HttpRequest, obj: User | None) -> bool:  # type: ignore[override]  # as Django's inlines have it
        """Not for oneself."""
        return super().has_add_permission(request, obj) and _may_change(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """As above."""
        return super().has_change_permission(request, obj) and _may_change(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """As above."""
        return super().has_delete_permission(request, obj) and _may_change(request, obj)


def _may_change(request: HttpRequest, person: User | None) -> bool:
    return bool(request.user.is_superuser) or person is None or person.pk != request.user.pk


class MembershipInline(HeldInline):
    """Organisations."""

    model = Membership
    ranks = ("role",)
    verbose_name, verbose_name_plural = "organisation", "organisations, by hand"


class LevelInline(HeldInline):
    """The access level."""

    model = LevelGrant
    ranks = ("level",)
    max_num = 1
    verbose_name = verbose_name_plural = "access level, by hand"

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Only superusers are offered the highest."""
        if db_field.name == "level":
            held = getattr(request, "_portico_level", None)
            kwargs["choices"] = [("", "---------"), *level_choices(request, held)]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def get_formset(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> Any:
        """With the level that is held among the choices, whoever reads it."""
        if obj is not None:
            held = LevelGrant.objects.by_hand().filter(user=obj).values_list("level", flat=True).first()
            request._portico_level = held  # type: ignore[attr-defined]  # noqa: SLF001 - for the choices above
        return super().get_formset(request, obj, **kwargs)


class RoleInline(HeldInline):
    """Roles."""

    model = RoleGrant
    verbose_name, verbose_name_plural = "role", "roles, by hand"


class GroupInline(HeldInline):
    """Access groups."""

    model = GroupMembership
    verbose_name, verbose_name_plural = "access group", "access groups, by hand"


class PropertyInline(HeldInline):
    """Properties."""

    model = PropertyGrant
    verbose_name, verbose_name_plural = "property", "properties, by hand"


class BillingInline(HeldInline):
    """Billing accounts."""

    model = BillingPermission
    verbose_name, verbose_name_plural = "billing account", "billing accounts, by hand"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the organisation of each account."""
        return super().get_queryset(request).select_related("billing_account__organization")


INLINES: tuple[type[HeldInline], ...] = (
    MembershipInline, LevelInline, RoleInline, GroupInline, PropertyInline, BillingInline,
)  # fmt: skip


class AssignmentsOfPerson:
    """For the admin of people: what they have, why, and since when."""

    admin_site: AdminSite
    opts: Any
    access_facts = ("level_that_counts", "asserted", "too_many", "recent_assignments")

    # --- What is on the page ---

    def get_urls(self) -> list[Any]:
        """The history of what somebody has."""
        own = path(
            "<uuid:pk>/assignments/", self.admin_site.admin_view(self.assignments), name="accounts_user_assignments"
        )
        rest: list[Any] = super().get_urls()  # type: ignore[misc]  # mixed into a ModelAdmin
        return [own, *rest]

    def get_inlines(self, request: HttpRequest, obj: User | None) -> tuple[type[HeldInline], ...]:  # noqa: ARG002 - Django's signature
        """What there is by hand, but for kinds of which it is too much for one page."""
        return () if obj is None else tuple(inline for inline in INLINES if inline not in _too_many(obj))

    def access_fieldsets(self, request: HttpRequest, person: User) -> tuple[Any, ...]:
        """For who may see what people have."""
        if not request.user.has_perm("orgs.view_membership"):
            return ()
        shown = [fact for fact in self.access_facts if fact != "too_many" or _too_many(person)]
        own = {} if _may_change(request, person) else {"description": OWN}
        return (("Access", {"fields": shown, **own}),)

    @admin.display(description="access level that counts")
    def level_that_counts(self, person: User) -> str:
        """The highest of what is said."""
        return access.level_of(person).label

    @admin.display(description="by an identity provider's word")
    def asserted(self, person: User) -> SafeString | str:
        """What it is and why; the identity provider changes it, nobody here."""
        found = []
        for model in grants.ALL:
            column = _column(model)
            rows = model.objects.filter(user=person, source=Source.IDP).order_by("pk")
            found += [(_said(row), row.why) for row in rows.select_related(*([column] if column else []))[:MOST_INLINE]]
        return format_html_join("\n", "<div>{} ({})</div>", found) or "nothing"

    @admin.display(description="too many for this page")
    def too_many(self, person: User) -> SafeString:
        """The way to their lists."""
        found = [(_list_of(inline, person), inline.verbose_name_plural) for inline in _too_many(person)]
        return format_html_join(", ", '<a href="{}">{}</a>', found)

    @admin.display(description="history of assignments")
    def recent_assignments(self, person: User) -> SafeString:
        """The last of it, and the way to the rest."""
        lines, _ = history.page(history.of_person(person))
        facts = {"lines": lines[:RECENT], "all": reverse("admin:accounts_user_assignments", args=[person.pk])}
        return render_to_string("admin/orgs/_recent.html", facts)

    def assignments(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """All of the history."""
        person = User.objects.filter(pk=pk).first()
        if person is None:
            raise Http404
        may: Any = self.has_view_permission  # type: ignore[attr-defined]  # mixed into a ModelAdmin
        if not (may(request, person) and request.user.has_perm("orgs.view_membership")):
            raise PermissionDenied
        return history_page(request, self.admin_site, self.opts, person, history.of_person(person))

    # --- What is done ---

    def has_assign_permission(self, request: HttpRequest) -> bool:
        """Django's hook for the action below."""
        return many.may_assign(request)

    @admin.action(description="Assign to an organisation…", permissions=["assign"])
    def assign_to_organization(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        """Choose the organisation and the role for these people; the page after that says what would happen."""
        people = list(queryset.order_by("email_key")[: many.MOST_PEOPLE + 1])
        if len(people) > many.MOST_PEOPLE:
            messages.error(request, f"These are more than {many.MOST_PEOPLE:,} at once. Choose fewer, by a filter.")
            return None
        return many.begin(request, self.admin_site, people)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, set[str], Any]:
        """What a person has goes with them, whoever gave it."""
        listed, counts, needed, protected = super().get_deleted_objects(objs, request)  # type: ignore[misc]  # mixed into a ModelAdmin
        return listed, counts, needed - {str(model._meta.verbose_name) for model in grants.ALL}, protected  # noqa: SLF001 - Django's public name for it


def _too_many(person: User) -> list[type[HeldInline]]:
    """Kinds of which there is more by hand than fits on the page; asked once for a page. One query."""
    kept: list[type[HeldInline]] | None = getattr(person, _KEPT, None)
    if kept is None:
        beyond = [
            Exists(inline.model.objects.by_hand().filter(user=OuterRef("pk"))[MOST_INLINE : MOST_INLINE + 1])
            for inline in INLINES
        ]
        many: Any = User.objects.filter(pk=person.pk).values_list(*beyond).first() or ()
        kept = [inline for inline, more in zip(INLINES, many, strict=False) if more]
        setattr(person, _KEPT, kept)
    return kept


def _list_of(inline: type[HeldInline], person: User) -> str:
    where = reverse(f"admin:orgs_{inline.model.__name__.lower()}_changelist")
    return f"{where}?{urlencode({'q': person.email})}"


def _said(row: Any) -> str:
    if isinstance(row, LevelGrant):
        return f"access level {row.get_level_display()}"
    thing = getattr(row, assigning.COLUMN_OF[type(row)])
    what = assigning.ASSIGNABLE[type(thing)].what
    return f"{row.get_role_display()} of {thing}" if isinstance(row, Membership) else f"{what} {thing}"
