"""Giving and taking by hand, below the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from orgs import assigning
from orgs.assigning import Assigned, Wanted
from orgs.models import (
    AccessLevel,
    BillingPermission,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    Organization,
    PropertyGrant,
    RoleGrant,
    Source,
)
from saml_sp.models import GroupRule
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Callable

    from accounts.actors import Actor
    from orgs.assigning import Thing
    from saml_sp.models import IdentityProvider

NOW = timezone.now()
ADMIN, MEMBER = MembershipRole.ADMIN, MembershipRole.MEMBER
pytestmark = pytest.mark.django_db


def told() -> list[tuple[str, str, object, object]]:
    """The events so far: kind, about whom, from what, to what."""
    return [
        (event.kind, event.subject, event.data.get("from"), event.data.get("to"))
        for event in Event.objects.order_by("pk")
    ]


@pytest.mark.parametrize(
    ("make", "grants"),
    [
        (factories.organization, Membership),
        (factories.access_group, GroupMembership),
        (factories.role, RoleGrant),
        (factories.property_, PropertyGrant),
        (lambda: factories.billing_account(factories.organization()), BillingPermission),
    ],
)
def test_everything_is_given_once_taken_once_and_on_record(
    make: Callable[[], Thing], grants: type[Membership], boss: Actor
) -> None:
    person, thing = factories.user(), make()
    rank = MEMBER if grants is Membership else 0
    assert assigning.assign(person, thing, rank=rank, now=NOW, actor=boss) == Assigned(new=1)
    assert assigning.assign(person, thing, rank=rank, now=NOW, actor=boss) == Assigned(unchanged=1)
    grant = grants.objects.get()
    assert (grant.source, grant.given_by, grant.given_at) == (Source.MANUAL, "grace@portico.example", NOW)
    assert assigning.withdraw(grant, now=NOW, actor=boss)
    assert not assigning.withdraw(grant, now=NOW, actor=boss)
    assert not grants.objects.exists()
    first, second = Event.objects.order_by("pk")
    assert (first.kind, second.kind) == (Kind.GRANT_ASSIGNED, Kind.GRANT_WITHDRAWN)
    assert (first.subject_type, first.subject_id, first.actor) == ("user", str(person.pk), "grace@portico.example")
    assert (first.data["id"], first.data["name"]) == (thing.pk, str(thing))
    assert second.data["what"] == first.data["what"]


def test_another_role_replaces_the_one_given_by_hand_and_nothing_that_an_identity_provider_says(boss: Actor) -> None:
    person, acme = factories.user(), factories.organization()
    theirs = factories.asserted(person, acme)
    assigning.assign(person, acme, rank=MEMBER, now=NOW, actor=boss)
    assert assigning.assign(person, acme, rank=ADMIN, now=NOW, actor=boss) == Assigned(changed=1)
    theirs.refresh_from_db()
    assert (theirs.role, theirs.source) == (MEMBER, Source.IDP)
    assert told()[-1] == (Kind.GRANT_CHANGED, str(person), "member", "admin")
    assert Event.objects.latest("pk").data["organization"] == "acme"


def test_what_an_identity_provider_says_cannot_be_changed_or_taken_by_hand(boss: Actor) -> None:
    theirs = factories.asserted(factories.user(), factories.organization())
    with pytest.raises(assigning.NotByHand, match="Acme Okta says so"):
        assigning.withdraw(theirs, now=NOW, actor=boss)
    with pytest.raises(assigning.NotByHand):
        assigning.change_role(theirs, ADMIN, now=NOW, actor=boss)
    assert Membership.objects.get().role == MEMBER
    assert not Event.objects.exists()


def test_many_people_are_few_statements_and_one_event_each(boss: Actor) -> None:
    acme = factories.organization()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_user (id, password, is_superuser, email, email_key, look_key, first_name, last_name, "
            "display_name, is_staff, is_active, inactive_because, epoch, is_break_glass, date_joined, sso_label, "
            "sso_suspended, is_service_account) SELECT gen_random_uuid(), '', false, 'p' || n || '@many.example', "
            "'p' || n || '@many.example', '', '', '', '', false, true, '', 0, false, now(), '', false, false "
            "FROM generate_series(1, 10000) n"
        )
    people = list(User.objects.filter(email__endswith="@many.example"))
    factories.membership(people[0], acme)
    factories.membership(people[1], acme, ADMIN)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        came = assigning.assign_many(people, acme, rank=ADMIN, now=NOW, actor=boss)
    assert came == Assigned(new=9998, changed=1, unchanged=1)
    assert len(queries) < 25
    assert Membership.objects.filter(organization=acme, role=ADMIN).count() == 10_000
    assert Event.objects.filter(kind=Kind.GRANT_ASSIGNED).count() == 9998


def test_the_last_administrator_stays_unless_it_is_meant(boss: Actor) -> None:
    acme = factories.organization()
    row = factories.membership(factories.user(), acme, ADMIN)
    factories.membership(factories.user("off@acme.example", is_active=False), acme, ADMIN)
    with pytest.raises(assigning.LastAdministrator, match="Acme would have no administrator"):
        assigning.withdraw(row, now=NOW, actor=boss)
    with pytest.raises(assigning.LastAdministrator):
        assigning.change_role(row, MEMBER, now=NOW, actor=boss)
    assert Membership.objects.filter(role=ADMIN).count() == 2
    assert assigning.change_role(row, MEMBER, now=NOW, actor=boss, even_last_admin=True).changed == 1


def test_an_administrator_by_an_identity_providers_word_counts(boss: Actor) -> None:
    acme, person = factories.organization(), factories.user()
    row = factories.membership(person, acme, ADMIN)
    factories.asserted(person, acme, ADMIN)
    assert assigning.withdraw(row, now=NOW, actor=boss)


def test_one_administrator_may_follow_another_in_one_step(boss: Actor) -> None:
    acme, old, new = factories.organization(), factories.user(), factories.user("new@acme.example")
    factories.membership(old, acme, ADMIN)
    assigning.assign_all([Wanted(new, acme, ADMIN), Wanted(old, acme, MEMBER)], now=NOW, actor=boss)
    assert [row.user for row in Membership.objects.filter(role=ADMIN)] == [new]


def test_the_level_by_hand_is_one_row(boss: Actor) -> None:
    person = factories.user()
    LevelGrant.objects.create(user=person, level=AccessLevel.ADMIN, source=Source.IDP, source_id="7", given_by="Okta")
    assert assigning.set_level(person, AccessLevel.ANALYST, now=NOW, actor=boss)
    assert not assigning.set_level(person, AccessLevel.ANALYST, now=NOW, actor=boss)
    assert assigning.set_level(person, AccessLevel.SUPER_ADMIN, now=NOW, actor=boss)
    assert assigning.set_level(person, AccessLevel.NONE, now=NOW, actor=boss)
    assert not assigning.set_level(person, AccessLevel.NONE, now=NOW, actor=boss)
    assert [row.source for row in LevelGrant.objects.all()] == [Source.IDP]
    assert told() == [
        (Kind.GRANT_ASSIGNED, str(person), "none", "analyst"),
        (Kind.GRANT_CHANGED, str(person), "analyst", "super_admin"),
        (Kind.GRANT_WITHDRAWN, str(person), "super_admin", "none"),
    ]


def test_only_superusers_give_super_admin_or_take_it(boss: Actor, staff: Actor) -> None:
    person = factories.user()
    with pytest.raises(assigning.SuperusersOnly):
        assigning.set_level(person, AccessLevel.SUPER_ADMIN, now=NOW, actor=staff)
    assigning.set_level(person, AccessLevel.SUPER_ADMIN, now=NOW, actor=boss)
    with pytest.raises(assigning.SuperusersOnly):
        assigning.set_level(person, AccessLevel.ANALYST, now=NOW, actor=staff)
    with pytest.raises(assigning.SuperusersOnly):
        assigning.withdraw(LevelGrant.objects.get(), now=NOW, actor=staff)
    assert LevelGrant.objects.get().level == AccessLevel.SUPER_ADMIN


def test_staff_change_nothing_that_they_have_themselves(desk: User, staff: Actor) -> None:
    acme, role = factories.organization(), factories.role()
    mine = factories.membership(desk, acme)
    RoleGrant.objects.create(user=desk, role=role)
    role.permissions = ["platform.export_data"]
    for attempt in (
        lambda: assigning.assign(desk, acme, rank=ADMIN, now=NOW, actor=staff),
        lambda: assigning.set_level(desk, AccessLevel.ANALYST, now=NOW, actor=staff),
        lambda: assigning.withdraw(mine, now=NOW, actor=staff),
        lambda: assigning.save(role, now=NOW, actor=staff),
    ):
        with pytest.raises(assigning.OwnAccess):
            attempt()
    assert assigning.assign(desk, acme, rank=MEMBER, now=NOW, actor=staff) == Assigned(unchanged=1)
    assert not Event.objects.exists()


def test_things_are_made_changed_and_removed_on_record(boss: Actor) -> None:
    acme = Organization(name="Acme", external_id="acme")
    assert assigning.save(acme, now=NOW, actor=boss)
    acme.name = "Acme Ltd"
    assert assigning.save(acme, now=NOW, actor=boss)
    assert not assigning.save(acme, now=NOW, actor=boss)
    account = factories.billing_account(acme)
    person = factories.user()
    assigning.assign(person, account, now=NOW, actor=boss)
    factories.asserted(person, acme, ADMIN)
    assert assigning.remove(acme, now=NOW, actor=boss)
    assert not assigning.remove(acme, now=NOW, actor=boss)
    made, changed, _given, unbilled, closed, left, removed = Event.objects.order_by("pk")
    assert (made.kind, made.subject_type, made.subject) == (Kind.ORGANIZATION_CREATED, "organisation", "Acme")
    assert changed.data["changed"] == {"name": ["Acme", "Acme Ltd"]}
    assert (unbilled.kind, unbilled.data["what"]) == (Kind.GRANT_WITHDRAWN, "billing account")
    assert (closed.kind, closed.subject_type) == (Kind.BILLING_ACCOUNT_REMOVED, "billing_account")
    assert (left.kind, left.data["from"], left.data["source"]) == (Kind.GRANT_WITHDRAWN, "admin", "idp")
    assert (removed.kind, removed.data["grants"]) == (Kind.ORGANIZATION_REMOVED, 1)
    assert {event.data["organization"] for event in (made, changed, unbilled, closed, left, removed)} == {"acme"}


def test_a_removed_organisation_takes_the_rules_of_identity_providers_along(
    acme: IdentityProvider, boss: Actor
) -> None:
    customer = factories.organization()
    GroupRule.objects.create(idp=acme, value="staff", organization=customer)
    assert assigning.remove(customer, now=NOW, actor=boss)
    assert not GroupRule.objects.exists()


def test_what_is_gone_meanwhile_is_a_sentence(boss: Actor) -> None:
    acme, person = factories.organization(), factories.user()
    row = factories.membership(person, acme)
    ghost = Organization(pk=acme.pk, external_id="acme", name="Other")
    ghost._state.adding = False
    Membership.objects.all().delete()
    with pytest.raises(assigning.Gone):
        assigning.change_role(row, ADMIN, now=NOW, actor=boss)
    Organization.objects.all().delete()
    for attempt in (
        lambda: assigning.assign(person, acme, rank=MEMBER, now=NOW, actor=boss),
        lambda: assigning.save(ghost, now=NOW, actor=boss),
    ):
        with pytest.raises(assigning.Gone, match="a moment ago"):
            attempt()
    there = factories.organization()
    User.objects.filter(pk=person.pk).delete()
    with pytest.raises(assigning.Gone):
        assigning.assign(person, there, rank=MEMBER, now=NOW, actor=boss)


def test_nothing_to_do_is_no_statement(boss: Actor) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert (
            assigning.assign_many([], Organization(name="Nobody", external_id="nobody"), now=NOW, actor=boss)
            == Assigned()
        )
        assert assigning.withdraw_many([], now=NOW, actor=boss) == 0
        assert assigning.plan([]) == []
    assert len(queries) == 0
