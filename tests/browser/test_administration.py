"""What an administrator does in the browser: an identity provider from its metadata, from draft to enabled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import urlopen

from tests.system.chromium import NARROW

if TYPE_CHECKING:
    from tests.browser.demonstration import Demo
    from tests.system.chromium import Chromium, Visitor

ADD = "/admin/saml_sp/identityprovider/add/"


def test_a_draft_shows_its_urls_and_pasted_metadata_completes_it(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    demo.administer(page, ADD)
    page.locator("#id_slug").fill("acme")
    page.locator("#id_description").fill("Acme Okta")
    page.locator("input[name=_save]").click()
    page.wait_for_url(re.compile(r"/identityprovider/\d+/change/"))
    words = visitor.words()
    for path in ("/saml/acme/acs/", "/saml/acme/metadata/"):
        assert demo.portico + path in words
    assert "Reply URL" in words
    assert "Audience URI" in words
    page.locator("#id_metadata_xml").fill("<not-metadata/>")
    page.locator("input[name=_continue]").click()
    page.locator(".errorlist").first.wait_for()
    page.locator("#id_metadata_xml").fill(metadata(demo))
    page.locator("#id_enabled").check()
    page.locator("input[name=_continue]").click()
    page.locator(".messagelist").wait_for()
    assert page.locator(".errorlist").count() == 0
    assert page.locator("#id_entity_id").input_value() == f"{demo.portal}/metadata-of-acme"
    assert page.locator("#id_enabled").is_checked()
    page.goto(f"{demo.portico}/admin/saml_sp/identityprovider/")
    assert "Acme Okta" in visitor.words()


def test_the_values_can_be_copied(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    demo.administer(page, "/admin/saml_sp/identityprovider/")
    page.get_by_role("link", name="Kundera & Co.").first.click()
    page.locator("button.copy").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{demo.portico}/saml/demo/acs/"


def test_every_page_of_the_administration_opens_without_a_complaint(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    demo.administer(page)
    links = page.locator("#content a").evaluate_all("links => links.map(link => link.href)")
    pages = sorted({link for link in links if link.startswith(f"{demo.portico}/admin/")})
    assert len(pages) >= 5
    for link in pages:
        response = page.goto(link)
        assert response is not None
        assert response.status == 200, link


def test_the_page_of_our_keys_fits_on_a_telephone(demo: Demo, chromium: Chromium) -> None:
    with chromium.window(viewport=NARROW) as visitor:
        demo.administer(visitor.page, "/admin/saml_sp/spkeypair/")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_a_mapping_is_filled_in_and_tried_on_a_sign_in(demo: Demo, visitor: Visitor, chromium: Chromium) -> None:
    with chromium.window() as somebody:
        demo.arrive(somebody.page)
    page = visitor.page
    demo.administer(page, "/admin/saml_sp/identityprovider/")
    page.get_by_role("link", name="Kundera & Co.").first.click()
    kept = page.locator("#id_map_groups").input_value()
    page.locator("#id_map_groups").fill("a\na")
    page.locator("input[name=_continue]").click()
    page.get_by_text("Line 2 repeats line 1: a").wait_for()
    page.locator("#id_map_groups").fill(kept)
    page.locator("#id_preset").select_option("okta")
    page.locator("input[name=_continue]").click()
    page.locator(".messagelist").wait_for()
    assert page.locator("#id_map_permissions").input_value()
    page.get_by_role("link", name="Try the saved mapping on a recent sign-in").click()
    page.locator("#content table a").first.click()
    assert "What would come of it" in visitor.words()
    tried = page.url
    page.go_back()
    page.go_back()
    page.get_by_role("link", name="Try out a value or a pattern").click()
    page.locator("#id_value").fill("acme-*")
    page.locator("#id_is_pattern").check()
    page.get_by_role("button", name="Try it").click()
    page.get_by_role("link", name="Make it a rule").click()
    assert page.locator("#id_value").input_value() == "acme-*"
    with chromium.window(viewport=NARROW) as narrow:
        demo.administer(narrow.page, urlsplit(tried).path)
        for address in (tried, tried.partition("/rehearsal/")[0] + "/groups/?value=a", tried.partition("rehearsal")[0]):
            narrow.page.goto(address)
            assert narrow.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], address


def metadata(demo: Demo) -> str:
    """The portal's metadata, under another entity ID: another identity provider, for all that Portico knows."""
    with urlopen(f"{demo.portal}/metadata", timeout=20) as response:  # noqa: S310 - on loopback
        document: str = response.read().decode()
    return document.replace(f'entityID="{demo.portal}/metadata"', f'entityID="{demo.portal}/metadata-of-acme"')
