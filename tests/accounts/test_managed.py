"""People whom an identity provider manages: what they meet on every page that is for local people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from allauth.mfa.models import Authenticator

from pages.account import OFFERED
from tests import factories
from tests.accounts.people import Outbox, text
from tests.accounts.test_offered_pages import path_of
from tests.door import Browser
from tests.pages.forms import sign_in_by_password, submit, token

if TYPE_CHECKING:
    from accounts.models import User
    from saml_sp.models import IdentityProvider

OWN = ["account_change_email", "account_confirm_email_change"]


@pytest.mark.parametrize("name", sorted([*OFFERED, *OWN]))
@pytest.mark.parametrize("method", ["get", "post"])
def test_they_are_told_who_manages_this_and_where(method: str, name: str, ana: Browser, acme: IdentityProvider) -> None:
    acme.portal_url = "https://portal.acme.example/"
    acme.save()
    before = ana.user
    password = "another long password"
    data = {"password1": password, "password2": password, "email": "other@customer.example"}
    data["csrfmiddlewaretoken"] = token(ana.get("/profile/"))
    answer = ana.get(path_of(name)) if method == "get" else ana.post(path_of(name), data)
    assert answer.status_code == 403
    assert "Acme Okta manages this." in text(answer)
    assert 'href="https://portal.acme.example/"' in answer.content.decode()
    after = ana.user
    assert before
    assert after
    assert (after.password, after.email) == (before.password, before.email)
    assert not Authenticator.objects.exists()


def test_without_a_known_portal_the_name_stands_alone(ana: Browser) -> None:
    answer = ana.get("/account/password/change/")
    assert "Acme Okta manages this." in text(answer)
    assert "Open the portal" not in text(answer)


def test_their_profile_says_what_is_kept_where(ana: Browser, acme: IdentityProvider) -> None:
    acme.portal_url = "https://portal.acme.example/"
    acme.save()
    page = ana.get("/profile/")
    assert "What Acme Okta keeps Your name and e-mail address, your password and your second factor." in text(page)
    assert 'href="https://portal.acme.example/"' in page.content.decode()
    assert "What you can change here" not in text(page)
    assert "/account/password" not in page.content.decode()


@pytest.mark.parametrize("address", ["sam@customer.example", "SAM@customer.example"])
def test_no_mail_is_sent_for_a_forgotten_password(address: str, sam: User, outbox: Outbox) -> None:
    answer = submit(Browser(), "/account/password/reset/", {"email": address})
    assert answer.headers["Location"] == "/account/password/reset/done/"
    assert outbox.all() == []


def test_the_answer_does_not_tell_who_exists(sam: User, lou: User, outbox: Outbox) -> None:
    factories.user("off@portico.example", password="a long password", is_active=False)
    factories.user("none@portico.example")
    answers = []
    for name in ("lou@portico", "sam@customer", "off@portico", "none@portico", "x@nowhere"):
        address = f"{name}.example"
        visitor = Browser()
        answer = submit(visitor, "/account/password/reset/", {"email": address})
        page = visitor.get(answer.headers["Location"])
        answers.append((answer.status_code, answer.headers["Location"], page.status_code, text(page)))
    assert len(set(answers)) == 1
    assert [mail.to for mail in outbox.all()] == [[lou.email]]


def test_the_answer_takes_no_longer_for_those_who_exist(sam: User, lou: User, outbox: Outbox) -> None:
    visitor = Browser()
    page = visitor.get("/account/password/reset/")
    data = {"csrfmiddlewaretoken": token(page)}

    def cost(address: str) -> float:
        began = time.thread_time()
        origin = f"2001:db8:{next(networks):x}::1"
        visitor.post("/account/password/reset/", data | {"email": address}, REMOTE_ADDR=origin)
        return time.thread_time() - began

    networks = iter(range(1, 1000))
    costs: dict[str, list[float]] = {name: [] for name in (lou.email, sam.email, "x@nowhere.example")}
    for _ in range(5):  # a minute's worth for one address
        for name, values in costs.items():
            values.append(cost(name))
    fastest = [min(values) for values in costs.values()]
    assert max(fastest) < 1.5 * min(fastest)
    outbox.all()


def test_a_link_from_before_is_void(lou: User, outbox: Outbox) -> None:
    submit(Browser(), "/account/password/reset/", {"email": lou.email})
    link = outbox.link()
    lou.sso_label = "Acme Okta"
    lou.save()
    assert "This link is not valid any more." in text(Browser().get(link))


def test_staff_who_keep_a_password_here_change_it_here_but_not_the_address(sam: User) -> None:
    sam.is_staff = True
    sam.save()
    browser = sign_in_by_password(sam)
    assert browser.get("/account/password/change/").status_code == 200
    assert browser.get("/account/second-factor/").status_code == 200
    assert browser.get("/account/email/").status_code == 403
