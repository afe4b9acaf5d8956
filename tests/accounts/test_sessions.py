"""The list of one's own sessions, and ending them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from accounts import sessions
from accounts.models import Session
from audit.kinds import Kind
from audit.models import Event
from tests.accounts.people import text, token_of, try_password
from tests.door import Browser
from tests.idp import Forge

if TYPE_CHECKING:
    from django.http import HttpResponse

    from accounts.models import User
    from saml_sp.models import IdentityProvider

END = "/account/sessions/end/"


def end(browser: Browser, which: str) -> HttpResponse:
    return browser.post(END, {"which": which, "csrfmiddlewaretoken": token_of(browser.get("/profile/"))})


@pytest.fixture
def phone(lou: User) -> Browser:
    """Another browser in which Lou is signed in."""
    visitor = Browser()
    try_password(lou, browser=visitor, HTTP_USER_AGENT="Mozilla/5.0 (iPhone) Version/18.0 Safari/604.1")
    return visitor


def test_both_doors_write_the_list(ana: Browser, browser: Browser, acme: IdentityProvider) -> None:
    assert re.search(r"this browser Through Acme Okta, from 127\.0\.0\.1, since", text(ana.get("/profile/")))
    assert re.search(r"this browser By password, from 127\.0\.0\.1, since", text(browser.get("/profile/")))


def test_one_signs_out_in_one_other_browser(lou: User, browser: Browser, phone: Browser) -> None:
    tablet = Browser()
    try_password(lou, browser=tablet)
    assert phone.session_key
    page = browser.get("/profile/")
    assert phone.session_key not in page.content.decode()
    answer = end(browser, sessions.handle(phone.session_key))
    assert answer.headers["Location"] == "/profile/"
    assert "You are signed out there." in text(browser.get("/profile/"))
    assert (browser.user, phone.user, tablet.user) == (lou, None, lou)
    assert Event.objects.get(kind=Kind.OTHER_SESSIONS_ENDED).data == {"count": 1}


def test_one_signs_out_everywhere_else(lou: User, browser: Browser, phone: Browser, ana: Browser) -> None:
    assert "Sign out everywhere else" in text(browser.get("/profile/"))
    end(browser, "others")
    assert (browser.user, phone.user) == (lou, None)
    assert ana.user
    page = browser.get("/profile/")
    assert "Sign out everywhere else" not in text(page)
    assert phone.get("/").status_code == 302


def test_people_whom_an_identity_provider_manages_do_so_too(ana: Browser, acme: IdentityProvider) -> None:
    other = Browser()
    other.sign_in(acme, Forge(acme, timezone.now()).xml())
    end(ana, "others")
    assert ana.user
    assert other.user is None


def test_ones_own_session_ends_as_by_signing_out(browser: Browser) -> None:
    assert browser.session_key
    answer = end(browser, sessions.handle(browser.session_key))
    assert answer.headers["Location"].startswith("/signed-out/")
    assert browser.user is None
    assert Event.objects.filter(kind=Kind.SIGN_OUT).count() == 1


def test_nobody_ends_another_persons_session(browser: Browser, ana: Browser) -> None:
    assert ana.session_key
    for which in (sessions.handle(ana.session_key), ana.session_key, "", "x" * 32):
        end(browser, which)
        assert "That session was over already." in text(browser.get("/profile/"))
    assert ana.user
    assert not Event.objects.filter(kind=Kind.OTHER_SESSIONS_ENDED).exists()


def test_it_takes_a_post_with_its_token(browser: Browser, phone: Browser) -> None:
    assert browser.get(END).status_code == 405
    assert browser.post(END, {"which": "others"}).status_code == 403
    assert phone.user
    assert Session.objects.count() >= 2


def test_the_profile_of_a_local_person_says_what_they_can_change(browser: Browser) -> None:
    page = text(browser.get("/profile/"))
    assert "What you can change here E-mail Lou@Portico.example Change it Password Change it Second factor off" in page
