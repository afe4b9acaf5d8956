"""What people see when something is not as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.exceptions import BadRequest, PermissionDenied
from django.template.loader import render_to_string
from django.urls import include, path

from config import urls
from tests.door import Browser
from tests.idp import ANA
from tests.pages.forms import text

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from pytest_django import DjangoAssertNumQueries, Settings


def spoilt(_request: HttpRequest) -> HttpResponse:
    raise BadRequest("a secret detail")


def closed(_request: HttpRequest) -> HttpResponse:
    raise PermissionDenied("a secret detail")


def broken(_request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret detail")


# This module stands in for the site's own list of URLs, with three rooms where things go wrong.
urlpatterns = [
    path("spoilt/", spoilt),
    path("closed/", closed),
    path("broken/", broken),
    path("", include(urls.urlpatterns)),
]
handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500


@pytest.fixture(autouse=True)
def rooms(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__


def test_it_says_that_nothing_is_here() -> None:
    page = Browser().get("/nowhere/<script>")
    assert page.status_code == 404
    assert "There is nothing at this address." in text(page)
    assert "nowhere" not in page.content.decode()


def test_it_tells_whom_it_is_that_may_not_see_a_page(ana: Browser) -> None:
    page = ana.get("/closed/")
    assert page.status_code == 403
    assert f"You are signed in as {ANA} , and this account may not see it." in text(page)
    assert "secret" not in page.content.decode()


def test_it_asks_somebody_unknown_to_sign_in_first() -> None:
    page = Browser().get("/closed/?a=1")
    assert page.status_code == 403
    assert "Please sign in first." in text(page)
    assert 'href="/sign-in/?next=%2Fclosed%2F%3Fa%3D1"' in page.content.decode()


def test_it_did_not_understand_a_request() -> None:
    page = Browser().get("/spoilt/")
    assert page.status_code == 400
    assert "We did not understand that." in text(page)
    assert "secret" not in page.content.decode()


def test_it_answers_a_foreign_host_name_with_the_same_page() -> None:
    page = Browser().get("/", HTTP_HOST="evil.example")
    assert page.status_code == 400
    assert "We did not understand that." in text(page)
    assert "evil" not in page.content.decode()


def test_its_own_failure_needs_no_database(ana: Browser, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        page = ana.get("/broken/")
    assert page.status_code == 500
    assert "Something broke on our side." in text(page)
    assert "secret" not in page.content.decode()


REFUSAL = {
    "headline": "This sign-in came too late.",
    "hint": "Go back to the portal.",
    "public": "",
    "code": "expired",
    "trace_id": "ABCDE-FGHJK",
    "idp_name": "Acme Okta",
    "contact": "help@acme.example",
    "portal_url": "https://acme.example/portal",
    "way_on": False,
    "signed_in_as": "",
    "site_contact": "the front desk",
}


def test_a_refusal_shows_what_to_quote_whom_to_ask_and_the_way_back() -> None:
    page = render_to_string("saml_sp/refused.html", REFUSAL)
    for words in ("expired", "ABCDE-FGHJK", "mailto:help@acme.example", 'href="https://acme.example/portal"'):
        assert words in page
    assert "Back to Acme Okta" in " ".join(page.split())
    assert "Continue" not in page


def test_a_refusal_at_an_unknown_address_names_our_own_contact() -> None:
    page = render_to_string("saml_sp/refused.html", REFUSAL | {"idp_name": "", "contact": "", "portal_url": ""})
    assert "the front desk" in page
    assert 'class="button' not in page


@pytest.mark.parametrize(("email", "words"), [("", "Continue if you are signed in"), (ANA, f"Continue as {ANA}")])
def test_a_refused_replay_offers_the_way_on(email: str, words: str) -> None:
    page = render_to_string("saml_sp/refused.html", REFUSAL | {"way_on": True, "signed_in_as": email})
    assert words in " ".join(page.split())
