"""Rights that change at the same moment from several sides: no error page, no half state, manual grants intact."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import User
from demo.issuer import AttributeSpec
from orgs.models import AccessGroup, GroupMembership, Membership, MembershipRole, Role, RoleGrant, Source
from saml_sp import configuration
from saml_sp.models import Outcome, SignInAttempt
from tests import factories
from tests.idp import ATTRIBUTES, Forge
from tests.saml_sp.crowds import CROWD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from saml_sp.models import IdentityProvider
    from tests.saml_sp.crowds import Workers

# What these tests make is committed, so that the workers see it.
pytestmark = pytest.mark.django_db(transaction=True)

MAPPING = {"groups": ["Groups"], "roles": ["Roles"]}


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp(attribute_mapping=MAPPING)


def message(idp: IdentityProvider, **values: Sequence[str]) -> bytes:
    said = (*ATTRIBUTES, *(AttributeSpec(name, list(given)) for name, given in values.items()))
    return Forge(idp, timezone.now()).xml(attributes=said)


def beside(workers: Workers, idp: IdentityProvider, messages: Sequence[bytes], act: Callable[[], Any]) -> Counter[int]:
    """Send the messages all at once, and do something over and over until all are answered; returns the statuses."""
    done = threading.Event()

    def meanwhile() -> None:
        try:
            while not done.is_set():
                act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(meanwhile)
        try:
            answers = workers.crowd(idp, messages)
        finally:
            done.set()
        acting.result()
    close_old_connections()
    return Counter(answer.status for answer in answers)


def test_two_logins_with_different_groups_at_once_leave_what_one_of_them_said(
    workers: Workers, idp: IdentityProvider
) -> None:
    """Ten rounds of twenty: never a mixture, for the later one plans from what the earlier one left."""
    sets = [["a", "b"], ["c"], ["a", "c", "d"], []]
    for name in "abcd":
        factories.group_rule(idp, name, AccessGroup.objects.create(name=name))
    workers.crowd(idp, [message(idp)])
    for _ in range(10):
        messages = [message(idp, Groups=sets[number % len(sets)]) for number in range(CROWD)]
        assert {answer.status for answer in workers.crowd(idp, messages)} == {303}
        held = sorted(GroupMembership.objects.values_list("group__name", flat=True))
        assert held in sets


def test_many_first_logins_with_different_groups_at_once_leave_what_one_of_them_said(
    workers: Workers, idp: IdentityProvider
) -> None:
    sets = [["a", "b"], ["c"], ["a", "c"]]
    for name in "abc":
        factories.group_rule(idp, name, AccessGroup.objects.create(name=name))
    messages = [message(idp, Groups=sets[number % len(sets)]) for number in range(CROWD)]
    assert {answer.status for answer in workers.crowd(idp, messages)} == {303}
    assert sorted(GroupMembership.objects.values_list("group__name", flat=True)) in sets
    assert User.objects.count() == 1


def test_an_administrators_assignment_during_logins_stays(workers: Workers, idp: IdentityProvider) -> None:
    acme = factories.organization("Acme")
    factories.group_rule(idp, "all", acme)
    workers.crowd(idp, [message(idp)])
    user = User.objects.get()

    def assign_and_withdraw() -> None:
        """As the administration does: the row given by hand, never the other one."""
        Membership.objects.filter(user=user, source=Source.MANUAL).delete()
        Membership.objects.create(user=user, organization=acme, role=MembershipRole.ADMIN, given_by="admin")

    messages = [message(idp, Groups=["all"] if number % 2 else []) for number in range(CROWD)]
    assert beside(workers, idp, messages, assign_and_withdraw) == {303: CROWD}
    assert Membership.objects.get(source=Source.MANUAL).role == MembershipRole.ADMIN
    assert Membership.objects.filter(source=Source.IDP).count() in {0, 1}


def test_a_role_that_is_deleted_and_made_during_logins_is_held_or_unknown(
    workers: Workers, idp: IdentityProvider
) -> None:
    workers.crowd(idp, [message(idp)])

    def delete_and_make() -> None:
        with transaction.atomic():
            # As the administration deletes: the row first, so that whoever refers to it waits or is seen.
            for role in Role.objects.select_for_update():
                role.delete()
        Role.objects.get_or_create(name="editor")
        time.sleep(0.03)

    messages = [message(idp, Roles=["editor"]) for _ in range(CROWD)]
    assert beside(workers, idp, messages, delete_and_make) == {303: CROWD}
    assert RoleGrant.objects.count() in {0, 1}
    last = SignInAttempt.objects.filter(outcome=Outcome.ACCEPTED)
    assert last.count() == CROWD + 1
    for detail in last.order_by("pk").values_list("detail", flat=True)[1:]:
        rights = detail["rights"]
        assert ("role editor" in rights.get("granted", []) + rights.get("kept", [])) != ("unknown" in rights)


def test_an_identity_provider_switched_off_and_on_during_logins_stops_nobody_for_good(
    workers: Workers, idp: IdentityProvider
) -> None:
    """Both lock people and the identity provider: in one order, or they would wait for one another."""
    workers.crowd(idp, [message(idp)])
    actor = Actor("a test")

    def switch() -> None:
        configuration.disable(idp, now=timezone.now(), actor=actor)
        configuration.enable(idp, now=timezone.now(), actor=actor)

    statuses = beside(workers, idp, [message(idp, Groups=["x"]) for _ in range(CROWD)], switch)
    assert set(statuses) <= {303, 404}
    assert not User.objects.get().sso_suspended
    configuration.disable(idp, now=timezone.now(), actor=actor)
    assert User.objects.get().sso_suspended
