"""What is fuzzed, and what must hold of it whatever comes in."""

from __future__ import annotations

import base64
import re
import time
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from lxml import etree

from accounts import addresses
from demo import issuer
from demo.issuer import Signed, encode
from saml_sp.protocol import bindings, certificates, logout, metadata
from saml_sp.protocol import names as n
from saml_sp.protocol.assertion import parse_instant
from saml_sp.protocol.errors import BadTimestamp, SamlError
from saml_sp.protocol.types import SpProfile
from saml_sp.protocol.urls import LOOPBACK_HOSTS, check_endpoint, local_path
from tests import idp_metadata
from tests.differential.ours import expectation, open_and_accept
from tests.encrypting import Ours, encrypted_id, lock, private, seal, sealed_xml
from tests.idp import ANA, Forge, Kind, Party, find, key
from tests.vendors import shibboleth
from tests.vendors.scene import Scene
from tests.vendors.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from saml_sp.protocol.types import Assertion

LIMIT_S = 2.0  # of CPU time, for any input
SLO_URL = "https://portico.example/saml/customer/slo/"
_BASE = "https://portico.example"


class Broken(AssertionError):
    """Something that must hold does not."""


@dataclass(frozen=True)
class Run:
    """What an input came to: a refusal's code, or “accepted”; and its CPU time in seconds."""

    target: str
    size: int
    outcome: str
    cpu_s: float


@dataclass(frozen=True)
class Target:
    """One way in. `take` is given an input, answers with what it came to, and raises a refusal of ours or Broken."""

    name: str
    take: Callable[[bytes], str]
    seeds: Sequence[bytes]
    xml: bool = field(default=False, kw_only=True)

    def run(self, data: bytes) -> Run:
        """Try an input. Raises Broken when it takes too long; whatever else escapes is a mistake as well."""
        begin = time.process_time()
        try:
            outcome = self.take(data)
        except SamlError as refusal:
            outcome = refusal.code
            shown = f"{refusal}{refusal.expected}{refusal.received}{refusal.public}"
            if len(shown) > 5000 or "\x00" in shown:
                raise Broken(f"a refusal that cannot be recorded: {shown[:200]!r}") from refusal
        cpu_s = time.process_time() - begin
        if cpu_s > LIMIT_S:
            raise Broken(f"{cpu_s:.1f} s of CPU time for {len(data)} bytes")
        return Run(self.name, len(data), outcome, cpu_s)


class Signedness:
    """Messages of one identity provider, and what honest keys have said in them: nothing else may ever be accepted."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.party = Party()
        self.forge = Forge(self.party, self.now)
        self.expected = expectation(self.party)
        self.lock = lock()
        scene = Scene(self.party, self.now, self.forge.key)
        made = [build(Scene(self.party, self.now, key(kind))) for build, kind in SHAPES.values()]
        made += [shibboleth.encrypted(scene), self.forge.xml(encrypted_id(self.lock))]
        made += [sealed_xml(self.forge, self.lock, signed=signed) for signed in list(Signed)[:3]]
        made += [
            self.forge.xml(name_id="bob@customer.example", attributes=(), signed=signed) for signed in list(Signed)[:3]
        ]
        self.messages = made
        self.honest = {self.accept(encode(xml)) for xml in made}

    def accept(self, form_value: str) -> Assertion:
        """The way of a login through the protocol."""
        return open_and_accept(form_value, self.expected, self.now)

    def price(self, xml: bytes) -> str:
        """What a document comes to, whoever signed it: for those that are made to cost much."""
        self.accept(encode(xml))
        return "accepted"

    def document(self, xml: bytes) -> str:
        """A document in a form field."""
        return self.form_value(encode(xml).encode())

    def form_value(self, value: bytes) -> str:
        """A form field."""
        accepted = self.accept(value.decode("utf-8", "replace"))
        if accepted not in self.honest:
            raise Broken(f"accepted what nobody has signed: {accepted}")
        return "accepted"

    def plain_text(self, plain: bytes) -> str:
        """What stands inside an EncryptedAssertion: anybody can encrypt for us."""
        tree = issuer.build_tree(self.forge.spec())
        tree.replace(find(tree, "saml:Assertion"), seal(plain, self.lock))
        return self.document(issuer.serialise(tree))

    def plain_texts(self) -> list[bytes]:
        """Signed assertions, each as it would be encrypted."""
        trees = [self.forge.tree(signed=Signed.ASSERTION, name_id=name_id) for name_id in (ANA, "bob@customer.example")]
        found = [find(tree, "saml:Assertion") for tree in trees]
        self.honest |= {self.accept(encode(issuer.serialise(tree))) for tree in trees}
        return [issuer.serialise(element).partition(b"?>\n")[2] for element in found]


class Logout:
    """LogoutRequests and LogoutResponses of the same identity provider."""

    def __init__(self, messages: Signedness) -> None:
        self.now = messages.now
        self.idp = messages.expected.idp
        self.sp = SpProfile(messages.party.sp_entity_id, messages.party.acs_url, SLO_URL)
        self.ours = (private(Ours.FIRST),)
        self.request = self._made(logout.logout_request(
            request_id="r-1", now=self.now, destination=SLO_URL, sp=self.sp, session_index="s-1",
            name_id=next(iter(messages.honest)).name_id,
        ))  # fmt: skip
        self.response = self._made(
            logout.logout_response(
                response_id="r-2", now=self.now, destination=SLO_URL, sp=self.sp, in_response_to="r-1"
            )
        )
        self.facts = {self._read("SAMLRequest", self.request), self._read("SAMLResponse", self.response)}

    def _made(self, unsigned: bytes) -> bytes:
        """The identity provider's: the maker of ours names us as its Issuer."""
        xml = unsigned.replace(f">{self.sp.entity_id}<".encode(), f">{self.idp.entity_id}<".encode())
        root = etree.fromstring(xml)
        issuer.sign(root, key(Kind.RSA))
        return issuer.serialise(root)

    def _read(self, name: str, xml: bytes) -> object:
        return self._accept(name, logout.open_post(name, encode(xml), self.idp, self.now))

    def _accept(self, name: str, signed: logout.SignedLogout) -> object:
        if name == "SAMLRequest":
            return logout.accept_request(signed, self.idp, self.sp, self.now, self.ours)
        return logout.accept_response(signed, self.idp, self.sp, self.now)

    def posted(self, xml: bytes) -> str:
        """A document by HTTP-POST, in the field its root asks for."""
        field = "SAMLResponse" if b"LogoutResponse" in xml[:400] else "SAMLRequest"
        if self._read(field, xml) not in self.facts:
            raise Broken("accepted a logout message that nobody has signed")
        return "accepted"

    def queries(self) -> list[bytes]:
        """By HTTP-Redirect, signed and not, and what others make of it."""
        signed = []
        for name, xml in (("SAMLRequest", self.request), ("SAMLResponse", self.response)):
            value = quote(base64.b64encode(zlib.compress(xml)[2:-4]), safe="")
            query = f"{name}={value}&RelayState=%2Fx%3Fy&SigAlg={quote(bindings.RSA_SHA256, safe='')}"
            signature = issuer_signature(query.encode())
            signed.append(f"{query}&Signature={quote(base64.b64encode(signature), safe='')}".encode())
        return [
            *signed,
            b"SAMLRequest=&SAMLResponse=",
            b"SAMLRequest=%61%3d&x=%zz&&&=",
            b"RelayState=+%2B&SAMLEncoding=x",
        ]

    def query(self, raw: bytes) -> str:
        """A query string."""
        message = bindings.read_redirect(raw.decode("utf-8", "surrogateescape"))
        if self._accept(message.field, logout.open_redirect(message, self.idp, self.now)) not in self.facts:
            raise Broken("accepted a logout message that nobody has signed")
        return "accepted"


def issuer_signature(data: bytes) -> bytes:
    """The identity provider's detached signature."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - for this one
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as above

    private_key = load_pem_private_key(key(Kind.RSA).private_pem, None)
    assert isinstance(private_key, rsa.RSAPrivateKey)
    return private_key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def idp_document(data: bytes) -> str:
    """An identity provider's metadata."""
    found = metadata.read_idp(data, idp_metadata.NOW)
    if not found.certificates or not found.entity_id or not found.sso_url:
        raise Broken("metadata without what a login needs")
    for url in (found.sso_url, found.slo_url, found.slo_response_url):
        if url:
            check_endpoint(url)
    return "accepted"


def certificate_file(data: bytes) -> str:
    """What an administrator pastes or uploads."""
    for der in certificates.read_all(data):
        certificates.verification_key(certificates.describe(der).pem, datetime.now(UTC), datetime.now(UTC))
    return "accepted"


def relay_state(data: bytes) -> str:
    """Where to go on."""
    text = data.decode("utf-8", "replace")
    path = local_path(text)
    if path is None:
        return "refused"
    # As browsers read it (WHATWG URL): backslashes are slashes, tabs and line breaks are not there at all.
    as_browsers_do = re.sub(r"[\t\r\n]", "", path).strip("\x00 ").replace("\\", "/")
    parts = urlsplit(urljoin(f"{_BASE}/saml/continue/", as_browsers_do))
    if path != text or (parts.scheme, parts.netloc) != ("https", "portico.example") or as_browsers_do.startswith("//"):
        raise Broken(f"leads elsewhere: {path!r}")
    return "accepted"


def endpoint(data: bytes) -> str:
    """An address of an identity provider."""
    text = data.decode("utf-8", "replace")
    check_endpoint(text)
    parts = urlsplit(text)
    plain = parts.scheme == "https" or parts.hostname in LOOPBACK_HOSTS
    # The origin stands in Content-Security-Policy.
    if not plain or not re.fullmatch(r"[\w.\[\]:-]+", parts.netloc, re.ASCII) or not text.isprintable() or " " in text:
        raise Broken(f"an endpoint that is none: {text!r}")
    return "accepted"


def address(data: bytes) -> str:
    """An e-mail address."""
    text = data.decode("utf-8", "replace")
    if not addresses.is_address(text):
        return "refused"
    local, _, domain = text.partition("@")
    sound = text.isascii() and text.isprintable() and " " not in text and "@" not in domain and local and "." in domain
    if not sound or addresses.key(addresses.key(text)) != addresses.key(text) or len(text) > addresses.MAX_LENGTH:
        raise Broken(f"an address that is none: {text!r}")
    return "accepted"


def moment(data: bytes) -> str:
    """A time."""
    text = data.decode("utf-8", "replace")
    try:
        value = parse_instant(text)
    except BadTimestamp:
        return "refused"
    if value.utcoffset() is None or not text.isascii():
        raise Broken(f"a time that is none: {text!r}")
    return "accepted"


def documents() -> list[bytes]:
    """Identity providers' metadata."""
    role = idp_metadata.role(
        keys=idp_metadata.key_descriptor(idp_metadata.certificate())
        + idp_metadata.key_descriptor(idp_metadata.expired(), use=""),
        slo=idp_metadata.endpoint("SingleLogoutService", idp_metadata.POST, "https://idp.example.com/slo"),
        formats=f"<md:NameIDFormat>{n.NAMEID_EMAIL}</md:NameIDFormat>",
        more=' WantAuthnRequestsSigned="true" validUntil="2027-01-01T00:00:00Z"',
    )
    one = idp_metadata.entity(role)
    many = idp_metadata.entities(one, idp_metadata.entity(idp_metadata.SP_ROLE, entity_id="urn:sp"))
    return [f'<?xml version="1.0"?><!-- x -->{one}'.encode(), many.encode()]


def targets() -> list[Target]:
    """All of them, with seeds that are accepted or nearly so."""
    messages = Signedness()
    logouts = Logout(messages)
    plain_texts = messages.plain_texts()
    certificate = idp_metadata.certificate()
    return [
        Target("message", messages.document, messages.messages, xml=True),
        Target("form field", messages.form_value, [encode(xml).encode() for xml in messages.messages[:8]]),
        Target("plain text", messages.plain_text, plain_texts, xml=True),
        Target("logout message", logouts.posted, [logouts.request, logouts.response], xml=True),
        Target("query string", logouts.query, logouts.queries()),
        Target("metadata", idp_document, documents(), xml=True),
        Target("certificate", certificate_file, [idp_metadata.der(certificate),
        idp_metadata.pem(certificate).encode()]),
        Target("relay state", relay_state, [
            b"/", b"/reports/?a=b#c", b"//evil.example/", b"/%2Fevil.example", b"/\\evil.example", b"/a/%2e%2e/%2f/x",
            b"https://portico.example/", b"/x%25%32%66", b"/\te", b"/a@b",
        ]),
        Target("endpoint", endpoint, [
            b"https://idp.example.com/sso?x=y", b"http://127.0.0.1:8100/", b"https://[::1]:8443/a", b"https://u@h/",
            b"https://h;x/",
        ]),
        Target("address", address, [b"ana@customer.example", b"a.b+c@x-1.y.example", b'"a b"@x.example',
        "ána@x.example".encode()]),
        Target("moment", moment, [
            b"2026-11-22T08:00:00Z", b"2026-11-22T08:00:00.1234567+05:30", b"2026-02-29T24:00:00Z",
            b"9999-12-31T23:59:59-14:00",
        ]),
    ]  # fmt: skip
