"""Accounts that are no person's: made by administrators, and unable to do anything but use tokens."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import addresses, invitations, merging
from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from saml_sp import moving
from saml_sp.models import DomainProof, EmailDomain, FederatedIdentity, SignInAttempt
from tests import factories
from tests.accounts.people import grow_older, try_password
from tests.door import Browser
from tests.idp import Forge, email_attribute
from tests.pages.forms import PASSWORD, sign_in_by_password, submit, text, token
from tests.tokens.making import OPERATOR, token_of
from tokens import secrets, service_accounts
from tokens.models import ServiceAccount

if TYPE_CHECKING:
    from django.http import HttpResponse

    from saml_sp.models import IdentityProvider
    from tests.accounts.people import Outbox

pytestmark = pytest.mark.django_db
ACCOUNTS = "/admin/tokens/serviceaccount/"
ADD = f"{ACCOUNTS}add/"
ASKED = {"name": "Nightly report", "contact": "ops@portico.example"}
TEXT = re.compile(r"ptc_[0-9A-Za-z]{46}")
KEY = re.compile(r'name="form_key" value="([^"]+)"')


def page_of(account: ServiceAccount, step: str = "change") -> str:
    return f"{ACCOUNTS}{account.pk}/{step}/"


def form_of(browser: Browser, account: ServiceAccount, **facts: Any) -> dict[str, Any]:
    page = browser.get(page_of(account, "token"))
    key = KEY.search(page.content.decode())
    assert key, text(page)
    data = {"name": "cron", "scopes": ["read:self"], "expires_in_days": "90", "form_key": key[1]}
    return data | facts | {"csrfmiddlewaretoken": token(page)}


def issue(browser: Browser, account: ServiceAccount, **facts: Any) -> HttpResponse:
    return browser.post(page_of(account, "token"), form_of(browser, account, **facts))


# --- Made and changed ---


def test_an_administrator_makes_one(admin: Browser, grace: User) -> None:
    submit(admin, ADD, ASKED)
    made = ServiceAccount.objects.get()
    assert (str(made), made.contact, made.created_by) == ("Nightly report", "ops@portico.example", grace.email)
    assert re.fullmatch(r"nightly-report-[0-9a-f]{6}@service\.invalid", made.user.email)
    assert addresses.is_address(made.user.email)
    assert made.user.is_service_account
    assert not made.user.has_usable_password()
    written = Event.objects.get(kind=Kind.SERVICE_ACCOUNT_CREATED)
    assert (written.subject_id, written.data) == (str(made.pk), ASKED)
    listed = text(admin.get(ACCOUNTS))
    assert "Nightly report" in listed
    assert "ops@portico.example" in listed


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [({"name": ""}, "This field is required"), ({"contact": "ops"}, "Enter a valid email address")],
)
def test_a_mistake_gets_a_sentence_and_makes_nothing(admin: Browser, spoilt: dict[str, str], sentence: str) -> None:
    assert sentence in text(submit(admin, ADD, ASKED | spoilt))
    assert not ServiceAccount.objects.exists()


@pytest.mark.parametrize("name", ["Übersicht", "日本語", "-" * 100, "x" * 100])
def test_whatever_the_name_its_address_is_one(name: str) -> None:
    for _ in range(2):
        made = service_accounts.create(name=name, contact="ops@portico.example", now=timezone.now(), actor=OPERATOR)
        assert addresses.is_address(made.user.email)


def test_name_and_contact_may_change_and_the_address_stays(admin: Browser, robot: ServiceAccount) -> None:
    submit(admin, page_of(robot), {"name": "Hourly report", "contact": "other@portico.example"})
    changed = ServiceAccount.objects.get()
    assert (str(changed), changed.contact) == ("Hourly report", "other@portico.example")
    assert changed.user.email == robot.user.email
    assert Event.objects.get(kind=Kind.SERVICE_ACCOUNT_CHANGED).data["name"] == "Hourly report"


def test_nobody_deletes_one(admin: Browser, robot: ServiceAccount) -> None:
    assert admin.get(page_of(robot, "delete")).status_code == 403


def test_the_list_costs_the_same_for_many(admin: Browser, django_assert_max_num_queries: Any) -> None:
    for number in range(10):
        made = service_accounts.create(
            name=f"r{number}", contact="ops@portico.example", now=timezone.now(), actor=OPERATOR
        )
        token_of(made.user)
    with django_assert_max_num_queries(10):
        assert text(admin.get(ACCOUNTS)).count("@service.invalid") == 10


def test_who_may_only_look_makes_no_token(robot: ServiceAccount) -> None:
    person = factories.user("clerk@portico.example", password=PASSWORD, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename="view_serviceaccount"))
    browser = sign_in_by_password(person)
    page = browser.get(page_of(robot))
    assert "ops@portico.example" in text(page)
    assert "/token/" not in page.content.decode()
    assert browser.get(page_of(robot, "token")).status_code == 403


# --- Its tokens ---


def test_an_administrator_makes_a_token_for_it_that_is_shown_once(
    admin: Browser, robot: ServiceAccount, outbox: Outbox, django_capture_on_commit_callbacks: Any
) -> None:
    assert page_of(robot, "token") in admin.get(page_of(robot)).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        page = issue(admin, robot)
    assert (page.status_code, page.headers["Cache-Control"]) == (201, "no-store")
    (secret,) = set(TEXT.findall(page.content.decode()))
    assert robot.user.api_tokens.get().digest == secrets.digest(secret)
    assert secret not in admin.get(page_of(robot)).content.decode()
    assert "1 that works" in text(admin.get(page_of(robot)))
    mail = outbox.only()
    assert mail.to == ["ops@portico.example"]
    assert secret not in mail.body
    assert Event.objects.get(kind=Kind.TOKEN_CREATED).data["owner"] == robot.user.email


def test_the_form_that_comes_twice_makes_one_token(admin: Browser, robot: ServiceAccount) -> None:
    data = form_of(admin, robot)
    admin.post(page_of(robot, "token"), data)
    answer = admin.post(page_of(robot, "token"), data)
    assert answer.headers["Location"] == page_of(robot)
    assert "The form came twice" in text(admin.get(page_of(robot)))
    assert robot.user.api_tokens.count() == 1


def test_what_is_wrong_stands_in_the_form(admin: Browser, robot: ServiceAccount) -> None:
    assert "Choose at least one thing" in text(issue(admin, robot, scopes=[]))
    assert "printable characters only" in text(issue(admin, robot, name="a\x07b"))
    assert not robot.user.api_tokens.exists()


def test_no_scope_is_offered_that_either_of_the_two_may_not_have(admin: Browser, robot: ServiceAccount) -> None:
    # The superuser may, the account may not.
    assert "admin:audit" not in admin.get(page_of(robot, "token")).content.decode()
    robot.user.user_permissions.set(Permission.objects.filter(codename="view_event"))
    assert "admin:audit" in admin.get(page_of(robot, "token")).content.decode()
    person = factories.user("clerk@portico.example", password=PASSWORD, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename="change_serviceaccount"))
    browser = sign_in_by_password(person)
    assert "admin:audit" not in browser.get(page_of(robot, "token")).content.decode()
    assert "is not one of the available choices" in text(issue(browser, robot, scopes=["admin:audit"]))


def test_it_takes_a_sign_in_that_is_young(admin: Browser, robot: ServiceAccount) -> None:
    grow_older(admin, timedelta(hours=9))
    assert admin.get(page_of(robot, "token")).headers["Location"].startswith("/sign-in/again/?next=")


def test_there_is_no_token_for_one_that_is_not_there_or_is_switched_off(admin: Browser, robot: ServiceAccount) -> None:
    assert admin.get(f"{ACCOUNTS}00000000-0000-0000-0000-000000000000/token/").status_code == 404
    assert admin.get(f"{ACCOUNTS}00000000-0000-0000-0000-000000000000/change/").status_code == 302
    data = form_of(admin, robot)
    submit(admin, f"/admin/accounts/user/{robot.pk}/deactivate/", {"because": "not used"})
    assert page_of(robot, "token") not in admin.get(page_of(robot)).content.decode()
    assert "is switched off" in text(admin.post(page_of(robot, "token"), data))


# --- What it cannot do ---


def test_it_signs_in_by_no_password_even_if_one_was_set(robot: ServiceAccount) -> None:
    robot.user.set_password(PASSWORD)
    robot.user.save()
    browser = Browser()
    try_password(robot.user, PASSWORD, browser)
    assert browser.user is None


def test_it_resets_no_password(robot: ServiceAccount, outbox: Outbox) -> None:
    User.objects.filter(pk=robot.pk).update(password=factories.user(password=PASSWORD).password)
    invitations.answer_forgotten(robot.user.email)
    assert outbox.all() == []
    robot.user.refresh_from_db()
    path = invitations.password_link(robot.user).removeprefix("http://127.0.0.1:8000")
    browser = Browser()
    page = browser.get(path)
    shown = browser.get(page.headers["Location"]) if page.status_code == 302 else page
    assert 'name="password1"' not in shown.content.decode()


def test_it_is_not_invited(admin: Browser, robot: ServiceAccount) -> None:
    with pytest.raises(invitations.NotInvited, match="is a service account"):
        invitations.invite(robot.user, now=timezone.now(), actor="operator")


@pytest.mark.parametrize("claim", ["a domain", "nothing"])
def test_no_sign_in_takes_it_over(robot: ServiceAccount, acme: IdentityProvider, claim: str) -> None:
    if claim == "a domain":
        facts = {"verified_at": timezone.now(), "proof": DomainProof.VOUCHED, "reason": "a test"}
        EmailDomain.objects.create(idp=acme, domain=service_accounts.DOMAIN, **facts)
    browser = Browser()
    xml = Forge(acme, timezone.now()).xml(name_id="robot", attributes=[email_attribute(robot.user.email)])
    answer = browser.send(acme, xml)
    assert answer.status_code == 403
    assert browser.user is None
    assert SignInAttempt.objects.get().code == "account_is_service"
    assert not FederatedIdentity.objects.exists()


def test_nobody_is_made_to_vouch_for_it(admin: Browser, robot: ServiceAccount, acme: IdentityProvider) -> None:
    with pytest.raises(moving.MoveRefused, match="is a service account"):
        moving.assign(robot.user, acme, now=timezone.now(), actor=OPERATOR)
    assert admin.get(f"/admin/accounts/user/{robot.pk}/provider/").status_code == 403
    answer = submit(
        admin, "/admin/saml_sp/federatedidentity/add/", {"idp": acme.pk, "user": robot.pk, "email_key": "a@b.example"}
    )
    assert "is a service account" in text(answer)
    assert not FederatedIdentity.objects.exists()


def test_it_is_merged_with_nobody(robot: ServiceAccount, lou: User) -> None:
    for gone, keep in ((robot.user, lou), (lou, robot.user)):
        with pytest.raises(merging.MergeRefused, match="A service account is nobody's"):
            merging.merge(gone, keep, now=timezone.now(), actor=OPERATOR)


@pytest.mark.parametrize(
    "facts",
    [{"is_staff": True}, {"is_superuser": True}, {"is_break_glass": True}, {"sso_label": "Acme Okta"}],
)
def test_it_is_given_no_rights_by_accident(robot: ServiceAccount, facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        setattr(robot.user, name, value)
    with pytest.raises(ValidationError):
        robot.user.full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=robot.pk).update(**facts)


def test_its_row_among_people_is_only_looked_at(admin: Browser, robot: ServiceAccount) -> None:
    page = admin.get(f"/admin/accounts/user/{robot.pk}/change/")
    assert 'name="is_staff"' not in page.content.decode()
    data = {"password1": PASSWORD, "password2": PASSWORD, "csrfmiddlewaretoken": token(admin.get(ADD))}
    assert admin.post(f"/admin/accounts/user/{robot.pk}/password/", data).status_code == 403
