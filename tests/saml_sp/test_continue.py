"""The hand-over: between the identity provider's POST and the first request that shows the browser's own cookie."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts import sessions
from accounts.models import Session, User
from audit.kinds import Kind as AuditKind
from audit.models import Event
from saml_sp.models import SamlSession, SignInAttempt
from saml_sp.views import HANDOVER_COOKIE
from tests import factories
from tests.door import CONTINUE, Browser, holds_nothing
from tests.idp import ANA, Forge, email_attribute

if TYPE_CHECKING:
    from django.http import HttpResponse

    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db

EVE = "eve@customer.example"
SESSION = settings.SESSION_COOKIE_NAME


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp("customer")


def response_for(idp: IdentityProvider, email: str = ANA, **changes: Any) -> bytes:
    return Forge(idp, timezone.now()).xml(name_id=email, attributes=(email_attribute(email),), **changes)


def is_lost(response: HttpResponse) -> bool:
    page = response.content.decode()
    return response.status_code == 403 and "Please start again" in page and holds_nothing(response)


# --- Nobody was signed in ---------------------------------------------------------------------------------------------


def test_the_post_hands_out_no_session_but_the_way_to_one(idp: IdentityProvider) -> None:
    browser = Browser()
    posted = browser.send(idp, response_for(idp), "/profile/")
    assert (posted.status_code, posted.headers["Location"]) == (303, CONTINUE)
    assert set(posted.cookies) == {HANDOVER_COOKIE}
    cookie = posted.cookies[HANDOVER_COOKIE]
    assert (cookie["path"], cookie["max-age"], cookie["samesite"]) == (CONTINUE, 60, "Lax")
    assert cookie["secure"]
    assert cookie["httponly"]
    assert not cookie["domain"]
    assert browser.user is None


def test_the_session_cookie_is_kept_from_scripts_and_from_other_sites(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.send(idp, response_for(idp), "/profile/")
    adopted = browser.get(CONTINUE)
    assert (adopted.status_code, adopted.headers["Location"]) == (303, "/profile/")
    cookie = adopted.cookies[SESSION]
    assert (cookie["path"], cookie["samesite"], cookie["domain"]) == ("/", "Lax", "")
    assert cookie["secure"]
    assert cookie["httponly"]
    assert 24 * 3600 - 60 < cookie["max-age"] <= 24 * 3600
    assert adopted.headers["Cache-Control"] == "no-store"
    assert HANDOVER_COOKIE not in browser.jar
    assert browser.user == User.objects.get()


def test_it_is_adopted_once(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.send(idp, response_for(idp))
    thief = Browser(jar=dict(browser.jar))
    browser.get(CONTINUE)
    assert is_lost(thief.get(CONTINUE))
    assert thief.user is None
    assert browser.user is not None


def test_whoever_adopts_it_again_stays_signed_in(idp: IdentityProvider) -> None:
    """The back button, or a page that was opened twice."""
    browser = Browser()
    browser.send(idp, response_for(idp))
    again = dict(browser.jar)
    browser.get(CONTINUE)
    browser.jar |= again
    once_more = browser.get(CONTINUE)
    assert (once_more.status_code, once_more.headers["Location"]) == (303, "/")
    assert browser.user is not None


def test_it_cannot_be_adopted_late(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.send(idp, response_for(idp))
    waiting = Session.objects.get()
    assert timedelta(0) < waiting.expire_date - timezone.now() <= sessions.HANDOVER == timedelta(seconds=60)
    Session.objects.update(expire_date=timezone.now())
    assert is_lost(browser.get(CONTINUE))
    assert browser.user is None


def test_another_browser_cannot_adopt_it(idp: IdentityProvider) -> None:
    Browser().send(idp, response_for(idp))
    other = Browser()
    assert is_lost(other.get(CONTINUE))
    assert is_lost(other.get(CONTINUE, HTTP_COOKIE=f"{HANDOVER_COOKIE}={'a' * 32}"))
    assert other.user is None


@pytest.mark.parametrize("value", ['"\\000"', '"abcdefgh\\000"', "", '""', "é" * 40, "a" * 3000, '"\\377\\376"', "%00"])
@pytest.mark.parametrize("name", [HANDOVER_COOKIE, SESSION])
def test_a_cookie_of_rubbish_is_no_session_and_no_error(idp: IdentityProvider, name: str, value: str) -> None:
    """Python unquotes "\\000" in a cookie to a NUL, which PostgreSQL takes for no text at all."""
    response = Browser().get(CONTINUE, HTTP_COOKIE=f"{name}={value}")
    assert is_lost(response)
    assert Browser().get("/sign-in/", HTTP_COOKIE=f"{name}={value}").status_code == 200


def test_the_session_of_an_adopted_login_is_no_hand_over(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.sign_in(idp, response_for(idp))
    assert is_lost(Browser().get(CONTINUE, HTTP_COOKIE=f"{HANDOVER_COOKIE}={browser.session_key}"))


def test_a_user_who_is_deactivated_meanwhile_gets_no_session(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.send(idp, response_for(idp))
    User.objects.update(is_active=False)
    assert is_lost(browser.get(CONTINUE))
    assert browser.user is None


def test_sessions_that_were_ended_meanwhile_stay_ended(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.send(idp, response_for(idp))
    sessions.end_all(User.objects.get())
    assert is_lost(browser.get(CONTINUE))


@pytest.mark.parametrize("method", ["put", "delete", "patch", "head"])
def test_only_get_and_post_continue(idp: IdentityProvider, method: str) -> None:
    browser = Browser()
    browser.send(idp, response_for(idp))
    assert browser.request(method, CONTINUE).status_code in {403, 405}
    assert browser.user is None


# --- How long ---------------------------------------------------------------------------------------------------------


def length(browser: Browser) -> timedelta:
    session = Session.objects.get(session_key=browser.session_key)
    assert SamlSession.objects.get(session_key=session.session_key).expires_at == session.expire_date
    return session.expire_date - session.began_at


@pytest.mark.parametrize("hours", [1, 24, 720])
def test_a_session_ends_after_the_hours_of_its_idp(hours: int) -> None:
    idp = factories.idp("customer", session_hours=hours)
    browser = Browser()
    browser.sign_in(idp, response_for(idp))
    assert length(browser) == timedelta(hours=hours)


def test_a_session_ends_when_the_idp_says(idp: IdentityProvider) -> None:
    browser = Browser()
    ends = (timezone.now() + timedelta(minutes=7)).replace(microsecond=0)
    page = browser.sign_in(idp, response_for(idp, session_not_on_or_after=ends))
    assert page.status_code == 200
    assert Session.objects.get().expire_date == ends
    assert 6 * 60 < browser.jar[SESSION]["max-age"] <= 7 * 60


def test_an_idp_cannot_make_a_session_longer(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.sign_in(idp, response_for(idp, session_not_on_or_after=timezone.now() + timedelta(days=90)))
    assert length(browser) == timedelta(hours=24)


def test_a_session_that_ends_sooner_than_the_hand_over_is_handed_over(idp: IdentityProvider) -> None:
    browser = Browser()
    ends = timezone.now() + timedelta(seconds=30)
    browser.sign_in(idp, response_for(idp, session_not_on_or_after=ends))
    assert timezone.now() < Session.objects.get().expire_date <= ends


def test_a_session_that_is_over_signs_nobody_in(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.sign_in(idp, response_for(idp))
    Session.objects.update(expire_date=timezone.now())
    assert browser.get("/profile/").status_code == 302


def test_the_landing_page_does_not_make_a_session_longer(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.sign_in(idp, response_for(idp))
    before = Session.objects.values().get()
    browser.get("/")
    browser.get("/profile/")
    assert Session.objects.values().get() == before


# --- Somebody was signed in -------------------------------------------------------------------------------------------


def test_the_key_is_fresh_at_every_login_and_the_old_session_ends(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.sign_in(idp, response_for(idp))
    first = dict(browser.jar)
    key = browser.session_key
    page = browser.sign_in(idp, response_for(idp))
    assert page.status_code == 200
    assert browser.session_key != key
    assert Session.objects.get().session_key == browser.session_key
    assert Browser(jar=first).user is None


def test_a_session_key_that_was_planted_is_not_taken_over(idp: IdentityProvider) -> None:
    """Session fixation: whatever key the browser came with, the login has another."""
    planted = sessions.SessionStore()
    planted["colour"] = "red"
    planted.create()
    posted = Browser().send(idp, response_for(idp))
    cookies = f"{SESSION}={planted.session_key}; {HANDOVER_COOKIE}={posted.cookies[HANDOVER_COOKIE].value}"
    adopted = Browser().get(CONTINUE, HTTP_COOKIE=cookies)
    key = adopted.cookies[SESSION].value
    assert key != planted.session_key
    assert "colour" not in Session.objects.get(session_key=key).get_decoded()
    assert not Session.objects.filter(session_key=planted.session_key).exists()


@pytest.fixture
def asked(idp: IdentityProvider) -> Browser:
    """A browser in which Ana is signed in and Eve's sign-in has just arrived."""
    browser = Browser()
    browser.sign_in(idp, response_for(idp))
    browser.send(idp, response_for(idp, EVE), "/profile/")
    return browser


def token(page: HttpResponse) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    assert found
    return found[1]


def test_somebody_else_is_asked_for(asked: Browser) -> None:
    page = asked.get(CONTINUE)
    text = page.content.decode()
    assert page.status_code == 200
    assert ANA in text
    assert f"Continue as {EVE}" in text
    assert SESSION not in page.cookies
    assert asked.user == User.objects.get(email=ANA)
    # There is time to answer, and no more than that.
    waiting = Session.objects.get(user__email=EVE)
    assert timedelta(minutes=4) < waiting.expire_date - timezone.now() <= timedelta(minutes=5)
    assert page.cookies[HANDOVER_COOKIE]["max-age"] == 300


def test_continuing_replaces_the_person(asked: Browser) -> None:
    old = asked.session_key
    answer = {"answer": "continue", "csrfmiddlewaretoken": token(asked.get(CONTINUE))}
    done = asked.post(CONTINUE, answer)
    assert (done.status_code, done.headers["Location"]) == (303, "/profile/")
    assert asked.user == User.objects.get(email=EVE)
    assert not Session.objects.filter(session_key=old).exists()


def test_staying_ends_the_new_session(asked: Browser) -> None:
    old = asked.session_key
    page = asked.get(CONTINUE)
    waiting = dict(asked.jar)
    done = asked.post(CONTINUE, {"answer": "stay", "csrfmiddlewaretoken": token(page)})
    assert (done.status_code, done.headers["Location"]) == (303, "/")
    assert asked.user == User.objects.get(email=ANA)
    assert asked.session_key == old
    assert not Session.objects.filter(user__email=EVE).exists()
    assert Event.objects.filter(kind=AuditKind.SSO_SESSION_DECLINED.value).exists()
    asked.jar |= waiting
    assert asked.get(CONTINUE).headers["Location"] == "/"
    assert asked.user == User.objects.get(email=ANA)


@pytest.mark.parametrize("answer", ["continue", "stay", "", "yes"])
def test_an_answer_needs_its_token(asked: Browser, answer: str) -> None:
    asked.get(CONTINUE)
    for form in ({"answer": answer}, {"answer": answer, "csrfmiddlewaretoken": "x" * 64}):
        assert asked.post(CONTINUE, form).status_code == 403
    assert asked.user == User.objects.get(email=ANA)
    assert Session.objects.filter(user__email=EVE, adopted_at=None).exists()


def test_an_answer_cannot_be_given_by_a_link_or_by_another_site(asked: Browser) -> None:
    page = asked.get(CONTINUE)
    assert asked.get(f"{CONTINUE}?answer=continue&csrfmiddlewaretoken={token(page)}").status_code == 200
    crossing = asked.post(CONTINUE, {"answer": "continue", "csrfmiddlewaretoken": token(page)}, cross_site=True)
    assert crossing.status_code == 403
    assert asked.user == User.objects.get(email=ANA)


def test_an_adopted_session_of_somebody_else_is_not_asked_about(asked: Browser, idp: IdentityProvider) -> None:
    other = Browser()
    other.sign_in(idp, response_for(idp, "max@customer.example"))
    cookies = f"{SESSION}={asked.session_key}; {HANDOVER_COOKIE}={other.session_key}"
    response = asked.get(CONTINUE, HTTP_COOKIE=cookies)
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert other.user == User.objects.get(email="max@customer.example")


def test_another_answer_asks_again(asked: Browser) -> None:
    page = asked.get(CONTINUE)
    again = asked.post(CONTINUE, {"answer": "perhaps", "csrfmiddlewaretoken": token(page)})
    assert again.status_code == 200
    assert f"Continue as {EVE}" in again.content.decode()


def test_an_answer_that_comes_late_changes_nothing(asked: Browser) -> None:
    page = asked.get(CONTINUE)
    Session.objects.filter(user__email=EVE).update(expire_date=timezone.now())
    done = asked.post(CONTINUE, {"answer": "continue", "csrfmiddlewaretoken": token(page)})
    assert (done.status_code, done.headers["Location"]) == (303, "/")
    assert asked.user == User.objects.get(email=ANA)


def test_a_local_session_of_somebody_else_is_asked_about_as_well(idp: IdentityProvider) -> None:
    staff = factories.user("staff@portico.example", is_staff=True)
    local = Client()
    local.force_login(staff)
    browser = Browser(jar={SESSION: local.cookies[SESSION]})
    assert browser.user == staff
    browser.send(idp, response_for(idp))
    assert "Continue as" in browser.get(CONTINUE).content.decode()
    assert browser.user == staff


def test_a_signed_in_person_who_replays_is_shown_the_way_on(idp: IdentityProvider) -> None:
    browser = Browser()
    xml = response_for(idp)
    browser.sign_in(idp, xml)
    refused = browser.send(idp, xml)
    assert (refused.status_code, SignInAttempt.objects.latest("pk").code) == (403, "replayed")
    assert 'href="/"' in refused.content.decode()
    assert browser.get("/").status_code == 200
