"""The two front-channel bindings: how messages of ours are sent, and how logout messages of others are read.

HTTP-Redirect (Bindings 3.4): the message is deflated into the query and signed by a detached signature over the query
string exactly as it was sent; re-encoding it would be another string. HTTP-POST (Bindings 3.5): base64 in a form, with
an enveloped signature.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus, unquote_to_bytes

from saml_sp.protocol import toolkit
from saml_sp.protocol.certificates import QUERY_ALGORITHMS, verifies
from saml_sp.protocol.errors import (
    BadSignature,
    LogoutUnsigned,
    MessageTooLarge,
    NotBase64,
    QueryRefused,
    WeakAlgorithm,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saml_sp.protocol.types import Signer, VerificationKey

RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
MAX_INFLATED: Final = 256 * 1024
_FIELDS: Final = ("SAMLRequest", "SAMLResponse")


def redirect_url(endpoint: str, field: str, xml: bytes, relay_state: str, signer: Signer | None) -> str:
    """The URL that carries the message to `endpoint`; `field` is SAMLRequest or SAMLResponse (Bindings 3.4.4.1)."""
    deflated = zlib.compress(xml, 9)[2:-4]
    query = f"{field}={quote(base64.b64encode(deflated), safe='')}"
    if relay_state:
        # A blank as a plus sign: some encode the fields anew to verify (pysaml2), and their languages write it so.
        query += f"&RelayState={quote_plus(relay_state, safe='')}"
    if signer is not None:
        query += f"&SigAlg={quote(RSA_SHA256, safe='')}"
        query += f"&Signature={quote(base64.b64encode(toolkit.sign_bytes(query.encode(), signer)), safe='')}"
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def post_field(xml: bytes, signer: Signer | None) -> str:
    """The base64 form field that carries the message, with an enveloped signature when there is a signer."""
    return base64.b64encode(xml if signer is None else toolkit.sign_element(xml, signer)).decode()


@dataclass(frozen=True, slots=True)
class RedirectMessage:
    """A message that came in a query string, and what its detached signature covers. Nothing is verified yet."""

    field: str
    xml: bytes
    relay_state: str
    signed_part: bytes
    algorithm: str | None
    signature: bytes | None


def read_redirect(raw_query: str) -> RedirectMessage:
    """Take a raw query string (as received, percent-encoded) apart.

    Each of the binding's parameters may stand there once. Raises QueryRefused, NotBase64 or MessageTooLarge.
    """
    if not raw_query.isascii():
        # Nothing sends that, and the signature covers bytes: which bytes these were is not for us to guess.
        raise QueryRefused(expected="a percent-encoded query", received="characters that are not ASCII")
    raw: dict[str, str] = {}
    for pair in raw_query.split("&"):
        name, _, value = pair.partition("=")
        if name in {*_FIELDS, "RelayState", "SigAlg", "Signature", "SAMLEncoding"}:
            if name in raw:
                raise QueryRefused(expected=f"{name} once", received="several")
            raw[name] = value
    fields = [name for name in _FIELDS if name in raw]
    if len(fields) != 1:
        raise QueryRefused(expected="SAMLRequest or SAMLResponse", received=" and ".join(fields) or "neither")
    if _text(raw.get("SAMLEncoding", "")) not in {"", "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"}:
        raise QueryRefused(expected="the DEFLATE encoding", received=printable(_text(raw["SAMLEncoding"])))
    field = fields[0]
    # The order is the specification's, whatever the order in the query was (Bindings 3.4.4.1).
    signed_part = "&".join(f"{name}={raw[name]}" for name in (field, "RelayState", "SigAlg") if name in raw)
    return RedirectMessage(
        field=field,
        xml=_inflate(_base64(_text(raw[field]))),
        relay_state=_text(raw.get("RelayState", "")),
        signed_part=signed_part.encode(),
        algorithm=_text(raw["SigAlg"]) if "SigAlg" in raw else None,
        signature=_base64(_text(raw["Signature"])) if "Signature" in raw else None,
    )


def check_redirect_signature(message: RedirectMessage, keys: Sequence[VerificationKey]) -> None:
    """The detached signature is there, of an algorithm on the allow-list, and verifies with one of the keys.

    Raises LogoutUnsigned, WeakAlgorithm or BadSignature.
    """
    if message.signature is None or message.algorithm is None:
        raise LogoutUnsigned(expected="SigAlg and Signature in the query", received="none")
    if message.algorithm not in QUERY_ALGORITHMS:
        raise WeakAlgorithm(expected="RSA or ECDSA with SHA-256 or stronger", received=printable(message.algorithm))
    if not any(verifies(key, message.signature, message.signed_part, message.algorithm) for key in keys):
        raise BadSignature(expected=f"a signature by one of {len(keys)} current certificate(s)", received="another")


def printable(text: str) -> str:
    """For the administrator's record: short, and without what a database or a page cannot hold."""
    return "".join(character if character.isprintable() else "·" for character in text[:300])


def _text(value: str) -> str:
    try:
        return unquote_to_bytes(value.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise QueryRefused(expected="UTF-8 in the query", received="something else") from None


def _base64(value: str) -> bytes:
    try:
        # Some implementations break lines even here. A + that was not percent-encoded has become a blank and refuses.
        return binascii.a2b_base64(value.replace("\r", "").replace("\n", ""), strict_mode=True)
    except ValueError:
        raise NotBase64(expected="base64", received=printable(value)) from None


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-15)
    try:
        xml = inflater.decompress(data, MAX_INFLATED)
    except zlib.error:
        raise QueryRefused(expected="a deflated message (RFC 1951)", received="something else") from None
    if inflater.unconsumed_tail:
        raise MessageTooLarge(expected=f"at most {MAX_INFLATED} bytes inflated", received="more")
    if not inflater.eof or inflater.unused_data:
        raise QueryRefused(expected="one complete deflated message", received="an unfinished one, or more behind it")
    return xml
