"""The page that people arrive on, and their profile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from accounts.models import Session
from tests import factories
from tests.door import Browser
from tests.idp import ANA, Forge
from tests.pages.forms import text

if TYPE_CHECKING:
    from pytest_django import Settings

    from accounts.models import User
    from saml_sp.models import IdentityProvider


def test_it_sends_somebody_unknown_to_the_sign_in_page() -> None:
    answer = Browser().get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in/?next=/")


def test_it_says_who_you_are_who_vouched_and_until_when(ana: Browser, day: timedelta) -> None:
    page = text(ana.get("/"))
    assert "Welcome, Ana." in page
    assert "Ana Lima" in page
    assert f"E-mail {ANA}" in page
    assert "Vouched for by Acme Okta" in page
    end = Session.objects.get(session_key=ana.session_key).expire_date
    assert end - timezone.now() > day - timedelta(minutes=1)
    assert f"Signed in until {end.day} {end:%B %Y, %H:%M} UTC (in 23" in page


def test_it_names_our_own_contact_where_the_identity_provider_has_none(
    ana: Browser, acme: IdentityProvider, settings: Settings
) -> None:
    acme.contact = ""
    acme.save()
    settings.PORTICO_CONTACT = "the front desk, extension 100"
    assert "Whom to ask: the front desk, extension 100" in text(ana.get("/"))


def test_it_calls_a_local_account_local(admin: Browser, grace: User, day: timedelta) -> None:
    page = text(admin.get("/"))
    assert f"Welcome, {grace.email}." in page
    assert "Name not known" in page
    assert "Vouched for by Local account, with a password here" in page
    assert "(in 23" in page
    end = Session.objects.get(session_key=admin.session_key).expire_date
    assert abs(end - timezone.now() - day) < timedelta(minutes=1)


def test_it_offers_the_administration_to_staff_only(ana: Browser, admin: Browser) -> None:
    assert "Administration" in text(admin.get("/"))
    assert "Administration" not in text(ana.get("/"))


def test_it_writes_names_from_the_identity_provider_as_text(ana: Browser) -> None:
    user = ana.user
    assert user
    user.first_name = "<b>Ana</b>"
    user.save()
    page = ana.get("/").content.decode()
    assert "&lt;b&gt;Ana&lt;/b&gt;" in page
    assert "<b>Ana" not in page


def test_the_profile_lists_the_browsers_in_which_you_are_signed_in(ana: Browser, acme: IdentityProvider) -> None:
    phone = Browser()
    agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"
    phone.sign_in(acme, Forge(acme, timezone.now()).xml(), HTTP_USER_AGENT=agent, REMOTE_ADDR="203.0.113.9")
    page = text(ana.get("/profile/"))
    assert page.count("this browser") == 1
    assert "Safari on iPhone Through Acme Okta, from 203.0.113.9, since" in page


def test_the_profile_lists_nobody_elses_sessions_and_none_that_are_over(ana: Browser, admin: Browser) -> None:
    over = factories.user("over@customer.example")
    now = timezone.now()
    facts = {"user": ana.user, "adopted_at": now, "user_agent": "curl/8", "session_data": ""}
    Session.objects.create(session_key="a" * 32, expire_date=now - timedelta(seconds=1), **facts)
    Session.objects.create(session_key="b" * 32, expire_date=now + timedelta(hours=1), **(facts | {"user": over}))
    Session.objects.create(session_key="c" * 32, expire_date=now + timedelta(hours=1), **(facts | {"adopted_at": None}))
    page = text(ana.get("/profile/"))
    assert "curl" not in page
    assert "Firefox" not in page
    assert "Firefox on Linux this browser By password, from 127.0.0.1, since" in text(admin.get("/profile/"))


def test_the_profile_is_for_people_who_are_signed_in() -> None:
    assert Browser().get("/profile/").headers["Location"] == "/sign-in/?next=/profile/"


def test_the_profile_leads_to_what_you_can_do_here(ana: Browser) -> None:
    assert '<a href="/">What you can do here, and why</a>' in ana.get("/profile/").content.decode()
