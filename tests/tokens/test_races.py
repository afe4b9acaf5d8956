"""Two at the same moment: the database decides."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.deactivation import deactivate
from accounts.models import User
from accounts.origins import Origin
from tests import factories
from tests.tokens.making import OPERATOR, token_of
from tokens import bearer, issuing, throttle
from tokens.models import ApiToken, RefusedAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

# What is made here is committed, so that the other threads see it.
pytestmark = pytest.mark.django_db(transaction=True)
CROWD = 8


def at_once(act: Callable[[], Any]) -> list[Any]:
    """Let a crowd do the same at the same moment; what each got, or the exception that it met."""
    barrier = threading.Barrier(CROWD)

    def one() -> Any:
        try:
            connection.ensure_connection()
            barrier.wait()
            return act()
        except (issuing.IssueRefused, issuing.MadeAlready) as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(CROWD) as pool:
        return [future.result() for future in [pool.submit(one) for _ in range(CROWD)]]


def make(owner: User, **facts: Any) -> Any:
    return issuing.create(
        owner, name="ci", scopes=["read:self"], expires_in_days=None, now=timezone.now(), actor=OPERATOR, **facts
    )


def test_the_limit_holds_for_a_crowd(settings: Settings) -> None:
    settings.PORTICO_TOKENS_PER_USER = 3
    owner = factories.user()
    answers = at_once(lambda: make(owner))
    assert sum(isinstance(answer, issuing.IssueRefused) for answer in answers) == CROWD - 3
    assert ApiToken.objects.count() == 3


def test_one_form_makes_one_token_for_a_crowd() -> None:
    owner, form = factories.user(), uuid.uuid4()
    answers = at_once(lambda: make(owner, once=form))
    assert sum(isinstance(answer, issuing.MadeAlready) for answer in answers) == CROWD - 1
    assert ApiToken.objects.count() == 1


def test_rotating_in_a_crowd_yields_one_new_token() -> None:
    token, _text = token_of(factories.user())
    answers = at_once(lambda: issuing.rotate(token, now=timezone.now(), actor=OPERATOR))
    assert sum(isinstance(answer, issuing.IssueRefused) for answer in answers) == CROWD - 1
    assert ApiToken.objects.live(timezone.now()).count() == 1


def test_revoking_in_a_crowd_is_done_and_written_down_once() -> None:
    token, _text = token_of(factories.user())
    pk = token.pk
    answers = at_once(lambda: issuing.revoke(ApiToken.objects.get(pk=pk), now=timezone.now(), actor=OPERATOR))
    assert answers.count(True) == 1


def test_no_token_is_left_of_an_account_that_was_switched_off_meanwhile() -> None:
    owner = factories.user()
    turns = iter(range(CROWD))

    def act() -> Any:
        if next(turns) == CROWD // 2:
            return deactivate(User.objects.get(pk=owner.pk), now=timezone.now(), actor=OPERATOR)
        return make(owner)

    at_once(act)
    assert not ApiToken.objects.live(timezone.now()).exists()


def test_a_crowd_of_uses_is_written_down_once_and_all_are_let_in() -> None:
    token, text = token_of(factories.user())
    now = timezone.now()
    answers = at_once(
        lambda: bearer.authenticate(f"Bearer {text}", now=now, origin=Origin(ip="192.0.2.1", user_agent=""))
    )
    assert {answer.pk for answer in answers} == {token.pk}
    token.refresh_from_db()
    assert token.last_used_at == now


def test_a_crowd_of_refusals_is_counted_to_the_last() -> None:
    now = timezone.now()
    at_once(lambda: throttle.seconds_to_wait("192.0.2.1", now))
    assert RefusedAddress.objects.get().count == CROWD
