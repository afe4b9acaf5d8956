"""What support staff do in the browser: an organisation, a list of people with a preview, a filter by typing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.browser.demonstration import ADMIN
from tests.system.chromium import NARROW

if TYPE_CHECKING:
    from tests.browser.demonstration import Demo
    from tests.system.chromium import Chromium, Visitor

ADD = "/admin/orgs/organization/add/"
LIST = "/admin/orgs/membership/"


def test_a_file_is_read_after_a_preview_and_the_list_is_filtered_by_typing(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    demo.administer(page, ADD)
    page.locator("#id_name").fill("Acme Tools")
    page.locator("#id_external_id").fill("acme-tools")
    page.locator("input[name=_continue]").click()
    page.wait_for_url(re.compile(r"/organization/\d+/change/"))
    page.goto(f"{demo.portico}{LIST}import/")
    lines = f"email,organization,role\n{ADMIN},acme-tools,admin\n"
    page.locator("input[type=file]").set_input_files(
        {"name": "members.csv", "mimeType": "text/csv", "buffer": lines.encode()}
    )
    page.get_by_role("button", name="Show what it would do").click()
    assert "new: becomes admin" in visitor.words()
    page.get_by_role("button", name="Import").click()
    assert "Memberships: 1 new, 0 changed, 0 unchanged, 0 wrong." in visitor.words()
    page.locator(".chosen-filter .select2-selection").click()
    page.locator(".select2-search__field").fill("acme t")
    page.locator(".select2-results__option", has_text="Acme Tools").click()
    page.locator(".chosen-filter input[type=submit]").click()
    page.wait_for_url(re.compile(r"organization=\d+"))
    assert f"{ADMIN} Acme Tools admin by hand" in visitor.words()


def test_its_pages_fit_on_a_telephone(demo: Demo, chromium: Chromium) -> None:
    with chromium.window(viewport=NARROW) as visitor:
        page = visitor.page
        demo.administer(page, "/admin/accounts/user/")
        page.get_by_role("link", name=ADMIN).last.click()
        page.wait_for_url(re.compile(r"/user/[-0-9a-f]+/change/"))
        paths = (LIST, f"{LIST}add/", f"{LIST}assign/", f"{LIST}import/", ADD, "/admin/orgs/role/add/")
        for url in (page.url, *[demo.portico + path for path in paths]):
            page.goto(url)
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], url
