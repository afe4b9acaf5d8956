"""`make run` as a person sees it: the portal, Portico, and the administrator's password."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config import launcher
from tests.system.programs import free_port, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

ADMIN = "admin@portico.example"


@dataclass(frozen=True)
class Demo:
    """A running demo."""

    portal: str
    portico: str
    password: str

    def arrive(self, page: Page, person: str = "Ana Lyst") -> None:
        """From the portal to Portico, as one of its people."""
        self.open_tile(page, person)
        page.wait_for_url(f"{self.portico}/")

    def open_tile(self, page: Page, person: str) -> None:
        """Be somebody, and click the tile, wherever that leads."""
        page.goto(f"{self.portal}/")
        page.get_by_text(person, exact=True).click()
        page.locator("#portico").click()

    def answer(self, page: Page, person: str = "Ana Lyst") -> None:
        """Portico has asked the portal who this is: say so."""
        page.get_by_text(person, exact=True).click()
        page.locator("#sign-in").click()

    def trouble(self, page: Page, kind: str, person: str = "Ana Lyst") -> None:
        """Be somebody, and take something from the trouble shelf."""
        page.goto(f"{self.portal}/")
        page.get_by_text(person, exact=True).click()
        page.locator(f"#{kind}").click()
        page.wait_for_url(f"{self.portico}/saml/demo/acs/")

    def administer(self, page: Page, path: str = "/admin/") -> None:
        """Open a page of the administration; sign in with the password that the box shows, if one is asked to."""
        page.goto(self.portico + path)
        if page.locator("input[name=password]").count():
            page.get_by_label("E-mail").fill(ADMIN)
            page.get_by_label("Password").fill(self.password)
            page.locator("main").get_by_role("button", name="Sign in").click()
            page.wait_for_url(self.portico + path)


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    """`python -m demo` on ports of its own, with its own embedded PostgreSQL in `folder`."""
    port, demo_port = free_port(), free_port()
    env = {"PORTICO_DATA": str(folder), "PORT": str(port), "DEMO_PORT": str(demo_port)}
    command = [sys.executable, "-m", "demo"]
    try:
        # Without DATABASE_URL it starts a server of its own.
        with started("demo", command, folder.with_name("demo-log"), env, without="DATABASE_URL") as program:
            program.wait_for_words("└")
            password = (folder / "demo" / "admin_password").read_text().strip()
            yield Demo(f"http://localhost:{demo_port}", f"http://127.0.0.1:{port}", password)
    finally:
        launcher.discard(folder)
