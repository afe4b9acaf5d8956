"""Decryption by itself: what is accepted, what is refused before it is tried, and what fails in the one way."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from lxml import etree

from demo import issuer
from demo.issuer import Signed, encode
from saml_sp.protocol import encryption, gate, names, signature
from saml_sp.protocol.certificates import verification_key
from saml_sp.protocol.errors import (
    BadStructure,
    DecryptionFailed,
    DuplicateId,
    EncryptionUnsupported,
    SamlError,
    WeakAlgorithm,
)
from saml_sp.protocol.types import Expectation, IdpProfile, SpProfile
from tests import encrypting
from tests.encrypting import (
    AES_CBC,
    AES_GCM,
    FAULTS,
    MGF1P,
    MGF_SHA1,
    MGF_SHA256,
    OAEP,
    RSA_15,
    SHA1,
    SHA256,
    SHA512,
    TRIPLE_DES,
    Lock,
    Ours,
    Place,
    encrypted_id,
    lock,
    seal,
    sealed_tree,
    sealed_xml,
)
from tests.idp import ANA, Forge, Kind, Party, find, fragment, key, remove, swap

if TYPE_CHECKING:
    from collections.abc import Callable

    from saml_sp.protocol.types import SignedAssertion

TRANSPORTS = [
    (MGF1P, None, None),
    (MGF1P, SHA1, None),
    (MGF1P, SHA256, None),
    (OAEP, None, None),
    (OAEP, SHA1, MGF_SHA256),
    (OAEP, SHA256, MGF_SHA1),
    (OAEP, SHA256, MGF_SHA256),
]


@pytest.fixture
def forge() -> Forge:
    return Forge(Party(), datetime.now(UTC))


def opened(xml: bytes, forge: Forge, *ours: Ours) -> SignedAssertion:
    """What a message says to somebody who has these keys."""
    certificate = key(Kind.RSA).certificate_pem.decode()
    facts = x509.load_pem_x509_certificate(certificate.encode())
    trusted = verification_key(certificate, facts.not_valid_before_utc, facts.not_valid_after_utc)
    expectation = Expectation(
        idp=IdpProfile(forge.party.entity_id, (trusted,), timedelta(seconds=120), unsolicited=True),
        sp=SpProfile(forge.party.sp_entity_id, forge.party.acs_url),
        decryption_keys=tuple(encrypting.private(which) for which in ours),
    )
    return signature.open_message(gate.admit(encode(xml)), expectation, forge.now)


def name_id(signed: SignedAssertion) -> str | None:
    return signed.assertion.findtext(f"{names.SUBJECT}/{names.NAME_ID}")


@pytest.mark.parametrize("signed", [Signed.ASSERTION, Signed.RESPONSE, Signed.BOTH])
@pytest.mark.parametrize("algorithm", [*AES_CBC.values(), *AES_GCM.values()])
def test_it_reads_what_any_accepted_algorithm_encrypted(forge: Forge, algorithm: str, signed: Signed) -> None:
    found = opened(sealed_xml(forge, lock(algorithm=algorithm), signed=signed), forge, Ours.FIRST)
    assert name_id(found) == ANA
    assert found.response_signed is (signed is not Signed.ASSERTION)


@pytest.mark.parametrize(("transport", "digest", "mgf"), TRANSPORTS)
def test_it_reads_what_any_accepted_key_transport_brings(
    forge: Forge, transport: str, digest: str | None, mgf: str | None
) -> None:
    xml = sealed_xml(forge, lock(transport=transport, digest=digest, mgf=mgf))
    assert name_id(opened(xml, forge, Ours.FIRST)) == ANA


@pytest.mark.parametrize("place", list(Place))
def test_the_encrypted_key_may_stand_inside_or_beside(forge: Forge, place: Place) -> None:
    assert name_id(opened(sealed_xml(forge, lock(place=place)), forge, Ours.FIRST)) == ANA


@pytest.mark.parametrize("place", list(Place))
def test_it_finds_the_encrypted_key_that_is_for_us_among_several(forge: Forge, place: Place) -> None:
    for_both = Lock(to=[encrypting.private(Ours.THIRD).public_key(), encrypting.private(Ours.FIRST).public_key()])
    assert name_id(opened(sealed_xml(forge, for_both.changed(place=place)), forge, Ours.FIRST)) == ANA


@pytest.mark.parametrize("which", list(Ours))
def test_it_tries_each_key_of_ours(forge: Forge, which: Ours) -> None:
    assert name_id(opened(sealed_xml(forge, lock(which)), forge, *Ours)) == ANA


def test_hints_at_the_key_are_not_believed(forge: Forge) -> None:
    tree = sealed_tree(forge, lock(), signed=Signed.ASSERTION)
    hints = fragment(
        "<ds:KeyInfo><o:SecurityTokenReference xmlns:o="
        f'"{names.SECURITY_TOKEN_REFERENCE[1:].partition("}")[0]}"><ds:X509Data><ds:X509IssuerSerial>'
        "<ds:X509IssuerName>CN=another</ds:X509IssuerName><ds:X509SerialNumber>1</ds:X509SerialNumber>"
        "</ds:X509IssuerSerial></ds:X509Data></o:SecurityTokenReference></ds:KeyInfo>"
    )
    find(tree, ".//xenc:EncryptedKey").insert(1, hints)
    assert name_id(opened(issuer.serialise(tree), forge, Ours.FIRST)) == ANA


def test_what_libxmlsec_encrypted_in_its_place_is_read(forge: Forge) -> None:
    tree = forge.tree(signed=Signed.ASSERTION)
    encrypting.by_xmlsec(find(tree, "saml:Assertion"), encrypting.our_key(Ours.FIRST).certificate_pem)
    assert name_id(opened(issuer.serialise(tree), forge, Ours.FIRST)) == ANA


def without_declarations(xml: bytes) -> bytes:
    """The assertion as a tool writes it that leaves out what is declared further out."""
    return re.sub(rb' xmlns:(saml2|xs|xsi|ds)="[^"]*"', b"", xml)


def enveloped(tree: etree._Element, **declared: str) -> etree._Element:
    """The same in a Response that declares more prefixes."""
    around = etree.Element(tree.tag, nsmap={"saml2p": names.SAMLP} | declared)
    for name, value in tree.items():
        around.set(name, value)
    around.extend(list(tree))
    return around


@pytest.mark.parametrize("signed", [Signed.ASSERTION, Signed.BOTH])
def test_a_signed_assertion_may_rely_on_namespaces_declared_around_it(forge: Forge, signed: Signed) -> None:
    tree = sealed_tree(forge, lock(), signed=Signed.ASSERTION, plain=without_declarations)
    around = enveloped(tree, saml2=names.SAML, xs=names.XS, xsi=names.XSI, ds=names.DS)
    if signed is Signed.BOTH:
        issuer.sign(around, forge.key)
    assert name_id(opened(issuer.serialise(around), forge, Ours.FIRST)) == ANA


def test_an_unsigned_assertion_in_a_signed_response_may_rely_on_well_known_prefixes(forge: Forge) -> None:
    tree = sealed_tree(forge, lock(), signed=Signed.NONE, plain=without_declarations)
    around = enveloped(tree, xs=names.XS, xsi=names.XSI)
    issuer.sign(around, forge.key)
    assert name_id(opened(issuer.serialise(around), forge, Ours.FIRST)) == ANA


def test_a_namespace_declared_around_a_signed_response_gives_no_element_another_meaning(forge: Forge) -> None:
    # Declared by whoever carried the message: exclusive canonicalisation does not cover it.
    xml = sealed_xml(
        forge, lock(), signed=Signed.RESPONSE, plain=lambda text: text.replace(b"saml2:Conditions", b"other:Conditions")
    )
    carried = swap(xml, "<saml2p:Response ", f'<saml2p:Response xmlns:other="{names.SAML}" ', 1)
    with pytest.raises(DecryptionFailed) as refusal:
        opened(carried, forge, Ours.FIRST)
    assert refusal.value.received.startswith("not_xml")


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_inside_is_the_same_refusal(forge: Forge, fault: str) -> None:
    with pytest.raises(DecryptionFailed) as refusal:
        opened(FAULTS[fault](forge), forge, Ours.FIRST, Ours.SECOND)
    assert ANA not in refusal.value.received + refusal.value.expected
    assert refusal.value.public == ""


def test_what_was_wrong_inside_is_told_to_the_administrator_by_its_code(forge: Forge) -> None:
    with pytest.raises(DecryptionFailed) as refusal:
        opened(FAULTS["signed by a stranger"](forge), forge, Ours.FIRST)
    assert refusal.value.received == "bad_signature, inside what was encrypted"


def test_octets_that_are_not_base64_decrypt_to_nothing() -> None:
    sealed = seal(b"<a/>", lock())
    find(sealed, ".//xenc:EncryptedKey//xenc:CipherValue").text = "§"
    with pytest.raises(DecryptionFailed):
        encryption.decrypt(sealed, [encrypting.private(Ours.FIRST)])


@pytest.mark.parametrize("around", ["plain", "encrypted"])
@pytest.mark.parametrize("signed", [Signed.ASSERTION, Signed.RESPONSE, Signed.BOTH])
def test_an_encrypted_name_id_is_read(forge: Forge, around: str, signed: Signed) -> None:
    before = encrypted_id(lock(Ours.SECOND, place=Place.BESIDE))
    if around == "plain":
        xml = forge.xml(before, signed=signed)
    else:
        xml = sealed_xml(forge, lock(), before=before, signed=signed)
    assert name_id(opened(xml, forge, Ours.FIRST, Ours.SECOND)) == ANA


def test_the_signature_covers_an_encrypted_name_id(forge: Forge) -> None:
    other = f'<saml:NameID xmlns:saml="{names.SAML}">bob@customer.example</saml:NameID>'
    with pytest.raises(SamlError) as refusal:
        opened(forge.xml(after=encrypted_id(lock(), other), signed=Signed.ASSERTION), forge, Ours.FIRST)
    assert refusal.value.code == "bad_signature"


@pytest.mark.parametrize("signed", [Signed.RESPONSE, Signed.BOTH])
def test_the_outer_signature_covers_what_is_encrypted(forge: Forge, signed: Signed) -> None:
    tree = sealed_tree(forge, lock(), signed=signed)
    other = find(sealed_tree(forge, lock(), signed=signed), "saml:EncryptedAssertion")
    tree.replace(find(tree, "saml:EncryptedAssertion"), other)
    with pytest.raises(SamlError) as refusal:
        opened(issuer.serialise(tree), forge, Ours.FIRST)
    assert refusal.value.code == "bad_signature"


@pytest.mark.parametrize("signed", [Signed.ASSERTION, Signed.RESPONSE])
def test_without_a_key_of_ours_encryption_is_refused_before_anything_is_tried(forge: Forge, signed: Signed) -> None:
    for xml in (sealed_xml(forge, lock(), signed=signed), forge.xml(encrypted_id(lock()), signed=signed)):
        with pytest.raises(EncryptionUnsupported):
            opened(xml, forge)


def test_an_encrypted_attribute_is_refused(forge: Forge) -> None:
    def change(tree: etree._Element) -> None:
        statement = find(tree, ".//saml:AttributeStatement")
        statement.append(seal(b"<a/>", lock(), tag=names.ENCRYPTED_ATTRIBUTE))

    with pytest.raises(EncryptionUnsupported):
        opened(forge.xml(change), forge, Ours.FIRST)


# --- Refused by the gate, before any key of ours is touched ---------------------------------------------------------


@pytest.mark.parametrize(
    "weak",
    [
        {"transport": RSA_15},
        {"digest": SHA512},
        {"transport": OAEP, "digest": SHA512, "mgf": MGF_SHA1},
    ],
)
def test_weak_key_transport_is_refused(forge: Forge, weak: dict[str, Any]) -> None:
    with pytest.raises(WeakAlgorithm):
        opened(sealed_xml(forge, lock(**weak), signed=Signed.BOTH), forge, Ours.FIRST)


@pytest.mark.parametrize("algorithm", [TRIPLE_DES, f"{names.XENC}kw-aes128", "", "aes128-cbc"])
def test_other_data_algorithms_are_refused(forge: Forge, algorithm: str) -> None:
    tree = sealed_tree(forge, lock(algorithm=AES_CBC[128]), signed=Signed.ASSERTION)
    find(tree, ".//xenc:EncryptedData/xenc:EncryptionMethod").set("Algorithm", algorithm)
    with pytest.raises(WeakAlgorithm):
        opened(issuer.serialise(tree), forge, Ours.FIRST)


def in_place_of(path: str, xml: str) -> Callable[[etree._Element], None]:
    def change(tree: etree._Element) -> None:
        old = find(tree, path)
        parent = old.getparent()
        assert parent is not None
        parent.replace(old, fragment(xml))

    return change


def added_to(path: str, xml: str, at: int = 1000) -> Callable[[etree._Element], None]:
    return lambda tree: find(tree, path).insert(at, fragment(xml))


def attribute(path: str, name: str, value: str) -> Callable[[etree._Element], None]:
    return lambda tree: find(tree, path).set(name, value)


def without(path: str) -> Callable[[etree._Element], None]:
    return lambda tree: remove(tree, path)


DATA, KEY = ".//xenc:EncryptedData", ".//xenc:EncryptedKey"
SHAPES: dict[str, tuple[Callable[[etree._Element], None], type[SamlError]]] = {
    "empty": (without(DATA), BadStructure),
    "two EncryptedData": (added_to(".//saml:EncryptedAssertion", "<xenc:EncryptedData/>"), BadStructure),
    "the key before the data": (added_to(".//saml:EncryptedAssertion", "<xenc:EncryptedKey/>", 0), BadStructure),
    "an assertion beside": (added_to(".//saml:EncryptedAssertion", "<saml:Assertion/>"), SamlError),
    "encrypted content": (attribute(DATA, "Type", f"{names.XENC}Content"), BadStructure),
    "no key": (without(KEY), BadStructure),
    "no KeyInfo": (without(f"{DATA}/ds:KeyInfo"), BadStructure),
    "five keys": (
        lambda tree: find(tree, f"{DATA}/ds:KeyInfo").extend([find(seal(b"", lock()), KEY) for _ in range(4)]),
        BadStructure,
    ),
    "properties": (added_to(DATA, "<xenc:EncryptionProperties/>"), BadStructure),
    "a reference to the cipher text": (
        in_place_of(f"{DATA}/xenc:CipherData/xenc:CipherValue", '<xenc:CipherReference URI="file:///etc/passwd"/>'),
        BadStructure,
    ),
    "no cipher text": (without(f"{DATA}/xenc:CipherData/xenc:CipherValue"), BadStructure),
    "no CipherData": (without(f"{DATA}/xenc:CipherData"), BadStructure),
    "a digest for the data": (
        added_to(f"{DATA}/xenc:EncryptionMethod", f'<ds:DigestMethod Algorithm="{SHA1}"/>'),
        BadStructure,
    ),
    "a key in a key": (added_to(KEY, "<ds:KeyInfo><xenc:EncryptedKey/></ds:KeyInfo>", 1), BadStructure),
    "two digests": (
        added_to(f"{KEY}/xenc:EncryptionMethod", f'<ds:DigestMethod Algorithm="{SHA256}"/>'),
        BadStructure,
    ),
    "a mask for mgf1p": (
        added_to(f"{KEY}/xenc:EncryptionMethod", f'<e:MGF xmlns:e="{names.XENC11}" Algorithm="{MGF_SHA256}"/>'),
        BadStructure,
    ),
    "OAEP parameters": (
        added_to(f"{KEY}/xenc:EncryptionMethod", "<xenc:OAEPparams>AA==</xenc:OAEPparams>"),
        BadStructure,
    ),
    "a way to somewhere else": (
        added_to(f"{DATA}/ds:KeyInfo", '<ds:RetrievalMethod URI="http://127.0.0.1:1/"/>'),
        BadStructure,
    ),
    "a way to nothing": (added_to(f"{DATA}/ds:KeyInfo", '<ds:RetrievalMethod URI="#nothing"/>'), BadStructure),
    "a way without an address": (added_to(f"{DATA}/ds:KeyInfo", "<ds:RetrievalMethod/>"), BadStructure),
    "the same ID twice": (
        lambda tree: (attribute(DATA, "Id", "same")(tree), attribute(KEY, "Id", "same")(tree))[0],
        DuplicateId,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes_of_encryption_are_refused_before_a_key_is_touched(forge: Forge, shape: str) -> None:
    change, refusal = SHAPES[shape]
    tree = sealed_tree(forge, lock(digest=SHA1), signed=Signed.ASSERTION)
    change(tree)
    with pytest.raises(refusal) as found:
        gate.admit(encode(issuer.serialise(tree)))
    assert not isinstance(found.value, DecryptionFailed)


@pytest.mark.parametrize(("name", "value"), [("URI", "#other"), ("URI", ""), ("Type", f"{names.DS}X509Data")])
def test_a_retrieval_method_leads_to_the_key_beside_and_nowhere_else(forge: Forge, name: str, value: str) -> None:
    tree = sealed_tree(forge, lock(place=Place.RETRIEVED), signed=Signed.ASSERTION)
    find(tree, ".//ds:RetrievalMethod").set(name, value)
    with pytest.raises(BadStructure):
        opened(issuer.serialise(tree), forge, Ours.FIRST)


def test_lists_of_references_and_names_of_keys_are_at_home_in_an_encrypted_key(forge: Forge) -> None:
    tree = sealed_tree(forge, lock(place=Place.BESIDE), signed=Signed.ASSERTION)
    encrypted_key = find(tree, KEY)
    find(tree, DATA).set("Id", "data")
    encrypted_key.append(fragment('<xenc:ReferenceList><xenc:DataReference URI="#data"/></xenc:ReferenceList>'))
    encrypted_key.append(fragment("<xenc:CarriedKeyName>ours</xenc:CarriedKeyName>"))
    assert name_id(opened(issuer.serialise(tree), forge, Ours.FIRST)) == ANA


@pytest.mark.parametrize("child", ["xenc:EncryptedKey", "ds:RetrievalMethod"])
def test_a_signature_holds_nothing_of_encryption(forge: Forge, child: str) -> None:
    with pytest.raises(SamlError) as refusal:
        opened(forge.xml(after=added_to(".//ds:Signature/ds:KeyInfo", f"<{child}/>")), forge, Ours.FIRST)
    assert refusal.value.code == "signature_shape"
