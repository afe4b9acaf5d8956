"""What else may happen while somebody signs in for the first time: another login, between any two statements of theirs.

`test_races` lets real processes run into each other; here one login is stopped at a statement while the other runs.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import Session, User
from saml_sp import provisioning
from saml_sp.models import FederatedIdentity, SignInAttempt, SpentAssertion
from saml_sp.protocol.errors import SubjectChanged
from saml_sp.protocol.types import Assertion, Attribute, NameId
from saml_sp.provisioning import Step
from tests import factories
from tests.door import Browser, holds_nothing
from tests.idp import ANA, Forge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp("customer")


def assertion(idp: IdentityProvider, subject: str = "u-1", email: str = ANA) -> Assertion:
    now = timezone.now()
    return Assertion(
        id="a-1",
        issuer=idp.entity_id,
        name_id=NameId(subject),
        attributes=(Attribute("Email", "", (email,)),),
        authn_instant=now,
        session_index="",
        session_not_on_or_after=None,
        authn_context="",
        expires=now,
        in_response_to=None,
    )


def sign_in(idp: IdentityProvider, subject: str = "u-1") -> User:
    return provisioning.provision(provisioning.plan(idp, assertion(idp, subject)), timezone.now())


@contextmanager
def meanwhile(marks: tuple[str, ...], action: Callable[[], object], *, times: int = 1) -> Iterator[None]:
    """Do something just before a statement with all of these marks is executed, the first times that one is."""
    left, busy = [times], list[str]()

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
        if left[0] and not busy and all(mark in sql for mark in marks):
            left[0] -= 1
            busy.append(sql)
            action()
            busy.clear()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield
    assert left[0] == 0, "no such statement"


def test_the_same_person_who_was_faster_is_found_after_all(idp: IdentityProvider) -> None:
    """Not seen by the first query, seen by the second: no clash, but oneself."""
    by_address = ("SELECT", 'FROM "saml_sp_federatedidentity"', '"saml_sp_federatedidentity"."email_key" = ')
    with meanwhile(by_address, lambda: sign_in(idp)):
        planned = provisioning.plan(idp, assertion(idp))
    assert planned.step is Step.RETURN
    assert provisioning.provision(planned, timezone.now()) == User.objects.get()


def test_the_same_person_who_was_faster_still_is_found_after_all(idp: IdentityProvider) -> None:
    with meanwhile(("SELECT", 'FROM "accounts_user"', "email_key"), lambda: sign_in(idp)):
        planned = provisioning.plan(idp, assertion(idp))
    assert planned.step is Step.RETURN


def test_somebody_else_who_was_faster_is_a_clash(idp: IdentityProvider) -> None:
    by_address = ("SELECT", 'FROM "saml_sp_federatedidentity"', '"saml_sp_federatedidentity"."email_key" = ')
    with meanwhile(by_address, lambda: sign_in(idp, "u-2")), pytest.raises(SubjectChanged):
        provisioning.plan(idp, assertion(idp))


def test_a_plan_to_create_fails_where_the_account_is_there_by_now(idp: IdentityProvider) -> None:
    first, second = (provisioning.plan(idp, assertion(idp)) for _ in range(2))
    assert first.step is second.step is Step.CREATE
    provisioning.provision(first, timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        provisioning.provision(second, timezone.now())
    assert FederatedIdentity.objects.get().user == User.objects.get()


@pytest.mark.parametrize("subject", ["u-1", "u-2"])
def test_a_pending_identity_is_completed_once(idp: IdentityProvider, subject: str) -> None:
    factories.pending(idp, factories.user())
    first, second = provisioning.plan(idp, assertion(idp)), provisioning.plan(idp, assertion(idp, subject))
    assert first.step is second.step is Step.COMPLETE
    provisioning.provision(first, timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        provisioning.provision(second, timezone.now())
    assert FederatedIdentity.objects.get().subject == "u-1"


def test_a_login_that_collides_once_is_tried_again(idp: IdentityProvider) -> None:
    browser = Browser()
    # The other login is rolled back with this one's transaction, so that the second try finds nobody.
    with meanwhile(('INSERT INTO "accounts_user"',), lambda: sign_in(idp, "u-2")):
        browser.sign_in(idp, Forge(idp, timezone.now()).xml())
    assert browser.user == User.objects.get()
    assert SpentAssertion.objects.count() == Session.objects.count() == SignInAttempt.objects.count() == 1


def test_a_login_that_collides_every_time_is_refused_and_nothing_is_left_of_it(idp: IdentityProvider) -> None:
    collide = partial(User.objects.bulk_create, [User(email=ANA, email_key=ANA)])
    with meanwhile(('INSERT INTO "accounts_user"',), collide, times=5):
        response = Browser().send(idp, Forge(idp, timezone.now()).xml())
    attempt = SignInAttempt.objects.get()
    assert (response.status_code, attempt.code, attempt.user) == (403, "try_again", None)
    assert attempt.trace_id in response.content.decode()
    assert holds_nothing(response)
    for table in (User, Session, SpentAssertion, FederatedIdentity):
        assert not table._default_manager.exists()
