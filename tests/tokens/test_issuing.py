"""Making, rotating and revoking: what is refused and with which sentence, and what is written down."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from accounts.actors import Actor
from accounts.deactivation import deactivate
from accounts.origins import Origin
from audit.kinds import Kind
from audit.models import Event
from orgs.models import AccessLevel, LevelGrant
from tests import factories
from tests.tokens.making import OPERATOR, token_of
from tokens import bearer, issuing
from tokens.models import MAX_NAME, ApiToken, RefusedAddress, State
from tokens.scopes import Scope, may_have, within_reach

if TYPE_CHECKING:
    from pytest_django import Settings

    from accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> User:
    return factories.user()


def refused(owner: User, **facts: object) -> issuing.IssueRefused:
    ask = {"name": "ci", "scopes": ["read:self"], "expires_in_days": 30, "now": timezone.now(), "actor": OPERATOR}
    with pytest.raises(issuing.IssueRefused) as caught:
        issuing.create(owner, **(ask | facts))  # type: ignore[arg-type]  # what is wrong is the test
    assert not ApiToken.objects.filter(name="made in spite of it").exists()
    return caught.value


def event(kind: Kind) -> Event:
    return Event.objects.get(kind=kind)


def test_it_makes_a_token_and_writes_that_down_without_the_secret(owner: User) -> None:
    now = timezone.now()
    token, secret = issuing.create(
        owner, name="  nightly report ", scopes=["write:tokens", "read:self", "read:self"], expires_in_days=7,
        now=now, actor=Actor(str(owner), str(owner.pk), "192.0.2.1"),
    )  # fmt: skip
    token.refresh_from_db()
    assert (token.name, token.scopes) == ("nightly report", ["read:self", "write:tokens"])
    assert (token.created_at, token.expires_at) == (now, now + timedelta(days=7))
    assert token.prefix == secret.reveal()[:8]
    assert str(token) == f"nightly report ({token.prefix}…)"
    written = event(Kind.TOKEN_CREATED)
    assert (written.actor, written.ip, written.subject_id) == (owner.email, "192.0.2.1", str(token.pk))
    assert written.data == {
        "owner": owner.email, "owner_id": str(owner.pk), "scopes": token.scopes,
        "expires_at": token.expires_at.isoformat(),
    }  # fmt: skip


def test_without_a_wish_it_lives_for_the_usual_time(owner: User, settings: Settings) -> None:
    settings.PORTICO_TOKEN_DAYS = 11
    token, _text = token_of(owner)
    assert token.expires_at - token.created_at == timedelta(days=11)


@pytest.mark.parametrize(
    ("facts", "field", "words"),
    [
        ({"name": "   "}, "name", "Give the token a name"),
        ({"name": "x" * (MAX_NAME + 1)}, "name", f"may have {MAX_NAME} characters, but has {MAX_NAME + 1}"),
        ({"name": "one\ntwo"}, "name", "printable"),
        ({"scopes": []}, "scopes", "at least one"),
        ({"scopes": ["read:self", "root"]}, "scopes", "There is no scope 'root'. There are: read:self, "),
        ({"scopes": ["admin:users"]}, "scopes", "may not do what admin:users stands for"),
        ({"expires_in_days": 0}, "expires_in_days", "1 to 365 days, not 0"),
        ({"expires_in_days": 366}, "expires_in_days", "1 to 365 days, not 366"),
        ({"expires_in_days": 10**30}, "expires_in_days", "1 to 365 days"),
    ],
)
def test_it_refuses_a_wrong_value_and_names_it(owner: User, facts: dict[str, object], field: str, words: str) -> None:
    refusal = refused(owner, **facts)
    assert refusal.field == field
    assert words in str(refusal)


def test_it_refuses_an_account_that_is_switched_off(owner: User) -> None:
    deactivate(owner, now=timezone.now(), actor=OPERATOR)
    assert "switched off" in str(refused(owner))


def test_it_refuses_more_tokens_than_anybody_may_have_and_ended_ones_do_not_count(
    owner: User, settings: Settings
) -> None:
    settings.PORTICO_TOKENS_PER_USER = 2
    first, _text = token_of(owner)
    token_of(owner, days=1, now=timezone.now() - timedelta(days=2))
    token_of(owner)
    refusal = refused(owner)
    assert (refusal.field, "2 tokens already" in str(refusal)) == ("", True)
    issuing.revoke(first, now=timezone.now(), actor=OPERATOR)
    token_of(owner)


def test_a_scope_of_the_administration_follows_the_right_of_the_owner(owner: User) -> None:
    assert within_reach(owner) == [Scope.READ_SELF, Scope.WRITE_TOKENS, Scope.READ_ORG]
    boss = factories.user("boss@portico.example", is_staff=True, is_superuser=True)
    assert within_reach(boss) == list(Scope)
    LevelGrant.objects.create(user=owner, level=AccessLevel.SUPER_ADMIN)
    again = type(owner).objects.get(pk=owner.pk)
    assert may_have(again, Scope.ADMIN_USERS) is again.has_perm("accounts.view_user")
    assert all(scope.description for scope in Scope)


def test_a_program_makes_no_token_that_may_do_more_or_lives_longer_than_its_own(owner: User) -> None:
    now = timezone.now()
    own, _text = token_of(owner, scopes=(Scope.READ_SELF, Scope.WRITE_TOKENS), days=30, now=now)
    later = now + timedelta(days=1)
    assert "lacks read:org" in str(refused(owner, scopes=["read:org"], below=own, now=later, expires_in_days=1))
    refusal = refused(owner, below=own, now=later, expires_in_days=30)
    assert (refusal.field, "ends on" in str(refusal)) == ("expires_in_days", True)
    made, _secret = issuing.create(
        owner, name="sub", scopes=["read:self"], expires_in_days=None, now=later, actor=OPERATOR, below=own
    )
    assert made.expires_at == own.expires_at
    same, _secret = issuing.create(
        owner, name="sub", scopes=["read:self"], expires_in_days=29, now=later, actor=OPERATOR, below=own
    )
    assert same.expires_at == own.expires_at
    assert Event.objects.filter(kind=Kind.TOKEN_CREATED).first().data["by_token"] == str(own)  # type: ignore[union-attr]  # there is one


def test_a_form_that_comes_twice_makes_one_token(owner: User) -> None:
    form = uuid.uuid4()
    ask = {"name": "ci", "scopes": ["read:self"], "expires_in_days": 30, "now": timezone.now(), "actor": OPERATOR}
    made, _secret = issuing.create(owner, **ask, once=form)  # type: ignore[arg-type]  # a dictionary of several types
    with pytest.raises(issuing.MadeAlready) as caught:
        issuing.create(owner, **ask, once=form)  # type: ignore[arg-type]  # as above
    assert caught.value.token == made
    other = factories.user("other@customer.example")
    issuing.create(other, **ask, once=form)  # type: ignore[arg-type]  # as above


def test_rotating_ends_the_old_secret_and_keeps_name_scopes_and_end(owner: User) -> None:
    old, text = token_of(owner, days=30)
    later = timezone.now() + timedelta(days=3)
    new, secret = issuing.rotate(old, now=later, actor=OPERATOR)
    assert (new.name, new.scopes, new.expires_at) == (old.name, old.scopes, old.expires_at)
    nobody = Origin(ip=None, user_agent="")
    with pytest.raises(bearer.TokenRevoked):
        bearer.authenticate(f"Bearer {text}", now=later, origin=nobody)
    assert bearer.authenticate(f"Bearer {secret.reveal()}", now=later, origin=nobody) == new
    assert event(Kind.TOKEN_ROTATED).data["replaces_id"] == str(old.pk)


def test_rotating_may_give_another_end_but_none_beyond_what_is_allowed(owner: User) -> None:
    old, _text = token_of(owner, days=30)
    now = timezone.now()
    with pytest.raises(issuing.IssueRefused):
        issuing.rotate(old, now=now, actor=OPERATOR, expires_in_days=1000)
    new, _secret = issuing.rotate(old, now=now, actor=OPERATOR, expires_in_days=60)
    assert new.expires_at == now + timedelta(days=60)


@pytest.mark.parametrize("state", [State.REVOKED, State.EXPIRED])
def test_what_has_ended_is_not_rotated(owner: User, state: State) -> None:
    old, _text = token_of(owner, days=1)
    now = timezone.now()
    if state is State.REVOKED:
        issuing.rotate(old, now=now, actor=OPERATOR)
    else:
        now += timedelta(days=2)
    with pytest.raises(issuing.IssueRefused, match="has ended meanwhile"):
        issuing.rotate(old, now=now, actor=OPERATOR)
    assert ApiToken.objects.count() == (2 if state is State.REVOKED else 1)


def test_revoking_is_done_once_and_says_whose_doing_it_was(owner: User) -> None:
    now = timezone.now()
    own, _text = token_of(owner)
    assert issuing.revoke(own, now=now, actor=Actor(str(owner), str(owner.pk)))
    assert not issuing.revoke(own, now=now + timedelta(days=1), actor=OPERATOR)
    assert (own.revoked_at, own.revoked_by) == (now, owner.email)
    assert event(Kind.TOKEN_REVOKED).subject_id == str(own.pk)
    other, _text = token_of(owner)
    issuing.revoke(other, now=now, actor=OPERATOR)
    assert event(Kind.TOKEN_REVOKED_BY_ADMIN).actor == OPERATOR.label


def test_every_token_is_in_one_state_and_found_by_it(owner: User) -> None:
    now = timezone.now()
    expected = {
        State.LIVE: token_of(owner, days=8, now=now)[0],
        State.EXPIRING: token_of(owner, days=7, now=now)[0],
        State.EXPIRED: token_of(owner, days=1, now=now - timedelta(days=1))[0],
        State.REVOKED: token_of(owner, now=now)[0],
    }
    issuing.revoke(expected[State.REVOKED], now=now, actor=OPERATOR)
    for state, token in expected.items():
        assert token.state(now) is state
        assert list(ApiToken.objects.in_state(state, now)) == [token]
    assert set(ApiToken.objects.live(now)) == {expected[State.LIVE], expected[State.EXPIRING]}
    assert set(ApiToken.objects.ended(now)) == {expected[State.EXPIRED], expected[State.REVOKED]}


def test_rows_name_themselves(owner: User) -> None:
    row = RefusedAddress(address="192.0.2.1", began_at=timezone.now(), count=3)
    assert str(row).startswith("192.0.2.1: 3 since ")
