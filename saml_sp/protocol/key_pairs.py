"""Key pairs of ours: RSA, with a self-signed certificate, made here or brought along. Pure; nothing is kept here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from saml_sp.protocol import certificates
from saml_sp.protocol.errors import KeyPairRefused

if TYPE_CHECKING:
    from datetime import datetime

BITS: Final = 3072
MIN_BITS: Final = 2048
MAX_BYTES: Final = 64 * 1024
LIFETIME: Final = timedelta(days=3650)
_CLOCKS_DIFFER: Final = timedelta(days=1)
_MAX_COMMON_NAME: Final = 64  # RFC 5280, ub-common-name


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key (PEM, PKCS #8, not encrypted) and the facts of its certificate."""

    private_pem: bytes = field(repr=False)
    certificate: certificates.CertificateFacts


def generate(host: str, now: datetime) -> KeyPair:
    """A fresh RSA-3072 key with a self-signed certificate for the common name `host`, valid for ten years.

    Identity providers compare the certificate's key and hardly anything else; its age is no reason to change it, so
    that it expires late (Metadata Interoperability Profile 2.6.1).
    """
    private = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:_MAX_COMMON_NAME])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + LIFETIME)
        .sign(private, SHA256())
    )
    return KeyPair(_pem(private), certificates.describe(certificate.public_bytes(Encoding.DER)))


def read(private_pem: bytes, certificate: bytes, now: datetime) -> KeyPair:
    """A key pair that an administrator brings along: the private key as PEM, the certificate as PEM, DER or base64.

    Raises KeyPairRefused or CertificateRefused with a sentence for the administrator.
    """
    if not private_pem.strip() or not certificate.strip():
        raise KeyPairRefused("A key pair is a private key and its certificate: give both.")
    private = load(private_pem)
    facts = certificates.describe(certificates.read_one(certificate))
    if facts.not_after <= now:
        raise KeyPairRefused(f"The certificate was valid until {facts.not_after:%Y-%m-%d} only. Make a new one.")
    if x509.load_der_x509_certificate(facts.der).public_key() != private.public_key():
        raise KeyPairRefused("The certificate belongs to another private key: its public key is not this one's.")
    return KeyPair(_pem(private), facts)


def load(private_pem: bytes) -> rsa.RSAPrivateKey:
    """The private key of a PEM file. Raises KeyPairRefused with a sentence for the administrator."""
    if len(private_pem) > MAX_BYTES:
        raise KeyPairRefused(f"This is {len(private_pem)} bytes long; a private key file may have {MAX_BYTES}.")
    try:
        key = load_pem_private_key(private_pem.strip(), password=None)
    except TypeError:  # a password is needed
        raise KeyPairRefused(
            "The private key is encrypted with a passphrase. Decrypt it first "
            "(openssl pkey -in key.pem -out plain.pem): it is kept encrypted here, under PORTICO_ENCRYPTION_KEYS."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyPairRefused(
            "This is not a private key in PEM. Give the text from -----BEGIN PRIVATE KEY----- "
            "to -----END PRIVATE KEY-----."
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyPairRefused("The private key must be RSA: identity providers can encrypt for no other kind.")
    if key.key_size < MIN_BITS:
        raise KeyPairRefused(f"The private key has {key.key_size} bits; at least {MIN_BITS} are required.")
    return key


def _pem(private: rsa.RSAPrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
