"""Logout messages without a database: what the gate, the signature and the verdict make of each."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import xmlsec
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from demo import issuer
from demo.logout import LogoutSpec, build_request, build_response, redirect_query
from saml_sp.protocol import bindings, logout, names, toolkit
from saml_sp.protocol.errors import BadSignature, LogoutUnsigned, SamlError, SchemaInvalid, SignatureShape
from saml_sp.protocol.types import IdpProfile, NameId, SpProfile
from tests.encrypting import RSA_15, Ours, lock, private, seal
from tests.idp import ANA, Kind, fragment, key, reference, sign_by_template, signature, swap
from tests.protocol.test_bindings import verification_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from saml_sp.protocol.logout import LogoutRequest, LogoutResponse

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
IDP = IdpProfile(
    entity_id="https://idp.customer.example/metadata",
    keys=(verification_key(Kind.RSA), verification_key(Kind.EC)),
    tolerance=timedelta(seconds=120),
    unsolicited=True,
)
SP = SpProfile(
    entity_id="https://portico.example/saml/customer/metadata/",
    acs_url="https://portico.example/saml/customer/acs/",
    slo_url="https://portico.example/saml/customer/slo/",
)
REQUEST, RESPONSE = logout.REQUEST_FIELD, logout.RESPONSE_FIELD
SHA1_SIGNATURE = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
SHA1_DIGEST = "http://www.w3.org/2000/09/xmldsig#sha1"


def spec(**changes: Any) -> LogoutSpec:
    facts: dict[str, Any] = {
        "issuer": IDP.entity_id,
        "destination": SP.slo_url,
        "issue_instant": NOW,
        "message_id": "l-1",
    }
    return LogoutSpec(**(facts | changes))


def request(**changes: Any) -> etree._Element:
    return build_request(spec(**({"name_id": ANA} | changes)))


def response(**changes: Any) -> etree._Element:
    return build_response(spec(**({"in_response_to": "_1"} | changes)))


def signed(tree: etree._Element, kind: Kind = Kind.RSA) -> bytes:
    issuer.sign(tree, key(kind))
    return etree.tostring(tree)


def by_post(xml: bytes, field: str = REQUEST) -> LogoutRequest | LogoutResponse:
    opened = logout.open_post(field, base64.b64encode(xml).decode(), IDP, NOW)
    accept = logout.accept_request if field == REQUEST else logout.accept_response
    return accept(opened, IDP, SP, NOW)


def by_redirect(xml: bytes, field: str = REQUEST) -> LogoutRequest | LogoutResponse:
    message = bindings.read_redirect(redirect_query(field, xml, key(Kind.RSA)))
    opened = logout.open_redirect(message, IDP, NOW)
    accept = logout.accept_request if field == REQUEST else logout.accept_response
    return accept(opened, IDP, SP, NOW)


def asked(result: LogoutRequest | LogoutResponse) -> LogoutRequest:
    assert isinstance(result, logout.LogoutRequest)
    return result


def answered(result: LogoutRequest | LogoutResponse) -> LogoutResponse:
    assert isinstance(result, logout.LogoutResponse)
    return result


# --- Read ----------------------------------------------------------------------------------------------------------


def test_a_request_is_read_as_it_stands_by_either_binding() -> None:
    facts = {
        "name_id_format": names.NAMEID_PERSISTENT,
        "name_qualifier": "nq",
        "sp_name_qualifier": "spnq",
        "session_indexes": ["s1", " s2", ""],
    }
    for result in (by_post(signed(request(**facts))), by_redirect(etree.tostring(request(**facts)))):
        read = asked(result)
        assert read.id == "l-1"
        assert read.name_id == NameId(ANA, names.NAMEID_PERSISTENT, "nq", "spnq")
        assert read.session_indexes == ("s1", " s2", "")
        assert read.spent_until == NOW + timedelta(minutes=12)


def test_a_signature_by_any_current_key_is_good() -> None:
    xml = etree.tostring(request())
    template = signature(reference(), method="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256")
    tree = etree.fromstring(xml)
    sign_by_template(tree, template, key(Kind.EC).xmlsec_key)
    assert asked(by_post(etree.tostring(tree))).id == "l-1"


@pytest.mark.parametrize(
    ("status", "complete"),
    [
        ((names.STATUS_SUCCESS,), True),
        ((names.STATUS_SUCCESS, names.STATUS_PARTIAL_LOGOUT), False),
        (("urn:oasis:names:tc:SAML:2.0:status:Responder", names.STATUS_PARTIAL_LOGOUT), False),
        (("urn:oasis:names:tc:SAML:2.0:status:Requester",), False),
        (("urn:oasis:names:tc:SAML:2.0:status:Responder", names.STATUS_SUCCESS), False),
    ],
    ids=["success", "partial", "partial by error", "error", "success within an error"],
)
def test_a_response_is_complete_only_if_all_of_its_status_says_so(status: tuple[str, ...], *, complete: bool) -> None:
    for result in (
        by_post(signed(response(status=status)), RESPONSE),
        by_redirect(etree.tostring(response(status=status)), RESPONSE),
    ):
        assert (answered(result).in_response_to, answered(result).status) == ("_1", status)
        assert answered(result).complete is complete


def test_extensions_and_a_consent_are_nobodys_business() -> None:
    tree = request()
    tree.set("Consent", "urn:oasis:names:tc:SAML:2.0:consent:unspecified")
    tree.set("Reason", "urn:oasis:names:tc:SAML:2.0:logout:admin")
    tree.insert(1, fragment('<samlp:Extensions><x:y xmlns:x="urn:x">z</x:y></samlp:Extensions>'))
    assert asked(by_redirect(etree.tostring(tree))).name_id.value == ANA


def test_what_comes_behind_the_time_by_the_tolerance_is_still_good() -> None:
    for issued, ends in ((119, None), (-719, None), (0, -119)):
        tree = request(
            issue_instant=NOW + timedelta(seconds=issued),
            not_on_or_after=None if ends is None else NOW + timedelta(seconds=ends),
        )
        assert asked(by_redirect(etree.tostring(tree))).id == "l-1"


def encrypted(name_id: str = ANA, inner: str = "saml:NameID") -> etree._Element:
    """A request whose NameID is encrypted for our first key."""
    tree = request()
    plain = f'<{inner} xmlns:saml="{names.SAML}">{name_id}</{inner}>'.encode()
    found = tree.find(names.NAME_ID)
    assert found is not None
    tree.replace(found, seal(plain, lock(), tag=names.ENCRYPTED_ID, prefix="saml"))
    return tree


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_an_encrypted_nameid_is_read_with_our_key(binding: str) -> None:
    value = base64.b64encode(signed(encrypted())).decode()
    message = bindings.read_redirect(redirect_query(REQUEST, etree.tostring(encrypted()), key(Kind.RSA)))
    by_binding = {
        "post": lambda: logout.open_post(REQUEST, value, IDP, NOW),
        "redirect": lambda: logout.open_redirect(message, IDP, NOW),
    }
    opened = by_binding[binding]()
    assert opened.encrypted
    read = logout.accept_request(opened, IDP, SP, NOW, [private(Ours.SECOND), private(Ours.FIRST)])
    assert read.name_id == NameId(ANA)
    assert code_of(lambda: logout.accept_request(opened, IDP, SP, NOW)) == "encryption_unsupported"
    assert code_of(lambda: logout.accept_request(opened, IDP, SP, NOW, [private(Ours.SECOND)])) == "decryption_failed"


@pytest.mark.parametrize("inner", ["saml:Issuer", "saml:Assertion"])
def test_something_else_inside_what_is_encrypted_is_refused(inner: str) -> None:
    opened = logout.open_post(REQUEST, base64.b64encode(signed(encrypted(inner=inner))).decode(), IDP, NOW)
    assert code_of(lambda: logout.accept_request(opened, IDP, SP, NOW, [private(Ours.FIRST)])) == "decryption_failed"


def test_weak_encryption_is_refused_before_anything_is_decrypted() -> None:
    tree = request()
    found = tree.find(names.NAME_ID)
    assert found is not None
    tree.replace(found, seal(b"<a/>", lock(transport=RSA_15), tag=names.ENCRYPTED_ID, prefix="saml"))
    assert code_of(lambda: by_redirect(etree.tostring(tree))) == "weak_algorithm"


# --- Refused: signatures -------------------------------------------------------------------------------------------


def code_of(read: Callable[[], object]) -> str:
    with pytest.raises(SamlError) as caught:
        read()
    assert caught.value.received.isprintable()
    return caught.value.code


def test_by_redirect_a_signature_inside_does_not_replace_the_one_in_the_query() -> None:
    xml = signed(request())
    message = bindings.read_redirect(redirect_query(REQUEST, xml, None))
    with pytest.raises(LogoutUnsigned):
        logout.open_redirect(message, IDP, NOW)


def test_by_redirect_a_signature_inside_must_verify_as_well() -> None:
    assert asked(by_redirect(signed(request()))).id == "l-1"
    assert code_of(lambda: by_redirect(signed(request(), Kind.STRANGER))) == "bad_signature"
    assert code_of(lambda: by_redirect(swap(signed(request()), ANA, "ben@customer.example"))) == "bad_signature"


def test_by_post_a_signature_in_the_query_would_not_help_a_message_without_one() -> None:
    assert code_of(lambda: by_post(etree.tostring(request()))) == "logout_unsigned"


def test_a_key_whose_certificate_is_not_valid_now_is_not_used() -> None:
    idp = IdpProfile(entity_id=IDP.entity_id, keys=IDP.keys, tolerance=IDP.tolerance, unsolicited=True)
    later = datetime(2091, 1, 1, tzinfo=UTC)
    value = base64.b64encode(signed(request())).decode()
    assert code_of(lambda: logout.open_post(REQUEST, value, idp, later)) == "no_current_certificate"
    message = bindings.read_redirect(redirect_query(REQUEST, etree.tostring(request()), key(Kind.RSA)))
    assert code_of(lambda: logout.open_redirect(message, idp, later)) == "no_current_certificate"


@pytest.mark.parametrize(
    ("template", "code"),
    [
        (signature(method=SHA1_SIGNATURE), "weak_algorithm"),
        (signature(reference(digest=SHA1_DIGEST)), "weak_algorithm"),
        (signature(canonicalization="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"), "weak_algorithm"),
        (signature(reference(uri="")), "signature_shape"),
        (signature(reference(), reference()), "signature_shape"),
        (signature(reference(transforms=())), "bad_structure"),
        (signature(rest="<ds:Object/>"), "bad_structure"),
    ],
    ids=["SHA-1", "SHA-1 digest", "inclusive", "whole document", "two references", "no transforms", "an Object"],
)
def test_a_signature_of_another_shape_is_refused(template: str, code: str) -> None:
    tree = request()
    try:
        sign_by_template(tree, template, key(Kind.RSA).xmlsec_key)
    except xmlsec.Error:  # what xmlsec will not even sign
        tree = request()
        tree.insert(1, etree.fromstring(template.replace("{ID}", "l-1")))
    found = code_of(lambda: by_post(etree.tostring(tree)))
    assert found in {code, "signature_shape", "schema_invalid"}
    if code == "weak_algorithm":
        assert found == code


@pytest.mark.parametrize("field", ["name_id", "session", "destination", "issued", "id"])
def test_any_change_after_signing_is_refused(field: str) -> None:
    xml = signed(request(session_indexes=["s1"]))
    old, new = {
        "name_id": (ANA, "ben@customer.example"),
        "session": (">s1<", ">s2<"),
        "destination": ("/slo/", "/SLO/"),
        "issued": ("2026-11-22T12:00:00", "2026-11-22T12:00:01"),
        "id": ('ID="l-1"', 'ID="l-2"'),
    }[field]
    assert code_of(lambda: by_post(swap(xml, old, new, 1))) in {"bad_signature", "signature_shape"}


def wrapped_beside(genuine: etree._Element) -> etree._Element:
    """A forged request that carries the signature of a genuine one, and that one in the signature's Object."""
    forged = request(name_id="ben@customer.example", message_id="l-2")
    taken = genuine.find(names.SIGNATURE)
    assert taken is not None
    genuine.remove(taken)
    forged.insert(1, taken)
    etree.SubElement(taken, f"{{{names.DS}}}Object").append(genuine)
    return forged


def wrapped_in_extensions(genuine: etree._Element) -> etree._Element:
    """A forged request with a genuine one, signature and all, in its Extensions."""
    forged = request(name_id="ben@customer.example", message_id="l-2")
    extensions = etree.Element(names.EXTENSIONS)
    extensions.append(genuine)
    forged.insert(1, extensions)
    return forged


def wrapped_in_place(genuine: etree._Element) -> etree._Element:
    """A forged request whose signature refers to the genuine one that is its child."""
    forged = request(name_id="ben@customer.example", message_id="l-2")
    taken = genuine.find(names.SIGNATURE)
    assert taken is not None
    forged.insert(1, taken)
    forged.append(genuine)
    return forged


def with_its_id(genuine: etree._Element) -> etree._Element:
    """The same, and the forged one takes the genuine one's ID."""
    forged = wrapped_beside(genuine)
    forged.set("ID", "l-1")
    return forged


@pytest.mark.parametrize("wrap", [wrapped_beside, wrapped_in_extensions, wrapped_in_place, with_its_id])
def test_a_wrapped_signature_is_refused(wrap: Callable[[etree._Element], etree._Element]) -> None:
    genuine = request()
    issuer.sign(genuine, key(Kind.RSA))
    xml = etree.tostring(wrap(genuine))
    assert code_of(lambda: by_post(xml)) in {"bad_structure", "duplicate_id", "signature_shape"}
    assert code_of(lambda: by_redirect(xml)) in {"bad_structure", "duplicate_id", "signature_shape"}


def test_two_signatures_are_refused() -> None:
    tree = request()
    issuer.sign(tree, key(Kind.RSA))
    again = tree.find(names.SIGNATURE)
    assert again is not None
    tree.insert(1, etree.fromstring(etree.tostring(again, with_tail=False)))
    with pytest.raises((SchemaInvalid, SignatureShape)):
        by_post(etree.tostring(tree))


def test_another_messages_signature_is_refused() -> None:
    genuine, forged = request(session_indexes=["s1"]), request()
    issuer.sign(genuine, key(Kind.RSA))
    taken = genuine.find(names.SIGNATURE)
    assert taken is not None
    forged.insert(1, taken)
    with pytest.raises(BadSignature):
        by_post(etree.tostring(forged))


# --- Refused: shapes -----------------------------------------------------------------------------------------------

DTD = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda xml: DTD + xml, "forbidden_markup"),
        (lambda xml: swap(xml, ANA, "ana@customer.example<!-- -->.evil.example"), "forbidden_markup"),
        (lambda xml: swap(xml, ANA, "<?x?>ana@customer.example"), "forbidden_markup"),
        (lambda xml: swap(xml, ANA, f"<![CDATA[{ANA}]]>"), "forbidden_markup"),
        (lambda xml: xml[:-5], "not_xml"),
        (lambda xml: b"\xff" + xml, "not_utf8"),
        (lambda xml: xml.decode().encode("utf-16"), "not_utf8"),
        (lambda _xml: b"", "not_xml"),
        (lambda xml: swap(xml, "LogoutRequest", "LogoutResponse"), "bad_structure"),
        (lambda xml: swap(xml, "LogoutRequest", "AuthnRequest"), "bad_structure"),
        (lambda xml: swap(xml, 'Version="2.0"', 'Version="1.1"'), "bad_structure"),
        (lambda xml: swap(xml, 'ID="l-1"', 'ID=""'), "duplicate_id"),
        (lambda xml: swap(xml, 'ID="l-1"', ""), "bad_structure"),
        (lambda xml: swap(xml, 'ID="l-1"', f'ID="{"l" * 257}"'), "duplicate_id"),
        (lambda xml: swap(xml, ANA, f"{ANA}<b/>"), "bad_structure"),
        (lambda xml: swap(xml, "<saml:NameID", "<saml:BaseID").replace(b"NameID>", b"BaseID>"), "bad_structure"),
        (lambda xml: swap(xml, "</samlp:LogoutRequest>", "<samlp:Status/></samlp:LogoutRequest>"), "bad_structure"),
        (lambda xml: swap(xml, "IssueInstant=", "Issued="), "schema_invalid"),
        (lambda xml: swap(xml, "2026-11-22T12:00:00.000Z", "2026-11-22T12:00:00"), "bad_timestamp"),
        (lambda xml: swap(xml, "2026-11-22T12:00:00.000Z", "yesterday"), "schema_invalid"),
        (lambda xml: swap(xml, ANA, f" {ANA}"), "subject_missing"),
        (lambda xml: swap(xml, ANA, f"{ANA}\u200b"), "subject_missing"),
        (lambda xml: swap(xml, ANA, "x" * 1025), "value_too_long"),
        (lambda xml: swap(xml, "<saml:Issuer>", '<saml:Issuer Format="urn:x\u202e">'), "issuer_mismatch"),
        (lambda xml: swap(xml, IDP.entity_id, ""), "issuer_mismatch"),
        (lambda xml: swap(xml, IDP.entity_id, IDP.entity_id + "/"), "issuer_mismatch"),
        (lambda xml: swap(xml, SP.slo_url, SP.slo_url + "?x=\u202e"), "logout_destination_mismatch"),
        (lambda xml: swap(xml, SP.slo_url, SP.acs_url), "logout_destination_mismatch"),
    ],
)  # fmt: skip
def test_a_signed_request_of_another_shape_or_for_somebody_else_is_refused(
    change: Callable[[bytes], bytes], code: str
) -> None:
    # Signed in the query, so that nothing but the shape can be wrong.
    assert code_of(lambda: by_redirect(change(etree.tostring(request(), encoding="utf-8")))) == code


def test_duplicate_ids_are_refused() -> None:
    tree = request()
    tree.insert(1, fragment('<samlp:Extensions><x:y xmlns:x="urn:x" Id="l-1"/></samlp:Extensions>'))
    assert code_of(lambda: by_redirect(etree.tostring(tree))) == "duplicate_id"


def test_a_response_that_answers_nothing_is_refused() -> None:
    assert code_of(lambda: by_post(signed(response(in_response_to=None)), RESPONSE)) == "unknown_logout"


@pytest.mark.parametrize("value", ["", "!", "QQ=", "é", "A" * 500_000])
def test_a_form_value_that_is_no_message_is_refused(value: str) -> None:
    expected = {"": "not_xml", "A" * 500_000: "message_too_large"}.get(value, "not_base64")
    assert code_of(lambda: logout.open_post(REQUEST, value, IDP, NOW)) == expected


@pytest.mark.parametrize("field", [REQUEST, RESPONSE])
def test_a_message_of_the_other_kind_is_refused(field: str) -> None:
    tree = response() if field == REQUEST else request()
    assert code_of(lambda: by_post(signed(tree), field)) == "bad_structure"
    assert code_of(lambda: by_redirect(etree.tostring(tree), field)) == "bad_structure"


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_no_mutation_of_a_signed_request_means_anything_else(data: st.DataObject) -> None:
    xml = bytearray(SIGNED)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(xml) - 1))
        xml[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    try:
        read = asked(by_post(bytes(xml)))
    except SamlError:
        return
    assert read == GENUINE


SIGNED = signed(request(session_indexes=["s1"]))
GENUINE = asked(by_post(SIGNED))


# --- Ours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name_id", [NameId(ANA), NameId("a<b>&\u00e4", names.NAMEID_PERSISTENT, "n & q", "s")])
@pytest.mark.parametrize("index", ["", "the <index>"])
def test_our_request_is_valid_and_says_what_it_was_told(name_id: NameId, index: str) -> None:
    xml = logout.logout_request(
        request_id="_1",
        now=NOW,
        destination="https://idp.example/slo?a=1&b=2",
        sp=SP,
        name_id=name_id,
        session_index=index,
    )
    tree = etree.fromstring(xml)
    toolkit.protocol_schema().assertValid(tree)
    assert tree.get("IssueInstant") == "2026-11-22T12:00:00Z"
    assert tree.get("NotOnOrAfter") == "2026-11-22T12:05:00Z"
    assert tree.get("Destination") == "https://idp.example/slo?a=1&b=2"
    element = tree.find(names.NAME_ID)
    assert element is not None
    assert element.text == name_id.value
    assert dict(element.items()) == {
        name: value
        for name, value in (
            ("Format", name_id.format),
            ("NameQualifier", name_id.name_qualifier),
            ("SPNameQualifier", name_id.sp_name_qualifier),
        )
        if value
    }
    assert [child.text for child in tree.iterchildren(names.SESSION_INDEX)] == ([index] if index else [])


def test_our_response_is_valid_and_answers_the_request() -> None:
    xml = logout.logout_response(
        response_id="_2", now=NOW, destination="https://idp.example/slo", sp=SP, in_response_to="l-1"
    )
    tree = etree.fromstring(xml)
    toolkit.protocol_schema().assertValid(tree)
    assert (tree.get("InResponseTo"), tree.findtext(names.ISSUER)) == ("l-1", SP.entity_id)
