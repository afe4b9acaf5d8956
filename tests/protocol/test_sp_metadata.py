"""Our metadata: valid, complete, signed on request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import xmlsec

from saml_sp.protocol import gate, metadata, names, toolkit
from saml_sp.protocol.types import Signer, SpDescription, SpProfile
from tests.encrypting import Ours, our_key
from tests.idp import NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

MD = {**NS, "md": names.MD}
NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
SP = SpProfile(
    entity_id="https://portico.example/saml/acme/metadata/",
    acs_url="https://portico.example/saml/acme/acs/",
    slo_url="https://portico.example/saml/acme/slo/",
)
FIRST, SECOND = (our_key(which).certificate_pem.decode() for which in (Ours.FIRST, Ours.SECOND))


def written(description: SpDescription, signer: Signer | None = None) -> etree._Element:
    root = gate.parse(metadata.sp_metadata(description, NOW, signer), strict=True)
    toolkit.metadata_schema().assertValid(root)
    return root


def texts(root: etree._Element, path: str) -> list[str]:
    return [element.text or "" for element in root.findall(path, MD)]


def attributes(root: etree._Element, path: str, name: str) -> list[str | None]:
    return [element.get(name) for element in root.findall(path, MD)]


def bare(pems: Sequence[str]) -> list[str]:
    return ["".join(pem.strip().splitlines()[1:-1]) for pem in pems]


def test_the_least_that_there_is_to_say_is_valid() -> None:
    root = written(SpDescription(SpProfile(entity_id=SP.entity_id, acs_url=SP.acs_url)))
    assert root.get("entityID") == SP.entity_id
    assert root.findall(".//md:KeyDescriptor", MD) == []
    assert root.findall(".//md:SingleLogoutService", MD) == []
    assert root.findall(".//md:NameIDFormat", MD) == []
    assert attributes(root, "md:SPSSODescriptor", "AuthnRequestsSigned") == ["false"]


def test_everything_there_is_to_say_is_valid() -> None:
    root = written(SpDescription(SP, (FIRST, SECOND), (FIRST,), names.NAMEID_PERSISTENT, signs_requests=True))
    role = "md:SPSSODescriptor"
    assert attributes(root, role, "AuthnRequestsSigned") == ["true"]
    assert attributes(root, role, "WantAssertionsSigned") == ["true"]
    certificate = "ds:KeyInfo/ds:X509Data/ds:X509Certificate"
    assert texts(root, f"{role}/md:KeyDescriptor[@use='signing']/{certificate}") == bare([FIRST, SECOND])
    assert texts(root, f"{role}/md:KeyDescriptor[@use='encryption']/{certificate}") == bare([FIRST])
    assert attributes(root, f"{role}/md:SingleLogoutService", "Location") == [SP.slo_url, SP.slo_url]
    assert [str(binding)[-8:] for binding in attributes(root, f"{role}/md:SingleLogoutService", "Binding")] == [
        "Redirect", "TTP-POST",
    ]  # fmt: skip
    assert texts(root, f"{role}/md:NameIDFormat") == [names.NAMEID_PERSISTENT]
    assert attributes(root, f"{role}/md:AssertionConsumerService", "Location") == [SP.acs_url]
    requested = f"{role}/md:AttributeConsumingService/md:RequestedAttribute"
    assert attributes(root, requested, "FriendlyName") == ["mail", "givenName", "sn"]
    assert set(attributes(root, requested, "isRequired")) == {"false"}


def test_it_says_only_algorithms_that_are_decrypted() -> None:
    root = written(SpDescription(SP, (FIRST,), (FIRST,)))
    named = attributes(root, ".//md:EncryptionMethod", "Algorithm")
    assert len(named) == 5
    assert set(named) <= set(gate.CBC) | set(gate.GCM) | gate.KEY_TRANSPORTS


def test_it_is_good_for_a_year_and_to_be_fetched_every_day() -> None:
    root = written(SpDescription(SP))
    assert root.get("validUntil") == "2027-11-22T08:30:00Z"
    assert root.get("cacheDuration") == "P1D"
    assert timedelta(days=365) == metadata.SP_VALIDITY


def test_a_signature_on_it_verifies_and_breaks_with_it() -> None:
    pair = our_key(Ours.FIRST)
    root = written(SpDescription(SP, (FIRST,), (FIRST,)), Signer(pair.private_pem, pair.certificate_pem))
    assert root[0].tag == names.SIGNATURE
    key = xmlsec.Key.from_memory(pair.certificate_pem, xmlsec.constants.KeyDataFormatCertPem)
    xmlsec.tree.add_ids(root, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = key
    context.verify(root[0])
    root.set("entityID", "https://other.example")
    broken = xmlsec.SignatureContext()
    broken.key = key
    with pytest.raises(xmlsec.Error):
        broken.verify(root[0])
