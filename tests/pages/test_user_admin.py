"""People, in the administration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.models import User
from saml_sp.models import Outcome, SignInAttempt
from tests import factories
from tests.pages.forms import PASSWORD, sign_in_by_password, submit, text

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from saml_sp.models import IdentityProvider
    from tests.door import Browser

PEOPLE = "/admin/accounts/user/"
ADD = f"{PEOPLE}add/"
NEW = {"email": "New@Customer.example", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}


def of(person: User, page: str = "change") -> str:
    return f"{PEOPLE}{person.pk}/{page}/"


@pytest.fixture
def clerk(db: None) -> Browser:
    """Somebody of the staff who may look after accounts, without being a superuser."""
    person = factories.user("clerk@portico.example", password=PASSWORD, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    return sign_in_by_password(person)


def test_an_administrator_creates_a_local_account_with_a_password(admin: Browser) -> None:
    answer = submit(admin, ADD, NEW)
    made = User.objects.get(email_key="new@customer.example")
    assert answer.headers["Location"] == of(made)
    assert made.check_password(PASSWORD)
    assert (made.is_staff, made.is_superuser, made.is_active) == (False, False, True)


def test_an_account_may_be_made_without_a_password(admin: Browser) -> None:
    submit(admin, ADD, {"email": "sso@customer.example", "usable_password": "false"})
    assert not User.objects.get(email_key="sso@customer.example").has_usable_password()


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ({"email": "GRACE@portico.example"}, "Another account has this e-mail address."),
        ({"email": "grace"}, "Enter a valid email address."),
        ({"email": '"grace"@portico.example'}, "Enter a plain e-mail address"),
        ({"password2": "something else entirely"}, "The two password fields didn"),
        ({"password1": "short", "password2": "short"}, "This password is too short."),
    ],
)
def test_a_mistake_gets_a_sentence_and_saves_nothing(admin: Browser, spoilt: dict[str, str], sentence: str) -> None:
    answer = submit(admin, ADD, NEW | spoilt)
    assert answer.status_code == 200
    assert sentence in text(answer)
    assert User.objects.count() == 1


def test_changing_an_address_to_one_that_is_taken_is_refused_in_words(admin: Browser) -> None:
    person = factories.user()
    answer = submit(admin, of(person), {"email": "Grace@Portico.Example", "is_active": "on"})
    assert "Another account has this e-mail address." in text(answer)
    person.refresh_from_db()
    assert person.email == "ana@customer.example"


def test_people_are_found_by_address_and_name(admin: Browser) -> None:
    factories.user("ada@customer.example", last_name="Lovelace")
    factories.user("bob@customer.example")
    for query in ("ADA@", "lovel"):
        page = text(admin.get(f"{PEOPLE}?q={query}"))
        assert "ada@customer.example" in page
        assert "bob@customer.example" not in page


def test_the_list_needs_no_query_per_person(
    admin: Browser, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        factories.user(f"person{number}@customer.example")
    with django_assert_max_num_queries(10):
        assert "person19@customer.example" in text(admin.get(PEOPLE))


def test_it_shows_who_vouches_which_identities_there_are_and_how_many_sessions(
    admin: Browser, ana: Browser, acme: IdentityProvider
) -> None:
    assert ana.user
    other = factories.idp("other", description="Other Entra")
    factories.pending(other, ana.user)
    page = text(admin.get(of(ana.user)))
    assert "Identity provider: Acme Okta" in page
    assert "ana@customer.example at Acme Okta ana@customer.example at Other Entra, awaiting the first sign-in" in page
    assert "Signed in now: in 1 browser " in page


def test_it_shows_a_local_account_as_such(admin: Browser) -> None:
    page = text(admin.get(of(factories.user())))
    assert "Identity provider: local account Identities: none Sign-in address to hand over: - " in page


def test_switching_an_account_off_ends_its_sessions_at_once(admin: Browser, ana: Browser) -> None:
    person = ana.user
    assert person
    submit(admin, of(person, "deactivate"), {"because": "has left"})
    person.refresh_from_db()
    assert (person.is_active, person.inactive_because) == (False, "has left")
    assert ana.user is None
    assert ana.get("/").status_code == 302


def test_setting_a_password_ends_the_sessions_that_the_old_one_began(admin: Browser) -> None:
    person = factories.user("lou@portico.example", password=PASSWORD)
    theirs = sign_in_by_password(person)
    new = "another good long password"
    answer = submit(admin, of(person, "password"), {"password1": new, "password2": new, "set-password": "1"})
    assert answer.status_code == 302
    person.refresh_from_db()
    assert person.check_password(new)
    assert theirs.get("/").status_code == 302


def test_nobody_sets_a_password_for_somebody_of_an_identity_provider(admin: Browser, ana: Browser) -> None:
    person = ana.user
    assert person
    assert "password/" not in admin.get(of(person)).content.decode()
    answer = submit(admin, of(person, "password"), {"password1": PASSWORD, "password2": PASSWORD}, page=ADD)
    assert answer.status_code == 403
    person.refresh_from_db()
    assert not person.has_usable_password()


def test_a_superuser_hands_out_rights(admin: Browser) -> None:
    person = factories.user()
    submit(admin, of(person), {"email": person.email, "is_active": "on", "is_staff": "on", "is_superuser": "on"})
    person.refresh_from_db()
    assert (person.is_active, person.is_staff, person.is_superuser) == (True, True, True)


def test_nobody_else_hands_out_rights_or_switches_accounts_off(clerk: Browser) -> None:
    person = factories.user()
    data = {"email": person.email, "first_name": "Ana", "is_staff": "on", "is_superuser": "on"}
    assert submit(clerk, of(person), data).status_code == 302
    person.refresh_from_db()
    assert (person.first_name, person.is_active, person.is_staff, person.is_superuser) == ("Ana", True, False, False)


@pytest.mark.parametrize("page", ["change", "password"])
def test_nobody_else_takes_over_the_account_of_a_superuser(clerk: Browser, grace: User, page: str) -> None:
    data = {"email": "clerk@portico.example", "password1": "a stolen password", "password2": "a stolen password"}
    answer = submit(clerk, of(grace, page), data, page=ADD)
    assert answer.status_code == 403
    grace.refresh_from_db()
    assert grace.email == "grace@portico.example"
    assert grace.check_password(PASSWORD)


def test_a_superuser_cannot_lock_themselves_out(admin: Browser, grace: User) -> None:
    submit(admin, of(grace), {"email": grace.email, "first_name": "Grace"})
    grace.refresh_from_db()
    assert (grace.first_name, grace.is_active, grace.is_superuser) == ("Grace", True, True)
    assert admin.get(of(grace, "delete")).status_code == 403


def test_only_superusers_delete_and_one_account_at_a_time(admin: Browser, clerk: Browser) -> None:
    person = factories.user()
    assert clerk.get(of(person, "delete")).status_code == 403
    assert "delete_selected" not in admin.get(PEOPLE).content.decode()
    submit(admin, of(person, "delete"), {"post": "yes"})
    assert not User.objects.filter(pk=person.pk).exists()


def test_the_start_page_counts_the_refusals_of_the_last_day(admin: Browser, clerk: Browser) -> None:
    assert "No sign-in was refused in the last 24 hours." in text(admin.get("/admin/"))
    now = timezone.now()
    SignInAttempt.objects.create(trace_id="ABCDE-FGHJK", at=now, outcome=Outcome.REFUSED)
    SignInAttempt.objects.create(trace_id="ABCDE-FGHJM", at=now, outcome=Outcome.ACCEPTED)
    assert "1 sign-in refused in the last 24 hours." in text(admin.get("/admin/"))
    assert "24 hours" not in text(clerk.get("/admin/"))


def test_the_administration_is_closed_to_people_who_are_not_staff(ana: Browser) -> None:
    answer = ana.get("/admin/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/login/?next=/admin/")
    page = ana.get(answer.headers["Location"])
    assert page.status_code == 403
    assert "This page is not open to you. You are signed in as ana@customer.example" in text(page)
