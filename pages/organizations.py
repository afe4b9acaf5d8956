"""Organisations and their people, for those who look after them without being staff: to look at, not to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, render
from django.urls import register_converter
from django.views.decorators.http import require_safe

from orgs import directory
from orgs.models import EXTERNAL_ID, Organization
from orgs.permissions import Permission

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from orgs.directory import Page

MOST_PAGES = 10_000


class ExternalIdConverter:
    """An external ID in an address: what has another form is no address of ours."""

    regex = EXTERNAL_ID.pattern

    def to_python(self, value: str) -> str:
        """As it stands."""
        return value

    def to_url(self, value: str) -> str:
        """As it stands."""
        return value


register_converter(ExternalIdConverter, "external_id")


class SearchForm(forms.Form):
    """What is looked for, and which page of it."""

    q = forms.CharField(label="Search", max_length=200, required=False)
    page = forms.IntegerField(min_value=1, max_value=MOST_PAGES, required=False, widget=forms.HiddenInput)


@require_safe
@login_required
def people(request: HttpRequest, external_id: str) -> HttpResponse:
    """The people of one organisation.

    Whoever may not know of the organisation gets the 404 of one that is not there; whoever belongs to it without
    looking after it, a 403.
    """
    user = request.user
    assert user.is_authenticated  # noqa: S101 - login_required
    organization = get_object_or_404(Organization.objects.visible_to(user), external_id=external_id)
    if not user.has_perm(Permission.VIEW_PEOPLE, organization):
        raise PermissionDenied
    form = SearchForm(request.GET)
    page = directory.people(organization, **_wanted(form)) if form.is_valid() else None
    return _answer(request, "pages/people.html", form, page, organization=organization)


@require_safe
@login_required
def organizations(request: HttpRequest) -> HttpResponse:
    """The organisations that somebody may know of: their own, or every one."""
    user = request.user
    assert user.is_authenticated  # noqa: S101 - login_required
    form = SearchForm(request.GET)
    page = directory.organizations(user, **_wanted(form)) if form.is_valid() else None
    context = {
        "sees_every_one": user.has_perm(Permission.VIEW_EVERY_ORGANIZATION),
        "sees_people": user.has_perm(Permission.VIEW_PEOPLE),
    }
    return _answer(request, "pages/organizations.html", form, page, **context)


def _wanted(form: SearchForm) -> dict[str, Any]:
    return {"search": form.cleaned_data["q"], "number": form.cleaned_data["page"] or 1}


def _answer(
    request: HttpRequest, template: str, form: SearchForm, page: Page[Any] | None, **context: Any
) -> HttpResponse:
    """The page, with the addresses of those before and after it; 400 where what is looked for makes no sense."""
    facts = {"form": form, "page": page, "search": form.cleaned_data.get("q", "") if page else "", **context}
    if page is not None:
        facts["earlier"] = _address(facts["search"], page.number - 1) if page.number > 1 else ""
        facts["later"] = _address(facts["search"], page.number + 1) if page.has_next else ""
    return render(request, template, facts, status=200 if page else 400)


def _address(search: str, number: int) -> str:
    query = {**({"q": search} if search else {}), **({"page": number} if number > 1 else {})}
    return f"?{urlencode(query)}"
