"""The admin pages of attribute mapping: group rules, what a rule catches, what a mapping does to a recent sign-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_GET

from accounts.actors import Actor
from orgs.desk import TypedFields
from orgs.models import AccessGroup, Organization
from saml_sp import configuration, rehearsal, rights
from saml_sp.mapping import MAX_VALUE, Target, said
from saml_sp.mapping_forms import GroupRuleForm, GroupRuleFormSet, field_name
from saml_sp.models import GroupRule, IdentityProvider, SignInAttempt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.models import QuerySet
    from django.utils.safestring import SafeString

    _RuleInline = admin.TabularInline[GroupRule, IdentityProvider]
    _RuleAdmin = admin.ModelAdmin[GroupRule]
    _Pages = admin.ModelAdmin[IdentityProvider]
else:  # generic for the type checker only
    _RuleInline = admin.TabularInline
    _RuleAdmin = admin.ModelAdmin
    _Pages = object

# Rules beyond this number are in their own list only: a form has its limits, and so has who reads it.
MOST_INLINE = 400

_MEANS = (
    "Which attributes mean what: one a line, by Name or FriendlyName, letter by letter; the first one that has a value "
    "counts. E-mail and names are read without that, from what most vendors call them. Rights are not: this identity "
    "provider gives none until you say here which attributes do."
)
_GIVES = (
    "What an assertion gives is read at every sign-in, and what it does not say any more is taken away. What an "
    "administrator gave by hand is never touched. No assertion makes anybody staff or a superuser of this site, or "
    "lets them bill to an account: that is only ever done by hand."
)


def fieldsets(*, may_change: bool) -> tuple[Any, ...]:
    """The parts of an identity provider's page that are about its assertions."""
    if not may_change:
        return (
            ("What the assertion brings", {"fields": ("mapping_text", "lately")}),
            (
                "What it may give",
                {
                    "fields": (
                        "level_ceiling",
                        "spellings_text",
                        "keep_when_missing",
                        "refuse_unknown",
                        "no_sign_in_days",
                    )
                },
            ),
        )
    name = {target: field_name(target) for target in Target}
    return (
        (
            "What the assertion brings",
            {
                "fields": (
                    "preset",
                    (name[Target.EMAIL], name[Target.DISPLAY_NAME]),
                    (name[Target.FIRST_NAME], name[Target.LAST_NAME]),
                    (name[Target.GROUPS], name[Target.PERMISSIONS]),
                    (name[Target.PROPERTIES], name[Target.ROLES]),
                    "lately",
                ),
                "description": _MEANS,
            },
        ),
        (
            "What it may give",
            {
                "fields": (
                    "level_ceiling",
                    "level_spellings",
                    "keep_when_missing",
                    "refuse_unknown",
                    "no_sign_in_days",
                ),
                "description": _GIVES,
            },
        ),
    )


READ_ONLY = ("lately", "mapping_text", "spellings_text")


class MappingPages(_Pages):
    """For the admin of identity providers: two pages about mapping, and what stands of it on their own page."""

    def get_urls(self) -> list[Any]:
        """The addresses of the two pages."""
        pages = {"groups": self.groups, "rehearsal": self.rehearsal}
        own = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(require_GET(page)),
                name=f"saml_sp_identityprovider_{name}",
            )
            for name, page in pages.items()
        ]
        return own + super().get_urls()

    @admin.display(description="Lately")
    def lately(self, idp: IdentityProvider) -> SafeString:
        """What is wrong with the mapping as it is saved, what recent sign-ins brought, and where to try it."""
        attempts = rehearsal.recent(idp)
        warnings = format_html_join(
            "", '<li><strong class="warning">⚠</strong> {}</li>', ((text,) for text in rehearsal.advice(idp, attempts))
        )
        names = format_html_join(", ", "<code>{}</code>", ((name,) for name in rehearsal.brought(attempts)))
        if not attempts:
            came: SafeString | str = "Nobody has come through it yet."
        elif names:
            came = format_html("The last {} brought: {}.", _sign_ins(len(attempts)), names)
        else:
            came = format_html("The last {} brought no attributes.", _sign_ins(len(attempts)))
        return format_html(
            '<ul class="advice">{}<li>{}</li><li><a href="{}">Try the saved mapping on a recent sign-in</a></li></ul>',
            warnings, came, reverse("admin:saml_sp_identityprovider_rehearsal", args=[idp.pk]),
        )  # fmt: skip

    @admin.display(description="Attributes")
    def mapping_text(self, idp: IdentityProvider) -> SafeString:
        """The mapping, for those who may only look."""
        return _definitions([(target.label, said(idp.attribute_mapping, target)) for target in Target])

    @admin.display(description="Its words for access levels")
    def spellings_text(self, idp: IdentityProvider) -> SafeString | str:
        """The spellings, for those who may only look."""
        return _definitions(list(idp.level_spellings.items())) if idp.level_spellings else "-"

    def groups(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What a value or a pattern would catch, before it is saved."""
        idp = self._looked_at(request, pk)
        form = TryForm(request.GET if "value" in request.GET else None)
        found = None
        if form.is_bound and form.is_valid():
            found = rehearsal.catch(idp, form.rule(idp))
        return self._page(
            request, idp, "groups",
            title="What a group rule would catch", form=form, found=found, searched=rehearsal.SEARCHED,
            mapped=idp.attribute_mapping.get(Target.GROUPS, []),
            may_add=request.user.has_perm("saml_sp.add_grouprule"),
        )  # fmt: skip

    def rehearsal(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What a recent sign-in would give now."""
        idp = self._looked_at(request, pk)
        attempts = rehearsal.recent(idp)
        wanted = request.GET.get("attempt", "")
        chosen = next((attempt for attempt in attempts if str(attempt.pk) == wanted), None)
        tried = rehearsal.rehearse(idp, chosen) if chosen else None
        return self._page(
            request, idp, "rehearsal",
            title="What this mapping would do", attempts=attempts, chosen=chosen, tried=tried,
            gone=bool(wanted) and chosen is None, cut=chosen is not None and rehearsal.may_be_cut(chosen),
            read=read_table(rights.told(tried.readings)) if tried else "",
            gives=gives(tried.rights.report()) if tried else "",
            notes=tried.rights.notes if tried else (),
        )  # fmt: skip

    def _looked_at(self, request: HttpRequest, pk: int) -> IdentityProvider:
        """The identity provider, for somebody who may see it and what people brought."""
        idp = IdentityProvider.objects.filter(pk=pk).first()
        if not (self.has_view_permission(request, idp) and request.user.has_perm("saml_sp.view_signinattempt")):
            raise PermissionDenied
        if idp is None:
            raise Http404
        return idp

    def _page(self, request: HttpRequest, idp: IdentityProvider, name: str, **context: Any) -> HttpResponse:
        facts = {**self.admin_site.each_context(request), "opts": self.opts, "original": idp, "idp": idp, **context}
        return render(request, f"admin/saml_sp/identityprovider/{name}.html", facts)


class TryForm(forms.Form):
    """A value or a pattern to be tried."""

    value = forms.CharField(label="Group value", max_length=MAX_VALUE, strip=False)
    is_pattern = forms.BooleanField(label="Pattern: each * stands for any text", required=False)

    def clean(self) -> dict[str, Any]:
        """As a rule would be."""
        cleaned = super().clean() or self.cleaned_data
        if "value" not in self.errors:
            try:
                GroupRule(**cleaned).clean()
            except ValidationError as error:
                self.add_error(None, error)
        return cleaned

    def rule(self, idp: IdentityProvider) -> GroupRule:
        """The rule that is meant, unsaved and without a meaning."""
        return GroupRule(idp=idp, **self.cleaned_data)


def read_table(read: Mapping[str, Any]) -> SafeString:
    """What was read, as a table: target, attribute, values. `read` is what `rights.told` makes."""
    rows = (
        (
            target.label,
            format_html("<code>{}</code>", told["attribute"]) if told["attribute"] else "none came",
            format_html_join("", "<li>{}</li>", ((value,) for value in told["values"])),
        )
        for target in Target
        if (told := read.get(target))
    )
    body = format_html_join("", '<tr><th scope="row">{}</th><td>{}</td><td><ul>{}</ul></td></tr>', rows)
    head = format_html("<tr><th>{}</th><th>{}</th><th>{}</th></tr>", "Read as", "Attribute", "Values")
    return format_html('<div class="read"><table><thead>{}</thead><tbody>{}</tbody></table></div>', head, body)


_CAME = {
    "granted": "Granted",
    "kept": "Kept",
    "revoked": "Taken away",
    "unknown": "Not known here, so nothing came of it",
}


def gives(report: Mapping[str, Sequence[str]]) -> SafeString | str:
    """What came of it, as lists. `report` is what `Rights.report` makes."""
    parts = (
        (_CAME[name], format_html_join("", "<li>{}</li>", ((text,) for text in report[name])))
        for name in _CAME
        if report.get(name)
    )
    listed = format_html_join("", "<dt>{}</dt><dd><ul>{}</ul></dd>", parts)
    return format_html('<dl class="gives">{}</dl>', listed) if listed else "Nothing: no rights came of it."


def _definitions(pairs: Sequence[tuple[str, str]]) -> SafeString:
    return format_html("<dl>{}</dl>", format_html_join("", "<dt>{}</dt><dd>{}</dd>", pairs))


def _sign_ins(count: int) -> str:
    return "sign-in" if count == 1 else f"{count} sign-ins"


class AttemptReading:
    """For the admin of sign-in attempts: what was read of the assertion, and what came of it."""

    reading_fields = ("was_read", "came_of_it", "told")

    @admin.display(description="What was read")
    def was_read(self, attempt: SignInAttempt) -> SafeString:
        """Target, attribute and values."""
        return read_table(attempt.detail["read"])

    @admin.display(description="What came of it")
    def came_of_it(self, attempt: SignInAttempt) -> SafeString | str:
        """Granted, kept, taken away, and what is not known here."""
        return gives(attempt.detail.get("rights", {}))

    @admin.display(description="To be noted")
    def told(self, attempt: SignInAttempt) -> SafeString | str:
        """What an administrator should know, with what to do about it."""
        notes = attempt.detail.get("notes", [])
        lines = format_html_join("", '<li><strong class="warning">⚠</strong> {}</li>', ((note,) for note in notes))
        return format_html('<ul class="advice">{}</ul>', lines) if notes else "-"


class _ChooseMeaning(TypedFields):
    """For whoever edits rules: by typing a few letters where that can be looked up, from a list otherwise."""

    admin_site: Any

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:  # noqa: ARG002 - Django's signature
        """Where the things' own pages are registered."""
        things = {"access_group": AccessGroup, "organization": Organization}
        return tuple(name for name, model in things.items() if self.admin_site.is_registered(model))


class GroupRuleInline(_ChooseMeaning, _RuleInline):
    """The rules on the identity provider's page: those that are held can be removed, new ones are added below them."""

    model = GroupRule
    formset = GroupRuleFormSet
    template = "admin/saml_sp/identityprovider/group_rules.html"
    fields = ("value", "is_pattern", "access_group", "organization", "role")
    extra = 1
    show_change_link = True
    verbose_name_plural = "What its groups give"
    how_many = 0
    listed = True

    def get_formset(self, request: HttpRequest, obj: IdentityProvider | None = None, **kwargs: Any) -> Any:
        """Count first: of very many, none is listed here."""
        self.how_many = obj.group_rules.count() if obj is not None else 0
        self.listed = self.how_many <= MOST_INLINE
        return super().get_formset(request, obj, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[GroupRule]:
        """With their meanings, so that many cost no more queries than one."""
        rows = super().get_queryset(request).select_related("access_group", "organization")
        return rows if self.listed else rows.none()

    def has_change_permission(self, request: HttpRequest, obj: IdentityProvider | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """On its own page, to which each is linked: hundreds of them as fields would be more than a form can hold."""
        return False


@admin.register(GroupRule)
class GroupRuleAdmin(_ChooseMeaning, _RuleAdmin):
    """All rules, to be searched; each with a page of its own. Every change is one of its identity provider."""

    form = GroupRuleForm
    list_display = ("value", "is_pattern", "meaning", "idp")
    list_filter = ("idp", "is_pattern")
    list_select_related = ("idp", "access_group", "organization")
    search_fields = ("value", "access_group__name", "organization__name")
    fields: ClassVar[Any] = ("idp", "value", "is_pattern", "access_group", "organization", "role")

    def get_readonly_fields(self, request: HttpRequest, obj: GroupRule | None = None) -> Any:  # noqa: ARG002 - Django's signature
        """A rule stays with its identity provider."""
        return () if obj is None else ("idp",)

    @admin.display(description="Gives")
    def meaning(self, rule: GroupRule) -> str:
        """The access group, or the role in an organisation."""
        return rule.meaning

    def save_model(self, request: HttpRequest, obj: GroupRule, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """On record."""
        with configuration.on_record(obj.idp, now=timezone.now(), actor=Actor.at(request)):
            super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: GroupRule) -> None:
        """On record."""
        with configuration.on_record(obj.idp, now=timezone.now(), actor=Actor.at(request)):
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[GroupRule]) -> None:
        """On the record of each identity provider."""
        now, actor = timezone.now(), Actor.at(request)
        for idp in IdentityProvider.objects.filter(group_rules__in=queryset).distinct().order_by("pk"):
            with configuration.on_record(idp, now=now, actor=actor):
                queryset.filter(idp=idp).delete()
