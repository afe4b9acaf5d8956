"""The pages of one's own API tokens, as a browser sees them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from saml_sp.models import SamlSession
from tests.accounts.people import grow_older, set_up_app
from tests.door import Browser
from tests.idp import Forge
from tests.pages.forms import PASSWORD, sign_in_by_password, submit, text, token
from tests.tokens.making import OPERATOR, token_of
from tokens import issuing, secrets
from tokens.models import ApiToken

if TYPE_CHECKING:
    from django.http import HttpResponse
    from pytest_django import Settings

    from saml_sp.models import IdentityProvider
    from tests.accounts.people import Outbox

pytestmark = pytest.mark.django_db
LIST = "/profile/tokens/"
NEW = f"{LIST}new/"
AGAIN = f"/sign-in/again/?next={NEW.replace('/', '%2F')}"
TEXT = re.compile(r"ptc_[0-9A-Za-z]{46}")
KEY = re.compile(r'name="form_key" value="([^"]+)"')
LONG_AGO = timedelta(hours=8, seconds=1)


def filled(browser: Browser, **facts: Any) -> tuple[str, dict[str, Any]]:
    """The address of the form and what a person sends with it."""
    page = browser.get(NEW)
    key = KEY.search(page.content.decode())
    assert key, text(page)
    data = {
        "name": "nightly report", "scopes": ["read:self", "read:org"], "expires_in_days": "30", "form_key": key[1],
        "csrfmiddlewaretoken": token(page),
    }  # fmt: skip
    return NEW, data | facts


def make(browser: Browser, **facts: Any) -> HttpResponse:
    return browser.post(*filled(browser, **facts))


def secret_in(page: HttpResponse) -> str:
    (found,) = set(TEXT.findall(page.content.decode()))
    assert secrets.is_well_formed(found)
    return str(found)


def test_the_profile_leads_to_the_tokens_and_without_one_the_page_says_what_they_are_for(browser: Browser) -> None:
    assert f'href="{LIST}"' in browser.get("/profile/").content.decode()
    page = browser.get(LIST)
    assert "You have no token that works" in text(page)
    assert f'href="{NEW}"' in page.content.decode()


def test_nobody_sees_the_pages_without_signing_in(db: None) -> None:
    for path in (LIST, NEW, f"{LIST}{'0' * 8}-0000-0000-0000-{'0' * 12}/revoke/", "/sign-in/again/"):
        assert Browser().get(path).status_code == 302


def test_making_a_token_shows_it_once_with_the_command_for_it(browser: Browser, lou: User) -> None:
    page = make(browser)
    assert (page.status_code, page.headers["Cache-Control"]) == (201, "no-store")
    secret = secret_in(page)
    assert "portico login --host http://127.0.0.1:8000 --with-token" in page.content.decode()
    made = lou.api_tokens.get()
    assert (made.digest, made.scopes) == (secrets.digest(secret), ["read:self", "read:org"])
    shown = text(browser.get(LIST))
    assert "nightly report" in shown
    assert made.prefix in shown
    assert "Never used." in shown


def test_the_form_that_comes_twice_makes_one_token_and_says_what_to_do(browser: Browser, lou: User) -> None:
    path, data = filled(browser)
    secret_in(browser.post(path, data))
    again = browser.post(path, data)
    assert again.status_code == 409
    assert "made already" in text(again)
    assert not TEXT.search(again.content.decode())
    assert f"{LIST}{lou.api_tokens.get().pk}/rotate/" in again.content.decode()
    issuing.revoke(lou.api_tokens.get(), now=timezone.now(), actor=OPERATOR)
    assert "/rotate/" not in browser.post(path, data).content.decode()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"name": " "}, "Give the token a name."),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "a\x07b"}, "printable characters only"),
        ({"scopes": []}, "Choose at least one thing"),
        ({"scopes": ["admin:saml"]}, "admin:saml is not one of the available choices"),
        ({"expires_in_days": "1000"}, "1000 is not one of the available choices"),
        ({"form_key": "none"}, "Enter a valid UUID"),
    ],
)
def test_what_is_wrong_stands_in_the_form(browser: Browser, facts: dict[str, Any], words: str) -> None:
    page = make(browser, **facts)
    assert words in text(page)
    assert not ApiToken.objects.exists()


def test_only_scopes_that_the_owner_may_have_are_offered(browser: Browser, admin: Browser) -> None:
    assert "admin:users" not in browser.get(NEW).content.decode()
    assert "admin:users" in admin.get(NEW).content.decode()


def test_the_limit_is_said_instead_of_the_button_and_by_the_form(
    browser: Browser, lou: User, settings: Settings
) -> None:
    settings.PORTICO_TOKENS_PER_USER = 1
    token_of(lou)
    shown = browser.get(LIST).content.decode()
    assert NEW not in shown
    assert "may have no more" in shown
    assert "1 tokens already" in text(make(browser))


def test_lives_longer_than_allowed_are_not_offered(browser: Browser, settings: Settings) -> None:
    settings.PORTICO_TOKEN_MAX_DAYS, settings.PORTICO_TOKEN_DAYS = 14, 1
    shown = re.findall(r"(\d+) days?, on", browser.get(NEW).content.decode())
    assert shown == ["1", "7", "14"]


def test_each_state_is_told_apart(browser: Browser, lou: User) -> None:
    now = timezone.now()
    used, _text = token_of(lou, name="used", days=30)
    ApiToken.objects.filter(pk=used.pk).update(last_used_at=now, last_used_ip="192.0.2.9", last_used_by="portico/1.0")
    token_of(lou, name="short", days=3)
    token_of(lou, name="past", days=1, now=now - timedelta(days=2))
    gone, _text = token_of(lou, name="gone")
    issuing.revoke(gone, now=now, actor=OPERATOR)
    shown = text(browser.get(LIST))
    assert "from 192.0.2.9 by portico/1.0." in shown
    assert re.search(r"short ptc_\w{4}… expires soon", shown)
    assert re.search(r"past ptc_\w{4}… expired Expired on", shown)
    assert re.search(r"gone ptc_\w{4}… revoked Revoked on .*: operator@example.com\.", shown)


def test_the_number_of_queries_does_not_grow_with_the_tokens(
    browser: Browser, lou: User, django_assert_num_queries: Any
) -> None:
    for _ in range(2):
        with django_assert_num_queries(5):
            browser.get(LIST)
        for _ in range(5):
            token_of(lou)


def test_rotating_asks_first_and_then_shows_another_secret(browser: Browser, lou: User) -> None:
    old, _text = token_of(lou, days=30, now=timezone.now() - timedelta(days=20))
    path = f"{LIST}{old.pk}/rotate/"
    assert "for 30 days from now" in text(browser.get(path))
    page = submit(browser, path)
    assert page.status_code == 201
    new = ApiToken.objects.live(timezone.now()).get()
    assert secrets.digest(secret_in(page)) == new.digest
    assert new.expires_at - new.created_at == timedelta(days=30)
    data = {"csrfmiddlewaretoken": token(browser.get(NEW))}
    for method, sent in (("get", {}), ("post", {"data": data})):
        answer = browser.request(method, path, **sent)
        assert (answer.status_code, answer.headers["Location"]) == (302, LIST)
        assert "If you pressed twice: its successor is in the list" in text(browser.get(LIST))
    assert ApiToken.objects.count() == 2


def test_revoking_asks_first_and_may_be_said_twice(browser: Browser, lou: User) -> None:
    own, _text = token_of(lou)
    grow_older(browser, timedelta(hours=20))  # what protects needs no fresh sign-in
    path = f"{LIST}{own.pk}/revoke/"
    assert "This cannot be undone" in text(browser.get(path))
    assert not ApiToken.objects.filter(revoked_at__isnull=False).exists()
    submit(browser, path)
    assert "is revoked" in text(browser.get(LIST))
    submit(browser, path)
    assert "was revoked before" in text(browser.get(LIST))
    assert Event.objects.filter(kind=Kind.TOKEN_REVOKED).count() == 1


def test_other_peoples_tokens_are_not_there(browser: Browser, grace: User) -> None:
    theirs, _text = token_of(grace)
    for step in ("rotate", "revoke"):
        page = browser.get(f"{LIST}{theirs.pk}/{step}/")
        assert page.status_code == 404
        answer = browser.post(f"{LIST}{theirs.pk}/{step}/", {"csrfmiddlewaretoken": token(browser.get("/profile/"))})
        assert answer.status_code == 404
    theirs.refresh_from_db()
    assert theirs.revoked_at is None


# --- A sign-in that is young ---


def test_somebody_with_a_password_confirms_it_and_goes_on(browser: Browser, lou: User) -> None:
    grow_older(browser, LONG_AGO)
    own, _text = token_of(lou)
    assert browser.get(f"{LIST}{own.pk}/rotate/").status_code == 302
    assert browser.get(NEW).headers["Location"] == AGAIN
    page = browser.get(AGAIN)
    assert "within the last 8 hours" in text(page)
    confirm = f"/account/reauthenticate/?next={NEW.replace('/', '%2F')}"
    assert f'href="{confirm}"' in page.content.decode()
    answer = submit(browser, "/account/reauthenticate/", {"password": PASSWORD, "next": NEW}, page=confirm)
    assert answer.headers["Location"] == NEW
    assert browser.get(AGAIN).headers["Location"] == NEW
    assert make(browser).status_code == 201


def test_somebody_of_an_identity_provider_is_sent_through_it_and_goes_on(ana: Browser, acme: IdentityProvider) -> None:
    assert User.objects.get().is_managed
    assert make(ana).status_code == 201
    grow_older(ana, LONG_AGO)
    assert ana.get(NEW).headers["Location"] == AGAIN
    page = ana.get(AGAIN)
    login = f"/saml/acme/login/?next={NEW.replace('/', '%2F')}"
    assert f'href="{login}"' in page.content.decode()
    assert "Sign in through Acme Okta" in text(page)
    ana.sign_in(acme, Forge(acme, timezone.now()).xml())
    assert ana.get(NEW).status_code == 200


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"sp_initiated": False, "portal_url": "https://portal.acme.example/"}, "Open the portal of Acme Okta"),
        ({"sp_initiated": False, "portal_url": ""}, "Sign out, then come in"),
        ({"enabled": False}, "Sign out, then come in"),
    ],
)
def test_where_no_sign_in_can_begin_here_the_page_says_what_to_do(
    ana: Browser, acme: IdentityProvider, facts: dict[str, Any], words: str
) -> None:
    grow_older(ana, LONG_AGO)
    type(acme).objects.filter(pk=acme.pk).update(**facts)
    assert words in text(ana.get(AGAIN))


def test_a_session_whose_identity_provider_is_forgotten_can_still_be_ended(ana: Browser) -> None:
    grow_older(ana, LONG_AGO)
    SamlSession.objects.all().delete()
    assert "Sign out, then come in" in text(ana.get(AGAIN))


def test_somebody_with_neither_password_nor_second_factor_is_told_to_come_in_again(browser: Browser, lou: User) -> None:
    grow_older(browser, LONG_AGO)
    User.objects.filter(pk=lou.pk).update(sso_label="Acme Okta")
    assert "Sign out, then come in" in text(browser.get(AGAIN))


def test_it_leads_to_no_other_site(browser: Browser) -> None:
    assert browser.get("/sign-in/again/?next=https://evil.example/").headers["Location"] == "/"


def test_staff_who_owe_a_second_factor_make_no_token_before_they_have_it(grace: User, settings: Settings) -> None:
    settings.PORTICO_STAFF_SECOND_FACTOR = True
    browser = sign_in_by_password(grace)
    assert browser.get(NEW).headers["Location"] == AGAIN
    assert browser.get(AGAIN).headers["Location"].startswith("/account/second-factor/?next=")
    set_up_app(browser)
    assert browser.get(NEW).status_code == 200


# --- Where a secret goes ---


def test_the_secret_is_in_the_one_answer_and_nowhere_else(
    browser: Browser, lou: User, admin: Browser, outbox: Outbox, caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: Any,
) -> None:  # fmt: skip
    caplog.set_level(0)
    with django_capture_on_commit_callbacks(execute=True):
        made = secret_in(make(browser))
        old = lou.api_tokens.get()
        rotated = secret_in(submit(browser, f"{LIST}{old.pk}/rotate/"))
    new = ApiToken.objects.live(timezone.now()).get()
    pages = [
        browser.get(LIST), browser.get(f"{LIST}{new.pk}/rotate/"), browser.get(f"{LIST}{new.pk}/revoke/"),
        browser.get(NEW), browser.get("/profile/"), admin.get("/admin/tokens/apitoken/"),
        admin.get(f"/admin/tokens/apitoken/{new.pk}/change/"), admin.get("/admin/audit/event/"),
    ]  # fmt: skip
    submit(browser, f"{LIST}{new.pk}/revoke/")
    mails = [f"{mail.subject} {mail.body}" for mail in outbox.all()]
    assert len(mails) == 2
    kept = [str(row) for model in (ApiToken, Event) for row in model._default_manager.values()]
    sessions = [str(row.get_decoded()) for row in lou.sessions.all()]
    for where in (*[page.content.decode() for page in pages], *mails, *kept, *sessions, caplog.text):
        for secret in (made, rotated):
            assert secret not in where
            assert secret[8:] not in where
    assert all(secrets.digest(secret) not in page.content.decode() for secret in (made, rotated) for page in pages)


def test_the_owner_is_told_of_a_new_token_and_of_a_rotated_one(
    lou: User, outbox: Outbox, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        token_of(lou, name="report")
    mail = outbox.only()
    assert (mail.to, mail.subject) == ([lou.email], "A new API token")
    assert "“report”" in mail.body
    assert f"http://127.0.0.1:8000{LIST}" in mail.body
    with django_capture_on_commit_callbacks(execute=True):
        issuing.rotate(lou.api_tokens.get(), now=timezone.now(), actor=OPERATOR)
    mail = outbox.only()
    assert mail.subject == "An API token was rotated"
    assert OPERATOR.label in mail.body
