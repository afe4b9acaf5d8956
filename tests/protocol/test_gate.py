"""The gate by itself: what passes, what does not, and exactly where the limits are."""

from __future__ import annotations

import base64
import time

import pytest
from lxml import etree

from demo.issuer import AttributeSpec, Signed, encode
from saml_sp.protocol import gate
from saml_sp.protocol import names as n
from saml_sp.protocol.errors import (
    BadStructure,
    EncryptionUnsupported,
    ForbiddenMarkup,
    MessageTooLarge,
    NotBase64,
    NotUtf8,
    NotXml,
    SamlError,
    TooComplex,
)
from tests.idp import ATTRIBUTES, swap
from tests.protocol.expecting import FORGE
from tests.spoilers import SHELVES, Spoiled

LATER = {"schema_invalid", "bad_signature", "encryption_unsupported", "unknown_request"}
AT_THE_GATE = [
    spoiled
    for shelf in ("encoding", "markup", "amounts", "structure", "wrapping", "signatures")
    for spoiled in SHELVES[shelf]
    if spoiled.code not in LATER
]


@pytest.mark.parametrize("spoiled", AT_THE_GATE, ids=lambda spoiled: spoiled.name)
def test_it_stops_at_the_gate(spoiled: Spoiled) -> None:
    with pytest.raises(SamlError) as caught:
        gate.admit(encode(spoiled.make(FORGE)))
    assert caught.value.code == spoiled.code
    assert spoiled.received in caught.value.received


@pytest.mark.parametrize("signed", [Signed.RESPONSE, Signed.ASSERTION, Signed.BOTH])
def test_it_admits_a_response_and_lists_the_outer_signature_first(signed: Signed) -> None:
    message = gate.admit(encode(FORGE.xml(signed=signed, in_response_to="r-1")))
    assert message.root.tag == n.RESPONSE
    assert message.assertion.tag == n.ASSERTION
    assert message.in_response_to == "r-1"
    assert not message.encrypted
    parents = {Signed.RESPONSE: [n.RESPONSE], Signed.ASSERTION: [n.ASSERTION], Signed.BOTH: [n.RESPONSE, n.ASSERTION]}
    assert [next(signature.iterancestors()).tag for signature in message.signatures] == parents[signed]


def test_it_decodes_base64_with_line_breaks_only() -> None:
    assert gate.decode("PGEv\r\nPg==\n") == b"<a/>"
    for text in (
        "PGEv Pg==",
        "PGEv\tPg==",
        "PGEvPg=",
        "PGEvPg===",
        "PGEvPg",
        "=",
        "PGEvPg==PGEvPg==",
        "PGE=vPg=",
        "é",
        "-_-_",
    ):
        with pytest.raises(NotBase64):
            gate.decode(text)


def test_it_decodes_a_quarter_of_a_mebibyte_and_no_more() -> None:
    most = bytes(gate.MAX_BYTES)
    in_lines = "\r\n".join(base64.b64encode(most).decode()[at : at + 64] for at in range(0, len(most) * 2, 64)).rstrip()
    assert gate.decode(in_lines) == most
    with pytest.raises(MessageTooLarge):
        gate.decode(encode(most + b"x"))
    with pytest.raises(MessageTooLarge, match="characters of base64"):
        gate.decode("A" * (gate.MAX_BYTES * 2))


@pytest.mark.parametrize("hostile", [
    "\n" * 340_000, "\n" * 340_000 + "A", "A" * 340_000 + "=", "=\n" * 170_000, "A\n" * 170_000 + "!",
], ids=["breaks", "breaks_and_a_letter", "letters", "signs", "lines"])  # fmt: skip
def test_it_decides_about_hostile_base64_at_once(hostile: str) -> None:
    began = time.process_time()
    with pytest.raises((NotBase64, MessageTooLarge)):
        gate.decode(hostile + "!")
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "hostile",
    [
        "xmlns:" * 40_000,
        'xmlns="' * 35_000,
        "xmlns='\"" * 30_000,
        "xmlns:a" + " " * 250_000,
        "xmlns" + "\n" * 250_000 + "=",
        "<?xml " + "a" * 250_000,
        "<?xml " + "?" * 250_000,
        "<" * 250_000,
        "&" * 250_000,
        "xmlns:a=" * 30_000,
        "=\"'" * 80_000,
    ],
    ids=range(11),
)
def test_it_decides_about_hostile_text_at_once(hostile: str) -> None:
    began = time.process_time()
    with pytest.raises(SamlError):
        gate.parse(hostile.encode(), strict=True)
    assert time.process_time() - began < 0.5


def test_a_file_may_hold_comments_and_instructions_that_a_message_may_not() -> None:
    xml = b"<?xml version='1.0'?><!-- a --><a><?b c?><!-- d --><e/><![CDATA[<f/>]]></a>"
    root = gate.parse(xml, strict=False)
    assert [child.tag for child in root] == ["e"]
    with pytest.raises(ForbiddenMarkup):
        gate.parse(xml, strict=True)
    for declaration in ("<!DOCTYPE a>", "<!ENTITY a 'b'>", "<!ELEMENT a ANY>", "<!ATTLIST a b CDATA #IMPLIED>"):
        with pytest.raises(ForbiddenMarkup):
            gate.parse(f"{declaration}<a/>".encode(), strict=False)


@pytest.mark.parametrize("declaration", [
    "<?xml version='1.0'?>", '<?xml version="1.0" encoding="UTF-8"?>', "<?xml version = '1.0'\n encoding = 'utf8' ?>",
    "<?xml version='1.0' encoding='us-ascii' standalone='yes'?>", "",
])  # fmt: skip
def test_it_reads_the_usual_declarations(declaration: str) -> None:
    assert gate.parse(f"{declaration}<a/>".encode(), strict=True).tag == "a"


@pytest.mark.parametrize(
    ("declaration", "refusal"),
    [
        ("<?xml encoding='UTF-8'?>", NotXml),
        ("<?xml version='1.1'?>", NotXml),
        ("<?xml version='1.0' encoding='UTF-16'?>", NotUtf8),
        ("<?xml version='1.0' encoding=''?>", NotUtf8),
        ("<?xml version='1.0' encoding='x y'?>", NotXml),
        ("<?XML version='1.0'?>", ForbiddenMarkup),
        ("<?xml?>", ForbiddenMarkup),
    ],
)
def test_it_refuses_other_declarations(declaration: str, refusal: type[SamlError]) -> None:
    with pytest.raises(refusal):
        gate.parse(f"{declaration}<a/>".encode(), strict=True)


def nested(levels: int) -> bytes:
    return swap(FORGE.xml(), ">Lima<", f">{'<a>' * levels}{'</a>' * levels}<")


def test_it_admits_as_many_elements_levels_and_attributes_as_the_limits_say() -> None:
    depth_of_a_value = 5
    gate.admit(encode(nested(gate.MAX_DEPTH - depth_of_a_value + 1)))
    with pytest.raises(TooComplex, match="levels"):
        gate.admit(encode(nested(gate.MAX_DEPTH - depth_of_a_value + 2)))
    there = sum(1 for _ in etree.fromstring(FORGE.xml()).iter())
    gate.admit(encode(swap(FORGE.xml(), ">Lima<", f">{'<a/>' * (gate.MAX_NODES - there)}<")))
    with pytest.raises(TooComplex, match=f"element {gate.MAX_NODES + 1}"):
        gate.admit(encode(swap(FORGE.xml(), ">Lima<", f">{'<a/>' * (gate.MAX_NODES - there + 1)}<")))
    for count, refused in ((gate.MAX_ATTRIBUTES, False), (gate.MAX_ATTRIBUTES + 1, True)):
        element = "<a " + " ".join(f"a{number}='1'" for number in range(count)) + "/>"
        xml = encode(swap(FORGE.xml(), ">Lima<", f">{element}<"))
        if refused:
            with pytest.raises(TooComplex, match="attributes"):
                gate.admit(xml)
        else:
            gate.admit(xml)


def test_it_counts_namespaces_by_prefix_and_name() -> None:
    present = len(set(gate._NAMESPACE.findall(FORGE.xml().decode())))
    room = gate.MAX_NAMESPACES - present
    same = "<a xmlns:x='urn:x'/>" * 100
    for more, refused in ((room - 1, False), (room, True)):
        element = "<a " + " ".join(f"xmlns:n{number}='urn:x'" for number in range(more)) + f"/>{same}"
        xml = encode(swap(FORGE.xml(), ">Lima<", f">{element}<"))
        if refused:
            with pytest.raises(TooComplex, match="namespaces"):
                gate.admit(xml)
        else:
            gate.admit(xml)


def test_it_lets_a_prefix_be_undeclared_and_a_name_be_any_absolute_one() -> None:
    for uri in ("urn:x", "http://x.example/y#z", "tag:x", "a+b-c.d:e", "data:,x"):
        gate.parse(f"<a xmlns:x='{uri}' xmlns=''/>".encode(), strict=True)
    for uri in ("x", "/x", "//x", "#x", "?x", "1:x", ":x", "é:x"):
        with pytest.raises(BadStructure):
            gate.parse(f"<a xmlns:x='{uri}'/>".encode(), strict=True)


def test_unknown_things_may_stand_where_nobody_reads() -> None:
    value = '<b:x xmlns:b="urn:b" c="d">text<e/></b:x>'
    gate.admit(encode(swap(FORGE.xml(), ">Lima<", f">{value}<")))
    for element in ("NameID", "Issuer", "Audience", "AuthenticatingAuthority", 'Attribute Name="x"'):
        name = element.partition(" ")[0]
        gate.admit(encode(swap(FORGE.xml(), ">Lima<", f"><saml2:{element}>x</saml2:{name}><")))


@pytest.mark.parametrize(
    "element",
    [
        "saml2:Assertion",
        "saml2:EncryptedAssertion",
        "saml2:Subject",
        "saml2:Conditions",
        "saml2:AuthnStatement",
        "saml2p:Response",
        "saml2p:Status",
        "ds:Signature",
        "ds:KeyInfo",
        "ds:Reference",
        "xenc:EncryptedData",
        "xenc:EncryptedKey",
        "xenc:CipherReference",
        "saml2:SubjectConfirmation",
        "saml2:EncryptedID",
        "saml2:AttributeStatement",
    ],
)
def test_what_is_read_elsewhere_must_not_stand_where_nobody_reads(element: str) -> None:
    declared = f'xmlns:ds="{n.DS}" xmlns:xenc="{n.XENC}"'
    for inside in (f"<{element} {declared}/>", f"<x><y><{element} {declared}/></y></x>"):
        with pytest.raises(SamlError) as caught:
            gate.admit(encode(swap(FORGE.xml(), ">Lima<", f">{inside}<")))
        assert caught.value.code in {"bad_structure", "assertion_count"}


def test_an_attribute_statement_may_hold_no_encrypted_attribute() -> None:
    spoiled = next(spoiled for spoiled in SHELVES["structure"] if spoiled.name == "an_encrypted_attribute")
    with pytest.raises(EncryptionUnsupported):
        gate.admit(encode(spoiled.make(FORGE)))


def test_an_excerpt_is_short_and_printable() -> None:
    with pytest.raises(BadStructure) as caught:
        gate.parse(("<a xmlns:x='" + "\u202ex" * 300 + "'/>").encode(), strict=True)
    assert caught.value.received == "·x" * 60
    with pytest.raises(NotBase64) as refused:
        gate.decode(" " * 3)
    assert refused.value.received
    assert not any(character in refused.value.received for character in "\n\r\0")


def test_groups_by_the_hundred_are_no_problem() -> None:
    gate.admit(encode(FORGE.xml(attributes=(*ATTRIBUTES, AttributeSpec("groups", [f"g{i}" for i in range(1000)])))))
