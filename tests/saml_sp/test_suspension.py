"""What is written down on a person when their identity provider is switched, moved or limited: tokens stop by it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from accounts import merging
from accounts.actors import Actor
from accounts.models import User
from orgs.models import AccessLevel, LevelGrant, Membership, Source
from saml_sp import configuration, moving
from saml_sp.models import FederatedIdentity
from tests import factories
from tests.door import Browser
from tests.idp import ANA, Forge

if TYPE_CHECKING:
    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db

SOMEBODY = Actor("a test")


def sign_in(idp: IdentityProvider) -> User:
    browser = Browser()
    browser.sign_in(idp, Forge(idp, timezone.now()).xml())
    assert browser.user is not None
    return browser.user


def now_of(user: User) -> User:
    return User.objects.get(pk=user.pk)


def test_disabling_suspends_its_people_until_it_is_enabled_again() -> None:
    idp = factories.idp()
    user, stranger = sign_in(idp), factories.user("bob@other.example")
    factories.identity(factories.idp(), stranger)
    configuration.disable(idp, now=timezone.now(), actor=SOMEBODY)
    assert now_of(user).sso_suspended
    assert not now_of(stranger).sso_suspended
    configuration.enable(idp, now=timezone.now(), actor=SOMEBODY)
    assert not now_of(user).sso_suspended


def test_somebody_with_another_enabled_identity_provider_is_not_suspended() -> None:
    idp, other = factories.idp(), factories.idp()
    user = sign_in(idp)
    factories.identity(other, user)
    configuration.disable(idp, now=timezone.now(), actor=SOMEBODY)
    assert not now_of(user).sso_suspended
    configuration.disable(other, now=timezone.now(), actor=SOMEBODY)
    assert now_of(user).sso_suspended
    sign_in_at_first = configuration.enable(idp, now=timezone.now(), actor=SOMEBODY)
    assert sign_in_at_first
    assert not now_of(user).sso_suspended


def test_a_sign_in_ends_a_suspension() -> None:
    idp = factories.idp()
    user = sign_in(idp)
    User.objects.filter(pk=user.pk).update(sso_suspended=True)
    assert not sign_in(idp).sso_suspended


def test_moving_follows_the_new_identity_provider() -> None:
    idp, off = factories.idp(no_sign_in_days=7), factories.idp(enabled=False)
    user, now = sign_in(idp), timezone.now()
    moving.assign(user, off, now=now, actor=SOMEBODY)
    assert now_of(user).sso_suspended
    assert now_of(user).sso_valid_until is None
    moving.make_local(user, now=now, actor=SOMEBODY)
    assert not now_of(user).sso_suspended
    moving.assign(user, idp, now=now, actor=SOMEBODY)
    assert now_of(user).sso_valid_until == now + timedelta(days=7)


def test_whoever_loses_the_last_identity_is_suspended() -> None:
    idp = factories.idp()
    user = sign_in(idp)
    configuration.unlink(FederatedIdentity.objects.get(), now=timezone.now(), actor=SOMEBODY)
    assert now_of(user).sso_suspended


def test_a_local_account_that_loses_an_identity_is_not() -> None:
    user = factories.user("bob@other.example", password="a long password")
    identity = factories.pending(factories.idp(), user)
    configuration.unlink(identity, now=timezone.now(), actor=SOMEBODY)
    assert not now_of(user).sso_suspended


def test_a_local_account_is_not_stopped_for_good_by_an_identity_that_it_awaited() -> None:
    idp = factories.idp()
    user = factories.user("bob@other.example", password="a long password")
    identity = factories.pending(idp, user)
    change(idp, no_sign_in_days=10)
    configuration.disable(idp, now=timezone.now(), actor=SOMEBODY)
    configuration.unlink(identity, now=timezone.now(), actor=SOMEBODY)
    assert not now_of(user).sso_suspended
    assert now_of(user).sso_valid_until is None


def test_a_sign_in_counts_for_so_many_days() -> None:
    idp = factories.idp(no_sign_in_days=30)
    user = sign_in(idp)
    assert user.sso_valid_until is not None
    assert user.last_login is not None
    assert user.sso_valid_until - user.last_login == timedelta(days=30)


def test_without_a_limit_it_counts_for_ever() -> None:
    assert sign_in(factories.idp()).sso_valid_until is None


def change(idp: IdentityProvider, **fields: object) -> None:
    """As the administration saves."""
    before = configuration.locked_snapshot(idp)
    for name, value in fields.items():
        setattr(idp, name, value)
    idp.full_clean()
    idp.save()
    configuration.record_difference(idp, before, now=timezone.now(), actor=SOMEBODY)


def test_another_limit_counts_for_those_who_are_here_already() -> None:
    idp = factories.idp()
    user = sign_in(idp)
    awaited = factories.user("mila@customer.example")
    pending = factories.pending(idp, awaited)
    change(idp, no_sign_in_days=10)
    last = FederatedIdentity.objects.get(user=user).last_sign_in
    assert last is not None
    assert now_of(user).sso_valid_until == last + timedelta(days=10)
    assert now_of(awaited).sso_valid_until == pending.created_at + timedelta(days=10)
    change(idp, no_sign_in_days=None)
    assert now_of(user).sso_valid_until is None


# --- Two identity providers: the one of the last sign-in counts, of those that can vouch ---


@pytest.fixture
def both() -> tuple[IdentityProvider, IdentityProvider, User]:
    """Somebody who came by the strict one 100 days ago, and by the lenient one just now."""
    strict, lenient = factories.idp("strict", no_sign_in_days=7), factories.idp("lenient")
    user = sign_in(lenient)
    FederatedIdentity.objects.filter(pk=factories.identity(strict, user).pk).update(
        last_sign_in=timezone.now() - timedelta(days=100)
    )
    return strict, lenient, user


def has_run_out(user: User) -> bool:
    until = now_of(user).sso_valid_until
    return until is not None and until < timezone.now()


def test_what_is_left_after_an_identity_is_gone_counts_by_its_own_limit(
    both: tuple[IdentityProvider, IdentityProvider, User],
) -> None:
    strict, lenient, user = both
    configuration.unlink(user.identities.get(idp=lenient), now=timezone.now(), actor=SOMEBODY)
    assert has_run_out(user)
    assert now_of(user).sso_label == strict.description
    assert not now_of(user).sso_suspended


def test_while_one_is_disabled_the_limit_of_the_other_counts(
    both: tuple[IdentityProvider, IdentityProvider, User],
) -> None:
    strict, lenient, user = both
    configuration.disable(lenient, now=timezone.now(), actor=SOMEBODY)
    assert has_run_out(user)
    assert now_of(user).sso_label == strict.description
    configuration.disable(strict, now=timezone.now(), actor=SOMEBODY)
    assert now_of(user).sso_suspended
    configuration.enable(lenient, now=timezone.now(), actor=SOMEBODY)
    assert now_of(user).sso_valid_until is None
    assert not now_of(user).sso_suspended
    assert now_of(user).sso_label == lenient.description


def test_the_limit_of_one_that_is_not_used_any_more_stops_nobody(
    both: tuple[IdentityProvider, IdentityProvider, User],
) -> None:
    strict, lenient, user = both
    change(strict, no_sign_in_days=8)
    assert now_of(user).sso_valid_until is None
    change(lenient, no_sign_in_days=30)
    until = now_of(user).sso_valid_until
    change(strict, no_sign_in_days=None)
    assert now_of(user).sso_valid_until == until is not None


def test_an_account_that_takes_over_an_identity_that_can_vouch_is_not_suspended() -> None:
    off = factories.idp()
    keep = sign_in(off)
    configuration.disable(off, now=timezone.now(), actor=SOMEBODY)
    gone = factories.user("bob@other.example")
    idp = factories.idp(no_sign_in_days=7)
    factories.identity(idp, gone)
    merging.merge(gone, keep, now=timezone.now(), actor=SOMEBODY)
    assert not now_of(keep).sso_suspended
    assert now_of(keep).sso_valid_until is not None


def test_somebody_who_is_awaited_anew_is_suspended_no_longer() -> None:
    idp = factories.idp()
    user = sign_in(idp)
    configuration.unlink(FederatedIdentity.objects.get(), now=timezone.now(), actor=SOMEBODY)
    awaited = FederatedIdentity(idp=idp, user=user, email_key=user.email, created_at=timezone.now())
    configuration.invite(awaited, now=timezone.now(), actor=SOMEBODY)
    assert not now_of(user).sso_suspended


def test_a_local_account_that_is_awaited_stays_one() -> None:
    user = factories.user("bob@other.example", password="a long password")
    idp = factories.idp()
    awaited = FederatedIdentity(idp=idp, user=user, email_key=user.email, created_at=timezone.now())
    configuration.invite(awaited, now=timezone.now(), actor=SOMEBODY)
    configuration.disable(idp, now=timezone.now(), actor=SOMEBODY)
    configuration.enable(idp, now=timezone.now(), actor=SOMEBODY)
    assert now_of(user).sso_label == ""


def test_a_lower_ceiling_lowers_what_was_asserted_at_once() -> None:
    idp = factories.idp(level_ceiling=AccessLevel.SUPER_ADMIN)
    user = factories.user(ANA)
    asserted = {"user": user, "source": Source.IDP, "via": "permissions"}
    LevelGrant.objects.create(**asserted, source_id=str(idp.pk), level=AccessLevel.SUPER_ADMIN)
    LevelGrant.objects.create(**asserted, source_id="another", level=AccessLevel.ADMIN)
    LevelGrant.objects.create(user=user, level=AccessLevel.SUPER_ADMIN)
    change(idp, level_ceiling=AccessLevel.ANALYST)
    assert LevelGrant.objects.get(source_id=str(idp.pk)).level == AccessLevel.ANALYST
    assert sorted(LevelGrant.objects.values_list("level", flat=True)) == [10, 20, 30]
    change(idp, level_ceiling=AccessLevel.NONE)
    assert not LevelGrant.objects.filter(source_id=str(idp.pk)).exists()


def test_what_an_identity_provider_gave_goes_with_the_identity() -> None:
    idp = factories.idp()
    user, acme = sign_in(idp), factories.organization("Acme")
    Membership.objects.create(user=user, organization=acme, source=Source.IDP, source_id=str(idp.pk))
    Membership.objects.create(user=user, organization=acme)
    configuration.unlink(FederatedIdentity.objects.get(), now=timezone.now(), actor=SOMEBODY)
    assert Membership.objects.get().source == Source.MANUAL
    Membership.objects.create(user=user, organization=acme, source=Source.IDP, source_id=str(idp.pk))
    configuration.remove(idp, now=timezone.now(), actor=SOMEBODY)
    assert Membership.objects.get().source == Source.MANUAL
