"""Signing in by password, with a second factor and without."""

from __future__ import annotations

import base64
import io
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.utils import timezone

from accounts.models import CacheEntry, Session
from audit.kinds import Kind
from audit.models import Event
from saml_sp.models import IdentityProvider
from tests import factories
from tests.accounts.people import (
    Outbox,
    code,
    grow_older,
    recovery_codes,
    sessions_of,
    set_up_app,
    submit,
    text,
    token_of,
    try_password,
)
from tests.door import Browser
from tests.pages.forms import LOCAL_DOOR, PASSWORD

if TYPE_CHECKING:
    from pytest_django import Settings

    from accounts.models import User

# allauth tells of a new second factor when its transaction is over.
COMMITTED = pytest.mark.django_db(transaction=True)
_PASSKEY = '{"id":"YQ","rawId":"YQ","type":"public-key","response":'
SHAPES = [
    "", "null", "[]", "{}", '"x"', "1", "{", '{"id":"a"}', '{"id":"a","rawId":"a"}',
    '{"id":1,"rawId":1,"response":1}',
    _PASSKEY + '{"clientDataJSON":"e30","authenticatorData":"YQ","signature":"YQ","userHandle":null}}',
    _PASSKEY + '{"clientDataJSON":"","attestationObject":""}}',
    _PASSKEY + '{"clientDataJSON":"W10","authenticatorData":"' + "A" * 60 + '","signature":"YQ","userHandle":"____"}}',
    "[" * 100_000,
]  # fmt: skip
SECOND_STEP = "/account/second-factor/authenticate/"


def test_a_local_person_signs_in_in_any_spelling_of_case(lou: User) -> None:
    for spelling in ("lou@portico.example", "LOU@PORTICO.EXAMPLE", "Lou@Portico.example"):
        visitor = Browser()
        answer = try_password(spelling, browser=visitor)
        assert answer.headers["Location"] == "/"
        assert visitor.user == lou


def test_the_session_is_written_down_with_its_door_and_gets_a_fresh_key(lou: User) -> None:
    visitor = Browser()
    visitor.get(LOCAL_DOOR)
    # A session that somebody else may have planted.
    try_password(lou, "wrong", visitor)
    before = visitor.session_key
    try_password(lou, browser=visitor, REMOTE_ADDR="203.0.113.7", HTTP_USER_AGENT="Firefox/140.0")
    row = Session.objects.get(session_key=visitor.session_key)
    assert (row.user, row.door, row.ip, row.user_agent) == (lou, "local", "203.0.113.7", "Firefox/140.0")
    assert abs(row.expire_date - timezone.now() - timedelta(hours=24)) < timedelta(minutes=1)
    assert visitor.session_key != before
    assert Event.objects.get(kind=Kind.LOCAL_SIGN_IN).ip == "203.0.113.7"


def test_a_failure_is_written_down_without_what_may_be_a_password(lou: User) -> None:
    try_password(lou, "wrong", REMOTE_ADDR="203.0.113.7")
    try_password("correct horse", "wrong")
    events = Event.objects.filter(kind=Kind.LOCAL_SIGN_IN_REFUSED).order_by("pk")
    found = [(event.subject, event.ip) for event in events]
    assert found == [("Lou@Portico.example", "203.0.113.7"), ("", "127.0.0.1")]


def test_guessing_is_stopped_for_the_account_wherever_it_comes_from(lou: User) -> None:
    for number in range(5):
        assert "do not match" in text(try_password(lou, "wrong", REMOTE_ADDR=f"203.0.113.{number}"))
    # The name under which a client calls us must not open a new count.
    for host in ("127.0.0.1", "localhost"):
        visitor = Browser()
        answer = try_password(lou, browser=visitor, REMOTE_ADDR="198.51.100.1", HTTP_HOST=host)
        assert "Too many attempts." in text(answer)
        assert visitor.user is None
    assert CacheEntry.objects.exists()


def test_a_success_does_not_use_up_attempts(lou: User) -> None:
    for _ in range(8):
        visitor = Browser()
        try_password(lou, browser=visitor)
        assert visitor.user == lou


@pytest.mark.django_db
def test_one_address_gets_only_so_many_attempts() -> None:
    visitor = Browser()
    page = visitor.get(LOCAL_DOOR)
    data = {"username": "", "password": "", "csrfmiddlewaretoken": token_of(page)}
    answers = [visitor.post(LOCAL_DOOR, data).status_code for _ in range(31)]
    assert answers == [200] * 30 + [429]
    last = visitor.post(LOCAL_DOOR, data)
    assert last.headers["Retry-After"] == "60"
    assert "That was too often." in text(last)
    # Only posts count.
    assert visitor.get(LOCAL_DOOR).status_code == 200


def test_who_is_managed_by_an_identity_provider_is_sent_there_by_name(sam: User) -> None:
    factories.identity(_provider(sam), sam)
    for password in (PASSWORD, "wrong"):
        visitor = Browser()
        page = try_password(sam, password, visitor)
        assert visitor.user is None
        assert "Sign in through Acme Okta" in text(page)
        assert 'href="https://portal.acme.example/"' in page.content.decode()
    assert Event.objects.filter(kind=Kind.LOCAL_SIGN_IN_REFUSED).count() == 2


def test_staff_with_a_password_get_in_when_the_identity_provider_is_down(sam: User) -> None:
    sam.is_staff = True
    sam.save()
    visitor = Browser()
    try_password(sam, browser=visitor)
    assert visitor.user == sam


# --- The second factor ----------------------------------------------------------------------------------------------


@COMMITTED
def test_an_app_is_set_up_and_then_asked_for(lou: User, browser: Browser, outbox: Outbox) -> None:
    secret = set_up_app(browser)
    assert "An authenticator app was added" in outbox.only().body
    visitor = Browser()
    answer = try_password(lou, browser=visitor)
    assert answer.headers["Location"] == SECOND_STEP
    assert not visitor.user
    assert visitor.get("/profile/").status_code == 302
    answer = submit(visitor, SECOND_STEP, {"code": code(secret)})
    assert (answer.headers["Location"], visitor.user) == ("/", lou)
    assert Event.objects.filter(kind=Kind.LOCAL_SIGN_IN).latest("pk").data == {"second_factor": "totp"}
    assert Session.objects.get(session_key=visitor.session_key).door == "local"


def test_the_page_asked_for_survives_the_second_step(lou: User, browser: Browser) -> None:
    secret = set_up_app(browser)
    visitor = Browser()
    submit(visitor, "/sign-in/?next=/profile/", {"username": lou.email, "password": PASSWORD})
    answer = submit(visitor, SECOND_STEP, {"code": code(secret)})
    assert answer.headers["Location"] == "/profile/"


def test_a_code_works_once_for_as_long_as_it_is_valid(lou: User, browser: Browser) -> None:
    secret = set_up_app(browser)
    used = code(secret)
    first, second = Browser(), Browser()
    for visitor in (first, second):
        try_password(lou, browser=visitor)
        submit(visitor, SECOND_STEP, {"code": used})
    # allauth's own memory of it is shorter than its life.
    CacheEntry.objects.filter(cache_key__contains="allauth.mfa.totp.used").delete()
    answer = submit(second, SECOND_STEP, {"code": used})
    assert "That code is not right, or was used before." in text(answer)
    assert (first.user, second.user) == (lou, None)


def test_the_code_that_set_an_app_up_signs_nobody_in(lou: User, browser: Browser) -> None:
    secret = set_up_app(browser)
    visitor = Browser()
    try_password(lou, browser=visitor)
    submit(visitor, SECOND_STEP, {"code": code(secret, -1)})
    assert visitor.user is None


def test_codes_cannot_be_guessed(lou: User, browser: Browser) -> None:
    secret = set_up_app(browser)
    visitor = Browser()
    try_password(lou, browser=visitor)
    for number in range(5):
        submit(visitor, SECOND_STEP, {"code": f"{number:06d}"})
    answer = submit(visitor, SECOND_STEP, {"code": code(secret)})
    assert "Too many attempts." in text(answer)
    assert visitor.user is None
    assert Event.objects.filter(kind=Kind.SECOND_FACTOR_REFUSED, subject_id=str(lou.pk)).count() == 6


def test_each_recovery_code_works_once(lou: User, browser: Browser) -> None:
    set_up_app(browser)
    first, *_others = kept = recovery_codes(browser)
    assert len(kept) == 10
    for who in (lou, None):
        visitor = Browser()
        try_password(lou, browser=visitor)
        submit(visitor, SECOND_STEP, {"code": first})
        assert visitor.user == who
    assert recovery_codes(browser) == kept[1:]


def test_secrets_are_encrypted_where_they_are_kept(browser: Browser) -> None:
    secret = set_up_app(browser)
    for authenticator in Authenticator.objects.all():
        kept = str(authenticator.data)
        assert "gAAAA" in kept
        assert secret not in kept


def test_they_go_along_when_the_encryption_keys_change(lou: User, browser: Browser, settings: Settings) -> None:
    secret = set_up_app(browser)
    codes = recovery_codes(browser)
    settings.PORTICO_ENCRYPTION_KEYS = [old := Fernet.generate_key().decode()]
    assert recovery_codes(browser) == codes
    settings.PORTICO_ENCRYPTION_KEYS = [new := Fernet.generate_key().decode(), old]
    out = io.StringIO()
    call_command("rotate_encryption_keys", stdout=out)
    assert "2 secret(s) of second factors" in out.getvalue()
    settings.PORTICO_ENCRYPTION_KEYS = [new]
    visitor = Browser()
    try_password(lou, browser=visitor)
    submit(visitor, SECOND_STEP, {"code": code(secret)})
    assert visitor.user == lou


def test_a_secret_whose_key_is_lost_opens_nothing_and_breaks_nothing(
    lou: User, browser: Browser, settings: Settings
) -> None:
    settings.PORTICO_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    secret = set_up_app(browser)
    kept = recovery_codes(browser)
    settings.PORTICO_ENCRYPTION_KEYS = []
    assert browser.get("/account/second-factor/").status_code == 200
    visitor = Browser()
    try_password(lou, browser=visitor)
    for guess in (code(secret), kept[0], code(base64.b32encode(b"").decode())):
        assert "That code is not right" in text(submit(visitor, SECOND_STEP, {"code": guess}))
    assert visitor.user is None


@pytest.mark.parametrize("facts", [{"is_active": False}, {"sso_label": "Acme Okta"}])
def test_an_account_that_closes_between_the_steps_stays_closed(
    facts: dict[str, object], lou: User, browser: Browser
) -> None:
    secret = set_up_app(browser)
    visitor = Browser()
    try_password(lou, browser=visitor)
    for name, value in facts.items():
        setattr(lou, name, value)
    lou.save()
    answer = submit(visitor, SECOND_STEP, {"code": code(secret)})
    assert answer.headers["Location"] == "/account/sign-in/"
    assert visitor.user is None
    page = visitor.get(visitor.get("/account/sign-in/").headers["Location"])
    assert "That does not open an account here." in text(page)


def test_the_second_step_alone_leads_to_the_first(lou: User, browser: Browser) -> None:
    set_up_app(browser)
    answer = Browser().get(SECOND_STEP)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/sign-in/")


def test_coming_back_to_the_sign_in_page_begins_again(lou: User, browser: Browser) -> None:
    set_up_app(browser)
    visitor = Browser()
    try_password(lou, browser=visitor)
    visitor.get(LOCAL_DOOR)
    assert visitor.get(SECOND_STEP).status_code == 302


@COMMITTED
def test_a_new_second_factor_ends_what_began_without_it(lou: User, browser: Browser) -> None:
    other = Browser()
    try_password(lou, browser=other)
    assert sessions_of(lou) == 2
    set_up_app(browser)
    assert (browser.user, other.user) == (lou, None)


@COMMITTED
def test_removing_it_asks_for_the_password_after_a_while_and_is_told(browser: Browser, outbox: Outbox) -> None:
    set_up_app(browser)
    outbox.only()
    remove = "/account/second-factor/totp/deactivate/"
    grow_older(browser, timedelta(minutes=6))
    asked = browser.get(remove)
    assert asked.headers["Location"] == f"/account/reauthenticate/?next={remove.replace('/', '%2F')}"
    assert "That is not your password." in text(submit(browser, asked.headers["Location"], {"password": "wrong"}))
    answer = submit(browser, asked.headers["Location"], {"password": PASSWORD})
    assert answer.headers["Location"] == remove
    submit(browser, remove)
    assert not Authenticator.objects.exists()
    assert "The authenticator app was removed" in outbox.only().body
    kinds = list(Event.objects.filter(kind__contains="second_factor").order_by("pk").values_list("kind", flat=True))
    assert kinds == [Kind.SECOND_FACTOR_ADDED, Kind.SECOND_FACTOR_REMOVED]


def test_a_passkey_answer_of_any_shape_is_a_refusal(lou: User, browser: Browser) -> None:
    set_up_app(browser)
    visitor = Browser()
    try_password(lou, browser=visitor)
    page = visitor.get(SECOND_STEP)
    for shape in SHAPES:
        answer = visitor.post(SECOND_STEP, {"credential": shape, "csrfmiddlewaretoken": token_of(page)})
        assert answer.status_code == 200, shape[:200]
        assert visitor.user is None
    add = "/account/second-factor/webauthn/add/"
    page = browser.get(add)
    for shape in SHAPES:
        answer = browser.post(add, {"credential": shape, "csrfmiddlewaretoken": token_of(browser.get("/profile/"))})
        assert answer.status_code == 200, shape[:200]
    alone = "/account/second-factor/webauthn/login/"
    stranger = Browser()
    page = stranger.get(LOCAL_DOOR)
    stranger.get(alone)
    for shape in SHAPES:
        data = {"credential": shape, "csrfmiddlewaretoken": token_of(page)}
        answer = stranger.post(alone, data, REMOTE_ADDR=_another())
        assert (answer.status_code, answer.headers.get("Location")) == (302, "/account/sign-in/"), shape[:200]
        assert stranger.user is None


_addresses = iter(f"203.0.113.{number}" for number in range(250))


def _another() -> str:
    return next(_addresses)


def _provider(user: User) -> IdentityProvider:
    return IdentityProvider.objects.get(description=user.sso_label)
