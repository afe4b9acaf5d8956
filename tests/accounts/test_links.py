"""Links in mails: invitations, forgotten passwords, new addresses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from accounts import invitations
from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from tests import factories
from tests.accounts.people import Outbox, grow_older, sessions_of, text, try_password
from tests.door import Browser
from tests.pages.forms import PASSWORD, submit

if TYPE_CHECKING:
    from django.http import HttpResponse
    from pytest_django import Settings

    from saml_sp.models import IdentityProvider

NEW = "quite another long password"
CHOSEN = {"password1": NEW, "password2": NEW}
PEOPLE = "/admin/accounts/user/"


def choose(visitor: Browser, link: str, chosen: dict[str, str] = CHOSEN) -> HttpResponse:
    """Open the link and fill in the form behind it."""
    opened = visitor.get(link)
    assert opened.status_code == 302, text(opened)
    form = opened.headers["Location"]
    # The secret part of the link does not stay in the address bar.
    assert form.endswith("-set-password/")
    return submit(visitor, form, chosen)


def invite(admin: Browser, *people: User) -> str:
    """Choose people in the administration's list, and the action; returns the words of the page that follows."""
    data = {"action": "invite", "_selected_action": [str(person.pk) for person in people]}
    submit(admin, PEOPLE, data)
    return text(admin.get(PEOPLE))


def test_an_administrator_invites_somebody_who_then_signs_in(admin: Browser, grace: User, outbox: Outbox) -> None:
    new = factories.user("New@portico.example")
    assert "New@portico.example is invited: a link is on its way." in invite(admin, new)
    event = Event.objects.get(kind=Kind.INVITED)
    assert (event.actor, event.subject_id) == (grace.email, str(new.pk))
    letter = outbox.all()[0]
    assert letter.to == ["New@portico.example"]
    link = outbox.link()
    visitor = Browser()
    choose(visitor, link)
    try_password(new, NEW, visitor)
    assert visitor.user == new
    # It has served.
    assert "This link is not valid any more." in text(Browser().get(link))


def test_nobody_is_invited_who_has_a_way_in_or_may_have_none(
    admin: Browser, acme: IdentityProvider, lou: User, sam: User, outbox: Outbox
) -> None:
    off = factories.user("off@portico.example", is_active=False)
    expected = factories.user("expected@customer.example")
    factories.pending(acme, expected)
    page = invite(admin, lou, sam, off, expected)
    for sentence in (
        "Lou@Portico.example has a password already.",
        "sam@customer.example signs in through Acme Okta and needs no password here.",
        "expected@customer.example is to sign in through Acme Okta.",
        "off@portico.example is switched off.",
    ):
        assert sentence.lower() in page.lower()  # the administration begins a message with a capital
    assert outbox.all() == []


def test_it_says_so_where_no_mail_is_sent(admin: Browser, lou: User, settings: Settings) -> None:
    new = factories.user("new@portico.example")
    settings.PORTICO_SENDS_MAIL = False
    assert "This site sends no mail: PORTICO_EMAIL_URL is not set." in invite(admin, new)
    assert "An administrator can give you a new password." in text(Browser().get("/account/password/reset/"))
    with pytest.raises(ImproperlyConfigured):
        invitations.invite(new, now=timezone.now(), actor="a test")


def test_it_says_so_where_a_mail_cannot_be_sent(admin: Browser, settings: Settings) -> None:
    new = factories.user("new@portico.example")
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert "The mail to new@portico.example could not be sent:" in invite(admin, new)
    assert not Event.objects.filter(kind=Kind.INVITED).exists()


def test_a_forgotten_password_is_chosen_anew_by_the_link(lou: User, browser: Browser, outbox: Outbox) -> None:
    visitor = Browser()
    submit(visitor, "/account/password/reset/", {"email": "LOU@portico.example"})
    link = outbox.link()
    answer = choose(visitor, link)
    assert answer.headers["Location"] == "/account/password/reset/key/done/"
    assert "Your password is set." in text(visitor.get("/account/password/reset/key/done/"))
    # Whoever knew the old one is out, and nobody is signed in by the link alone.
    assert (browser.user, visitor.user, sessions_of(lou)) == (None, None, 0)
    assert "by the link in a mail" in outbox.only().body
    assert Event.objects.filter(kind=Kind.PASSWORD_SET, subject_id=str(lou.pk)).count() == 1
    try_password(lou, NEW, visitor)
    assert visitor.user == lou
    assert "do not match" in text(try_password(lou, PASSWORD))


def test_a_link_does_not_depend_on_the_host_header(lou: User, outbox: Outbox) -> None:
    visitor = Browser()
    submit(visitor, "/account/password/reset/", {"email": lou.email})
    page = visitor.get("/account/password/reset/", HTTP_HOST="localhost")
    assert page.status_code == 200
    assert "http://127.0.0.1:8000/account/password/reset/key/" in outbox.only().body


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"password1": "short", "password2": "short"}, "This password is too short."),
        ({"password1": NEW, "password2": "something else here"}, "You must type the same password each time."),
        ({"password1": "password1234", "password2": "password1234"}, "too common"),
    ],
)
def test_a_password_must_be_worth_the_name(chosen: dict[str, str], sentence: str, lou: User, outbox: Outbox) -> None:
    visitor = Browser()
    submit(visitor, "/account/password/reset/", {"email": lou.email})
    assert sentence in text(choose(visitor, outbox.link(), chosen))
    lou.refresh_from_db()
    assert lou.check_password(PASSWORD)


@pytest.mark.django_db
@pytest.mark.parametrize("link", ["abc-def", "0-0-0", "x-set-password", f"{'f' * 32}-abc-def", "a-%00"])
def test_a_link_that_is_none_says_so(link: str) -> None:
    page = Browser().get(f"/account/password/reset/key/{link}/")
    assert page.status_code == 200
    assert "This link is not valid any more." in text(page)


def test_a_link_runs_out(lou: User, outbox: Outbox, settings: Settings) -> None:
    submit(Browser(), "/account/password/reset/", {"email": lou.email})
    link = outbox.link()
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert "This link is not valid any more." in text(Browser().get(link))


def test_only_so_many_links_are_asked_for(lou: User, outbox: Outbox) -> None:
    visitor = Browser()
    answers = [submit(visitor, "/account/password/reset/", {"email": lou.email}).status_code for _ in range(6)]
    assert answers == [302] * 5 + [429]
    assert len(outbox.all()) == 5


# --- Changing what one has ------------------------------------------------------------------------------------------


def test_a_new_password_by_the_old_one_ends_other_sessions(lou: User, browser: Browser, outbox: Outbox) -> None:
    other = Browser()
    try_password(lou, browser=other)
    key = browser.session_key
    wrong = submit(browser, "/account/password/change/", {"oldpassword": "wrong", **CHOSEN})
    assert "That is not your current password." in text(wrong)
    answer = submit(browser, "/account/password/change/", {"oldpassword": PASSWORD, **CHOSEN})
    assert answer.headers["Location"] == "/profile/"
    assert (browser.user, other.user, sessions_of(lou)) == (lou, None, 1)
    assert browser.session_key != key
    assert "Your password is changed." in text(browser.get("/profile/"))
    assert outbox.only().body.count("Your password was changed.") == 1
    assert Event.objects.get(kind=Kind.PASSWORD_CHANGED).actor == lou.email


def test_a_new_address_is_ones_own_once_its_link_is_opened(lou: User, browser: Browser, outbox: Outbox) -> None:
    page = submit(browser, "/account/email/", {"email": "Lou.New@portico.example"})
    assert "A link is on its way to Lou.New@portico.example" in text(page)
    lou.refresh_from_db()
    assert lou.email == "Lou@Portico.example"
    link = outbox.link()
    # Looking is not agreeing: mail programs look at links.
    reader = Browser()
    assert "Is this your address?" in text(reader.get(link))
    lou.refresh_from_db()
    assert lou.email == "Lou@Portico.example"
    assert "Your address is changed." in text(submit(reader, link))
    lou.refresh_from_db()
    assert (lou.email, lou.email_key) == ("Lou.New@portico.example", "lou.new@portico.example")
    told = outbox.only()
    assert told.to == ["Lou@Portico.example"]
    assert "Lou.New@portico.example" in told.body
    assert Event.objects.get(kind=Kind.EMAIL_CHANGED).data["to"] == "Lou.New@portico.example"
    again = reader.get(link)
    assert (again.status_code, "not valid any more" in text(again)) == (404, True)
    visitor = Browser()
    try_password("lou.new@portico.example", browser=visitor)
    assert visitor.user == lou


def test_an_address_that_somebody_has_gets_no_mail_and_the_page_does_not_say_so(
    lou: User, sam: User, browser: Browser, outbox: Outbox
) -> None:
    page = submit(browser, "/account/email/", {"email": "SAM@customer.example"})
    assert "A link is on its way to SAM@customer.example" in text(page)
    assert outbox.all() == []


def test_an_address_that_was_taken_in_the_meantime_is_refused(lou: User, browser: Browser, outbox: Outbox) -> None:
    submit(browser, "/account/email/", {"email": "new@portico.example"})
    link = outbox.link()
    factories.user("NEW@portico.example")
    answer = submit(Browser(), link)
    assert (answer.status_code, "Another account has it by now." in text(answer)) == (409, True)
    lou.refresh_from_db()
    assert lou.email == "Lou@Portico.example"


@pytest.mark.parametrize("facts", [{"is_active": False}, {"sso_label": "Acme Okta"}])
def test_the_link_is_void_for_whom_it_may_not_serve_any_more(
    facts: dict[str, object], lou: User, browser: Browser, outbox: Outbox
) -> None:
    submit(browser, "/account/email/", {"email": "new@portico.example"})
    link = outbox.link()
    User.objects.filter(pk=lou.pk).update(**facts)
    assert Browser().get(link).status_code == 404


@pytest.mark.parametrize("address", ["lou", '"lou"@portico.example', "löu@portico.example", " "])
def test_an_address_must_be_plain(address: str, browser: Browser, outbox: Outbox) -> None:
    assert "A link is on its way" not in text(submit(browser, "/account/email/", {"email": address}))
    assert outbox.all() == []


def test_a_forged_link_changes_nothing(browser: Browser) -> None:
    for token in ("x", "x:y:z", "WyJhIiwiYiIsImMiXQ:1abcde:AAAA"):
        assert Browser().get(f"/account/email/confirm/{token}/").status_code == 404


def test_the_password_is_asked_for_once_more_after_a_while(lou: User, browser: Browser, outbox: Outbox) -> None:
    grow_older(browser, timedelta(minutes=6))
    asked = browser.get("/account/email/").headers["Location"]
    assert asked == "/account/reauthenticate/?next=%2Faccount%2Femail%2F"
    answer = submit(browser, asked, {"password": PASSWORD})
    assert answer.headers["Location"] == "/account/email/"
    assert browser.get("/account/email/").status_code == 200
