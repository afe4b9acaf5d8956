"""Chromium, driven by playwright: pages that are watched for every complaint of the browser."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    # Nothing that a page names beyond this machine is looked up.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]  # fmt: skip
PATIENCE_MS = 30_000
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 400, "height": 800}

# Those that are open at this moment: a failed test shows where they are.
opened: list[Visitor] = []


@dataclass(eq=False)
class Visitor:
    """One browser window with cookies of its own, and what the browser complained about in it.

    A complaint is: anything the console calls an error (violations of the Content-Security-Policy are), an exception
    in a script, a part of a page that was blocked or not found. Origins in `forgiven` may do as they like.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    forgiven: set[str] = field(default_factory=set)

    def watch(self) -> None:
        """Listen from now on."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: exception {error}"))
        self.page.on("response", self._response)
        self.page.on("requestfailed", self._failed)

    def words(self) -> str:
        """The visible words of the page."""
        return " ".join(self.page.locator("body").inner_text().split())

    def _console(self, message: ConsoleMessage) -> None:
        # Pages that are meant to be refusals say so here as well; what a page loads is seen to by its response.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self._complain(f"console: {message.text}", message.location.get("url") or self.page.url)

    def _response(self, response: Response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            self._complain(f"{response.status} for {response.url}", response.frame.url)

    def _failed(self, request: Request) -> None:
        # Leaving a page breaks off what it was still loading. Names beyond this machine are asked for by saml-idp's
        # pages only: on ours the Content-Security-Policy would complain first.
        if request.failure not in {"net::ERR_ABORTED", "net::ERR_NAME_NOT_RESOLVED"}:
            self._complain(f"{request.failure} for {request.method} {request.url}", self.page.url)

    def _complain(self, what: str, where: str) -> None:
        if not any(where.startswith(origin) for origin in self.forgiven):
            self.complaints.append(f"{where}: {what}")


@dataclass
class Chromium:
    """The browser, from which each test takes windows of its own."""

    browser: Browser

    @contextmanager
    def window(self, **options: Any) -> Iterator[Visitor]:
        """A fresh window; fails in the end if the browser had anything to complain about."""
        context = self.browser.new_context(**{"viewport": WIDE, **options})
        context.set_default_timeout(PATIENCE_MS)
        visitor = Visitor(context.new_page())
        visitor.watch()
        opened.append(visitor)
        try:
            yield visitor
        finally:
            opened.remove(visitor)
            context.close()
        assert not visitor.complaints, "the browser complained:\n" + "\n".join(visitor.complaints)


@contextmanager
def running_chromium() -> Iterator[Chromium]:
    """The browser for the length of a `with` block."""
    program = shutil.which("chromium")
    assert program, "Chromium is not installed; .ci/run installs what the system tests need"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield Chromium(browser)
        finally:
            browser.close()
