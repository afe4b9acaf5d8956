"""Pictures of the pages, for looking at: `python -m tests.browser.gallery FOLDER`, wide and narrow, light and dark.

`--landing` makes the one picture that the README shows instead.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from demo.people import PEOPLE
from tests.browser.demonstration import Demo, running_demo
from tests.system.chromium import NARROW, WIDE, running_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

CLONE = Path(__file__).parent.parent.parent
LANDING = CLONE / "docs" / "images" / "landing.png"
CROWDED = "noah"


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
    for person in PEOPLE.values():
        page.context.clear_cookies()
        demo.arrive(page, person.shown_as)
        yield f"landing-{person.slug}"
    yield from walk_organizations(demo, page)
    yield from walk_tokens(demo, page)
    page.context.clear_cookies()
    demo.administer(page)
    yield "admin"
    for name in ("organization", "membership", "membership/assign", "membership/import", "role"):
        page.goto(f"{demo.portico}/admin/orgs/{name}/")
        yield f"admin-{name.replace('/', '-')}"
    page.goto(f"{demo.portico}/admin/orgs/organization/")
    page.locator("#result_list tbody a").first.click()
    yield "admin-organization-change"
    page.goto(f"{demo.portico}/admin/tokens/apitoken/")
    yield "admin-apitoken"
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


def walk_organizations(demo: Demo, page: Page) -> Iterator[str]:
    """The pages of somebody who looks after an organisation."""
    page.context.clear_cookies()
    demo.arrive(page, "Ada Minter")
    page.goto(f"{demo.portico}/organizations/")
    yield "organizations"
    people = f"{demo.portico}/organizations/northwind/people/"
    for name, query in (("people", ""), ("people-none", "?q=nobody"), ("people-wrong", "?page=none")):
        page.goto(people + query)
        yield name


def walk_tokens(demo: Demo, page: Page) -> Iterator[str]:
    """The pages of somebody's API tokens, and of the REST door."""
    page.goto(f"{demo.portico}/profile/tokens/")
    yield "tokens-none"
    page.goto(f"{demo.portico}/profile/tokens/new/")
    yield "tokens-new"
    page.get_by_role("textbox", name="Name").fill("Nightly report")
    page.get_by_role("button", name="Make the token").click()
    page.get_by_role("heading", name="Copy your token now").wait_for()
    yield "tokens-shown-once"
    page.goto(f"{demo.portico}/profile/tokens/")
    yield "tokens"
    for name in ("Rotate", "Revoke"):
        page.goto(f"{demo.portico}/profile/tokens/")
        page.get_by_role("link", name=name).first.click()
        page.wait_for_url(f"**/{name.lower()}/")
        yield f"tokens-{name.lower()}"
    page.goto(f"{demo.portico}/api/docs")
    yield "api-docs"
    page.locator("details.call > summary").nth(1).click()
    yield "api-docs-open"


def walk_crowd(demo: Demo, page: Page) -> Iterator[str]:
    """What somebody sees who has very much, with very long names."""
    page.goto(f"{demo.portico}/")
    yield "crowd-landing"
    page.locator("summary").click()
    yield "crowd-landing-open"
    page.goto(f"{demo.portico}/organizations/")
    yield "crowd-organizations"
    page.get_by_role("link", name="See its people").first.click()
    page.wait_for_url("**/people/")
    yield "crowd-people"


def make_crowd(folder: Path) -> None:
    """Fill the demo's database with much of everything for one person."""
    code = f"from tests.browser.crowd import make; make({PEOPLE[CROWDED].email!r})"
    env = os.environ | {"PORTICO_DATA": str(folder)}
    subprocess.run([sys.executable, "manage.py", "shell", "-c", code], cwd=CLONE, env=env, check=True)


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
        running_demo(folder := Path(scratch) / "demo") as demo,
        running_chromium() as chromium,
    ):
        if options.landing:
            with chromium.window(viewport={"width": 1280, "height": 900}) as visitor:
                demo.arrive(visitor.page)
                LANDING.parent.mkdir(parents=True, exist_ok=True)
                visitor.page.screenshot(path=LANDING)
            return
        options.folder.mkdir(parents=True, exist_ok=True)
        looks = [(viewport, scheme) for viewport in (WIDE, NARROW) for scheme in ("light", "dark")]
        for viewport, scheme in looks:
            with chromium.window(viewport=viewport, color_scheme=scheme) as visitor:
                take(walk(demo, visitor.page), visitor.page, options.folder, f"{viewport['width']}-{scheme}")
        with chromium.window() as visitor:
            demo.arrive(visitor.page, PEOPLE[CROWDED].shown_as)
            make_crowd(folder)
            for viewport, scheme in looks:
                visitor.page.set_viewport_size(viewport)  # type: ignore[arg-type]  # a dict is what it wants
                visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two words
                take(walk_crowd(demo, visitor.page), visitor.page, options.folder, f"{viewport['width']}-{scheme}")


def take(names: Iterator[str], page: Page, folder: Path, look: str) -> None:
    """A picture of each page on the way."""
    for name in names:
        page.screenshot(path=folder / f"{name}-{look}.png", full_page=True)


if __name__ == "__main__":
    main()
