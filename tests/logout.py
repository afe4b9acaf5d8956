"""Logout messages of an identity provider at the HTTP door, and how it reads ours: nothing of that is the product's."""

from __future__ import annotations

import base64
import dataclasses
import re
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from django.utils import timezone
from lxml import etree

from demo import issuer
from demo.logout import LogoutSpec, build_request, build_response, inflate, redirect_query
from saml_sp.protocol import names
from tests.idp import ANA, Kind, key

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.http import HttpResponse

    from demo.keys import SigningKey
    from saml_sp.models import IdentityProvider
    from tests.door import Browser

REQUEST, RESPONSE = "SAMLRequest", "SAMLResponse"
REDIRECT, POST = "redirect", "post"


@dataclass
class Partner:
    """The identity provider's side of single logout: makes valid messages unless told otherwise, and sends them."""

    idp: IdentityProvider
    now: datetime = field(default_factory=timezone.now)
    key: SigningKey = field(default_factory=lambda: key(Kind.RSA))

    @property
    def path(self) -> str:
        """Where logout messages for us go."""
        return f"/saml/{self.idp.slug}/slo/"

    def spec(self, **changes: Any) -> LogoutSpec:
        """What a valid message says, with changes."""
        spec = LogoutSpec(issuer=self.idp.entity_id, destination=self.idp.slo_endpoint, issue_instant=self.now)
        return dataclasses.replace(spec, **changes)

    def request(self, **changes: Any) -> etree._Element:
        """A LogoutRequest about Ana, not signed yet."""
        return build_request(self.spec(**({"name_id": ANA} | changes)))

    def response(self, in_response_to: str | None, **changes: Any) -> etree._Element:
        """A LogoutResponse, not signed yet."""
        return build_response(self.spec(in_response_to=in_response_to, **changes))

    def signed(
        self,
        tree: etree._Element,
        by: SigningKey | None = None,
        after: Callable[[etree._Element], object] | None = None,
    ) -> bytes:
        """The message with an enveloped signature. `after` changes it once it is signed."""
        issuer.sign(tree, by or self.key)
        if after:
            after(tree)
        return etree.tostring(tree)

    def redirect(
        self,
        browser: Browser,
        tree: etree._Element,
        *,
        by: SigningKey | None = None,
        relay_state: str = "",
        field_name: str = "",
    ) -> HttpResponse:
        """Send by HTTP-Redirect."""
        query = redirect_query(field_name or field_of(tree), etree.tostring(tree), by or self.key, relay_state)
        return self.query(browser, query)

    def query(self, browser: Browser, query: str) -> HttpResponse:
        """Send a query string as it is."""
        return browser.get(f"{self.path}?{query}")

    def post(
        self, browser: Browser, tree: etree._Element, *, by: SigningKey | None = None, relay_state: str = ""
    ) -> HttpResponse:
        """Send by HTTP-POST, from another site."""
        return self.form(browser, self.signed(tree, by), field_of(tree), relay_state)

    def form(
        self, browser: Browser, xml: bytes, field_name: str = REQUEST, relay_state: str = "", **extra: Any
    ) -> HttpResponse:
        """Post a document as it is, from another site."""
        data = {field_name: base64.b64encode(xml).decode()} | ({"RelayState": relay_state} if relay_state else {})
        return browser.post(self.path, data | extra, cross_site=True)

    def send(self, binding: str, browser: Browser, tree: etree._Element, **extra: Any) -> HttpResponse:
        """Send by one or the other binding."""
        return self.redirect(browser, tree, **extra) if binding == REDIRECT else self.post(browser, tree, **extra)


def field_of(tree: etree._Element) -> str:
    """The parameter that a message travels in."""
    return REQUEST if tree.tag == names.LOGOUT_REQUEST else RESPONSE


@dataclass(frozen=True)
class Received:
    """A message of ours, as the identity provider sees it."""

    endpoint: str
    tree: etree._Element
    relay_state: str
    signed: bool

    @property
    def status(self) -> str | None:
        """The outer status code."""
        code = self.tree.find(f"{names.STATUS}/{names.STATUS_CODE}")
        return None if code is None else code.get("Value")


def receive(answer: HttpResponse, field_name: str, our_certificate: bytes | None = None) -> Received:
    """Read the message that a page or redirect of ours carries. With our certificate, its signature must verify."""
    page = answer.content.decode()
    onward = re.search(r'id="onward" href="([^"]*)"', page)
    url = answer.headers.get("Location") or (unescape(onward[1]) if onward else "")
    if url:
        return _from_query(url, field_name, our_certificate)
    found = re.search(rf'name="{field_name}" value="([^"]*)"', page)
    assert found, page
    tree = etree.fromstring(base64.b64decode(unescape(found[1])))
    signature = tree.find(names.SIGNATURE)
    if our_certificate and signature is not None:
        xmlsec.tree.add_ids(tree, ["ID"])
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(our_certificate, xmlsec.constants.KeyDataFormatCertPem)
        context.verify(signature)
    action = re.search(r'<form id="send"[^>]* action="([^"]*)"', page)
    relay_state = re.search(r'name="RelayState" value="([^"]*)"', page)
    assert action, page
    return Received(
        unescape(action[1]), tree, unescape(relay_state[1]) if relay_state else "", signed=signature is not None
    )


def _from_query(url: str, field_name: str, our_certificate: bytes | None) -> Received:
    parts = urlsplit(url)
    fields = parse_qs(parts.query)
    tree = etree.fromstring(inflate(base64.b64decode(fields[field_name][0]), 100_000))
    if our_certificate and "Signature" in fields:
        signed, _, signature = parts.query.partition("&Signature=")
        public = x509.load_pem_x509_certificate(our_certificate).public_key()
        assert isinstance(public, rsa.RSAPublicKey)
        # The message begins with its own field, whatever stood in the URL before.
        signed = signed[signed.index(f"{field_name}=") :]
        public.verify(base64.b64decode(unquote(signature)), signed.encode(), padding.PKCS1v15(), SHA256())
    relay_state = fields.get("RelayState", [""])[0]
    return Received(url.partition("?")[0], tree, relay_state, signed="Signature" in fields)
