"""The doors on the sign-in page: the default identity provider, buttons, and passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from audit.kinds import Kind
from audit.models import Event
from saml_sp.models import IdentityProvider, SignInAttempt
from tests import factories
from tests.door import Browser
from tests.idp import ANA, Forge
from tests.pages.forms import PASSWORD, submit, text, token

if TYPE_CHECKING:
    from django.http import HttpResponse

pytestmark = pytest.mark.django_db

LOCAL = "/sign-in/?local=1"


@pytest.fixture
def default() -> IdentityProvider:
    """The identity provider that everybody is sent to."""
    return factories.idp("acme", description="Acme Okta", is_default=True, portal_url="https://portal.acme.example/")


def by_password(email: str, password: str = PASSWORD, path: str = LOCAL) -> tuple[Browser, HttpResponse]:
    browser = Browser()
    return browser, submit(browser, path, {"username": email, "password": password})


# --- The default identity provider ---


def test_the_sign_in_page_leads_straight_to_the_default_identity_provider(default: IdentityProvider) -> None:
    browser = Browser()
    page = browser.get("/profile/")
    page = browser.get(page.headers["Location"])
    assert (page.status_code, page.headers["Location"]) == (302, "/saml/acme/login/?next=%2Fprofile%2F")
    page = browser.get(page.headers["Location"])
    assert page.headers["Location"].startswith(default.sso_url + "?SAMLRequest=")
    assert SignInAttempt.objects.get().target == "/profile/"


def test_it_takes_no_target_on_another_site_along(default: IdentityProvider) -> None:
    assert Browser().get("/sign-in/", data={"next": "//evil.example"}).headers["Location"] == "/saml/acme/login/"


def test_local_1_still_reaches_the_form(default: IdentityProvider) -> None:
    page = Browser().get(LOCAL)
    assert page.status_code == 200
    assert 'name="password"' in page.content.decode()
    factories.user("root@portico.example", password=PASSWORD, is_staff=True)
    browser, answer = by_password("root@portico.example", path="/sign-in/?local=1&next=/profile/")
    assert answer.headers["Location"] == "/profile/"
    assert browser.user


def test_a_wrong_password_is_not_sent_to_the_default_identity_provider(default: IdentityProvider) -> None:
    browser = Browser()
    form = browser.get(LOCAL)
    answer = browser.post("/sign-in/", {"username": "a@b.example", "password": "x", "csrfmiddlewaretoken": token(form)})
    assert answer.status_code == 200
    assert "do not match" in text(answer)


def test_the_page_after_signing_out_does_not_bounce_back_in(default: IdentityProvider) -> None:
    browser = Browser()
    browser.sign_in(default, Forge(default, timezone.now()).xml())
    answer = submit(browser, "/sign-out/")
    page = browser.get(answer.headers["Location"])
    assert page.status_code == 200
    assert "You are signed out." in text(page)
    assert not page.headers.get("Refresh")


@pytest.mark.parametrize("switch", ["enabled", "sp_initiated", "is_default"])
def test_one_that_cannot_be_asked_is_not_led_to(default: IdentityProvider, switch: str) -> None:
    setattr(default, switch, False)
    default.save()
    assert Browser().get("/sign-in/").status_code == 200


# --- Buttons ---


def test_only_those_that_are_to_be_shown_have_a_button(default: IdentityProvider) -> None:
    factories.idp("shown", description="Shown & Co.", show_on_sign_in=True)
    factories.idp("off", description="Switched off", show_on_sign_in=True, enabled=False)
    page = Browser().get("/sign-in/?local=1&next=/profile/")
    assert "Sign in with Shown &amp; Co." in page.content.decode()
    assert 'href="/saml/shown/login/?next=%2Fprofile%2F"' in page.content.decode()
    assert "Switched off" not in text(page)
    assert "Acme" not in text(page)


# --- Passwords ---


def test_a_local_person_who_is_not_staff_signs_in_too() -> None:
    person = factories.user("local@portico.example", password=PASSWORD)
    browser, answer = by_password("LOCAL@portico.example")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert browser.user == person
    assert Event.objects.get(kind=Kind.LOCAL_SIGN_IN).subject_id == str(person.pk)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("local@portico.example", "battery staple"),
        ("nobody@portico.example", PASSWORD),
        ("off@portico.example", PASSWORD),
        ("empty@portico.example", PASSWORD),
        ("not an address", PASSWORD),
    ],
)
def test_every_failure_looks_alike(email: str, password: str) -> None:
    factories.user("local@portico.example", password=PASSWORD)
    factories.user("off@portico.example", password=PASSWORD, is_active=False)
    factories.user("empty@portico.example")
    browser, answer = by_password(email, password)
    assert answer.status_code == 200
    assert browser.user is None
    assert "E-mail and password do not match an account here. Mind capitals in the password." in text(answer)
    assert password not in answer.content.decode()


@pytest.mark.parametrize(
    "fields", [{}, {"username": "a" * 300}, {"username": "a\x00b", "password": "x"}, {"password": "x"}]
)
def test_an_incomplete_form_comes_back(fields: dict[str, str]) -> None:
    assert submit(Browser(), LOCAL, fields).status_code == 200


def test_the_form_needs_its_token() -> None:
    factories.user("local@portico.example", password=PASSWORD)
    answer = Browser().post(LOCAL, {"username": "local@portico.example", "password": PASSWORD})
    assert answer.status_code == 403


def came_by_sso(idp: IdentityProvider) -> None:
    Browser().sign_in(idp, Forge(idp, timezone.now()).xml())


def test_somebody_whom_an_identity_provider_manages_is_told_to_go_there(default: IdentityProvider) -> None:
    came_by_sso(default)
    browser, answer = by_password(ANA)
    assert browser.user is None
    assert "Sign in through Acme Okta This account has no password here." in text(answer)
    assert "sso_required" in text(answer)
    assert 'href="https://portal.acme.example/"' in answer.content.decode()
    assert 'href="/saml/acme/login/"' in answer.content.decode()


def test_a_link_is_only_shown_where_it_leads_somewhere(default: IdentityProvider) -> None:
    came_by_sso(default)
    default.portal_url, default.sp_initiated = "", False
    default.save()
    _, answer = by_password(ANA)
    assert "Start from the portal of Acme Okta." in text(answer)
    assert "/saml/acme/login/" not in answer.content.decode()


def test_somebody_who_was_invited_and_has_not_come_yet_is_told_the_same(default: IdentityProvider) -> None:
    factories.pending(default, factories.user())
    assert "Sign in through Acme Okta" in text(by_password(ANA)[1])


def test_a_managed_person_does_not_get_in_by_a_password_that_was_left_over(default: IdentityProvider) -> None:
    factories.pending(default, factories.user(password=PASSWORD))
    came_by_sso(default)
    browser, answer = by_password(ANA)
    assert browser.user is None
    assert "Sign in through Acme Okta" in text(answer)


def test_staff_keep_their_password_for_the_day_that_the_identity_provider_is_down(default: IdentityProvider) -> None:
    staff = factories.user(password=PASSWORD, is_staff=True)
    factories.pending(default, staff)
    came_by_sso(default)
    browser, _ = by_password(ANA)
    assert browser.user == staff
    assert "do not match" in text(by_password(ANA, "wrong")[1])


# --- The administration ---


def door_of_the_administration(browser: Browser, path: str) -> str:
    """Where somebody who is not signed in ends up who asks for this page."""
    page = browser.get(path)
    while page.status_code == 302:
        path = page.headers["Location"]
        page = browser.get(path)
    assert page.status_code == 200
    return path


def test_the_administration_asks_by_the_same_form_and_leads_on(default: IdentityProvider) -> None:
    person = factories.user("local@portico.example", password=PASSWORD)
    browser = Browser()
    door = door_of_the_administration(browser, "/admin/accounts/user/")
    answer = submit(browser, door, {"username": person.email, "password": PASSWORD})
    assert answer.headers["Location"] == "/admin/accounts/user/"


def test_a_local_person_who_may_not_administer_is_told_so_not_sent_round() -> None:
    factories.user("local@portico.example", password=PASSWORD)
    browser, answer = by_password("local@portico.example", path="/sign-in/?local=1&next=/admin/")
    assert answer.headers["Location"] == "/admin/"
    page = browser.get("/admin/")
    page = browser.get(page.headers["Location"])
    assert page.status_code == 403
    assert "This page is not open to you. You are signed in as local@portico.example" in text(page)


def test_whoever_may_administer_is_not_asked_again(admin: Browser) -> None:
    assert admin.get("/admin/login/").headers["Location"] == "/admin/"
    assert admin.get("/admin/login/?next=//evil.example").headers["Location"] == "/admin/"
