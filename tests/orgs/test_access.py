"""What people may do, by level, roles and memberships; and what moves and what is seen."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from orgs import access, grants
from orgs.models import (
    AccessLevel,
    BillingPermission,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    Organization,
    PropertyGrant,
    Role,
    RoleGrant,
    Source,
)
from orgs.permissions import BY_LEVEL, BY_MEMBERSHIP, FOR_ROLES, Permission
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
EVERYTHING = {str(permission) for permission in Permission}
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "access.md"


def level(user: User, level: AccessLevel, **fields: str) -> LevelGrant:
    return LevelGrant.objects.create(user=user, level=level, **fields)


def may(user: User, about: Model | None = None) -> set[str]:
    """What `has_perm` answers, asked anew."""
    fresh = User.objects.get(pk=user.pk)
    return {permission for permission in EVERYTHING if fresh.has_perm(permission, about)}


@pytest.mark.parametrize("name", [one.label for one in AccessLevel])
def test_a_level_allows_what_the_table_says(name: str) -> None:
    person = factories.user()
    found = AccessLevel.named(name)
    assert found is not None
    if found != AccessLevel.NONE:
        level(person, found)
    assert may(person) == {str(permission) for permission in BY_LEVEL[name]}
    assert access.level_of(person) == found


def test_each_level_has_what_those_below_it_have() -> None:
    names = [one.label for one in sorted(AccessLevel)]
    for below, above in pairwise(names):
        assert BY_LEVEL[below] < BY_LEVEL[above]
    assert {*BY_LEVEL} == {*names}
    assert {*BY_MEMBERSHIP} == {one.label for one in MembershipRole}


def test_the_highest_level_of_all_sources_counts() -> None:
    person = factories.user()
    level(person, AccessLevel.ANALYST)
    level(person, AccessLevel.ADMIN, source=Source.IDP, source_id="7", via="permissions")
    assert access.level_of(person) == AccessLevel.ADMIN
    LevelGrant.objects.filter(source=Source.IDP).delete()
    assert may(person) == {Permission.VIEW_REPORTS}


def test_a_role_brings_its_permissions_and_never_more_than_roles_may() -> None:
    person, role = factories.user(), factories.role(permissions=["platform.export_data", "orgs.view_people"])
    RoleGrant.objects.create(user=person, role=role)
    assert may(person) == {Permission.EXPORT_DATA}
    assert set(FOR_ROLES) == {one for one in Permission if one.startswith("platform.")}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("platform.export_data", "Give a list of permissions, each once."),
        (["platform.export_data", "platform.export_data"], "Give a list of permissions, each once."),
        (["orgs.bill", {"a": 1}], "Unknown: orgs.bill, {'a': 1}. A role may bring platform.view_reports, "),
    ],
)
def test_a_role_takes_known_permissions_each_once(given: object, sentence: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        Role(name="Editor", permissions=given).full_clean()


def test_an_administrator_of_an_organisation_sees_its_people_and_no_other_ones() -> None:
    person, acme, other = factories.user(), factories.organization(), factories.organization("Other")
    factories.membership(person, acme)
    assert may(person, acme) == set()
    factories.asserted(person, acme, MembershipRole.ADMIN)
    assert may(person, acme) == {Permission.VIEW_PEOPLE}
    assert may(person, other) == set()
    assert may(person) == set()


def test_who_may_bill_may_bill_to_that_account_alone() -> None:
    person, acme = factories.user(), factories.organization()
    account, other = factories.billing_account(acme), factories.billing_account(acme, "Second")
    BillingPermission.objects.create(user=person, billing_account=account)
    factories.membership(person, acme, MembershipRole.ADMIN)
    assert may(person, account) == {Permission.BILL}
    assert may(person, other) == set()
    assert may(person, acme) == {Permission.VIEW_PEOPLE}


def test_what_holds_everywhere_holds_for_each_organisation_and_account() -> None:
    person, acme = factories.user(), factories.organization()
    level(person, AccessLevel.SUPER_ADMIN)
    everywhere = {str(permission) for permission in BY_LEVEL["super_admin"]}
    assert may(person, acme) == may(person, factories.billing_account(acme)) == everywhere
    assert may(person, factories.role()) == set()


def test_a_superuser_may_everything_and_somebody_switched_off_nothing() -> None:
    boss = factories.user("grace@portico.example", is_superuser=True)
    acme = factories.organization()
    assert may(boss) == may(boss, acme) == EVERYTHING
    off = factories.user("off@acme.example", is_active=False)
    level(off, AccessLevel.SUPER_ADMIN)
    factories.membership(off, acme, MembershipRole.ADMIN)
    assert may(off) == may(off, acme) == set()
    User.objects.filter(pk=boss.pk).update(is_active=False)
    assert may(boss) == set()


def test_nobody_in_particular_may_nothing() -> None:
    anonymous = AnonymousUser()
    with CaptureQueriesContext(connection) as queries:
        assert not any(anonymous.has_perm(permission) for permission in EVERYTHING)
        assert access.AccessBackend().get_all_permissions(anonymous) == set()
    assert len(queries) == 0


def test_a_permission_of_somebody_elses_costs_no_query() -> None:
    person = factories.user()
    backend = access.AccessBackend()
    with CaptureQueriesContext(connection) as queries:
        assert not backend.has_perm(person, "saml_sp.view_identityprovider")
        assert not backend.has_perm(person, "orgs.change_membership")
    assert len(queries) == 0
    with CaptureQueriesContext(connection) as queries:
        assert not backend.has_perm(person, Permission.EXPORT_DATA)
        assert not backend.has_perm(person, Permission.VIEW_REPORTS)
    assert len(queries) == 2


def test_the_backend_lets_nobody_in() -> None:
    assert access.AccessBackend().authenticate(None, username="a", password="b") is None


def visible(user: User) -> list[str]:
    return [row.name for row in Organization.objects.visible_to(User.objects.get(pk=user.pk))]


def test_people_see_their_own_organisations_once_or_all_of_them() -> None:
    person, acme = factories.user(), factories.organization()
    factories.organization("Other")
    assert visible(person) == []
    factories.membership(person, acme)
    factories.asserted(person, acme)
    assert visible(person) == ["Acme"]
    level(person, AccessLevel.SUPER_ADMIN)
    assert visible(person) == ["Acme", "Other"]


# --- Two accounts become one ---


def everything(person: User) -> Iterable[str]:
    acme = factories.organization()
    factories.membership(person, acme)
    factories.asserted(person, acme, MembershipRole.ADMIN)
    level(person, AccessLevel.ANALYST)
    RoleGrant.objects.create(user=person, role=factories.role())
    GroupMembership.objects.create(user=person, group=factories.access_group())
    PropertyGrant.objects.create(user=person, property=factories.property_())
    BillingPermission.objects.create(user=person, billing_account=factories.billing_account(acme))
    return (
        "member of Acme", "admin of Acme (Acme Okta says so", "is analyst", "has Editor", "in Pilots", "has House P-1",
        "may bill to Main",
    )  # fmt: skip


def test_what_moves_is_said_in_words_and_moves() -> None:
    gone, keep = factories.user(), factories.user("keep@acme.example")
    words = everything(gone)
    told = " / ".join(grants.described(gone))
    for word in words:
        assert word in told, told
    assert grants.take_over(gone, keep) == 7
    assert grants.described(gone) == []
    assert len(grants.described(keep)) == 7
    assert {row.source for row in Membership.objects.filter(user=keep)} == {Source.MANUAL, Source.IDP}


def test_what_moves_is_said_in_few_statements_however_much_it_is(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    gone, acme = factories.user(), factories.organization()
    for number in range(10):
        RoleGrant.objects.create(user=gone, role=factories.role(f"Role {number}"))
        account = factories.billing_account(acme, f"Account {number}")
        BillingPermission.objects.create(user=gone, billing_account=account)
    with django_assert_max_num_queries(6):
        assert len(grants.described(gone)) == 20


def test_of_the_same_thing_twice_the_higher_rank_stays() -> None:
    gone, keep, acme = factories.user(), factories.user("keep@acme.example"), factories.organization()
    Membership.objects.create(user=gone, organization=acme, role=MembershipRole.ADMIN, given_by="bob@portico.example")
    factories.membership(keep, acme)
    level(gone, AccessLevel.ANALYST)
    level(keep, AccessLevel.ADMIN)
    assert grants.take_over(gone, keep) == 0
    stays = Membership.objects.get()
    assert (stays.user, stays.role, stays.given_by) == (keep, MembershipRole.ADMIN, "bob@portico.example")
    assert (LevelGrant.objects.get().user, LevelGrant.objects.get().level) == (keep, AccessLevel.ADMIN)


# --- The document ---


def tables() -> list[str]:
    """The tables of docs/access.md, as they are to be."""
    mark = {True: "yes", False: "–"}
    levels = [one.label for one in AccessLevel]
    by_level = ["| A person of this level may | " + " | ".join(levels) + " |", "|---|" + "---|" * len(levels)]
    by_level += [
        f"| {one.description} (`{one}`) | " + " | ".join(mark[one in BY_LEVEL[name]] for name in levels) + " |"
        for one in Permission
        if any(one in BY_LEVEL[name] for name in levels)
    ]
    roles = [one.label for one in MembershipRole]
    by_role = ["| In their organisation, this role may | " + " | ".join(roles) + " |", "|---|" + "---|" * len(roles)]
    by_role += [
        f"| {one.description} (`{one}`) | " + " | ".join(mark[one in BY_MEMBERSHIP[name]] for name in roles) + " |"
        for one in Permission
        if any(one in BY_MEMBERSHIP[name] for name in roles)
    ]
    brought = ["| A role may bring | |", "|---|---|"] + [f"| {one.description} | `{one}` |" for one in FOR_ROLES]
    return ["\n".join(table) for table in (by_level, by_role, brought)]


def test_the_document_says_what_the_code_does() -> None:
    text = DOCUMENT.read_text()
    for table in tables():
        assert table in text, table
    assert f"`{Permission.BILL}`" in text
