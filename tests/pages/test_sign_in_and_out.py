"""The sign-in page, the door for staff, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accounts.models import Session
from audit.kinds import Kind
from audit.models import Event
from tests import factories
from tests.door import Browser
from tests.idp import ANA
from tests.pages.forms import LOCAL_DOOR, PASSWORD, sign_in_by_password, submit, text, token

if TYPE_CHECKING:
    from accounts.models import User


@pytest.mark.django_db
def test_it_says_to_start_from_the_companys_portal() -> None:
    page = Browser().get("/sign-in/")
    assert page.status_code == 200
    assert "It brings you here, signed in." in text(page)


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/%2F/evil.example", "javascript:alert(1)"]
)
def test_it_drops_a_target_that_is_not_a_path_on_this_site(target: str, ana: Browser) -> None:
    for browser in (Browser(), ana):
        page = browser.get("/sign-in/", data={"next": target}).content.decode()
        assert "evil" not in page
        assert "javascript" not in page


def test_it_tells_somebody_signed_in_so_instead_of_sending_them_round(ana: Browser) -> None:
    page = ana.get("/sign-in/?next=/profile/")
    assert page.status_code == 200
    assert f"You are signed in. You are {ANA} ." in text(page)
    assert '<a class="button" href="/profile/">' in page.content.decode()


@pytest.mark.django_db
def test_a_member_of_staff_signs_in_by_password_and_it_is_written_down(grace: User) -> None:
    browser = sign_in_by_password(grace)
    assert browser.user == grace
    row = Session.objects.get(session_key=browser.session_key)
    assert (row.door, row.ip, row.label) == ("local", "127.0.0.1", "")
    assert "Firefox" in row.user_agent
    event = Event.objects.get(kind=Kind.LOCAL_SIGN_IN)
    assert (event.actor, event.subject_id, event.ip) == (grace.email, str(grace.pk), "127.0.0.1")


@pytest.mark.django_db
def test_a_later_save_leaves_a_sessions_beginning_and_end_alone(admin: Browser) -> None:
    before = Session.objects.get(session_key=admin.session_key)
    # Adding somebody leaves a message in the session, which saves it.
    submit(admin, "/admin/accounts/user/add/", {"email": "new@customer.example", "usable_password": "false"})
    after = Session.objects.get(session_key=admin.session_key)
    assert after.session_data != before.session_data
    assert (after.began_at, after.expire_date) == (before.began_at, before.expire_date)


@pytest.mark.django_db
def test_a_password_leads_to_the_page_originally_asked_for(grace: User) -> None:
    browser = Browser()
    asked = browser.get("/admin/accounts/user/").headers["Location"]
    assert asked == "/admin/login/?next=/admin/accounts/user/"
    door = browser.get(asked).headers["Location"]
    assert door == "/sign-in/?local=1&next=%2Fadmin%2Faccounts%2Fuser%2F"
    answer = submit(browser, door, {"username": grace.email, "password": PASSWORD})
    assert answer.headers["Location"] == "/admin/accounts/user/"


@pytest.mark.django_db
@pytest.mark.parametrize("facts", [{"is_active": False}, {"password": "another password"}])
def test_the_local_door_refuses_whoever_may_not_come_in(facts: dict[str, object]) -> None:
    person = factories.user("visitor@portico.example", **({"password": PASSWORD, "is_staff": True} | facts))
    browser = Browser()
    answer = submit(browser, LOCAL_DOOR, {"username": person.email, "password": PASSWORD})
    assert answer.status_code == 200
    assert "E-mail and password do not match an account here." in text(answer)
    assert browser.user is None
    assert not Event.objects.filter(kind=Kind.LOCAL_SIGN_IN).exists()


def test_signing_out_ends_the_session_and_is_written_down(ana: Browser) -> None:
    key, user = ana.session_key, ana.user
    assert user
    answer = submit(ana, "/sign-out/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/signed-out/?idp=not-asked")
    assert not Session.objects.filter(session_key=key).exists()
    assert ana.session_key is None
    assert Event.objects.get(kind=Kind.SIGN_OUT).subject_id == str(user.pk)
    page = text(ana.get("/signed-out/"))
    assert "You are signed out." in page
    assert ANA not in page
    assert ana.get("/").status_code == 302


def test_a_link_to_sign_out_only_asks(ana: Browser) -> None:
    page = ana.get("/sign-out/")
    assert "Sign out? You are signed in as" in text(page)
    assert ana.user


def test_it_does_not_sign_out_without_the_forms_token(ana: Browser) -> None:
    answer = ana.post("/sign-out/")
    assert answer.status_code == 403
    assert "This form has expired." in text(answer)
    assert ana.user


@pytest.mark.django_db
def test_signing_out_twice_does_no_harm(ana: Browser) -> None:
    page = ana.get("/")
    submit(ana, "/sign-out/")
    assert ana.post("/sign-out/", {"csrfmiddlewaretoken": token(page)}).status_code in {302, 403}
    assert ana.get("/sign-out/").headers["Location"] == "/signed-out/"
    assert Event.objects.filter(kind=Kind.SIGN_OUT).count() == 1


def test_the_administrations_way_out_is_the_same_one(admin: Browser, grace: User) -> None:
    answer = submit(admin, "/admin/logout/", page="/admin/")
    assert answer.headers["Location"] == "/signed-out/"
    assert not Session.objects.filter(user=grace).exists()
    assert Event.objects.filter(kind=Kind.SIGN_OUT).count() == 1


def test_whoever_is_signed_in_is_not_told_otherwise(ana: Browser) -> None:
    assert ana.get("/signed-out/").headers["Location"] == "/"
