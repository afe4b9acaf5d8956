"""An HTTP client that goes where a browser would: cookies by the rules that matter to a sign-in, redirects, forms.

Secure cookies are kept on loopback without TLS, as Chromium does; SameSite=Lax ones stay behind on a cross-site POST.
"""

from __future__ import annotations

import http.client
import ssl  # noqa: TC003 - a dataclass field
from dataclasses import dataclass, field
from http.cookies import Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

from lxml import html

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

TIMEOUT_S = 30
MOST_REDIRECTS = 10
MESSAGES = {"SAMLRequest", "SAMLResponse"}


@dataclass(frozen=True)
class Form:
    """A form on a page: where it goes, how, with which fields; buttons are (name, value)."""

    action: str
    method: str
    fields: dict[str, str]
    buttons: list[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """What came back, after all redirects."""

    url: str
    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The words that a reader sees."""
        document = self._document()
        for hidden in document.xpath("//head | //script | //style"):
            hidden.drop_tree()
        return " ".join(document.text_content().split())

    @property
    def forms(self) -> list[Form]:
        """The forms on it."""
        found = []
        for form in self._document().forms:
            buttons = [
                (str(button.get("name") or ""), str(button.get("value") or ""))
                for button in form.xpath(".//button | .//input[@type='submit']")
            ]
            fields = {
                str(entry.get("name")): str(entry.get("value") or "")
                for entry in form.xpath(".//input[@name and not(@type='submit')]")
                if entry.get("type") not in {"radio", "checkbox"} or entry.get("checked") is not None
            }
            action = urljoin(self.url, form.get("action") or self.url)
            found.append(Form(action, (form.get("method") or "get").upper(), fields, buttons))
        return found

    @property
    def refresh(self) -> str:
        """Where a meta refresh leads; empty without one."""
        for content in self._document().xpath("//meta[@http-equiv='refresh']/@content"):
            return urljoin(self.url, str(content).partition("url=")[2])
        return ""

    def _document(self) -> Any:
        # Any: the stubs know neither text_content() nor forms.
        return html.document_fromstring(self.body, base_url=self.url)

    def form(self, field_or_button: str) -> Form:
        """The form that has a field of this name, or whose action holds this."""
        for form in self.forms:
            names = {*form.fields, *(name for name, _ in form.buttons)}
            if field_or_button in names or field_or_button in form.action:
                return form
        raise AssertionError(f"No form {field_or_button!r} at {self.url}: {self.text[:1000]}")


def site(url: str) -> tuple[str, str]:
    """Scheme and host: what makes a request same-site, for hosts without a registrable domain."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or ""


@dataclass
class Surfer:
    """One browser without scripts or pictures. `tls` says whom it trusts."""

    tls: ssl.SSLContext | None = None
    jar: dict[tuple[str, str, str], Morsel[str]] = field(default_factory=dict)
    visited: list[str] = field(default_factory=list)

    def get(self, url: str) -> Page:
        """Open an address, follow redirects."""
        return self._go("GET", url, b"", came_from="")

    def post(self, url: str, fields: Mapping[str, str], came_from: str) -> Page:
        """Send a form from the page `came_from`, follow redirects."""
        return self._go("POST", url, urlencode(fields).encode(), came_from=came_from)

    def submit(self, page: Page, form: Form, **changes: str) -> Page:
        """Send a form of a page, with some of its fields changed."""
        fields = form.fields | changes
        if form.method == "GET":
            return self.get(f"{form.action}?{urlencode(fields)}")
        return self.post(form.action, fields, came_from=page.url)

    def settle(self, page: Page) -> Page:
        """Do what a page would do by itself: refresh, or send the form that carries a SAML message."""
        for _ in range(MOST_REDIRECTS):
            if page.refresh:
                page = self.get(page.refresh)
            elif form := next((form for form in page.forms if MESSAGES & set(form.fields)), None):
                page = self.submit(page, form)
            else:
                return page
        raise AssertionError(f"No end to it: {self.visited}")

    def cookie(self, name: str) -> str:
        """The value of a cookie, empty without one."""
        return next((morsel.value for key, morsel in self.jar.items() if key[2] == name), "")

    def _go(self, method: str, url: str, body: bytes, came_from: str) -> Page:
        for _ in range(MOST_REDIRECTS):
            page = self._once(method, url, body, came_from)
            if page.status not in {301, 302, 303, 307}:
                return page
            assert page.status != 307 or method == "GET", "a form must not be sent on to somewhere else"
            method, body, came_from = "GET", b"", ""
            url = urljoin(url, page.headers["Location"])
        raise AssertionError(f"Too many redirects: {self.visited}")

    def _once(self, method: str, url: str, body: bytes, came_from: str) -> Page:
        self.visited.append(f"{method} {url}")
        parts = urlsplit(url)
        assert parts.hostname in {"127.0.0.1", "localhost"}, url
        crossing = bool(came_from) and site(came_from) != site(url)
        headers = {"Cookie": self._cookies(parts.hostname, parts.path, crossing=crossing)}
        if method == "POST":
            origin = urlsplit(came_from)
            headers |= {
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": f"{origin.scheme}://{origin.netloc}",
            }
        port = parts.port or (443 if parts.scheme == "https" else 80)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(parts.hostname, port, timeout=TIMEOUT_S, context=self.tls)
        else:
            connection = http.client.HTTPConnection(parts.hostname, port, timeout=TIMEOUT_S)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(method, target, body or None, {name: value for name, value in headers.items() if value})
            response = connection.getresponse()
            page = Page(url, response.status, response.headers, response.read())
        finally:
            connection.close()
        self._keep(page, parts.hostname)
        return page

    def _cookies(self, host: str, path: str, *, crossing: bool) -> str:
        return "; ".join(
            f"{name}={morsel.value}"
            for (owner, below, name), morsel in self.jar.items()
            if owner == host and (path or "/").startswith(below)
            and not (crossing and morsel["samesite"].lower() != "none")
        )  # fmt: skip

    def _keep(self, page: Page, host: str) -> None:
        for line in page.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(line).items():
                key = (host, morsel["path"] or "/", name)
                if not morsel.value or str(morsel["max-age"]) == "0":
                    self.jar.pop(key, None)
                else:
                    self.jar[key] = morsel
