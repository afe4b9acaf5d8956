"""What a browser and an identity provider do in a sign-in that begins on this site; nothing here is the product's."""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from django.utils import timezone
from lxml import etree

from saml_sp.protocol import names
from tests.door import CONTINUE, Browser
from tests.idp import Forge

if TYPE_CHECKING:
    from django.http import HttpResponse

    from saml_sp.models import IdentityProvider

COOKIE = "portico_attempt"


@dataclass(frozen=True)
class Asked:
    """The request as it reached the identity provider."""

    answer: HttpResponse
    endpoint: str
    fields: dict[str, str]
    xml: bytes

    @property
    def root(self) -> etree._Element:
        """The AuthnRequest."""
        return etree.fromstring(self.xml)

    @property
    def id(self) -> str:
        """What an answer must name."""
        return str(self.root.get("ID"))

    def text(self, path: str) -> list[str]:
        """The texts of the elements at a path."""
        found = self.root.findall(path, {"samlp": names.SAMLP, "saml": names.SAML})
        return [element.text or "" for element in found]


def login(idp: IdentityProvider, target: str | None = None) -> tuple[str, dict[str, Any]]:
    """The path of its login page, and the query."""
    return f"/saml/{idp.slug}/login/", {} if target is None else {"data": {"next": target}}


def ask(browser: Browser, idp: IdentityProvider, target: str | None = None, **extra: Any) -> Asked:
    """Begin a sign-in here, and be the identity provider that is asked."""
    path, query = login(idp, target)
    answer = browser.get(path, **query, **extra)
    if answer.status_code == 303:
        url = urlsplit(answer.headers["Location"])
        fields = {name: value for name, (value,) in parse_qs(url.query, keep_blank_values=True).items()}
        endpoint = f"{url.scheme}://{url.netloc}{url.path}"
        return Asked(answer, endpoint, fields, zlib.decompress(base64.b64decode(fields["SAMLRequest"]), -15))
    assert answer.status_code == 200, answer.content.decode()
    page = answer.content.decode()
    endpoint = unescape(re.findall(r'<form id="send"[^>]* action="([^"]*)"', page)[0])
    hidden = re.findall(r'<input type="hidden" name="(SAMLRequest|RelayState)" value="([^"]*)"', page)
    fields = {name: unescape(value) for name, value in hidden}
    return Asked(answer, endpoint, fields, base64.b64decode(fields["SAMLRequest"]))


def answer(browser: Browser, idp: IdentityProvider, request_id: str | None, **changes: Any) -> HttpResponse:
    """Bring the identity provider's answer to this request; returns what the ACS says."""
    relay_state = changes.pop("relay_state", None)
    xml = Forge(idp, timezone.now()).xml(in_response_to=request_id, **changes)
    return browser.send(idp, xml, relay_state)


def is_signed_in(browser: Browser, posted: HttpResponse) -> str:
    """Follow the ACS's answer to the end, which must be a session; returns the path of the page that it leads to."""
    assert (posted.status_code, posted.headers.get("Location")) == (303, CONTINUE), posted.content.decode()
    adopted = browser.get(CONTINUE)
    assert adopted.status_code == 303, adopted.content.decode()
    assert browser.user is not None
    return adopted.headers["Location"]
