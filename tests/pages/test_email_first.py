"""An e-mail address on the sign-in page leads to the identity provider to which its domain belongs."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from audit.kinds import Kind
from audit.models import Event
from saml_sp.models import DomainProof, EmailDomain
from tests import factories
from tests.door import Browser
from tests.pages.forms import PASSWORD, submit, text

if TYPE_CHECKING:
    from django.http import HttpResponse

    from accounts.models import User
    from saml_sp.models import IdentityProvider

LEADS_ON = re.compile(r'<meta http-equiv="refresh" content="0; url=([^"]+)" />')
SUGGESTS = "Sign in through Acme Okta People with an address of your company sign in there."


@pytest.fixture
def owner(acme: IdentityProvider) -> IdentityProvider:
    """Acme's identity provider, to which acme.example belongs."""
    EmailDomain.objects.create(idp=acme, domain="acme.example", verified_at=timezone.now(), proof=DomainProof.DNS)
    return acme


def enter(address: str, password: str = "", page: str = "/sign-in/") -> tuple[Browser, HttpResponse]:
    browser = Browser()
    return browser, submit(browser, page, {"username": address, "password": password})


def led_to(answer: HttpResponse) -> str | None:
    found = LEADS_ON.search(answer.content.decode())
    return unescape(found[1]) if found else None


@pytest.mark.parametrize("address", ["nobody@acme.example", "Nobody@ACME.example"])
@pytest.mark.parametrize("page", ["/sign-in/", "/sign-in/?local=1"])
def test_an_address_alone_leads_to_the_owner_of_its_domain(page: str, address: str, owner: IdentityProvider) -> None:
    _, answer = enter(address, page=page)
    assert led_to(answer) == "/saml/acme/login/"
    # Without the refresh, by a link; and never by a redirect, which the policy for forms would stop.
    assert 'href="/saml/acme/login/"' in answer.content.decode()
    assert answer.status_code == 200
    assert not Event.objects.filter(kind=Kind.LOCAL_SIGN_IN_REFUSED).exists()


def test_it_is_the_beginning_of_a_sign_in_that_comes_back_to_the_page_asked_for(owner: IdentityProvider) -> None:
    browser, answer = enter("nobody@acme.example", page="/sign-in/?next=/profile/%3Fa%3D1%26b%3D2")
    where = led_to(answer)
    assert where == "/saml/acme/login/?next=%2Fprofile%2F%3Fa%3D1%26b%3D2"
    assert browser.get(where).headers["Location"].startswith(owner.sso_url)


@pytest.mark.parametrize("portal", ["https://portal.acme.example/", ""])
def test_where_sign_ins_begin_at_the_portal_the_page_says_so_by_name(portal: str, owner: IdentityProvider) -> None:
    owner.sp_initiated, owner.portal_url = False, portal
    owner.save()
    _, answer = enter("nobody@acme.example")
    assert led_to(answer) is None
    assert f"{SUGGESTS} Start from the portal of Acme Okta." in text(answer)
    assert "sso_required" in text(answer)
    assert "Enter your password." not in text(answer)
    assert (f'href="{portal}"' in answer.content.decode()) == bool(portal)
    assert "/saml/acme/login/" not in answer.content.decode()


@pytest.mark.parametrize("make", [None, "managed", "local"])
def test_a_failed_attempt_suggests_the_owner_and_does_not_say_who_exists(
    make: str | None, owner: IdentityProvider
) -> None:
    if make:
        user = factories.user("pat@acme.example", **({"password": PASSWORD} if make == "local" else {}))
        if make == "managed":
            factories.identity(owner, user, subject="u-1")
    browser, answer = enter("pat@acme.example", "a wrong password")
    assert browser.user is None
    assert led_to(answer) is None
    assert f"{SUGGESTS} Code: sso_required Sign in with Acme Okta" in text(answer)
    assert "E-mail and password do not match an account here." in text(answer)
    assert 'href="/saml/acme/login/"' in answer.content.decode()


def test_a_local_account_in_the_domain_still_opens_by_its_password(owner: IdentityProvider) -> None:
    """Its identity provider may not take it over, so nobody else could let its person in."""
    local = factories.user("pat@acme.example", password=PASSWORD)
    browser, answer = enter(local.email, PASSWORD)
    assert answer.status_code == 302
    assert browser.user == local


@pytest.fixture
def keeper(db: None) -> User:
    """A break-glass administrator with an address of the customer's."""
    return factories.user(
        "keeper@acme.example", password=PASSWORD, is_staff=True, is_superuser=True, is_break_glass=True
    )


def test_break_glass_administrators_are_let_through_to_the_form(keeper: User, owner: IdentityProvider) -> None:
    _, alone = enter(keeper.email)
    assert led_to(alone) is None
    assert "Enter your password." in text(alone)
    assert 'value="keeper@acme.example"' in alone.content.decode()
    _, wrong = enter(keeper.email, "a wrong password")
    assert "Acme Okta" not in text(wrong)
    browser, _ = enter(keeper.email, PASSWORD)
    assert browser.user == keeper


def test_break_glass_administrators_whom_it_vouches_for_are_too(keeper: User, owner: IdentityProvider) -> None:
    factories.identity(owner, keeper, subject="u-1")
    keeper.sso_label = str(owner)
    keeper.save()
    assert "Enter your password." in text(enter(keeper.email)[1])


@pytest.mark.parametrize(
    "address", ["pat@nobodys.example", "pat@mail.acme.example", "pat", "acme.example", "@acme.example2"]
)
def test_any_other_address_alone_is_asked_for_a_password(address: str, owner: IdentityProvider) -> None:
    _, answer = enter(address)
    assert led_to(answer) is None
    assert "Enter your password." in text(answer)
    assert "Acme" not in text(answer)


@pytest.mark.parametrize("what", ["claimed only", "disabled"])
def test_a_domain_leads_nowhere_unless_it_is_verified_and_its_owner_enabled(what: str, owner: IdentityProvider) -> None:
    if what == "disabled":
        owner.enabled = False
        owner.save()
    else:
        EmailDomain.objects.update(verified_at=None, proof="")
    for password in ("", "a wrong password"):
        _, answer = enter("pat@acme.example", password)
        assert "Acme" not in text(answer)
        assert led_to(answer) is None


def test_an_account_that_another_one_vouches_for_leads_there(owner: IdentityProvider) -> None:
    other = factories.idp("globex", description="Globex Entra")
    factories.identity(other, factories.user("pat@acme.example"), subject="u-1")
    _, alone = enter("pat@acme.example")
    assert led_to(alone) == "/saml/globex/login/"
    _, wrong = enter("pat@acme.example", "a wrong password")
    assert "Sign in through Globex Entra This account has no password here." in text(wrong)


def test_nothing_at_all_is_asked_for_an_address(owner: IdentityProvider) -> None:
    _, answer = enter("")
    assert "This field is required." in text(answer)
    assert led_to(answer) is None


def test_the_page_works_without_a_password_and_says_so(owner: IdentityProvider) -> None:
    page = Browser().get("/sign-in/").content.decode()
    field = re.findall(r'<input type="password"[^>]*>', page)[0]
    assert "required" not in field
    assert 'autocomplete="current-password"' in field
    assert "Your company signs you in? Then leave this empty." in page
