"""Pictures of the pages, for looking at: `python -m tests.browser.gallery FOLDER`, at 1280 and 400 pixels.

`--landing` makes the one picture that the README shows instead.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.demonstration import Demo, running_demo
from tests.system.chromium import NARROW, WIDE, running_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

LANDING = Path(__file__).parent.parent.parent / "docs" / "images" / "landing.png"


def walk(demo: Demo, page: Page) -> Iterator[str]:
    """Go from page to page; a name for each."""
    page.goto(f"{demo.portal}/")
    yield "portal"
    page.goto(f"{demo.portico}/sign-in/?local=1")
    yield "sign-in"
    page.goto(f"{demo.portico}/saml/demo/login/")
    yield "portal-asks"
    for kind in ("early", "tampered"):
        demo.trouble(page, kind)
        yield f"refused-{kind}"
    demo.arrive(page)
    yield "landing"
    page.goto(f"{demo.portico}/profile/")
    yield "profile"
    page.goto(f"{demo.portico}/admin/")
    yield "not-for-you"
    page.goto(f"{demo.portico}/nothing-here/")
    yield "not-found"
    demo.open_tile(page, "Ada Minter")
    page.wait_for_url(f"{demo.portico}/saml/continue/")
    yield "question"
    page.goto(f"{demo.portico}/")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/signed-out/**")
    yield "signed-out"
    demo.administer(page)
    yield "admin"
    for name in ("identityprovider", "signinattempt", "spkeypair"):
        page.goto(f"{demo.portico}/admin/saml_sp/{name}/")
        yield f"admin-{name}"
    page.goto(f"{demo.portico}/admin/saml_sp/identityprovider/")
    page.locator("#result_list tbody a").first.click()
    yield "admin-identityprovider-change"
    page.get_by_role("link", name="Try the saved mapping on a recent sign-in").click()
    page.locator("#content table a").first.click()
    yield "admin-rehearsal"
    page.goto(f"{demo.portico}/admin/saml_sp/signinattempt/")
    page.locator("#result_list tbody a").first.click()
    yield "admin-signinattempt-view"


def main() -> None:
    """Start the demo, take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.gallery", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where the pictures go")
    parser.add_argument("--landing", action="store_true", help="only the README's picture")
    options = parser.parse_args()
    if not options.landing and options.folder is None:
        parser.error("say where the pictures should go")
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_demo(Path(scratch) / "demo") as demo,
        running_chromium() as chromium,
    ):
        if options.landing:
            with chromium.window(viewport={"width": 1000, "height": 700}) as visitor:
                demo.arrive(visitor.page)
                LANDING.parent.mkdir(parents=True, exist_ok=True)
                visitor.page.screenshot(path=LANDING)
            return
        options.folder.mkdir(parents=True, exist_ok=True)
        for viewport in (WIDE, NARROW):
            with chromium.window(viewport=viewport) as visitor:
                for name in walk(demo, visitor.page):
                    path = options.folder / f"{name}-{viewport['width']}.png"
                    visitor.page.screenshot(path=path, full_page=True)


if __name__ == "__main__":
    main()
