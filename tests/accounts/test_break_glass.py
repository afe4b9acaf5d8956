"""Passwords switched off for all but a few, and the link from the server's shell."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import break_glass, policy
from accounts.actors import Actor
from accounts.models import BreakGlassLink, LocalSignIn, Session, SignInPolicy, User
from audit.kinds import Kind
from audit.models import Event
from tests import factories
from tests.door import Browser
from tests.pages.forms import LOCAL_DOOR, PASSWORD, sign_in_by_password, submit, text, token

if TYPE_CHECKING:
    from pytest_django import Settings

    from saml_sp.models import IdentityProvider

PAGE = "/admin/accounts/signinpolicy/"
SWITCH = f"{PAGE}switch/"
OFF, ON = {"to": "break-glass"}, {"to": "everyone"}


@pytest.fixture
def keeper(db: None) -> User:
    """A break-glass administrator."""
    rights = {"is_staff": True, "is_superuser": True, "is_break_glass": True}
    return factories.user("keeper@portico.example", password=PASSWORD, **rights)


@pytest.fixture
def restricted(db: None) -> None:
    SignInPolicy.objects.create(local_sign_in=LocalSignIn.BREAK_GLASS)


def try_password(user: User) -> tuple[Browser, str]:
    browser = Browser()
    return browser, text(submit(browser, LOCAL_DOOR, {"username": user.email, "password": PASSWORD}))


def printed_link(capsys: pytest.CaptureFixture[str], email: str) -> str:
    capsys.readouterr()
    call_command("breakglass", email)
    return urlsplit(capsys.readouterr().out.strip()).path


# --- The switch ---


def test_passwords_are_switched_off_only_once_both_ways_in_were_seen_to_work(
    admin: Browser, keeper: User, ana: Browser
) -> None:
    answer = submit(admin, SWITCH, OFF, page=PAGE)
    said = text(admin.get(answer.headers["Location"]))
    assert (
        "What is missing: a sign-in of a break-glass administrator who may still sign in within the last 7 days."
        in said
    )
    assert not policy.is_restricted()
    theirs = sign_in_by_password(keeper)
    answer = submit(theirs, SWITCH, OFF, page=PAGE)
    assert "open to break-glass administrators only now; 1 session(s) ended." in text(
        theirs.get(answer.headers["Location"])
    )
    assert policy.is_restricted()
    assert admin.user is None
    assert ana.user
    event = Event.objects.get(kind=Kind.SIGN_IN_POLICY_CHANGED)
    assert (event.actor, event.data["from"], event.data["to"]) == ("keeper@portico.example", "everyone", "break-glass")


def test_it_names_both_where_both_are_missing(admin: Browser) -> None:
    answer = submit(admin, SWITCH, OFF, page=PAGE)
    said = text(admin.get(answer.headers["Location"]))
    assert "What is missing: a sign-in through an identity provider within the last 7 days; and a sign-in of a" in said


def test_what_worked_too_long_ago_does_not_count(
    admin: Browser, ana: Browser, keeper: User, settings: Settings
) -> None:
    sign_in_by_password(keeper)
    now = timezone.now()
    days = timedelta(days=settings.PORTICO_BREAK_GLASS_PROOF_DAYS)
    assert policy.proof(now + days - timedelta(minutes=1)).missing == []
    assert len(policy.proof(now + days + timedelta(minutes=1)).missing) == 2


@pytest.mark.parametrize("facts", [{"is_break_glass": False}, {"is_active": False}])
def test_a_sign_in_of_somebody_who_is_no_break_glass_administrator_any_more_does_not_count(
    facts: dict[str, bool], ana: Browser, admin: Browser, keeper: User
) -> None:
    sign_in_by_password(keeper)
    User.objects.filter(pk=keeper.pk).update(**facts)
    submit(admin, SWITCH, OFF, page=PAGE)
    assert not policy.is_restricted()


def test_it_is_switched_back_without_conditions_and_twice_is_once(restricted: None, keeper: User) -> None:
    theirs = sign_in_by_password(keeper)
    submit(theirs, SWITCH, ON, page=PAGE)
    submit(theirs, SWITCH, ON, page=PAGE)
    assert not policy.is_restricted()
    assert Event.objects.filter(kind=Kind.SIGN_IN_POLICY_CHANGED).count() == 1


def test_the_switch_is_for_superusers(db: None) -> None:
    clerk = sign_in_by_password(factories.user("clerk@portico.example", password=PASSWORD, is_staff=True))
    assert clerk.get(PAGE).status_code == 403
    assert submit(clerk, SWITCH, OFF, page="/profile/").status_code == 403


def test_the_switch_takes_nothing_else(admin: Browser) -> None:
    assert submit(admin, SWITCH, {"to": "nobody"}, page=PAGE).status_code == 403
    assert admin.get(SWITCH).status_code == 405
    assert admin.get(f"{PAGE}1/change/").headers["Location"] == PAGE


# --- What it means at the door ---


def test_the_right_password_of_anybody_else_opens_nothing_and_looks_like_a_wrong_one(
    restricted: None, grace: User, lou: User
) -> None:
    for person in (grace, lou):
        browser, said = try_password(person)
        assert browser.user is None
        assert "E-mail and password do not match an account here." in said
        assert "Passwords open this site to break-glass administrators only." in said


def test_a_break_glass_administrator_comes_in_and_it_is_shown_for_a_week(restricted: None, keeper: User) -> None:
    theirs = sign_in_by_password(keeper)
    said = text(theirs.get("/admin/"))
    assert "The glass was broken this week" in said
    assert "a break-glass administrator signed in, keeper@portico.example from 127.0.0.1" in said
    assert not break_glass.recent(timezone.now() + timedelta(days=7, minutes=1)).exists()


def test_people_of_an_identity_provider_come_in_as_ever(restricted: None, ana: Browser) -> None:
    assert ana.get("/").status_code == 200


def test_a_break_glass_administrator_must_be_a_superuser(admin: Browser, lou: User) -> None:
    answer = submit(admin, f"/admin/accounts/user/{lou.pk}/change/", {"email": lou.email, "is_break_glass": "on"})
    assert "A break-glass administrator is a superuser and a member of staff." in text(answer)


# --- The link ---


def test_the_link_signs_in_once_and_only_by_its_button(
    grace: User, restricted: None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = printed_link(capsys, "GRACE@portico.example")
    for _ in range(3):
        scanner = Browser()
        assert "Sign in as grace@portico.example?" in text(scanner.get(path))
        assert scanner.user is None
    browser = Browser()
    answer = submit(browser, path)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    assert browser.user == grace
    assert Session.objects.get(user=grace).door == "glass"
    assert "By a link made on the server" in text(browser.get("/profile/"))
    assert browser.get("/admin/").status_code == 200
    again = Browser()
    assert "This link does not open anything." in text(again.get(path))
    sign_in = again.get(LOCAL_DOOR)
    assert again.post(path, {"csrfmiddlewaretoken": token(sign_in)}).status_code == 404
    assert again.user is None


def test_making_and_using_it_is_written_down_and_shown(admin: Browser, capsys: pytest.CaptureFixture[str]) -> None:
    path = printed_link(capsys, "grace@portico.example")
    submit(Browser(), path)
    made, used = Event.objects.filter(kind__in=break_glass.KINDS).order_by("id")
    assert (made.kind, made.actor, made.subject) == (
        Kind.BREAK_GLASS_LINK_MADE, "manage.py breakglass", "grace@portico.example"
    )  # fmt: skip
    assert (used.kind, used.actor, used.ip) == (Kind.BREAK_GLASS_LINK_USED, "grace@portico.example", "127.0.0.1")
    said = text(admin.get("/admin/"))
    assert "a link was made on the server, to sign in as grace@portico.example" in said
    assert "such a link was used, to sign in as grace@portico.example from 127.0.0.1" in said


def test_who_may_not_read_the_audit_log_is_not_shown_it(keeper: User) -> None:
    sign_in_by_password(keeper)
    clerk = sign_in_by_password(factories.user("clerk@portico.example", password=PASSWORD, is_staff=True))
    assert "The glass was broken" not in text(clerk.get("/admin/"))


def test_the_token_is_not_kept(grace: User, capsys: pytest.CaptureFixture[str]) -> None:
    secret = printed_link(capsys, grace.email).split("/")[2]
    row = BreakGlassLink.objects.get()
    assert len(secret) > 40
    assert secret not in row.digest


def test_a_link_is_void_after_ten_minutes_or_once_a_newer_one_is_made(
    grace: User, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (printed_link(capsys, grace.email) for _ in range(2))
    assert Browser().get(first).status_code == 404
    BreakGlassLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Browser().get(second).status_code == 404
    now = timezone.now()
    break_glass.make_link(grace.email, now=now, actor=Actor("a test"))
    assert BreakGlassLink.objects.latest("expires_at").expires_at - now == timedelta(minutes=10)


@pytest.mark.parametrize("facts", [{"is_active": False}, {"is_superuser": False}])
def test_a_link_is_void_for_somebody_who_is_not_entitled_any_more(
    facts: dict[str, bool], grace: User, capsys: pytest.CaptureFixture[str]
) -> None:
    path = printed_link(capsys, grace.email)
    browser = Browser()
    form = token(browser.get(path))
    User.objects.filter(pk=grace.pk).update(**facts)
    assert browser.post(path, {"csrfmiddlewaretoken": form}).status_code == 404
    assert browser.user is None


@pytest.mark.parametrize("facts", [{}, {"is_staff": True}, {"is_superuser": True, "is_active": False}])
def test_no_link_is_made_for_anybody_else(facts: dict[str, bool], db: None) -> None:
    factories.user("person@portico.example", **facts)
    for email in ("person@portico.example", "nobody@portico.example", "rubbish"):
        with pytest.raises(CommandError, match="There is no active superuser"):
            call_command("breakglass", email)
    assert User.objects.count() == 1
    assert not BreakGlassLink.objects.exists()


@pytest.mark.parametrize("path", ["x", "%00", "é" * 50, "a" * 500])
def test_rubbish_opens_nothing(path: str, db: None) -> None:
    assert Browser().get(f"/break-glass/{path}/").status_code == 404


def test_the_button_needs_its_token(grace: User, capsys: pytest.CaptureFixture[str]) -> None:
    path = printed_link(capsys, grace.email)
    assert Browser().post(path, {}).status_code == 403
    assert BreakGlassLink.objects.filter(used_at__isnull=True).exists()


def test_it_opens_the_account_of_a_superuser_whom_an_identity_provider_manages(
    acme: IdentityProvider, capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    settings.PORTICO_STAFF_SECOND_FACTOR = True
    boss = factories.user("boss@customer.example", is_staff=True, is_superuser=True, sso_label=str(acme))
    browser = Browser()
    submit(browser, printed_link(capsys, boss.email))
    assert browser.user == boss
    assert browser.get("/admin/").status_code == 200


# --- Commands ---


def test_the_command_says_what_it_did(lou: User, capsys: pytest.CaptureFixture[str]) -> None:
    sign_in_by_password(lou)
    for words, said in (
        (("deactivate", "LOU@portico.example"), "Lou@portico.example is deactivated; 1 session(s) ended."),
        (("deactivate", lou.email), "Lou@portico.example was deactivated before; 0 session(s) ended."),
        (("reactivate", lou.email), "Lou@portico.example may sign in again"),
        (("reactivate", lou.email), "Lou@portico.example is active already"),
    ):
        call_command("user", *words)
        assert said.lower() in capsys.readouterr().out.lower()
    assert Event.objects.filter(kind=Kind.USER_DEACTIVATED, actor="manage.py user deactivate").count() == 1
    with pytest.raises(CommandError, match="There is no account"):
        call_command("user", "deactivate", "nobody@portico.example")
