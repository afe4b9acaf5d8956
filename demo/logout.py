"""Makes and signs logout messages, as an identity provider does: right ones, and wrong ones in any way one asks for."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from demo.issuer import instant, new_id
from saml_sp.protocol import names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from demo.keys import SigningKey

RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"


@dataclass(frozen=True)
class LogoutSpec:
    """All that a logout message says. Where None is allowed it leaves the element or attribute out."""

    issuer: str | None
    destination: str | None
    issue_instant: datetime
    message_id: str = field(default_factory=lambda: new_id("l"))
    # Of a request.
    name_id: str | None = None
    name_id_format: str | None = names.NAMEID_UNSPECIFIED
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None
    session_indexes: Sequence[str] = ()
    not_on_or_after: datetime | None = None
    # Of a response.
    in_response_to: str | None = None
    status: Sequence[str] = (names.STATUS_SUCCESS,)


def build_request(spec: LogoutSpec) -> etree._Element:
    """The LogoutRequest of a specification, not signed yet (Core 3.7.1)."""
    root = _message(names.LOGOUT_REQUEST, spec)
    if spec.not_on_or_after is not None:
        root.set("NotOnOrAfter", instant(spec.not_on_or_after))
    if spec.name_id is not None:
        qualifiers = {
            "Format": spec.name_id_format,
            "NameQualifier": spec.name_qualifier,
            "SPNameQualifier": spec.sp_name_qualifier,
        }
        present = {name: value for name, value in qualifiers.items() if value is not None}
        etree.SubElement(root, names.NAME_ID, present).text = spec.name_id
    for index in spec.session_indexes:
        etree.SubElement(root, names.SESSION_INDEX).text = index
    return root


def build_response(spec: LogoutSpec) -> etree._Element:
    """The LogoutResponse of a specification, not signed yet (Core 3.7.2)."""
    root = _message(names.LOGOUT_RESPONSE, spec)
    if spec.in_response_to is not None:
        root.set("InResponseTo", spec.in_response_to)
    parent = etree.SubElement(root, names.STATUS)
    for code in spec.status:
        parent = etree.SubElement(parent, names.STATUS_CODE, {"Value": code})
    return root


def _message(tag: str, spec: LogoutSpec) -> etree._Element:
    facts = {"ID": spec.message_id, "Version": "2.0", "IssueInstant": instant(spec.issue_instant)}
    if spec.destination is not None:
        facts["Destination"] = spec.destination
    root = etree.Element(tag, facts, nsmap={"samlp": names.SAMLP, "saml": names.SAML})
    if spec.issuer is not None:
        etree.SubElement(root, names.ISSUER).text = spec.issuer
    return root


def redirect_query(field_name: str, xml: bytes, key: SigningKey | None, relay_state: str = "") -> str:
    """The query string that carries a message, signed unless there is no key (Bindings 3.4.4.1)."""
    query = unsigned_query(field_name, deflate(xml), relay_state)
    return sign_query(query, key) if key else query


def unsigned_query(field_name: str, deflated: bytes, relay_state: str = "") -> str:
    """The first part of the query: what a signature will cover, but for the algorithm."""
    query = f"{field_name}={quote(base64.b64encode(deflated), safe='')}"
    return f"{query}&RelayState={quote(relay_state, safe='')}" if relay_state else query


def sign_query(query: str, key: SigningKey) -> str:
    """The query with SigAlg and Signature, RSA or ECDSA with SHA-256 as the key is."""
    private = load_pem_private_key(key.private_pem, None)
    if isinstance(private, rsa.RSAPrivateKey):
        query = f"{query}&SigAlg={quote(RSA_SHA256, safe='')}"
        signature = private.sign(query.encode(), padding.PKCS1v15(), SHA256())
    else:
        assert isinstance(private, ec.EllipticCurvePrivateKey)  # noqa: S101 - the other kind of key that there is
        query = f"{query}&SigAlg={quote(ECDSA_SHA256, safe='')}"
        # r and s side by side, each as long as the curve's order (RFC 4050 3.3).
        length = (private.curve.key_size + 7) // 8
        numbers = decode_dss_signature(private.sign(query.encode(), ec.ECDSA(SHA256())))
        signature = b"".join(number.to_bytes(length, "big") for number in numbers)
    return f"{query}&Signature={quote(base64.b64encode(signature), safe='')}"


def deflate(xml: bytes) -> bytes:
    """The raw DEFLATE of RFC 1951, without zlib's header and checksum."""
    return zlib.compress(xml)[2:-4]


def inflate(deflated: bytes, most: int) -> bytes:
    """What was deflated, cut off at `most` bytes. Raises zlib.error."""
    return zlib.decompressobj(-15).decompress(deflated, most)
