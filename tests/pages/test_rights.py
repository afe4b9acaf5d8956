"""The landing page says what you hold and why; or why that is nothing, and whom to ask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from demo.issuer import AttributeSpec
from orgs.models import (
    AccessGroup,
    AccessLevel,
    BillingAccount,
    BillingPermission,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    Property,
    PropertyGrant,
    Role,
    RoleGrant,
)
from orgs.permissions import Permission
from saml_sp.models import GroupRule, SignInAttempt
from tests.door import Browser
from tests.idp import ATTRIBUTES, Forge
from tests.orgs.giving import by_hand, organization
from tests.pages.forms import text

if TYPE_CHECKING:
    from django.http import HttpResponse
    from pytest_django import DjangoAssertNumQueries

    from accounts.models import User
    from orgs.models import Organization
    from saml_sp.models import IdentityProvider


@pytest.fixture
def mapped(acme: IdentityProvider) -> IdentityProvider:
    """Its attributes mean something."""
    acme.attribute_mapping = {name.lower(): [name] for name in ("Groups", "Permissions", "Properties", "Roles")}
    acme.save()
    return acme


@pytest.fixture
def northwind(db: None) -> Organization:
    return organization()


def arrive(idp: IdentityProvider, browser: Browser | None = None, **said: list[str]) -> HttpResponse:
    """Sign in with these attributes, and see the landing page."""
    attributes = [*ATTRIBUTES, *(AttributeSpec(name, values) for name, values in said.items())]
    return (browser or Browser()).sign_in(idp, Forge(idp, timezone.now()).xml(attributes=attributes))


def whole(page: HttpResponse) -> str:
    """The words of the page's main part, punctuation close to them."""
    words = text(page)
    return re.sub(r" (?=[:.,)])", "", words[words.index("Welcome,") :])


# --- Nothing, and why ---


def test_somebody_whose_identity_provider_maps_nothing_reads_who_gives_rights_and_whom_to_ask(
    acme: IdentityProvider,
) -> None:
    page = arrive(acme, Groups=["staff"])
    assert "There is nothing here for you yet Acme Okta only tells us who you are." in whole(page)
    assert "known here" not in whole(page)
    assert 'Whom to ask:</span> <a href="mailto:help@acme.example">' in page.content.decode()


def test_somebody_of_whom_nothing_was_said_reads_that(mapped: IdentityProvider) -> None:
    page = whole(arrive(mapped))
    assert "Acme Okta told us who you are, but nothing that gives you an organisation" in page
    assert "Whom to ask: help@acme.example" in page


def test_somebody_with_unknown_values_reads_how_many_and_which_code_to_quote(mapped: IdentityProvider) -> None:
    page = arrive(mapped, Groups=["secret-project", "other"], Roles=["boss"])
    trace_id = SignInAttempt.objects.get().trace_id
    assert "Acme Okta sent 3 values about you that are not known here." in whole(page)
    assert f"tell help@acme.example the code {trace_id}." in whole(page)
    # They are the identity provider's business; the administrator reads them on the record of this sign-in.
    assert "secret-project" not in page.content.decode()


def test_one_unknown_value_is_one(mapped: IdentityProvider) -> None:
    assert "sent 1 value about you that is not known here." in whole(arrive(mapped, Groups=["other"]))


def test_very_many_unknown_values_are_more_than_fifty(mapped: IdentityProvider) -> None:
    page = whole(arrive(mapped, Groups=[f"g{n}" for n in range(70)]))
    assert "Acme Okta sent more than 50 values about you" in page


def test_a_local_account_reads_whom_to_ask_here(admin: Browser, settings: Any) -> None:
    settings.PORTICO_CONTACT = "the front desk, extension 100"
    page = whole(admin.get("/"))
    assert "There is nothing here for you yet" in page
    assert "Whom to ask: the front desk, extension 100" in page
    assert "Okta" not in page


# --- Something, and why ---


def test_it_says_what_was_assigned_by_whom_and_when(ana: Browser, northwind: Organization) -> None:
    give_all(ana.user, northwind)
    html = ana.get("/").content.decode()
    page = whole(ana.get("/"))
    because = "Assigned by grace@portico.example on 11 May 2026"
    assert f"Organisations Northwind member {because}" in page
    assert f"Billing accounts Research of Northwind {because}" in page
    allowed = "see reports and dashboards of the platform, export data from the platform and make and change projects"
    assert f"Access level admin You may {allowed} on the platform. {because}" in page
    assert f"Roles Editor Edits. You may connect the platform with other systems. {because}" in page
    assert f"Access groups Early First of all. {because}" in page
    assert f"Properties Harbour 3868 {because}" in page
    assert '<time datetime="2026-05-11T08:52:00+00:00">11 May 2026</time>' in html
    assert "nothing here for you" not in page


def test_it_says_which_attribute_and_value_of_which_identity_provider(
    mapped: IdentityProvider, northwind: Organization
) -> None:
    GroupRule.objects.create(idp=mapped, value="nw-staff", organization=northwind)
    Property.objects.create(name="Harbour", external_id="3868")
    page = arrive(mapped, Groups=["nw-staff"], Properties=["3868"], Permissions=["analyst"])
    since = f"Acme Okta says so since {timezone.now():%-d %B %Y}"
    assert f"Northwind member {since} (Groups: nw-staff)" in whole(page)
    assert f"Harbour 3868 {since} (Properties: 3868)" in whole(page)
    assert f"analyst You may see reports and dashboards of the platform. {since} (Permissions: analyst)" in whole(page)
    assert "<code>nw-staff</code>" in page.content.decode()


def test_what_two_sources_give_is_there_once_with_both_reasons(
    mapped: IdentityProvider, northwind: Organization
) -> None:
    GroupRule.objects.create(idp=mapped, value="admins", organization=northwind, role=MembershipRole.ADMIN)
    browser = Browser()
    arrive(mapped, browser, Groups=["admins"])
    by_hand(Membership, browser.user, organization=northwind)
    page = whole(browser.get("/"))
    assert page.count("Northwind") == 1
    assert "Northwind admin See its people admin: Acme Okta says so since" in page
    assert "member: Assigned by grace@portico.example" in page


def test_a_role_that_allows_nothing_says_so(ana: Browser) -> None:
    by_hand(RoleGrant, ana.user, role=Role.objects.create(name="Guest"))
    assert "Guest It allows nothing by itself." in whole(ana.get("/"))


def test_it_says_that_the_identity_provider_may_give_no_higher_level(mapped: IdentityProvider) -> None:
    mapped.level_spellings = {"dxa_boss": "super_admin"}
    mapped.level_ceiling = AccessLevel.ADMIN
    mapped.save()
    page = whole(arrive(mapped, Permissions=["dxa_boss"]))
    assert "Access level admin" in page
    assert "(Permissions: dxa_boss) Acme Okta may give no higher level than this." in page
    assert "no higher level" not in whole(arrive(mapped, Permissions=["admin"]))


def test_what_is_missing_beside_what_is_there_has_a_code_too(mapped: IdentityProvider) -> None:
    page = whole(arrive(mapped, Permissions=["analyst"], Groups=["lunch"]))
    assert "Is something missing? Acme Okta sent 1 value about you that is not known here." in page


def test_it_says_what_the_last_sign_in_added_and_took_away(mapped: IdentityProvider, northwind: Organization) -> None:
    harbour = organization("Harbour", "harbour")
    GroupRule.objects.create(idp=mapped, value="nw", organization=northwind)
    GroupRule.objects.create(idp=mapped, value="hb", organization=harbour)
    browser = Browser()
    assert "Changed at your last sign-in" not in whole(arrive(mapped, browser, Groups=["nw"]))
    page = whole(arrive(mapped, browser, Groups=["hb"]))
    assert (
        "Changed at your last sign-in Acme Okta says something else about you than before. "
        "Added Organisation Harbour (member) Taken away Organisation Northwind (member)"
    ) in page
    assert "Changed at your last sign-in" not in whole(arrive(mapped, browser, Groups=["hb"]))


def test_a_rise_in_the_same_organisation_is_an_addition(mapped: IdentityProvider, northwind: Organization) -> None:
    GroupRule.objects.create(idp=mapped, value="nw", organization=northwind)
    GroupRule.objects.create(idp=mapped, value="boss", organization=northwind, role=MembershipRole.ADMIN)
    arrive(mapped, Groups=["nw"])
    page = whole(arrive(mapped, Groups=["nw", "boss"]))
    assert "Added Organisation Northwind (admin)" in page
    assert "Taken away" not in page


def test_names_and_values_are_written_as_text(mapped: IdentityProvider) -> None:
    group = AccessGroup.objects.create(name="<b>Early</b>", description="<i>first</i>")
    GroupRule.objects.create(idp=mapped, value="<script>x</script>", access_group=group)
    html = arrive(mapped, Groups=["<script>x</script>"]).content.decode()
    assert "&lt;b&gt;Early&lt;/b&gt;" in html
    assert "<code>&lt;script&gt;x&lt;/script&gt;</code>" in html
    assert "<i>first" not in html


# --- Much ---


@pytest.mark.parametrize("count", [0, 200])
def test_it_needs_twelve_queries_however_much_there_is(
    ana: Browser, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(count):
        give_property(ana.user, n)
    # The session, the person, the session's facts, the identity provider, its last sign-ins, six of what is held, and
    # the logo.
    with django_assert_num_queries(12):
        ana.get("/")


def test_a_long_list_is_folded(ana: Browser) -> None:
    for n in range(12):
        give_property(ana.user, n)
    html = ana.get("/").content.decode()
    open_part, _details, folded = html.partition("<details>")
    assert re.sub(r"\s+", " ", folded).startswith(" <summary>2 more</summary>")
    assert (open_part.count("Property "), folded.count("Property ")) == (10, 2)


def test_a_very_long_list_ends_somewhere_and_says_so(ana: Browser) -> None:
    Property.objects.bulk_create(Property(name=f"Property {n:03}", external_id=f"p{n}") for n in range(510))
    PropertyGrant.objects.bulk_create(PropertyGrant(user=ana.user, property=one) for one in Property.objects.all())
    page = whole(ana.get("/"))
    assert page.count("Property ") == 500
    assert "The first 500 are shown here, of 510." in page


# --- Ways on ---


def test_whoever_sees_every_organisation_is_led_to_them(ana: Browser, admin: Browser) -> None:
    assert "All organisations" not in whole(ana.get("/"))
    by_hand(LevelGrant, ana.user, level=AccessLevel.SUPER_ADMIN)
    assert '<a href="/organizations/">All organisations</a>' in ana.get("/").content.decode()
    assert "All organisations" in whole(admin.get("/"))


def test_the_people_of_an_organisation_are_offered_to_whoever_may_see_them(
    ana: Browser, northwind: Organization
) -> None:
    member = by_hand(Membership, ana.user, organization=northwind)
    assert "See its people" not in whole(ana.get("/"))
    member.role = MembershipRole.ADMIN
    member.save()
    assert '<a href="/organizations/northwind/people/">See its people</a>' in ana.get("/").content.decode()
    member.role = MembershipRole.MEMBER
    member.save()
    by_hand(LevelGrant, ana.user, level=AccessLevel.SUPER_ADMIN)
    assert "See its people" in whole(ana.get("/"))


def give_all(user: User | None, northwind: Organization) -> None:
    """One of each kind, by hand."""
    assert user
    by_hand(Membership, user, organization=northwind)
    account = BillingAccount.objects.create(organization=northwind, name="Research")
    by_hand(BillingPermission, user, billing_account=account)
    by_hand(LevelGrant, user, level=AccessLevel.ADMIN)
    brings = [Permission.MANAGE_INTEGRATIONS]
    by_hand(RoleGrant, user, role=Role.objects.create(name="Editor", description="Edits.", permissions=brings))
    by_hand(GroupMembership, user, group=AccessGroup.objects.create(name="Early", description="First of all."))
    give_property(user, 3868, name="Harbour", external_id="3868")


def give_property(user: User | None, number: int, **facts: str) -> None:
    """One more property, by hand."""
    assert user
    thing = Property.objects.create(**{"name": f"Property {number}", "external_id": f"p{number}"} | facts)
    by_hand(PropertyGrant, user, property=thing)
