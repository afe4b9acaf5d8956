"""The page of the REST door, in Chromium: what it shows, under the site's own policy, and a call tried from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.system.chromium import Chromium
    from tests.system.portico import Portico


@pytest.fixture(scope="module")
def token(portico: Portico) -> str:
    """A superuser's token with every scope."""
    return portico.token()


def test_a_call_is_tried_with_a_pasted_token(portico: Portico, chromium: Chromium, token: str) -> None:
    with chromium.window() as visitor:
        page = visitor.page
        page.goto(portico.url("/api/docs"))
        page.get_by_label("Your token").fill(token)
        page.locator("#call-whoami > summary").click()
        page.locator("#call-whoami").get_by_role("button", name="Send").click()
        page.locator("#call-whoami .result").get_by_text("admin@portico.example").wait_for()


def test_a_configuration_is_made_from_the_page(portico: Portico, chromium: Chromium, token: str) -> None:
    with chromium.window() as visitor:
        page = visitor.page
        page.goto(portico.url("/api/docs#call-put_saml_config"))
        page.get_by_label("Your token").fill(token)
        call = page.locator("#call-put_saml_config")
        call.get_by_label("slug").fill("tried")
        call.get_by_label("Body").fill('{"description": "Tried from the page"}')
        call.get_by_role("button", name="Send").click()
        call.locator(".result").get_by_text("201 Created").wait_for()


def test_the_link_in_a_problem_leads_to_what_it_means(portico: Portico, chromium: Chromium) -> None:
    with chromium.window() as visitor:
        page = visitor.page
        page.goto(portico.url("/api/docs"))
        answer = page.request.get(portico.url("/api/v1/whoami"))
        page.goto(answer.json()["type"])
        assert "No token came" in page.locator(":target").inner_text()
