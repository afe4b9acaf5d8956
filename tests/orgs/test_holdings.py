"""What somebody holds, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orgs.access import account_wide
from orgs.holdings import Holdings, Why, holdings
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
from tests import factories
from tests.orgs.giving import BY, WHEN, by_hand, by_word, organization

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from accounts.models import User

HAND = Why(by_hand=True, given_by=BY, given_at=WHEN)


@pytest.fixture
def ana(db: None) -> User:
    return factories.user()


def test_somebody_new_holds_nothing(ana: User) -> None:
    held = holdings(ana)
    assert not held
    assert held == Holdings()
    assert held.permissions == frozenset()


def test_it_says_of_each_kind_what_is_held_and_why(ana: User) -> None:
    northwind = organization()
    account = BillingAccount.objects.create(organization=northwind, name="Research", external_id="NW-1")
    by_hand(BillingPermission, ana, billing_account=account)
    by_word(GroupMembership, ana, group=AccessGroup.objects.create(name="Early", description="First of all."))
    role = Role.objects.create(name="Editor", description="Edits.", permissions=[Permission.EDIT_PROJECTS])
    by_word(RoleGrant, ana, role=role, via="roles", value="Editor")
    by_hand(PropertyGrant, ana, property=Property.objects.create(name="Harbour", external_id="3868"))
    held = holdings(ana)
    assert held
    assert not held.organizations
    (bills,), (group,), (role_held,), (thing,) = held.billing_accounts, held.groups, held.roles, held.properties
    assert (bills.id, bills.name, bills.organization, bills.whys) == ("NW-1", "Research", "Northwind", (HAND,))
    said = Why(by_hand=False, given_by="Acme Okta", given_at=WHEN, attribute="Groups", value="staff")
    assert (group.id, group.name, group.description, group.whys) == ("Early", "Early", "First of all.", (said,))
    assert (role_held.name, role_held.description) == ("Editor", "Edits.")
    assert role_held.permissions == (Permission.EDIT_PROJECTS,)
    assert (thing.id, thing.name, thing.whys) == ("3868", "Harbour", (HAND,))


def test_a_thing_from_several_sources_is_there_once_with_the_highest_role_and_every_reason(ana: User) -> None:
    northwind = organization()
    by_hand(Membership, ana, organization=northwind)
    by_word(Membership, ana, organization=northwind, role=MembershipRole.ADMIN, value="admins")
    by_word(Membership, ana, organization=northwind, source_id="2", given_at=WHEN + timedelta(days=1))
    (held,) = holdings(ana).organizations
    assert (held.id, held.name, held.role) == ("northwind", "Northwind", MembershipRole.ADMIN)
    assert held.permissions == {Permission.VIEW_PEOPLE}
    # What gives most stands first, then what is oldest.
    assert [(why.gives, why.by_hand) for why in held.whys] == [("admin", False), ("member", True), ("member", False)]


def test_the_level_that_counts_is_the_highest(ana: User) -> None:
    by_hand(LevelGrant, ana, level=AccessLevel.ANALYST)
    by_word(LevelGrant, ana, level=AccessLevel.SUPER_ADMIN, via="permissions", value="boss")
    held = holdings(ana)
    assert (held.level, held.level_name) == (AccessLevel.SUPER_ADMIN, "super admin")
    assert [why.gives for why in held.level_whys] == ["super_admin", "analyst"]
    assert held.level_permissions[0] == Permission.VIEW_REPORTS


def test_a_level_of_none_is_nothing(ana: User) -> None:
    by_hand(LevelGrant, ana, level=AccessLevel.NONE)
    assert not holdings(ana)


def test_a_role_by_name_and_by_group_is_there_once(ana: User) -> None:
    role = Role.objects.create(name="Editor", group_name="editors")
    by_word(RoleGrant, ana, role=role, via="roles", value="Editor")
    by_word(RoleGrant, ana, role=role, via="groups", value="editors")
    (held,) = holdings(ana).roles
    assert {(why.attribute, why.value) for why in held.whys} == {("Roles", "Editor"), ("Groups", "editors")}


def test_it_allows_what_has_perm_answers(ana: User) -> None:
    by_word(LevelGrant, ana, level=AccessLevel.ADMIN)
    # The second is none that a role may bring, the third is gone since it was written down.
    brings = [Permission.MANAGE_INTEGRATIONS, Permission.VIEW_EVERY_ORGANIZATION, "platform.fly"]
    by_hand(RoleGrant, ana, role=Role.objects.create(name="Editor", permissions=brings))
    held = holdings(ana)
    assert held.permissions == account_wide(ana)
    assert held.roles[0].permissions == (Permission.MANAGE_INTEGRATIONS,)
    assert all(ana.has_perm(permission) for permission in held.permissions)


def test_nobody_elses_is_in_it_and_the_order_is_by_name(ana: User) -> None:
    other = factories.user("other@customer.example")
    for name in ("Zulu", "Alpha", "Mike"):
        by_hand(Membership, ana, organization=organization(name, name.lower()))
    by_hand(Membership, other, organization=organization())
    assert [held.name for held in holdings(ana).organizations] == ["Alpha", "Mike", "Zulu"]
    assert [held.name for held in holdings(other).organizations] == ["Northwind"]


def test_it_takes_six_queries_with_hundreds_of_grants_as_with_none(
    ana: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(6):
        holdings(ana)
    many(ana)
    with django_assert_num_queries(6):
        held = holdings(ana)
    lists = (held.organizations, held.billing_accounts, held.roles, held.groups, held.properties)
    assert [len(things) for things in lists] == [200] * 5


def many(user: User) -> None:
    """200 of each."""
    for n in range(200):
        one = organization(f"Org {n}", f"o{n}")
        account = BillingAccount.objects.create(organization=one, name=f"Account {n}")
        by_hand(Membership, user, organization=one)
        by_hand(BillingPermission, user, billing_account=account)
        by_word(RoleGrant, user, role=Role.objects.create(name=f"Role {n}"))
        by_word(GroupMembership, user, group=AccessGroup.objects.create(name=f"Group {n}"))
        by_word(PropertyGrant, user, property=Property.objects.create(name=f"Property {n}", external_id=f"p{n}"))
