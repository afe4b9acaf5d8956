"""Organisations, and the people of those that somebody administers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orgs.models import AccessLevel, LevelGrant, Membership, MembershipRole, Organization, Source
from tests import factories
from tests.api.calling import Program, program_of

if TYPE_CHECKING:
    from accounts.models import User

pytestmark = pytest.mark.django_db


def people_of(organization: Organization, count: int) -> None:
    for number in range(count):
        person = factories.user(f"p{number}@customer.example", first_name="Pat", last_name=f"Number {number}")
        Membership.objects.create(user=person, organization=organization)


def test_somebody_sees_the_organisations_that_they_belong_to(program: Program, acme: Organization, lou: User) -> None:
    Organization.objects.create(external_id="other", name="Other")
    beta = Organization.objects.create(external_id="beta", name="Beta")
    Membership.objects.create(user=lou, organization=beta)
    listed = program.get("/organizations").body
    assert listed == {
        "items": [
            {"id": "acme", "name": "Acme", "role": "admin"},
            {"id": "beta", "name": "Beta", "role": "member"},
        ],
        "next": None,
    }


@pytest.mark.parametrize("letter", ["a", "é", "合", "𐍈"])
def test_a_long_name_in_any_script_has_a_page_behind_it(program: Program, lou: User, letter: str) -> None:
    for number in range(3):
        organization = Organization.objects.create(external_id=f"o-{number}", name=f"{number}{letter * 199}")
        Membership.objects.create(user=lou, organization=organization)
    seen: list[str] = []
    cursor: str | None = ""
    for _ in range(3):
        listed = program.get(f"/organizations?limit=1&cursor={cursor}")
        assert listed.status == 200, listed.content
        seen += [item["id"] for item in listed.body["items"]]
        cursor = listed.body["next"]
    assert (seen, cursor) == (["o-0", "o-1", "o-2"], None)


def test_who_sees_every_organisation_has_no_role_in_most(grace: User, acme: Organization) -> None:
    viewer = factories.user("viewer@portico.example")
    LevelGrant.objects.create(user=viewer, level=AccessLevel.SUPER_ADMIN)
    for somebody in (viewer, grace):
        listed = program_of(somebody).get("/organizations").body["items"]
        assert listed == [{"id": "acme", "name": "Acme", "role": None}]


def test_an_administrator_reads_who_belongs_to_it_and_why(program: Program, acme: Organization, lou: User) -> None:
    ana = factories.user("ana@customer.example", first_name="Ana", last_name="Diaz")
    now = timezone.now()
    Membership.objects.create(
        user=ana, organization=acme, source=Source.IDP, source_id="1", given_by="Acme Okta", given_at=now
    )
    Membership.objects.create(user=ana, organization=acme, role=MembershipRole.ADMIN, given_by=lou.email)
    first, second, third = program.get("/organizations/acme/members").body["items"]
    assert first["user"] == {"id": str(ana.pk), "email": "ana@customer.example", "name": "Ana Diaz"}
    assert (first["role"], first["source"], first["given_by"]) == ("member", "idp", "Acme Okta")
    assert (second["role"], second["source"], second["given_by"]) == ("admin", "manual", lou.email)
    assert third["user"]["email"] == lou.email


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("pat number", 3),
        ("NUMBER 2", 1),
        ("p1@customer", 1),
        ("nobody", 0),
        ("%", 0),
        ("_", 0),
        ("'; drop table", 0),
        ("reed", 1),
    ],
)
def test_people_are_found_by_address_and_name(program: Program, acme: Organization, search: str, found: int) -> None:
    people_of(acme, 3)
    assert len(program.get(f"/organizations/acme/members?search={search}").body["items"]) == found


def test_members_come_in_pages_by_address(program: Program, acme: Organization) -> None:
    people_of(acme, 5)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = program.get(f"/organizations/acme/members?limit=2&search=customer&cursor={cursor}").body
        seen += [item["user"]["email"] for item in page["items"]]
        cursor = page["next"]
    assert seen == [f"p{number}@customer.example" for number in range(5)]


def test_a_cursor_of_one_organisation_opens_no_page_of_another(program: Program, acme: Organization, lou: User) -> None:
    people_of(acme, 2)
    cursor = program.get("/organizations/acme/members?limit=1").body["next"]
    beta = Organization.objects.create(external_id="beta", name="Beta")
    Membership.objects.create(user=lou, organization=beta, role=MembershipRole.ADMIN)
    assert program.get(f"/organizations/beta/members?cursor={cursor}").code == "malformed"


def test_a_member_who_does_not_administer_it_sees_nobody(acme: Organization) -> None:
    people_of(acme, 1)
    member = Membership.objects.get(organization=acme, role=MembershipRole.MEMBER).user
    answer = program_of(member).get("/organizations/acme/members")
    assert (answer.status, answer.code) == (403, "not_allowed")


def test_an_organisation_of_others_is_not_there(acme: Organization) -> None:
    stranger = program_of(factories.user("stranger@elsewhere.example"))
    there, not_there = (stranger.get(f"/organizations/{name}/members") for name in ("acme", "nothing"))
    assert there.code == not_there.code == "not_found"
    assert there.body == not_there.body


def test_an_administrator_of_one_organisation_sees_nobody_of_another(program: Program, lou: User) -> None:
    other = Organization.objects.create(external_id="other", name="Other")
    people_of(other, 1)
    assert program.get("/organizations/other/members").code == "not_found"
    Membership.objects.create(user=lou, organization=other)
    assert program.get("/organizations/other/members").code == "not_allowed"


def test_lists_cost_the_same_however_long(program: Program, acme: Organization) -> None:
    counts = []
    for size in (2, 9):
        people_of(acme, size) if size == 2 else [
            Membership.objects.create(user=factories.user(f"q{n}@customer.example"), organization=acme)
            for n in range(size)
        ]
        with CaptureQueriesContext(connection) as asked:
            assert program.get("/organizations/acme/members").status == 200
            assert program.get("/organizations").status == 200
        counts.append(len(asked))
    assert counts[0] >= counts[1]
