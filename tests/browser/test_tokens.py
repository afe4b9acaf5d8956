"""From the portal to a token, from the token to the command line, and its end by an administrator."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from cli.tests.terminal import Machine
from tests.system.chromium import NARROW

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.demonstration import Demo
    from tests.system.chromium import Chromium, Visitor

ANA = "ana.lyst@customer.example"


def make_token(page: Page, name: str) -> None:
    """From the profile, as a person goes; ends at the page that shows it once."""
    page.get_by_role("link", name="See your tokens").click()
    page.get_by_role("link", name="Make a token").click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("checkbox", name="See the organisations").check()
    page.get_by_role("button", name="Make the token").click()
    page.get_by_role("heading", name="Copy your token now").wait_for()


def person_page(demo: Demo, page: Page, email: str) -> None:
    demo.administer(page, "/admin/accounts/user/")
    page.get_by_role("link", name=email).click()
    page.wait_for_url(re.compile(r"/user/[-0-9a-f]+/change/"))


def test_a_token_from_the_profile_works_on_the_command_line_until_its_owner_is_switched_off(
    demo: Demo, visitor: Visitor, chromium: Chromium, tmp_path: Path
) -> None:
    page = visitor.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    demo.arrive(page)
    page.goto(f"{demo.portico}/profile/")
    make_token(page, "Laptop")
    page.get_by_role("button", name="Copy it").click()
    token = page.evaluate("navigator.clipboard.readText()")
    assert token == page.locator("#secret").inner_text()
    command = shlex.split(page.locator(".command").inner_text())

    machine = Machine(tmp_path)
    assert command[0] == "portico"
    done = machine.run(*command[1:], stdin=token)
    assert done.code == 0, done.err
    told = machine.run("whoami").out
    for words in (
        "Ana Lyst",
        ANA,
        "Kundera & Co. (demo)",
        "Northwind Trading (member)",
        "analyst",
        "northwind.example",
    ):
        assert words in told
    page.goto(f"{demo.portico}/profile/tokens/")
    assert re.search(r"Laptop ptc_\w{4}….* by portico-cli/", visitor.words())

    with chromium.window() as office:
        person_page(demo, office.page, ANA)
        office.page.get_by_role("link", name="Switch off").click()
        office.page.get_by_role("button", name="Switch off").click()
        office.page.locator(".messagelist").wait_for()
        done = machine.run("whoami", "--json")
        assert (done.code, done.error["code"], done.error["status"]) == (4, "owner_inactive", 401)
        assert "is switched off. Ask your administrator." in done.error["message"]
        # For the other tests. It brings no token back.
        person_page(demo, office.page, ANA)
        office.page.get_by_role("link", name="Switch on").click()
        office.page.get_by_role("button", name="Switch on").click()
        office.page.locator(".messagelist").wait_for()
    assert machine.run("whoami", "--json").error["code"] == "token_revoked"


def test_its_pages_fit_on_a_telephone(demo: Demo, chromium: Chromium) -> None:
    with chromium.window(viewport=NARROW) as visitor:
        page = visitor.page
        demo.arrive(page, "Ada Minter")
        page.goto(f"{demo.portico}/profile/")
        make_token(page, "x" * 100)
        widths = [page.evaluate("document.documentElement.scrollWidth")]
        page.goto(f"{demo.portico}/profile/tokens/")
        links = page.locator("main a").evaluate_all("links => links.map(link => link.href)")
        for url in (page.url, *[link for link in links if "/tokens/" in link], f"{demo.portico}/api/docs"):
            page.goto(url)
            widths.append(page.evaluate("document.documentElement.scrollWidth"))
        assert len(widths) >= 6
        assert max(widths) <= NARROW["width"], widths
