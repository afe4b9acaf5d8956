"""Switching off, merging and the one-time link, on several processes at once."""

from __future__ import annotations

import http.client
import threading
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts import break_glass, merging
from accounts.actors import Actor
from accounts.models import Session, User
from audit.kinds import Kind
from audit.models import Event
from saml_sp import configuration
from saml_sp.models import SamlSession
from tests import factories
from tests.idp import ANA, Forge, email_attribute
from tests.saml_sp.crowds import CROWD, Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db(transaction=True)

SOMEBODY = Actor("a test")
BOB = "bob@other.example"


def signed_in(workers: Workers, idp: IdentityProvider) -> str:
    """The key of a new session."""
    (answer,) = workers.crowd(idp, [Forge(idp, timezone.now()).xml()])
    assert answer.session_key
    return answer.session_key


def profile(workers: Workers, session_key: str) -> int:
    """The status of a page for people who are signed in, asked for anew, of whichever worker comes first."""
    link = http.client.HTTPConnection("127.0.0.1", workers.port, timeout=60)
    link.request("GET", "/profile/", headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={session_key}"})
    with link.getresponse() as response:
        return response.status


def everybody_at_once(do: Callable[[], object]) -> list[object]:
    """What each of a crowd of threads got, connections of their own, at one moment."""
    barrier = threading.Barrier(CROWD, timeout=30)

    def one(_: int) -> object:
        try:
            barrier.wait()
            return do()
        except merging.MergeRefused as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(CROWD) as pool:
        return list(pool.map(one, range(CROWD)))


def test_the_very_next_request_of_a_live_session_is_refused_on_every_process(workers: Workers) -> None:
    idp = factories.idp()
    keys = [signed_in(workers, idp) for _ in range(2)]
    assert {profile(workers, key) for key in keys for _ in range(4)} == {200}
    call_command("user", "deactivate", ANA.upper(), "--because", "has left")
    assert {profile(workers, key) for key in keys for _ in range(8)} == {302}
    user = User.objects.get()
    assert (user.is_active, user.inactive_because) == (False, "has left")
    assert not Session.objects.filter(user=user).exists()
    assert not SamlSession.objects.exists()


def test_neither_a_sign_in_nor_switching_on_again_brings_anything_back(workers: Workers) -> None:
    idp = factories.idp()
    key = signed_in(workers, idp)
    row = Session.objects.get(session_key=key)
    call_command("user", "deactivate", ANA)
    (refused,) = workers.crowd(idp, [Forge(idp, timezone.now()).xml()])
    assert (refused.status, refused.session_key) == (403, None)
    assert not User.objects.get().is_active
    # A sign-in that was under way may have left its session behind, the moment after everything was ended.
    row.save(force_insert=True)
    assert profile(workers, key) == 302
    call_command("user", "reactivate", ANA)
    assert profile(workers, key) == 302
    # And if it comes later still, it is void: it was made before.
    row.save(force_insert=True)
    assert profile(workers, key) == 302
    assert profile(workers, signed_in(workers, idp)) == 200
    kinds = list(Event.objects.filter(subject_type="user", kind__startswith="admin:").values_list("kind", flat=True))
    assert sorted(kinds) == [Kind.USER_DEACTIVATED, Kind.USER_REACTIVATED]


def test_disabling_an_identity_provider_ends_what_it_vouched_for_and_nothing_else(workers: Workers) -> None:
    acme, other = factories.idp(), factories.idp()
    theirs = signed_in(workers, acme)
    bobs = Forge(other, timezone.now()).xml(name_id=BOB, attributes=(email_attribute(BOB),))
    (answer,) = workers.crowd(other, [bobs])
    assert answer.session_key
    configuration.disable(acme, now=timezone.now(), actor=SOMEBODY)
    assert {profile(workers, theirs) for _ in range(8)} == {302}
    assert profile(workers, answer.session_key) == 200


def test_of_many_merges_at_once_one_is_done(transactional_db: None) -> None:
    idp = factories.idp()
    gone, keep = factories.user("ana@old.example"), factories.user("ana@new.example")
    factories.identity(idp, gone)
    now = timezone.now()
    found = everybody_at_once(lambda: merging.merge(gone, keep, now=now, actor=SOMEBODY))
    assert max(map(str, found)) == "{'assignments': 0, 'identities': 1}"
    assert sum(isinstance(one, merging.MergeRefused) for one in found) == CROWD - 1
    assert keep.identities.count() == 1
    assert Event.objects.filter(kind=Kind.USER_MERGED).count() == 1


def test_of_two_merges_the_other_way_round_one_is_done(transactional_db: None) -> None:
    one, other = factories.user("ana@old.example"), factories.user("ana@new.example")
    pairs = [(one, other), (other, one)] * (CROWD // 2)
    found = everybody_at_once(lambda: merging.merge(*pairs.pop(), now=timezone.now(), actor=SOMEBODY))
    assert sum(isinstance(each, merging.MergeRefused) for each in found) == CROWD - 1
    assert User.objects.filter(is_active=True).count() == 1


def test_a_break_glass_link_opened_by_many_at_once_signs_one_in(workers: Workers) -> None:
    factories.user("root@portico.example", is_staff=True, is_superuser=True)
    link = break_glass.make_link("root@portico.example", now=timezone.now(), actor=SOMEBODY)
    where = urlsplit(link).path
    barrier = threading.Barrier(CROWD, timeout=30)

    def press(_: int) -> tuple[int, bool]:
        wire = http.client.HTTPConnection("127.0.0.1", workers.port, timeout=60)
        wire.request("GET", where)
        with wire.getresponse() as page:
            page.read()
            csrf = SimpleCookie(page.headers["Set-Cookie"])[settings.CSRF_COOKIE_NAME].value
        data = urlencode({"csrfmiddlewaretoken": csrf})
        headers = {
            "Cookie": f"{settings.CSRF_COOKIE_NAME}={csrf}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": settings.PORTICO_BASE_URL,
        }
        barrier.wait()
        wire.request("POST", where, data, headers)
        with wire.getresponse() as answer:
            answer.read()
            return answer.status, settings.SESSION_COOKIE_NAME in str(answer.headers.get_all("Set-Cookie"))

    with ThreadPoolExecutor(CROWD) as pool:
        found = list(pool.map(press, range(CROWD)))
    assert min(found) == (302, True)
    assert {status for status, _ in found} == {302, 404}
    assert sum(signed for _, signed in found) == 1
    assert Session.objects.filter(user__isnull=False).count() == 1
