"""A sign-in that begins at Portico, with the demo's identity provider at the other end of it."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit
from wsgiref.util import setup_testing_defaults

import pytest
from django.conf import settings

from demo import keys
from demo.idp import IdentityProvider
from demo.seed import seed
from saml_sp import models
from tests.door import Browser
from tests.saml_sp.asking import Asked, is_signed_in
from tests.saml_sp.asking import ask as ask_at_portico

if TYPE_CHECKING:
    from pathlib import Path

    from demo.idp import Answer

KEY = keys.make("Kundera")


@pytest.fixture
def provider(db: None, tmp_path: Path) -> IdentityProvider:
    known = IdentityProvider("http://localhost:8100", settings.PORTICO_BASE_URL, KEY)
    seed(known, tmp_path, datetime.now(UTC))
    return known


def send(provider: IdentityProvider, method: str, path: str, fields: dict[str, str], cookie: str = "") -> Answer:
    data = urlencode(fields)
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_COOKIE": cookie}
    if method == "GET":
        environ["QUERY_STRING"] = data
    else:
        environ |= {"CONTENT_LENGTH": str(len(data)), "wsgi.input": io.BytesIO(data.encode())}  # type: ignore[dict-item]  # a stream, as WSGI has it
    setup_testing_defaults(environ)
    return provider.answer(environ)


def hidden(page: Answer) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.body.decode())
    return {name: unescape(value) for name, value in found}


def deliver(browser: Browser, page: Answer) -> str:
    return is_signed_in(browser, browser.post("/saml/demo/acs/", hidden(page), cross_site=True))


def at_provider(provider: IdentityProvider, asked: Asked, cookie: str = "") -> Answer:
    method = "GET" if asked.answer.status_code == 303 else "POST"
    return send(provider, method, urlsplit(asked.endpoint).path, asked.fields, cookie)


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_it_asks_who_one_is_and_answers(provider: IdentityProvider, binding: str) -> None:
    models.IdentityProvider.objects.update(sso_binding=binding)
    idp, browser = models.IdentityProvider.objects.get(), Browser()
    page = at_provider(provider, ask_at_portico(browser, idp, "/profile/"))
    assert "Portico asks who you are." in page.body.decode()
    answered = send(provider, "POST", "/sso/answer", hidden(page) | {"person": "ada"})
    assert deliver(browser, answered) == "/profile/"
    assert browser.user
    assert browser.user.email == "ada.minter@customer.example"
    # It remembers who that was, but for a request that wants to know again.
    cookie = answered.cookie.partition(";")[0]
    assert deliver(browser, at_provider(provider, ask_at_portico(browser, idp), cookie)) == "/"
    idp.force_authn = True
    idp.save()
    assert "Portico asks who you are." in at_provider(provider, ask_at_portico(browser, idp), cookie).body.decode()


@pytest.mark.parametrize("value", ["", "%%%", "aGVsbG8=", "PGE+", "q1YCAA=="])
def test_what_is_no_request_gets_a_page(provider: IdentityProvider, value: str) -> None:
    for method in ("GET", "POST"):
        assert send(provider, method, "/sso", {"SAMLRequest": value}).status == 400
    assert send(provider, "POST", "/sso/answer", {"person": "nobody"}).status == 400


def test_its_button_is_on_the_sign_in_page(provider: IdentityProvider) -> None:
    assert "Sign in with Kundera &amp; Co. (demo)" in Browser().get("/sign-in/").content.decode()


def test_it_gives_a_relay_state_back(provider: IdentityProvider) -> None:
    asked = ask_at_portico(Browser(), models.IdentityProvider.objects.get())
    page = send(provider, "GET", "/sso", asked.fields | {"RelayState": "<opaque>"}, 'demo_person=ana; x="')
    chosen = (
        page
        if "SAMLResponse" in hidden(page)
        else send(provider, "POST", "/sso/answer", hidden(page) | {"person": "ana"})
    )
    assert hidden(chosen)["RelayState"] == "<opaque>"
