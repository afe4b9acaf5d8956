"""What fuzzing found, once: each is refused now, in time and by a refusal of ours."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from demo.issuer import Signed, encode
from saml_sp.protocol import certificates, gate, metadata
from saml_sp.protocol import names as n
from saml_sp.protocol.errors import CertificateRefused, DecryptionFailed, MetadataRefused, TooComplex, UrlRefused
from saml_sp.protocol.urls import check_endpoint
from tests import idp_metadata
from tests.encrypting import sealed_xml
from tests.fuzz import worst
from tests.fuzz.targets import Signedness

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1];8443/a",
        "https://[::1]x/",
        "https://[::1]:/",
        "https://idp.example:/",
        "https://idp.example:0443/",
    ],
)
def test_it_refuses_an_endpoint_with_more_beside_its_host_and_port(url: str) -> None:
    """Its origin stands in Content-Security-Policy, where a semicolon begins another directive."""
    with pytest.raises(UrlRefused):
        check_endpoint(url)


def test_it_accepts_an_endpoint_with_a_host_of_any_kind() -> None:
    for url in ("https://[::1]:8443/a", "https://[2001:db8::1]/", "https://IDP.Example/", "https://idp.example:8443/"):
        check_endpoint(url)


def of_another_version(der: bytes) -> bytes:
    version = b"\xa0\x03\x02\x01\x02"
    assert version in der
    return der.replace(version, b"\xa0\x03\x02\x01\x0a", 1)


def with_a_subject_that_is_no_text(der: bytes) -> bytes:
    """Of its two names, the issuer's and the subject's, the second is no UTF-8."""
    before, name, after = der.rpartition(b"signing")
    assert name
    return before + b"signin\xff" + after


def with_a_year_of_no_digits(der: bytes) -> bytes:
    assert b"200101000000Z" in der
    return der.replace(b"200101000000Z", b"20010100000\xa7Z", 1)


@pytest.mark.parametrize("change", [of_another_version, with_a_subject_that_is_no_text, with_a_year_of_no_digits])
def test_it_refuses_a_certificate_that_not_every_reader_can_read(change: Change) -> None:
    """Kept, it would fail at each sign-in, where there is nobody to tell."""
    der = change(idp_metadata.der(idp_metadata.certificate()))
    with pytest.raises(CertificateRefused):
        certificates.read_all(der)


def test_it_refuses_metadata_with_a_certificate_of_another_version() -> None:
    good = idp_metadata.key_descriptor(idp_metadata.certificate(), per_line=10_000)
    der = idp_metadata.der(idp_metadata.certificate())
    bad = good.replace(b64encode(der).decode(), b64encode(of_another_version(der)).decode())
    assert bad != good
    with pytest.raises(MetadataRefused):
        metadata.read_idp(idp_metadata.entity(idp_metadata.role(keys=bad)).encode(), idp_metadata.NOW)


@pytest.mark.parametrize("name", ["inclusive prefixes, as many as fit", "attributes on one element"])
def test_it_refuses_what_takes_libraries_quadratic_time(name: str) -> None:
    made = Signedness()
    with pytest.raises(TooComplex):
        gate.admit(encode(worst.messages(made)[name]()))


def test_it_refuses_many_prefixes_for_what_is_signed_info() -> None:
    """The canonicalisation of SignedInfo has a list of its own."""
    made = Signedness()
    xml = made.forge.xml().decode()
    method = f'<ds:CanonicalizationMethod Algorithm="{n.EXCLUSIVE}"'
    assert f"{method}/>" in xml
    listed = (
        f'{method}><ec:InclusiveNamespaces xmlns:ec="{n.EXC_C14N}" PrefixList="{"a " * 25}"/>'
        "</ds:CanonicalizationMethod>"
    )
    with pytest.raises(TooComplex):
        gate.admit(encode(xml.replace(f"{method}/>", listed, 1).encode()))


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", "\u2028"])
def test_it_refuses_blanks_in_base64_that_are_none_of_xml(blank: str) -> None:
    """Found by the second opinion: nobody else reads on there."""
    made = Signedness()
    xml = sealed_xml(made.forge, made.lock, signed=Signed.ASSERTION).decode()
    at = xml.rindex("<xenc:CipherValue>") + 100
    made.accept(encode(f"{xml[:at]} {xml[at:]}".encode()))
    with pytest.raises(DecryptionFailed):
        made.accept(encode(f"{xml[:at]}{blank}{xml[at:]}".encode()))
