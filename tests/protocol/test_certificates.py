"""Reading what administrators paste."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from saml_sp.protocol.certificates import MAX_BYTES, describe, read_all, read_one, verification_key
from saml_sp.protocol.errors import CertificateRefused
from tests.idp import Kind, key
from tests.protocol.expecting import NOW

if TYPE_CHECKING:
    from demo import keys

PEM = key(Kind.RSA).certificate_pem
DER = key(Kind.RSA).certificate.public_bytes(Encoding.DER)
OTHER = key(Kind.SECOND_RSA).certificate_pem


@pytest.mark.parametrize("data", [
    PEM, DER, base64.b64encode(DER), base64.encodebytes(DER), b"\n  " + PEM.replace(b"\n", b"\r\n") + b"\n\n",
    b"subject: CN=x\n" + PEM + b"trailing words", PEM.replace(b"\n", b"\n  "),
], ids=["pem", "der", "base64", "base64_in_lines", "windows", "with_words_around", "indented"])  # fmt: skip
def test_it_reads_one_certificate(data: bytes) -> None:
    assert read_one(data) == DER


def test_it_reads_several_where_several_may_be() -> None:
    assert read_all(PEM + OTHER) == [DER, key(Kind.SECOND_RSA).certificate.public_bytes(Encoding.DER)]
    with pytest.raises(CertificateRefused, match="2 were found"):
        read_one(PEM + OTHER)


@pytest.mark.parametrize(("data", "sentence"), [
    (b"", "not an X.509 certificate"),
    (b"hello!", "not a certificate"),
    (b"\xff\xfe", "not a certificate"),
    (b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----", "not a certificate"),
    (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "not an X.509 certificate"),
    (b"-----BEGIN CERTIFICATE-----\nAAAA", "not a certificate"),
    (DER[:-20], "not an X.509 certificate"),
    (key(Kind.RSA).private_pem, "private key"),
    (PEM + key(Kind.RSA).private_pem, "private key"),
    (b"A" * (MAX_BYTES + 1), "bytes long"),
])  # fmt: skip
def test_it_refuses_anything_else_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(CertificateRefused, match=sentence):
        read_one(data)


def der_of(private: keys.PrivateKey | dsa.DSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key()).serial_number(1)
        .not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    )  # fmt: skip
    digest = None if isinstance(private, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(private, digest).public_bytes(Encoding.DER)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_it_takes_the_curves_of_nist(curve: ec.EllipticCurve) -> None:
    assert describe(der_of(ec.generate_private_key(curve))).subject == "CN=x"


def test_it_refuses_weak_and_foreign_keys() -> None:
    for private, sentence in (
        (rsa.generate_private_key(public_exponent=65537, key_size=1024), "1024 bits"),  # noqa: S505 - to be refused
        (rsa.generate_private_key(public_exponent=65537, key_size=2047), "2047 bits"),  # noqa: S505 - to be refused
        (ec.generate_private_key(ec.SECP256K1()), "neither RSA"),
        (ec.generate_private_key(ec.SECP224R1()), "neither RSA"),
        (ed25519.Ed25519PrivateKey.generate(), "neither RSA"),
    ):
        with pytest.raises(CertificateRefused, match=sentence):
            describe(der_of(private))


def test_it_tells_what_to_keep() -> None:
    facts = describe(DER)
    assert facts.pem == PEM.decode()
    assert facts.sha256 == key(Kind.RSA).certificate.fingerprint(SHA256()).hex()
    assert facts.subject == "CN=RSA"
    assert facts.not_before.tzinfo is not None
    loaded = verification_key(facts.pem, facts.not_before, facts.not_after)
    assert loaded.is_current(facts.not_before)
    assert loaded.is_current(facts.not_after)
    assert not loaded.is_current(facts.not_before - timedelta(seconds=1))
    assert not loaded.is_current(facts.not_after + timedelta(seconds=1))


def test_it_refuses_what_only_one_of_two_readers_can_read() -> None:
    """The issuer's name is not UTF-8: one library never looks at it, the one that verifies does."""
    issuer_name = b"\x0c\x03RSA"
    broken = DER.replace(issuer_name, b"\x0c\x03\x80SA", 1)
    assert x509.load_der_x509_certificate(broken).subject.rfc4514_string() == "CN=RSA"
    with pytest.raises(CertificateRefused, match="that can be read"):
        describe(broken)
