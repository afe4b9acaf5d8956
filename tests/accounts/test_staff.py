"""The administration's door: a second factor where the setting asks for one, and one's own password elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import factories
from tests.accounts.people import set_up_app, text
from tests.door import Browser
from tests.pages.forms import PASSWORD, sign_in_by_password, submit

if TYPE_CHECKING:
    from pytest_django import Settings

    from accounts.models import User

SET_UP = "/account/second-factor/?next=%2Fadmin%2Faccounts%2Fuser%2F"


@pytest.fixture
def asked(settings: Settings) -> None:
    """A site that asks for it."""
    settings.PORTICO_STAFF_SECOND_FACTOR = True


@pytest.mark.usefixtures("asked")
def test_staff_without_one_are_led_to_set_it_up_and_back(admin: Browser) -> None:
    door = admin.get("/admin/accounts/user/").headers["Location"]
    assert admin.get(door).headers["Location"] == SET_UP
    page = text(admin.get(SET_UP))
    assert "The administration wants a second factor" in page
    assert "Continue" not in page
    set_up_app(admin)
    assert '<a class="button" href="/admin/accounts/user/">Continue</a>' in admin.get(SET_UP).content.decode()
    assert admin.get("/admin/accounts/user/").status_code == 200


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/add/", "/admin/audit/event/", "/admin/jsi18n/"])
def test_no_page_of_the_administration_opens_without(path: str, admin: Browser) -> None:
    assert admin.get(path).status_code == 302
    before = admin.get("/profile/")
    assert before.status_code == 200
    answer = submit(admin, path, {}, page="/profile/")
    assert answer.status_code == 302


@pytest.mark.usefixtures("asked")
def test_staff_whom_an_identity_provider_let_in_showed_theirs_there(ana: Browser) -> None:
    assert ana.user
    type(ana.user).objects.filter(pk=ana.user.pk).update(is_staff=True, is_superuser=True)
    assert ana.get("/admin/").status_code == 200


@pytest.mark.usefixtures("asked")
def test_others_are_not_asked(browser: Browser) -> None:
    assert "wants a second factor" not in text(browser.get("/account/second-factor/"))


def test_without_the_setting_a_password_is_enough(admin: Browser) -> None:
    assert admin.get("/admin/").status_code == 200


def test_the_administrations_own_door_is_the_sign_in_page(db: None) -> None:
    asked = Browser().get("/admin/").headers["Location"]
    assert asked == "/admin/login/?next=/admin/"
    assert Browser().get(asked).headers["Location"] == "/sign-in/?local=1&next=%2Fadmin%2F"
    elsewhere = Browser().get("/admin/login/?next=//evil.example/")
    assert elsewhere.headers["Location"] == "/sign-in/?local=1&next=%2Fadmin%2F"


def test_ones_own_password_is_changed_on_the_account_page(admin: Browser, grace: User) -> None:
    for path in ("/admin/password_change/", f"/admin/accounts/user/{grace.pk}/password/"):
        assert admin.get(path).headers["Location"] == "/account/password/change/"
    other = factories.user("other@portico.example", password=PASSWORD)
    assert admin.get(f"/admin/accounts/user/{other.pk}/password/").status_code == 200


def test_the_secrets_of_second_factors_are_not_in_the_administration(admin: Browser) -> None:
    for path in ("/admin/mfa/", "/admin/mfa/authenticator/", "/admin/account/", "/admin/account/emailaddress/"):
        assert admin.get(path).status_code == 404


def test_a_member_of_staff_without_rights_comes_as_far_as_before(db: None) -> None:
    person = factories.user("clerk@portico.example", password=PASSWORD, is_staff=True)
    assert sign_in_by_password(person).get("/admin/").status_code == 200
