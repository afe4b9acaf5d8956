"""Who vouches for whom: chosen for new accounts, changed for old ones, two accounts made one."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.core import mail as django_mail
from django.utils import timezone

from accounts import mail
from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from orgs.models import Membership
from saml_sp.models import DomainProof, EmailDomain, FederatedIdentity
from tests import factories
from tests.door import Browser
from tests.idp import ANA, Forge
from tests.pages.forms import PASSWORD, sign_in_by_password, submit, text

if TYPE_CHECKING:
    from django.http import HttpResponse

    from saml_sp.models import IdentityProvider

PEOPLE = "/admin/accounts/user/"
ADD = f"{PEOPLE}add/"
NEW = {"email": "new@customer.example", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}


def of(person: User, page: str = "change") -> str:
    return f"{PEOPLE}{person.pk}/{page}/"


def own_domain(idp: IdentityProvider, domain: str = "customer.example") -> None:
    facts = {"verified_at": timezone.now(), "proof": DomainProof.VOUCHED, "reason": "a test"}
    EmailDomain.objects.create(idp=idp, domain=domain, **facts)


def confirm(browser: Browser, path: str, data: dict[str, object]) -> HttpResponse:
    """Send a form, read the page that says what follows, and press its button."""
    page = submit(browser, path, data)
    assert page.status_code == 200, page.headers
    found = re.findall(r'<input type="hidden"\s+name="([^"]+)"\s+value="([^"]*)"', page.content.decode())
    return browser.post(path, {name: unescape(value) for name, value in found})


def following(browser: Browser, answer: HttpResponse) -> str:
    assert answer.status_code == 302, text(answer)
    return text(browser.get(answer.headers["Location"]))


@pytest.fixture
def lou(db: None) -> User:
    """Somebody with a local account, a password and a second factor."""
    person = factories.user("lou@customer.example", password=PASSWORD, first_name="Lou")
    Authenticator.objects.create(user_id=person.pk, type=Authenticator.Type.TOTP, data={"secret": "x"})
    return person


@pytest.fixture
def clerk(db: None) -> Browser:
    """Somebody of the staff who may change accounts, but has nothing to do with identities."""
    person = factories.user("clerk@portico.example", password=PASSWORD, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    return sign_in_by_password(person)


# --- New accounts ---


def test_a_new_account_of_an_identity_provider_awaits_its_first_sign_in(admin: Browser, acme: IdentityProvider) -> None:
    acme.jit = False
    acme.save()
    answer = submit(admin, ADD, {"email": ANA, "provider": acme.pk, "usable_password": "true"})
    page = following(admin, answer)
    assert f"{ANA} signs in through Acme Okta. No mail was sent; tell them to sign in at {acme.login_url}" in page
    assert f"Sign-in address to hand over: {acme.login_url}" in page
    made = User.objects.get(email_key=ANA)
    assert (made.is_managed, made.has_usable_password(), made.identities.get().pending) == (True, False, True)
    assert django_mail.outbox == []
    theirs = Browser()
    theirs.sign_in(acme, Forge(acme, timezone.now()).xml())
    assert theirs.user == made


def test_where_people_cannot_begin_here_the_portal_is_handed_over(admin: Browser, acme: IdentityProvider) -> None:
    acme.sp_initiated = False
    acme.save()
    answer = submit(admin, ADD, {"email": ANA, "provider": acme.pk})
    page = following(admin, answer)
    assert "tell them to sign in from the portal of Acme Okta" in page
    assert "the portal of Acme Okta, whose address is not known here" in page


def test_a_new_local_account_is_invited_unless_it_gets_a_password(admin: Browser) -> None:
    answer = submit(admin, ADD, {"email": "new@customer.example", "usable_password": "false"})
    assert "New@customer.example is invited" in following(admin, answer)
    mail.settle()
    assert [letter.to for letter in django_mail.outbox] == [["new@customer.example"]]
    submit(admin, ADD, NEW | {"email": "other@customer.example"})
    assert len(django_mail.outbox) == 1


def test_a_new_account_in_a_verified_domain_is_its_providers_not_a_local_one(
    admin: Browser, acme: IdentityProvider
) -> None:
    own_domain(acme)
    assert "verified for an identity provider becomes an account of that one all the same" in text(admin.get(ADD))
    page = following(admin, submit(admin, ADD, NEW))
    assert "customer.example belongs to Acme Okta, so this is not a local account." in page
    made = User.objects.get(email_key="new@customer.example")
    assert (made.is_managed, made.has_usable_password(), made.identities.get().idp) == (True, False, acme)


def test_a_break_glass_administrator_is_exempt(admin: Browser, acme: IdentityProvider) -> None:
    own_domain(acme)
    submit(admin, ADD, NEW | {"is_break_glass": "on"})
    made = User.objects.get(email_key="new@customer.example")
    assert (made.is_break_glass, made.is_staff, made.is_superuser) == (True, True, True)
    assert made.check_password(PASSWORD)
    assert not made.identities.exists()
    page = text(submit(admin, ADD, NEW | {"email": "x@customer.example", "is_break_glass": "on", "provider": acme.pk}))
    assert "begins as a local account" in page


def test_an_address_that_somebody_has_at_the_identity_provider_is_refused(
    admin: Browser, acme: IdentityProvider
) -> None:
    factories.identity(acme, factories.user(), email="new@customer.example")
    page = text(submit(admin, ADD, {"email": "new@customer.example", "provider": acme.pk}))
    assert f"new@customer.example at Acme Okta belongs to {ANA} already." in page
    assert not User.objects.filter(email_key="new@customer.example").exists()


def test_a_clerk_chooses_no_provider_and_makes_no_break_glass_administrator(
    clerk: Browser, acme: IdentityProvider
) -> None:
    page = clerk.get(ADD).content.decode()
    assert 'name="provider"' not in page
    assert 'name="is_break_glass"' not in page
    submit(clerk, ADD, NEW | {"provider": acme.pk, "is_break_glass": "on"})
    made = User.objects.get(email_key="new@customer.example")
    assert (made.is_staff, made.is_break_glass, made.identities.count()) == (False, False, 0)


# --- Another provider ---


def test_what_follows_is_said_before_anything_is_done(admin: Browser, lou: User, acme: IdentityProvider) -> None:
    theirs = Browser()
    page = text(submit(admin, of(lou, "provider"), {"provider": acme.pk}))
    for sentence in (
        "The password is removed.", "Second factors are removed", "All sessions end at once.", "No mail is sent.",
        f"Hand this sign-in address over: {acme.login_url}",
    ):  # fmt: skip
        assert sentence in page
    lou.refresh_from_db()
    assert lou.check_password(PASSWORD)
    assert not lou.identities.exists()
    assert theirs.user is None


def test_a_local_person_is_moved_to_an_identity_provider(admin: Browser, lou: User, acme: IdentityProvider) -> None:
    Authenticator.objects.all().delete()
    theirs = sign_in_by_password(lou)
    Authenticator.objects.create(user_id=lou.pk, type=Authenticator.Type.TOTP, data={"secret": "x"})
    answer = confirm(admin, of(lou, "provider"), {"provider": acme.pk, "email": "lou.there@customer.example"})
    assert f"tell them to sign in at {acme.login_url}" in following(admin, answer)
    lou.refresh_from_db()
    assert (lou.has_usable_password(), lou.is_managed) == (False, True)
    assert not Authenticator.objects.filter(user_id=lou.pk).exists()
    assert theirs.get("/profile/").status_code == 302
    assert lou.identities.get().email_key == "lou.there@customer.example"
    assert "⚠ not the address of the account" in text(admin.get(of(lou)))
    assert "lou@customer.example" in text(admin.get(f"{PEOPLE}?asserted=differs"))
    event = Event.objects.get(kind=Kind.PROVIDER_CHANGED)
    assert event.actor == "grace@portico.example"
    assert (event.data["from"], event.data["to"]) == ("local account", "Acme Okta")


def test_back_to_a_local_account_keeps_its_things_and_mails_a_link(
    admin: Browser, ana: Browser, acme: IdentityProvider
) -> None:
    person = ana.user
    assert person
    page = text(submit(admin, of(person, "provider"), {"provider": ""}))
    assert f"A mail to {ANA} brings a link to choose a password." in page
    answer = confirm(admin, of(person, "provider"), {"provider": ""})
    assert f"{ANA} is invited".capitalize() in following(admin, answer)
    person.refresh_from_db()
    assert (person.sso_label, person.first_name, person.identities.count()) == ("", "Ana", 0)
    assert ana.get("/").status_code == 302
    assert [letter.to for letter in django_mail.outbox] == [[ANA]]
    assert Browser().send(acme, Forge(acme, timezone.now()).xml()).status_code == 403


def test_from_one_identity_provider_to_another_the_first_one_is_out(
    admin: Browser, ana: Browser, acme: IdentityProvider
) -> None:
    person, other = ana.user, factories.idp("other", description="Other Entra")
    assert person
    confirm(admin, of(person, "provider"), {"provider": other.pk})
    assert ana.get("/").status_code == 302
    assert [row.idp for row in person.identities.all()] == [other]
    assert Browser().send(acme, Forge(acme, timezone.now()).xml()).status_code == 403
    theirs = Browser()
    theirs.sign_in(other, Forge(other, timezone.now()).xml())
    assert theirs.user == person


def test_a_confirmation_of_something_else_than_is_the_case_asks_again(
    admin: Browser, lou: User, acme: IdentityProvider
) -> None:
    other = factories.idp("other")
    sent = {"provider": other.pk, "email": "", "confirm": "yes", "was": "local"}
    factories.identity(acme, lou)
    page = submit(admin, of(lou, "provider"), sent)
    assert page.status_code == 200
    assert not lou.identities.filter(idp=other).exists()


def test_moving_twice_is_refused_in_words(admin: Browser, lou: User, acme: IdentityProvider) -> None:
    confirm(admin, of(lou, "provider"), {"provider": acme.pk})
    page = text(submit(admin, of(lou, "provider"), {"provider": acme.pk, "confirm": "yes", "was": "local"}))
    assert "has an identity at Acme Okta already." in page
    person = factories.user("local@customer.example")
    assert "has a local account already." in text(submit(admin, of(person, "provider"), {"provider": ""}))
    assert FederatedIdentity.objects.count() == 1


def test_a_break_glass_administrator_keeps_the_password(admin: Browser, acme: IdentityProvider) -> None:
    rights = {"is_staff": True, "is_superuser": True, "is_break_glass": True}
    keeper = factories.user("keeper@portico.example", password=PASSWORD, **rights)
    page = text(submit(admin, of(keeper, "provider"), {"provider": acme.pk}))
    assert "Password and second factors stay" in page
    assert "Acme Okta opens this administration to them" in page
    confirm(admin, of(keeper, "provider"), {"provider": acme.pk})
    assert sign_in_by_password(keeper).user == keeper


@pytest.mark.parametrize("page", ["provider", "deactivate", "reactivate", "merge"])
def test_a_clerk_has_none_of_the_buttons(clerk: Browser, page: str) -> None:
    person = factories.user()
    assert f"/{page}/" not in clerk.get(of(person)).content.decode()
    assert clerk.get(of(person, page)).status_code == 403
    assert submit(clerk, of(person, page), {"into": "clerk@portico.example"}, page=ADD).status_code == 403
    person.refresh_from_db()
    assert person.is_active


@pytest.mark.parametrize("page", ["provider", "deactivate", "merge"])
def test_nobody_does_so_to_their_own_account(admin: Browser, grace: User, page: str) -> None:
    assert admin.get(of(grace, page)).status_code == 403


def test_a_page_of_nobody_is_not_found(admin: Browser) -> None:
    assert admin.get(f"{PEOPLE}00000000-0000-0000-0000-000000000000/deactivate/").status_code == 404


# --- Off and on ---


def test_somebody_switched_off_is_switched_on_again_by_a_button(admin: Browser, ana: Browser) -> None:
    person = ana.user
    assert person
    assert "links that were mailed are void" in text(admin.get(of(person, "deactivate")))
    answer = submit(admin, of(person, "deactivate"), {"because": "on leave"})
    assert "1 session(s) ended." in following(admin, answer)
    assert "State: switched off: on leave" in text(admin.get(of(person)))
    answer = submit(admin, of(person, "reactivate"))
    assert "is switched on." in following(admin, answer)
    assert ana.get("/").status_code == 302
    assert "was on already" in following(admin, submit(admin, of(person, "reactivate")))


def test_a_form_that_stood_open_switches_nobody_on(admin: Browser, ana: Browser) -> None:
    person = ana.user
    assert person
    submit(admin, of(person, "deactivate"))
    submit(admin, of(person), {"email": ANA, "first_name": "Anna", "is_active": "on"})
    person.refresh_from_db()
    assert (person.first_name, person.is_active) == ("Anna", False)


def test_several_are_switched_off_after_a_page_that_lists_them(admin: Browser, ana: Browser, grace: User) -> None:
    person = ana.user
    assert person
    chosen = {"action": "switch_off", "_selected_action": [person.pk, grace.pk]}
    page = submit(admin, PEOPLE, chosen)
    assert f"their sessions and API tokens end at once: {ANA}" in text(page)
    assert ana.get("/").status_code == 200
    submit(admin, PEOPLE, chosen | {"confirm": "yes"})
    assert ana.get("/").status_code == 302
    grace.refresh_from_db()
    assert grace.is_active
    answer = submit(admin, PEOPLE, {"action": "switch_off", "_selected_action": grace.pk})
    assert "Nobody switches their own account off." in following(admin, answer)


def test_a_clerk_is_not_offered_to_switch_several_off(clerk: Browser) -> None:
    person = factories.user()
    assert "switch_off" not in clerk.get(PEOPLE).content.decode()
    submit(clerk, PEOPLE, {"action": "switch_off", "_selected_action": person.pk, "confirm": "yes"})
    person.refresh_from_db()
    assert person.is_active


def test_links_that_were_mailed_before_stay_void(admin: Browser) -> None:
    submit(admin, ADD, {"email": "new@customer.example", "usable_password": "false"})
    made = User.objects.get(email_key="new@customer.example")
    link = re.search(r"http://127\.0\.0\.1:8000(/\S+)", str(django_mail.outbox[0].body))
    assert link
    submit(admin, of(made, "deactivate"))
    submit(admin, of(made, "reactivate"))
    page = Browser().get(link[1])
    assert page.status_code == 200
    assert 'name="password1"' not in page.content.decode()


# --- Merging ---


def test_two_accounts_become_one_after_a_page_that_says_what_moves(
    admin: Browser, ana: Browser, acme: IdentityProvider
) -> None:
    gone, keep = ana.user, factories.user("ana@new.example")
    assert gone
    factories.membership(gone, factories.organization("Customer"))
    page = text(submit(admin, of(gone, "merge"), {"into": "ANA@new.example"}))
    assert f"These identities move to ana@new.example {ANA} at Acme Okta" in page
    assert f"These assignments move to ana@new.example {ANA}, member of Customer (assigned by grace@" in page
    gone.refresh_from_db()
    assert gone.is_active
    answer = confirm(admin, of(gone, "merge"), {"into": keep.email})
    assert f"{ANA} was merged into ana@new.example" in following(admin, answer)
    gone.refresh_from_db()
    assert (gone.is_active, gone.inactive_because) == (False, "merged into ana@new.example")
    assert ana.get("/").status_code == 302
    theirs = Browser()
    theirs.sign_in(acme, Forge(acme, timezone.now()).xml())
    assert theirs.user == keep
    event = Event.objects.get(kind=Kind.USER_MERGED)
    assert (event.actor, event.subject) == ("grace@portico.example", ANA)
    assert event.data["moved"] == {"identities": 1, "assignments": 1}
    assert Membership.objects.get().user == keep


def test_merging_is_refused_in_words(admin: Browser, grace: User) -> None:
    person = factories.user()
    off = factories.user("off@customer.example", is_active=False)
    staff = factories.user("staff@portico.example", is_staff=True)
    for gone, into, sentence in (
        (person, "nobody@customer.example", "There is no account with this address."),
        (person, person.email, "An account cannot be merged with itself."),
        (person, off.email, "off@customer.example is switched off."),
        (off, person.email, "off@customer.example is switched off."),
        (staff, person.email, "has rights in this administration that"),
        (person, grace.email, "That is your own account"),
    ):
        for step in ({}, {"confirm": "yes"}):
            assert sentence in text(submit(admin, of(gone, "merge"), {"into": into} | step))
    assert not Event.objects.filter(kind=Kind.USER_MERGED).exists()


def test_merging_into_staff_says_what_that_opens(admin: Browser, acme: IdentityProvider) -> None:
    person = factories.user()
    factories.identity(acme, person)
    factories.user("staff@portico.example", is_staff=True)
    page = text(submit(admin, of(person, "merge"), {"into": "staff@portico.example"}))
    assert "whoever signs in by what moves has the administration open to them" in page


# --- Look-alikes ---


@pytest.mark.parametrize(
    "address",
    ["ana+work@customer.example", "a.na@customer.example", "ana@custorner.example", "ana@cust0mer.example"],
)
def test_an_address_that_looks_like_another_is_pointed_out_not_refused(admin: Browser, address: str) -> None:
    factories.user(ANA)
    page = following(admin, submit(admin, ADD, NEW | {"email": address}))
    assert f"{address} looks much like {ANA}. Is it somebody else, or one person twice?" in page
    assert f"Addresses that look like this one: ⚠ {ANA}" in page


def test_different_addresses_are_not(admin: Browser) -> None:
    factories.user(ANA)
    page = following(admin, submit(admin, ADD, NEW | {"email": "anna@customer.example"}))
    assert "looks much like" not in page
