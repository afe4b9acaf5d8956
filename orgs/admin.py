"""The admin pages of organisations, their billing accounts, access groups, roles and properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import CASCADE, Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.forms.models import BaseInlineFormSet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst

from orgs import assigning, grant_admin, history  # noqa: F401 - importing registers the pages of grants
from orgs.desk import ChosenFilter, InWords, LongList, Typed, TypedFields, WithHistory, by
from orgs.many import may_assign
from orgs.models import AccessGroup, BillingAccount, Membership, MembershipRole, Organization, Property, Role
from orgs.permissions import FOR_ROLES

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

    from audit.models import Event
    from orgs.assigning import Thing

    _ThingAdmin = admin.ModelAdmin[Any]
    _RoleForm = forms.ModelForm[Role]
    _AccountsInline = admin.TabularInline[BillingAccount, Organization]
    _Accounts = BaseInlineFormSet[BillingAccount, Organization, Any]
else:  # generic for the type checker only
    _ThingAdmin, _RoleForm = admin.ModelAdmin, forms.ModelForm
    _AccountsInline, _Accounts = admin.TabularInline, BaseInlineFormSet

MOST_INLINE = 100
MOST_NAMED = 10


class ThingAdmin(InWords, TypedFields, WithHistory, _ThingAdmin):
    """What all of them have in common: kept on record, and removed with a lock (orgs/assigning.py)."""

    paginator = LongList
    show_full_result_count = False
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER

    def save_model(self, request: HttpRequest, obj: Thing, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001 - Django's signature
        """Write it, with its event."""
        assigning.save(obj, **by(request))

    def delete_model(self, request: HttpRequest, obj: Thing) -> None:
        """Remove it, while nobody is being given it."""
        assigning.remove(obj, **by(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """All of them, or none."""
        with transaction.atomic():
            for thing in queryset.order_by("pk"):
                assigning.remove(thing, **by(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], Any, set[str], list[Any]]:
        """How much goes with them, by number: Django would list every single one."""
        things, counts, needed = list(objs), {}, set()
        for relation in self.model._meta.related_objects:  # noqa: SLF001 - Django's public name for it
            of: Any = relation.related_model
            number = of._base_manager.filter(**{f"{relation.field.name}__in": things}).count()  # noqa: SLF001 - as above
            if not number or relation.on_delete is not CASCADE:
                continue
            counts[of._meta.verbose_name_plural] = number  # noqa: SLF001 - as above
            app = of._meta.app_label  # noqa: SLF001 - as above
            if app != "orgs" and not request.user.has_perm(f"{app}.delete_{of._meta.model_name}"):  # noqa: SLF001 - as above
                needed.add(str(of._meta.verbose_name))  # noqa: SLF001 - as above
        listed = [f"{capfirst(self.opts.verbose_name)}: {thing}" for thing in things]
        return listed, counts, needed, []


# --- Organisations ---


class AccountsFormSet(_Accounts):
    """Billing accounts of one organisation, written and removed on record."""

    request: HttpRequest

    def save_new(self, form: Any, commit: bool = True) -> BillingAccount:  # noqa: ARG002, FBT001, FBT002 - Django's signature
        """A new one."""
        account: BillingAccount = super().save_new(form, commit=False)
        assigning.save(account, **by(self.request))
        return account

    def save_existing(self, form: Any, obj: BillingAccount, commit: bool = True) -> BillingAccount:  # noqa: ARG002, FBT001, FBT002 - as above
        """Another name, or another ID."""
        account: BillingAccount = form.save(commit=False)
        assigning.save(account, **by(self.request))
        return account

    def delete_existing(self, obj: BillingAccount, commit: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - as above
        """With what people were given of it."""
        assigning.remove(obj, **by(self.request))


class AccountsInline(_AccountsInline):
    """On the page of their organisation."""

    model = BillingAccount
    formset = AccountsFormSet
    fields = ("name", "external_id")
    extra = 0
    show_change_link = True

    def get_formset(self, request: HttpRequest, obj: Organization | None = None, **kwargs: Any) -> Any:
        """Django's hook; what is done is done by whoever asks."""
        made = super().get_formset(request, obj, **kwargs)
        made.request = request  # type: ignore[attr-defined]  # a class of this one request
        return made


class WithNumbers(ChangeList):
    """The list of organisations, with how many people are in each."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """In the same statement, for the rows of the page."""
        rows: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        counted: QuerySet[Any] = rows.annotate(member_count=_people(), admin_count=_people(role=MembershipRole.ADMIN))
        return counted


def _people(**of: Any) -> Coalesce:
    """How many people there are in an organisation; who is there twice, by hand and by an assertion, counts once."""
    inside = Membership.objects.filter(organization=OuterRef("pk"), **of).order_by().values("organization")
    return Coalesce(Subquery(inside.annotate(people=Count("user", distinct=True)).values("people")), 0)


@admin.register(Organization)
class OrganizationAdmin(ThingAdmin):
    """Customers: what is known of one, and the way to its people."""

    change_form_template = "admin/orgs/organization/change_form.html"
    history_needs = ("orgs.view_membership",)
    list_display = ("name", "external_id", "members", "administrators", "created_at")
    sortable_by = ("name", "external_id")
    search_fields = ("name", "external_id")
    search_help_text = "The name, or the external ID."

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the way to assigning people, for whoever may."""
        buttons = {"may_assign": may_assign(request)}
        return super().change_view(request, object_id, form_url, buttons | (extra_context or {}))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        """With numbers."""
        return WithNumbers

    def get_fieldsets(self, request: HttpRequest, obj: Organization | None = None) -> Any:
        """With what is known of one that exists."""
        own = (None, {"fields": ("name", "external_id")})
        if obj is None:
            return (own,)
        named = ["who_administers"] if request.user.has_perm("orgs.view_membership") else []
        accounts = [] if self.get_inlines(request, obj) else ["accounts"]
        return (own, ("Facts", {"fields": ["people", *named, *accounts, "created_at"]}))

    def get_readonly_fields(self, request: HttpRequest, obj: Organization | None = None) -> tuple[str, ...]:  # noqa: ARG002 - as above
        """What is counted and told."""
        return ("people", "who_administers", "accounts", "created_at")

    def get_inlines(self, request: HttpRequest, obj: Organization | None) -> Any:  # noqa: ARG002 - as above
        """Its billing accounts, unless they are too many for one page."""
        if obj is None:
            return ()
        many = obj.billing_accounts.all()[: MOST_INLINE + 1].count() > MOST_INLINE
        return () if many else (AccountsInline,)

    def history_of(self, obj: Organization) -> QuerySet[Event]:
        """What happened to it and in it."""
        return history.of_organization(obj)

    @admin.display(description="members")
    def members(self, row: Any) -> SafeString:
        """How many people, and the way to them."""
        return format_html('<a href="{}">{}</a>', _list_of("membership", organization=row.pk), row.member_count)

    @admin.display(description="administrators")
    def administrators(self, row: Any) -> str:
        """How many, pointed out where there is none."""
        return str(row.admin_count) if row.admin_count or not row.member_count else "none ⚠"

    @admin.display(description="people")
    def people(self, organization: Organization) -> SafeString:
        """How many, by hand or otherwise."""
        row = Organization.objects.filter(pk=organization.pk).values_list(_people(), _people(role=MembershipRole.ADMIN))
        members, admins = row[0]
        words = f"{members:,}, of whom {admins:,} administer{'s' if admins == 1 else ''} it"
        return format_html('<a href="{}">{}</a>', _list_of("membership", organization=organization.pk), words)

    @admin.display(description="administrators")
    def who_administers(self, organization: Organization) -> str:
        """The first of them by address."""
        admins = Membership.objects.filter(organization=organization, role=MembershipRole.ADMIN)
        named = list(
            admins.values_list("user__email", flat=True).order_by("user__email_key").distinct()[: MOST_NAMED + 1]
        )
        return ", ".join(named[:MOST_NAMED]) + (" and others" if len(named) > MOST_NAMED else "") or "nobody ⚠"

    @admin.display(description="billing accounts")
    def accounts(self, organization: Organization) -> SafeString:
        """Too many for this page: the way to their list."""
        where = _list_of("billingaccount", organization=organization.pk)
        return format_html('<a href="{}">more than {}</a>', where, MOST_INLINE)


def _list_of(model: str, **chosen: Any) -> str:
    query = "&".join(f"{name}={value}" for name, value in chosen.items())
    return f"{reverse(f'admin:orgs_{model}_changelist')}?{query}"


@admin.register(BillingAccount)
class BillingAccountAdmin(ThingAdmin):
    """What is billed to, whose it is, and who may."""

    list_display = ("name", "organization", "external_id", "created_at")
    list_select_related = ("organization",)
    list_filter = (("organization", ChosenFilter),)
    sortable_by = ()
    ordering = ("-pk",)
    search_fields = ("name", "external_id", "organization__name", "organization__external_id")
    autocomplete_fields = ("organization",)
    fields = ("organization", "name", "external_id")

    def get_readonly_fields(self, request: HttpRequest, obj: BillingAccount | None = None) -> tuple[str, ...]:  # noqa: ARG002 - Django's signature
        """It stays with its organisation: people were given it for that one."""
        return () if obj is None else ("organization",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[BillingAccount]:
        """With its organisation, which its name alone does not say."""
        return super().get_queryset(request).select_related("organization")

    def autocomplete_label(self, account: BillingAccount) -> str:
        """How it is offered in a field."""
        return f"{account.name} ({account.organization})"

    @property
    def media(self) -> forms.Media:
        """Django's hook; the list filters by typing as well."""
        field: Any = BillingAccount._meta.get_field("organization")  # noqa: SLF001 - Django's public name for it
        return super().media + Typed(field, self.admin_site).media


@admin.register(AccessGroup)
class AccessGroupAdmin(ThingAdmin):
    """Named groups of people."""

    list_display = ("name", "description")
    search_fields = ("name", "description")


class RoleForm(_RoleForm):
    """A role, its permissions ticked one by one."""

    permissions = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple,
        choices=[(permission.value, f"May {permission.description} ({permission.value})") for permission in FOR_ROLES],
        help_text="Whoever has the role, by hand or by an identity provider's word, has these on the whole account.",
    )  # fmt: skip

    class Meta:
        model = Role
        fields = ("name", "description", "group_name", "permissions")


@admin.register(Role)
class RoleAdmin(ThingAdmin):
    """Named sets of permissions."""

    form = RoleForm
    list_display = ("name", "group_name", "brings", "description")
    search_fields = ("name", "group_name", "description")

    @admin.display(description="permissions")
    def brings(self, role: Role) -> str:
        """Their names."""
        return ", ".join(role.permissions) or "none"


@admin.register(Property)
class PropertyAdmin(ThingAdmin):
    """What people are given access to one by one."""

    list_display = ("name", "external_id")
    search_fields = ("name", "external_id")
