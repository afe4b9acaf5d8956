"""Assigning many people to an organisation at once: named by addresses, shown what would happen, then done."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse

from accounts import addresses
from accounts.models import User
from orgs import assigning
from orgs.assigning import Step, Wanted
from orgs.desk import Typed, by
from orgs.models import Membership, MembershipRole, Organization, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.contrib.admin import AdminSite
    from django.http import HttpRequest

    _OrganizationField = forms.ModelChoiceField[Organization]
else:  # generic for the type checker only
    _OrganizationField = forms.ModelChoiceField

MOST_PEOPLE = 20_000
MOST_LISTED = 200
MOST_CHARACTERS = 1024 * 1024
_BETWEEN = re.compile(r"[\n\r,;]+")
_IN_BRACKETS = re.compile(r"<([^<>]*)>")
_ORDER = {"changed": 0, "new": 1, "unchanged": 2}


def addresses_in(text: str) -> list[str]:
    """The addresses of a pasted list, each once, as they are written: by lines, commas, semicolons or blanks."""
    found: dict[str, str] = {}
    for part in _BETWEEN.split(text):
        inside = _IN_BRACKETS.findall(part)
        for word in inside or part.split():
            if bare := word.strip().strip("\"'<>"):
                found.setdefault(addresses.key(bare), bare)
    return list(found.values())


class AssignForm(forms.Form):
    """Who is to be what, where."""

    organization = _OrganizationField(Organization.objects.all(), label="Organisation")
    role = forms.TypedChoiceField(
        choices=MembershipRole.choices, coerce=int, initial=MembershipRole.MEMBER, widget=forms.RadioSelect
    )
    people = forms.CharField(
        label="People", max_length=MOST_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 12, "cols": 60, "spellcheck": "false"}),
        help_text="Their e-mail addresses: one on each line, or with commas between them, as a mail has them.",
    )  # fmt: skip

    def __init__(self, *args: Any, admin_site: AdminSite, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["organization"]
        key: Any = Membership._meta.get_field("organization")  # noqa: SLF001 - Django's public name for it
        field.widget = Typed(key, admin_site)
        field.widget.choices = field.choices

    def clean_people(self) -> list[str]:
        """The addresses."""
        found = addresses_in(self.cleaned_data["people"])
        if not found:
            raise forms.ValidationError("There is no address in this.", code="none")
        if len(found) > MOST_PEOPLE:
            raise forms.ValidationError(
                f"These are {len(found):,} addresses; {MOST_PEOPLE:,} are the most at once.", code="many"
            )
        return found


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen."""

    organization: Organization
    role: MembershipRole
    steps: Sequence[Step]
    unknown: Sequence[str]
    asserted: dict[Any, str]

    @classmethod
    def of(cls, organization: Organization, role: int, people: Iterable[str]) -> Preview:
        """Looks everybody up; changes nothing. Three queries, however many they are."""
        keys = {addresses.key(address): address for address in people}
        users = list(User.objects.filter(email_key__in=keys).order_by("email_key"))
        known = {user.email_key for user in users}
        steps = assigning.plan([Wanted(user, organization, role) for user in users])
        said = Membership.objects.filter(organization=organization, source=Source.IDP, user__in=users)
        return cls(
            organization,
            MembershipRole(role),
            sorted(steps, key=lambda step: (_ORDER[step.state], step.wanted.user.email_key)),
            [address for key, address in keys.items() if key not in known],
            {row.user_id: f"{row.get_role_display()}, as {row.given_by} says" for row in said},
        )

    def count(self, state: str) -> int:
        """How many are new, changed or unchanged."""
        return sum(step.state == state for step in self.steps)

    @property
    def counts(self) -> dict[str, int]:
        """By state."""
        return {state: self.count(state) for state in ("new", "changed", "unchanged")}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The first of the steps, for people to read."""
        return [
            {
                "user": step.wanted.user, "state": step.state,
                "was": MembershipRole(step.was).label if step.was else "",
                "asserted": self.asserted.get(step.wanted.user.pk, ""),
            }
            for step in self.steps[:MOST_LISTED]
        ]  # fmt: skip

    @property
    def digest(self) -> str:
        """Says whether what was shown is what would be done."""
        told = [f"{step.wanted.user.pk}:{step.was}" for step in self.steps]
        text = f"{self.organization.pk}:{self.role.value}:{','.join(sorted(told))}"
        return hashlib.sha256(text.encode()).hexdigest()


class AssignMany:
    """The page, for the admin of memberships."""

    admin_site: AdminSite
    opts: Any

    def get_urls(self) -> list[Any]:
        """The page, before Django's own."""
        own = path("assign/", self.admin_site.admin_view(self.assign_many), name="orgs_membership_assign")
        rest: list[Any] = super().get_urls()  # type: ignore[misc]  # mixed into a ModelAdmin
        return [own, *rest]

    def assign_many(self, request: HttpRequest) -> HttpResponse:
        """Choose; read what would happen; then it is done."""
        if not may_assign(request):
            raise PermissionDenied
        if request.method != "POST":
            chosen = {"organization": request.GET.get("organization", "")}
            return form_page(request, self.admin_site, AssignForm(initial=_digits(chosen), admin_site=self.admin_site))
        form = AssignForm(request.POST, admin_site=self.admin_site)
        if not form.is_valid() or "back" in request.POST:
            return form_page(request, self.admin_site, form)
        preview = Preview.of(form.cleaned_data["organization"], form.cleaned_data["role"], form.cleaned_data["people"])
        if request.POST.get("confirm") == preview.digest:
            return self._do(request, preview, form)
        if "confirm" in request.POST:
            messages.warning(request, "It is not as it was shown any more. This is how it is now; nothing was done.")
        return self._show(request, preview, form)

    def _do(self, request: HttpRequest, preview: Preview, form: AssignForm) -> HttpResponse:
        even = request.POST.get("even_last_admin") == "on"
        wanted = [step.wanted for step in preview.steps]
        try:
            came = assigning.assign_all(wanted, even_last_admin=even, **by(request))
        except assigning.Refused as refusal:
            messages.error(request, str(refusal))
            return self._show(request, preview, form)
        told = f"{came.new:,} new, {came.changed:,} changed, {came.unchanged:,} as they were"
        messages.success(request, f"{preview.organization}: {told}.")
        where = reverse("admin:orgs_membership_changelist")
        return HttpResponseRedirect(f"{where}?organization={preview.organization.pk}")

    def _show(self, request: HttpRequest, preview: Preview, form: AssignForm) -> HttpResponse:
        facts = {
            **self.admin_site.each_context(request), "title": f"Assign people to {preview.organization}",
            "opts": self.opts, "preview": preview, "bare": assigning.without_administrator(preview.steps),
            "people": form.data.get("people", ""), "more": max(0, len(preview.steps) - MOST_LISTED),
            "unknown": preview.unknown[:MOST_LISTED], "unknown_more": max(0, len(preview.unknown) - MOST_LISTED),
        }  # fmt: skip
        return render(request, "admin/orgs/membership/assign_preview.html", facts)


def may_assign(request: HttpRequest) -> bool:
    """Whoever may add memberships and change them, and may see who there is."""
    return request.user.has_perms(("orgs.add_membership", "orgs.change_membership", "accounts.view_user"))


def begin(request: HttpRequest, admin_site: AdminSite, people: Iterable[User]) -> HttpResponse:
    """The page with these people filled in, for an action on their list."""
    filled = {"people": "\n".join(person.email for person in people)}
    return form_page(request, admin_site, AssignForm(initial=filled, admin_site=admin_site))


def form_page(request: HttpRequest, admin_site: AdminSite, form: AssignForm) -> HttpResponse:
    """Where it is chosen who is to be what, where."""
    facts = {
        **admin_site.each_context(request), "title": "Assign people to an organisation", "opts": Membership._meta,  # noqa: SLF001 - Django's public name for it
        "form": form, "media": form.media,
    }  # fmt: skip
    return render(request, "admin/orgs/membership/assign.html", facts)


def _digits(chosen: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in chosen.items() if value.isascii() and value.isdigit() and len(value) <= 18}  # noqa: PLR2004 - a bigint's digits
