"""Who vouches for what somebody has: nothing stays that no identity provider says any more, whatever the order."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts import merging
from accounts.actors import Actor
from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from demo.issuer import AttributeSpec
from orgs.models import AccessLevel, LevelGrant, RoleGrant, Source
from saml_sp import configuration, moving
from saml_sp.models import FederatedIdentity, IdentityProvider, Outcome, SamlSession, SignInAttempt
from tests import factories
from tests.door import Browser
from tests.idp import ANA, ATTRIBUTES, Forge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orgs.models import Role

pytestmark = pytest.mark.django_db(transaction=True)

SOMEBODY = Actor("a test")
NOW = timezone.now()


@pytest.fixture
def beside() -> Iterator[Callable[..., Future[Any]]]:
    """Do something on a connection of its own, and wait until it has got as far as it can."""
    with ThreadPoolExecutor(2) as threads:

        def begin(function: Callable[..., Any], *args: Any, **facts: Any) -> Future[Any]:
            def one() -> Any:
                try:
                    return function(*args, **facts)
                finally:
                    connection.close()

            future = threads.submit(one)
            time.sleep(0.5)
            return future

        yield begin


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp(attribute_mapping={"roles": ["Roles"], "permissions": ["Permissions"]})


def given(user: User, idp: IdentityProvider, role: Role) -> RoleGrant:
    """By this identity provider's word."""
    return RoleGrant.objects.create(user=user, role=role, source=Source.IDP, source_id=str(idp.pk), via="roles")


def unlink(identity: FederatedIdentity) -> int:
    return configuration.unlink(identity, now=NOW, actor=SOMEBODY)


# --- Identities that go ---


def test_two_identities_removed_at_once_take_along_what_was_given(
    idp: IdentityProvider, beside: Callable[..., Future[Any]]
) -> None:
    user = factories.user(ANA)
    first, second = factories.identity(idp, user, "one"), factories.identity(idp, user, "two")
    given(user, idp, factories.role())
    with transaction.atomic():
        unlink(first)
        other = beside(unlink, second)
    other.result()
    assert not FederatedIdentity.objects.exists()
    assert not RoleGrant.objects.exists()


def test_an_identity_removed_while_its_account_is_merged_takes_along_what_was_given(
    idp: IdentityProvider, beside: Callable[..., Future[Any]]
) -> None:
    gone, keep = factories.user(ANA), factories.user("ana.two@customer.example")
    identity = factories.identity(idp, gone)
    given(gone, idp, factories.role())
    with transaction.atomic():
        merging.merge(gone, keep, now=NOW, actor=SOMEBODY)
        other = beside(unlink, identity)
    other.result()
    assert not FederatedIdentity.objects.exists()
    assert not RoleGrant.objects.exists()


def test_an_identity_removed_while_its_person_signs_in_takes_the_session_along(
    idp: IdentityProvider, beside: Callable[..., Future[Any]]
) -> None:
    Browser().sign_in(idp, Forge(idp, timezone.now()).xml())
    identity = FederatedIdentity.objects.get()
    held = User.objects.select_for_update().filter(pk=identity.user_id)
    with transaction.atomic():
        # As a sign-in does: the person first, then the identity, then the session.
        held.get()
        FederatedIdentity.objects.filter(pk=identity.pk).update(last_sign_in=NOW)
        SamlSession.objects.create(
            session_key="k" * 32, idp=idp, user=identity.user, name_id=ANA, name_id_key="x", expires_at=NOW
        )
        other = beside(unlink, identity)
    other.result()
    assert not SamlSession.objects.exists()


def test_an_identity_that_awaits_its_first_sign_in_vouches_for_nothing(idp: IdentityProvider) -> None:
    user = factories.user(ANA)
    identity = factories.identity(idp, user)
    given(user, idp, factories.role())
    factories.pending(idp, user, "ana.two@customer.example")
    unlink(identity)
    assert not RoleGrant.objects.exists()


def test_of_two_identities_the_one_that_stays_vouches_from_its_next_sign_in_on(idp: IdentityProvider) -> None:
    gone, keep = factories.user("ana.two@customer.example"), factories.user(ANA)
    other = factories.identity(idp, gone, "two")
    factories.identity(idp, keep)
    given(gone, idp, factories.role())
    by_hand = RoleGrant.objects.create(user=keep, role=factories.role("Auditor"))
    merging.merge(gone, keep, now=NOW, actor=SOMEBODY)
    unlink(other)
    assert RoleGrant.objects.get() == by_hand
    said = (*ATTRIBUTES, AttributeSpec("Roles", ["Editor"]))
    Browser().sign_in(idp, Forge(idp, timezone.now()).xml(attributes=said))
    assert set(RoleGrant.objects.values_list("role__name", "source")) == {("Auditor", "manual"), ("Editor", "idp")}


def test_removing_an_identity_twice_is_on_record_once(idp: IdentityProvider) -> None:
    identity = factories.identity(idp, factories.user(ANA))
    unlink(FederatedIdentity.objects.get())
    assert unlink(identity) == 0
    assert Event.objects.filter(kind=Kind.IDENTITY_REMOVED).count() == 1


def test_rebinding_an_identity_that_is_gone_is_a_sentence(idp: IdentityProvider) -> None:
    identity = factories.identity(idp, factories.user(ANA))
    unlink(FederatedIdentity.objects.get())
    with pytest.raises(moving.MoveRefused, match="was removed by somebody else a moment ago"):
        moving.rebind(identity, now=NOW, actor=SOMEBODY)


# --- A ceiling that is lowered during a sign-in ---


@pytest.fixture
def high() -> IdentityProvider:
    """It may say super_admin."""
    return factories.idp(attribute_mapping={"permissions": ["Permissions"]}, level_ceiling=AccessLevel.SUPER_ADMIN)


def come(idp: IdentityProvider, word: str = "super_admin") -> None:
    Browser().sign_in(
        idp, Forge(idp, timezone.now()).xml(attributes=(*ATTRIBUTES, AttributeSpec("Permissions", [word])))
    )


def lower(idp: IdentityProvider) -> None:
    with configuration.on_record(idp, now=NOW, actor=SOMEBODY) as held:
        held.level_ceiling = AccessLevel.ANALYST
        held.save()


def test_a_ceiling_that_is_being_lowered_during_a_sign_in_counts(
    high: IdentityProvider, beside: Callable[..., Future[Any]]
) -> None:
    with transaction.atomic():
        lower(high)
        signing_in = beside(come, high)
    signing_in.result()
    assert LevelGrant.objects.get().level == AccessLevel.ANALYST
    granted = SignInAttempt.objects.get(outcome=Outcome.ACCEPTED).detail["rights"]["granted"]
    assert granted == ["access level analyst"]


def test_a_level_is_not_brought_back_by_another_word_for_it(
    high: IdentityProvider, beside: Callable[..., Future[Any]]
) -> None:
    IdentityProvider.objects.update(level_spellings={"root": "super_admin"})
    come(high)
    with transaction.atomic():
        lower(high)
        signing_in = beside(come, high, "root")
    signing_in.result()
    assert LevelGrant.objects.get().level == AccessLevel.ANALYST


def test_a_ceiling_that_is_lowered_as_a_sign_in_ends_counts(
    high: IdentityProvider, beside: Callable[..., Future[Any]]
) -> None:
    with transaction.atomic():
        come(high)
        lowering = beside(lower, high)
    lowering.result()
    assert LevelGrant.objects.get().level == AccessLevel.ANALYST
