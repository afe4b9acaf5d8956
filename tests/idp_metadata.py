"""Metadata of identity providers, as text, with certificates made on the spot."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
ARTIFACT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"
SAML2 = "urn:oasis:names:tc:SAML:2.0:protocol"
ENTITY_ID = "https://idp.example.com/entity"
_MD = "urn:oasis:names:tc:SAML:2.0:metadata"
_DS = "http://www.w3.org/2000/09/xmldsig#"

type_of_key: dict[str, Callable[[], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey]] = {
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - made to be refused
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@cache
def certificate(  # one per set of arguments: keys take time
    name: str = "signing",
    *,
    kind: str = "ec",
    not_before: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    not_after: datetime = datetime(2100, 1, 1, tzinfo=UTC),
) -> x509.Certificate:
    """A self-signed certificate, as identity providers make them."""
    key = type_of_key[kind]()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .sign(key, None if kind == "ed25519" else hashes.SHA256())
    )


def der(of: x509.Certificate) -> bytes:
    """As a .cer file holds it."""
    return of.public_bytes(serialization.Encoding.DER)


def pem(of: x509.Certificate) -> str:
    """As a .pem file holds it."""
    return of.public_bytes(serialization.Encoding.PEM).decode()


def expired() -> x509.Certificate:
    """A certificate whose time is over, by any clock that runs these tests."""
    return certificate("old", not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=datetime(2020, 1, 1, tzinfo=UTC))


def key_descriptor(of: x509.Certificate, use: str = ' use="signing"', *, per_line: int = 64) -> str:
    """A KeyDescriptor with the certificate in base64, broken into lines as most write it."""
    text = base64.b64encode(der(of)).decode()
    lines = "\n".join(text[at : at + per_line] for at in range(0, len(text), per_line))
    return (
        f'<md:KeyDescriptor{use}><ds:KeyInfo xmlns:ds="{_DS}"><ds:X509Data><ds:X509Certificate>\n{lines}\n'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def endpoint(name: str, binding: str, location: str, more: str = "") -> str:
    """An endpoint of a role."""
    return f'<md:{name} Binding="{binding}" Location="{location}"{more}/>'


SSO = endpoint("SingleSignOnService", REDIRECT, "https://idp.example.com/sso")


def role(  # the parts of an IDPSSODescriptor, each as text
    *, keys: str | None = None, sso: str = SSO, slo: str = "", formats: str = "", protocols: str = SAML2, more: str = ""
) -> str:
    """An identity provider's role descriptor."""
    keys = key_descriptor(certificate()) if keys is None else keys
    return (
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{protocols}"{more}>{keys}{slo}{formats}{sso}'
        "</md:IDPSSODescriptor>"
    )


def entity(*roles: str, entity_id: str = ENTITY_ID, more: str = "") -> str:
    """An entity with these roles, by default one plain identity provider."""
    return (
        f'<md:EntityDescriptor xmlns:md="{_MD}" entityID="{entity_id}"{more}>{"".join(roles or (role(),))}'
        "</md:EntityDescriptor>"
    )


def entities(*members: str, more: str = "") -> str:
    """Several entities in one document, as federations publish them."""
    return f'<md:EntitiesDescriptor xmlns:md="{_MD}"{more}>{"".join(members)}</md:EntitiesDescriptor>'


SP_ROLE = (
    f'<md:SPSSODescriptor protocolSupportEnumeration="{SAML2}">'
    + endpoint("AssertionConsumerService", POST, "https://sp.example.com/acs", ' index="0"')
    + "</md:SPSSODescriptor>"
)
