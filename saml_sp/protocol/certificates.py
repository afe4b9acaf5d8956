"""Certificates: reading what administrators paste, and the facts to keep."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xmlsec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from saml_sp.protocol.errors import CertificateRefused
from saml_sp.protocol.types import VerificationKey

if TYPE_CHECKING:
    from datetime import datetime

MAX_BYTES = 64 * 1024
MIN_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]*+)-----END CERTIFICATE-----")  # base64 has no hyphen


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A certificate and what is kept beside it. `sha256` is the fingerprint in lower-case hexadecimal."""

    der: bytes
    pem: str
    sha256: str
    subject: str
    not_before: datetime
    not_after: datetime


def read_one(data: bytes) -> bytes:
    """The one certificate in PEM, DER or bare base64 (as metadata has it), as DER.

    Raises CertificateRefused with a sentence for the administrator.
    """
    found = read_all(data)
    if len(found) != 1:
        raise CertificateRefused(f"One certificate is expected here, and {len(found)} were found. Add each on its own.")
    return found[0]


def read_all(data: bytes) -> list[bytes]:
    """All certificates in a PEM file, or the one in a DER file or in bare base64, as DER.

    Raises CertificateRefused with a sentence for the administrator.
    """
    if len(data) > MAX_BYTES:
        raise CertificateRefused(f"This is {len(data)} bytes long; a certificate file may have {MAX_BYTES}.")
    if b"PRIVATE KEY" in data:
        raise CertificateRefused(
            "This holds a private key. Only the certificate is needed; treat the key as disclosed if it is in use."
        )
    blocks = [_from_base64(body) for body in _PEM.findall(data)]
    if not blocks:
        blocks = [data] if data[:1] == b"\x30" else [_from_base64(data)]
    for block in blocks:
        describe(block)
    return blocks


def _from_base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise CertificateRefused(
            "This is not a certificate. Paste the text from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, "
            "or choose a .pem, .crt or .cer file."
        ) from None


def describe(der: bytes) -> CertificateFacts:
    """Read a certificate and see that its key is one that we verify with: RSA of 2048 bits or more, or a NIST curve.

    Validity in time is not judged here. Raises CertificateRefused.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        subject = certificate.subject.rfc4514_string()
    except (ValueError, UnsupportedAlgorithm, TypeError, x509.InvalidVersion):
        raise CertificateRefused("This is not an X.509 certificate that can be read.") from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise CertificateRefused(f"Its RSA key has {key.key_size} bits; at least {MIN_RSA_BITS} are required.")
    elif not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)):
        raise CertificateRefused("Its key is neither RSA nor on the curves P-256, P-384 or P-521.")
    pem = certificate.public_bytes(Encoding.PEM).decode()
    try:
        # The reader that verifies with it is stricter than the one above.
        xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem)
    except xmlsec.Error:
        raise CertificateRefused("This is not an X.509 certificate that can be read.") from None
    return CertificateFacts(
        der=der,
        pem=pem,
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        subject=subject,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


# The detached signatures of HTTP-Redirect (Bindings 3.4.4.1), by the same allow-list as signatures in XML.
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
QUERY_ALGORITHMS = frozenset(
    f"http://www.w3.org/2001/04/xmldsig-more#{kind}-{digest}" for kind in ("rsa", "ecdsa") for digest in _HASHES
)


def verifies(key: VerificationKey, signature: bytes, data: bytes, algorithm: str) -> bool:
    """Whether a detached signature over `data` is by this key; `algorithm` is one of QUERY_ALGORITHMS.

    An ECDSA signature is r and s side by side, as XML Signature has it (RFC 4050 3.3), not DER.
    """
    kind, _, digest = algorithm.rpartition("#")[2].partition("-")
    public = key.public
    try:
        if kind == "rsa" and isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, data, padding.PKCS1v15(), _HASHES[digest])
            return True
        if kind == "ecdsa" and isinstance(public, ec.EllipticCurvePublicKey):
            half = len(signature) // 2
            r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            public.verify(encode_dss_signature(r, s), data, ec.ECDSA(_HASHES[digest]))
            return True
    except InvalidSignature:
        return False
    return False


def verification_key(pem: str, not_before: datetime, not_after: datetime) -> VerificationKey:
    """The key of a certificate that `describe` has accepted, loaded for xmlsec once, to be kept."""
    key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem)
    public = x509.load_pem_x509_certificate(pem.encode()).public_key()
    assert isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)  # noqa: S101 - `describe` has seen to it
    return VerificationKey(key=key, public=public, not_before=not_before, not_after=not_after)
