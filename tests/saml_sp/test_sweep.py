"""`manage.py sweep` deletes what has served, and only that."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import CacheEntry, Session, User
from audit.retention import delete_in_batches
from saml_sp.models import IdentityProvider, LogoutAttempt, SamlSession, SignInAttempt, SpentAssertion

pytestmark = pytest.mark.django_db


@pytest.fixture
def idp() -> IdentityProvider:
    return IdentityProvider.objects.draft("acme")


def sweep() -> list[str]:
    out = io.StringIO()
    call_command("sweep", stdout=out)
    return out.getvalue().splitlines()


def test_it_deletes_what_has_served_and_says_how_much(idp: IdentityProvider) -> None:
    now = timezone.now()
    soon, past = now + timedelta(hours=1), now - timedelta(seconds=1)
    person = User.objects.create_user("ada@example.com")
    for count, expires in (("past", past), ("soon", soon)):
        CacheEntry.objects.create(cache_key=count, value="", expires=expires)
    SpentAssertion.objects.create(idp=idp, assertion_id="_past", expires_at=past)
    SpentAssertion.objects.create(idp=idp, assertion_id="_soon", expires_at=soon)
    SignInAttempt.objects.create(trace_id="old", at=now - timedelta(days=91), outcome="refused")
    SignInAttempt.objects.create(trace_id="new", at=now - timedelta(days=89), outcome="refused")
    for trace_id, over in (("forgotten", timedelta(hours=2)), ("late", timedelta(minutes=2))):
        SignInAttempt.objects.create(
            trace_id=trace_id, at=now - over, outcome="outstanding", request_id=trace_id, expires_at=now - over
        )
    for request_id, expires in (("_past", past - timedelta(days=1)), ("_soon", past)):
        LogoutAttempt.objects.create(request_id=request_id, idp=idp, at=expires, expires_at=expires)
    for key, expires in (("past", past), ("soon", soon)):
        Session.objects.create(session_key=key, session_data="", expire_date=expires, user=person)
    for key in ("past", "soon", "signed-out"):
        SamlSession.objects.create(
            session_key=key, idp=idp, user=person, name_id="ada", name_id_key="x", expires_at=soon
        )
    assert sweep() == [
        "spent assertions: 1 deleted",
        "requests without an answer: 1 deleted",
        "logout requests of ours: 1 deleted",
        "sign-in attempts: 1 deleted",
        "expired sessions: 1 deleted",
        "counts of rate limits: 1 deleted",
        "orphaned SAML sessions: 2 deleted",
    ]
    assert SpentAssertion.objects.get().assertion_id == "_soon"
    assert {attempt.trace_id for attempt in SignInAttempt.objects.all()} == {"new", "late"}
    assert Session.objects.get().session_key == "soon"
    assert SamlSession.objects.get().session_key == "soon"


def test_it_finds_nothing_the_second_time(idp: IdentityProvider) -> None:
    SpentAssertion.objects.create(idp=idp, assertion_id="_1", expires_at=timezone.now() - timedelta(days=1))
    sweep()
    assert all(line.endswith(": 0 deleted") for line in sweep())


def test_it_deletes_more_than_one_batch(idp: IdentityProvider) -> None:
    past = timezone.now() - timedelta(days=1)
    SpentAssertion.objects.bulk_create(
        SpentAssertion(idp=idp, assertion_id=f"_{number}", expires_at=past) for number in range(7)
    )
    assert delete_in_batches(SpentAssertion.objects.filter(expires_at=past), batch=3) == 7
    assert not SpentAssertion.objects.exists()
