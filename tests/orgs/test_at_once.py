"""Two that change the same at the same moment, on connections of their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from audit.kinds import Kind
from audit.models import Event
from orgs import assigning, grants
from orgs.grants import Change, Held, Thing, What
from orgs.models import Membership, MembershipRole, Role, RoleGrant, Source
from tests import factories
from tests.pages.forms import PASSWORD, sign_in_by_password, submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from accounts.actors import Actor
    from accounts.models import User

NOW = timezone.now()
pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*what: Callable[[], object]) -> list[object]:
    """What each returned or raised, all having begun together."""
    barrier = Barrier(len(what))

    def one(function: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return function()
        except Exception as error:  # noqa: BLE001 - it is what the test looks at
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(what)) as threads:
        return list(threads.map(one, what))


def test_two_last_administrators_do_not_both_go(boss: Actor) -> None:
    for number in range(8):
        acme = factories.organization(f"Acme {number}")
        rows = [
            factories.membership(factories.user(f"{name}{number}@acme.example"), acme, MembershipRole.ADMIN)
            for name in ("a", "b")
        ]
        came = at_once(
            partial(assigning.withdraw, rows[0], now=NOW, actor=boss),
            partial(assigning.change_role, rows[1], MembershipRole.MEMBER, now=NOW, actor=boss),
        )
        assert sum(isinstance(one, assigning.LastAdministrator) for one in came) == 1, came
        assert Membership.objects.filter(organization=acme, role=MembershipRole.ADMIN).count() == 1


def test_the_same_assigned_twice_at_once_is_there_once(boss: Actor) -> None:
    for number in range(8):
        acme, person = factories.organization(f"Acme {number}"), factories.user(f"p{number}@acme.example")
        came = at_once(*[partial(assigning.assign, person, acme, rank=1, now=NOW, actor=boss)] * 3)
        assert sorted(came, key=str) == sorted(
            [assigning.Assigned(new=1), *[assigning.Assigned(unchanged=1)] * 2], key=str
        )
    assert Event.objects.filter(kind=Kind.GRANT_ASSIGNED).count() == 8


def login(person: User, role: Role, turns: int) -> int:
    """Gives a role and takes it again, as logins do: in one statement, looked at by the foreign key at the end.

    Returns how many found at their end that the role was gone; each plans anew in a real login.
    """
    late = 0
    for _ in range(turns):
        thing = Thing(What.ROLE, role.pk, role.name, "roles")
        held = [Held(row, thing) for row in RoleGrant.objects.filter(user=person).values_list("pk", flat=True)]
        try:
            with transaction.atomic():
                type(person).objects.select_for_update().get(pk=person.pk)
                grants.apply(Change(gone=tuple(held)), person, source_id=7, label="Okta", now=NOW)
                other = Thing(What.ROLE, role.pk, role.name, "groups")
                grants.apply(Change(granted=(thing, other)), person, source_id=7, label="Okta", now=NOW)
        except IntegrityError:
            late += 1
    return late


def test_removing_a_role_while_logins_give_it_never_fails(boss: Actor) -> None:
    people = [factories.user(f"p{number}@acme.example") for number in range(3)]
    for number in range(12):
        role = factories.role(f"Role {number}")
        came = at_once(
            partial(assigning.remove, role, now=NOW, actor=boss),
            *[partial(login, person, role, 10) for person in people],
        )
        assert came[0] is True, came
        assert all(isinstance(late, int) for late in came[1:]), came
        assert not Role.objects.filter(pk=role.pk).exists()
        assert not RoleGrant.objects.exists()


def test_the_administrations_delete_page_never_answers_500_while_logins_give_what_goes(grace: User) -> None:
    admin, person = sign_in_by_password(grace), factories.user(password=PASSWORD)
    for number in range(4):
        role = factories.role(f"Role {number}")
        RoleGrant.objects.create(user=person, role=role, source=Source.IDP, source_id="7", via="roles")
        came = at_once(
            partial(submit, admin, f"/admin/orgs/role/{role.pk}/delete/", {"post": "yes"}),
            partial(login, person, role, 20),
        )
        assert getattr(came[0], "status_code", came[0]) == 302, came
        assert not Role.objects.filter(pk=role.pk).exists()


def test_giving_what_is_being_removed_either_comes_before_or_is_told(boss: Actor) -> None:
    people = [factories.user(f"p{number}@acme.example") for number in range(2)]
    for number in range(8):
        acme = factories.organization(f"Acme {number}")
        held = factories.membership(people[1], acme)
        came = at_once(
            partial(assigning.remove, acme, now=NOW, actor=boss),
            partial(assigning.assign, people[0], acme, rank=1, now=NOW, actor=boss),
            partial(assigning.withdraw, held, now=NOW, actor=boss),
        )
        assert came[0] is True, came
        assert isinstance(came[1], assigning.Assigned | assigning.Gone), came
        assert isinstance(came[2], bool), came
    assert not Membership.objects.exists()


def test_a_login_that_keeps_it_for_long_gets_a_sentence_not_an_error(boss: Actor) -> None:
    role, person = factories.role(), factories.user()

    def slow() -> object:
        with transaction.atomic():
            RoleGrant.objects.create(user=person, role=role, source=Source.IDP, source_id="7", via="roles")
            connection.check_constraints()
            done.wait()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(4)")
        return None

    def remove() -> object:
        done.wait()
        return assigning.remove(role, now=NOW, actor=boss)

    done = Barrier(2)
    came = at_once(slow, remove)
    assert isinstance(came[1], assigning.Busy), came
    assert "Try again in a minute" in str(came[1])
    assert Role.objects.filter(pk=role.pk).exists()
