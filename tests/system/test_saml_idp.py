"""saml-idp, the npm package, as the identity provider, through Chromium: its pages need scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.system.chromium import Chromium
    from tests.system.identity_providers import SamlIdp
    from tests.system.portico import Portico

WHO = {
    "npm": {"userName": "nina@npm.example", "email": "nina@npm.example", "firstName": "Nina", "lastName": "Node"},
    "npm_encrypting": {"userName": "emil", "email": "emil@npm.example", "firstName": "Emil", "lastName": "Encrypted"},
}


def say_who(page: Page, which: str) -> None:
    """Fill in what it shall claim, and go on."""
    for name, value in WHO[which].items():
        page.locator(f"#{name}").fill(value)
    page.locator("#btn-sign-in").click()


@pytest.mark.parametrize("which", WHO)
def test_a_person_arrives_from_its_page(
    portico: Portico, which: str, request: pytest.FixtureRequest, chromium: Chromium
) -> None:
    idp: SamlIdp = request.getfixturevalue(which)
    with chromium.window() as visitor:
        visitor.forgiven = {idp.url}
        visitor.page.goto(idp.url)
        say_who(visitor.page, which)
        visitor.page.wait_for_url(portico.url("/"))
        assert WHO[which]["email"] in visitor.words()
        assert f"{WHO[which]['firstName']} {WHO[which]['lastName']}" in visitor.words()


@pytest.mark.parametrize("which", WHO)
def test_a_request_is_answered_and_leads_where_one_wanted_to_go(
    portico: Portico, which: str, request: pytest.FixtureRequest, chromium: Chromium
) -> None:
    idp: SamlIdp = request.getfixturevalue(which)
    with chromium.window() as visitor:
        visitor.forgiven = {idp.url}
        visitor.page.goto(portico.url(f"/saml/{which.replace('_', '-')}/login/?next=/profile/"))
        say_who(visitor.page, which)
        visitor.page.wait_for_url(portico.url("/profile/"))
        assert WHO[which]["email"] in visitor.words()


def test_a_sign_out_here_asks_it_by_post_and_believes_its_signed_answer(
    portico: Portico, npm: SamlIdp, chromium: Chromium
) -> None:
    with chromium.window() as visitor:
        visitor.forgiven = {npm.url}
        page = visitor.page
        page.goto(npm.url)
        say_who(page, "npm")
        page.wait_for_url(portico.url("/"))
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.wait_for_url("**/signed-out/?logout=*")
        assert "has ended its session too" in visitor.words()


def test_a_sign_out_there_ends_the_session_here_by_a_post_from_its_site(
    portico: Portico, npm: SamlIdp, chromium: Chromium
) -> None:
    with chromium.window() as visitor:
        visitor.forgiven = {npm.url}
        page = visitor.page
        page.goto(npm.url)
        say_who(page, "npm")
        page.wait_for_url(portico.url("/"))
        page.goto(npm.url)
        page.locator("#btn-sign-out").click()
        page.get_by_text("OK", exact=True).wait_for()
        assert page.url == f"{npm.url}/saml/slo"  # by POST: nothing in the query
        page.goto(portico.url("/"))
        page.wait_for_url("**/sign-in/?next=/")
