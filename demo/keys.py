"""Signing keys with self-signed certificates, as an identity provider has them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

LIFETIME = timedelta(days=3650)
EARLIER = timedelta(days=1)


@dataclass(frozen=True)
class SigningKey:
    """A private key (PEM, PKCS #8) and its certificate (PEM)."""

    private_pem: bytes = field(repr=False)
    certificate_pem: bytes = field(repr=False)

    @cached_property
    def xmlsec_key(self) -> xmlsec.Key:
        """The key as xmlsec signs with it, its certificate attached for KeyInfo."""
        key = xmlsec.Key.from_memory(self.private_pem, xmlsec.constants.KeyDataFormatPem)
        key.load_cert_from_memory(self.certificate_pem, xmlsec.constants.KeyDataFormatPem)
        return key

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The certificate, parsed."""
        return x509.load_pem_x509_certificate(self.certificate_pem)

    @property
    def certificate_text(self) -> str:
        """The certificate as metadata and KeyInfo hold it: base64 without the PEM lines."""
        return "".join(self.certificate_pem.decode().strip().splitlines()[1:-1])


def make(
    name: str,
    *,
    key: PrivateKey | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> SigningKey:
    """A fresh RSA-2048 key, or the given one, with a self-signed certificate for the common name `name`."""
    private = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    begins = not_before or datetime.now(UTC) - EARLIER
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(not_after or begins + LIFETIME)
        .sign(private, SHA256())
    )
    return SigningKey(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate.public_bytes(Encoding.PEM),
    )


def kept(folder: Path, name: str) -> SigningKey:
    """The key kept in `folder`, made there on first use: the customer's identity provider stays the same one."""
    private, certificate = folder / "idp-key.pem", folder / "idp-certificate.pem"
    # The certificate is written last: when it is there, both are.
    if certificate.exists():
        return SigningKey(private.read_bytes(), certificate.read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    key = make(name)
    private.unlink(missing_ok=True)
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_pem)
    nearly = certificate.with_suffix(".new")
    nearly.write_bytes(key.certificate_pem)
    nearly.replace(certificate)
    return key
