"""The two front-channel bindings: what we put on the wire, and what we take from it."""

from __future__ import annotations

import base64
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from demo.logout import deflate, redirect_query, sign_query, unsigned_query
from saml_sp.protocol import bindings, certificates
from saml_sp.protocol.errors import (
    BadSignature,
    LogoutUnsigned,
    MessageTooLarge,
    NotBase64,
    QueryRefused,
    SamlError,
    WeakAlgorithm,
)
from saml_sp.protocol.types import Signer, VerificationKey
from tests.idp import Kind, key

XML = '<a x="&amp; ä"/>'.encode()
REQUEST = "SAMLRequest"


def verification_key(kind: Kind) -> VerificationKey:
    """The key as we hold it."""
    return certificates.verification_key(
        key(kind).certificate_pem.decode(), datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
    )


def signer(kind: Kind = Kind.SECOND_RSA) -> Signer:
    """A key pair of ours."""
    return Signer(private_key=key(kind).private_pem, certificate=key(kind).certificate_pem)


def check(query: str, *kinds: Kind) -> None:
    """Read a query and verify its signature by these keys."""
    bindings.check_redirect_signature(bindings.read_redirect(query), [verification_key(kind) for kind in kinds])


# --- Ours ----------------------------------------------------------------------------------------------------------


def test_what_we_send_by_redirect_is_what_we_would_read() -> None:
    url = bindings.redirect_url("https://idp.example/slo", REQUEST, XML, "state & <more>", signer())
    assert url.startswith("https://idp.example/slo?SAMLRequest=")
    read = bindings.read_redirect(urlsplit(url).query)
    assert (read.field, read.xml, read.relay_state) == (REQUEST, XML, "state & <more>")
    check(urlsplit(url).query, Kind.SECOND_RSA)


def test_our_parameters_come_in_the_order_that_is_signed() -> None:
    url = bindings.redirect_url("https://idp.example/slo", "SAMLResponse", XML, "state", signer())
    assert [name for name, _ in parse_qsl(urlsplit(url).query)] == ["SAMLResponse", "RelayState", "SigAlg", "Signature"]


def test_without_a_key_nothing_is_said_of_a_signature() -> None:
    url = bindings.redirect_url("https://idp.example/slo", REQUEST, XML, "", None)
    assert [name for name, _ in parse_qsl(urlsplit(url).query)] == [REQUEST]


def test_an_endpoint_with_a_query_of_its_own_keeps_it() -> None:
    url = bindings.redirect_url("https://idp.example/slo?tenant=7", REQUEST, XML, "", None)
    assert url.startswith("https://idp.example/slo?tenant=7&SAMLRequest=")


def test_by_post_the_message_is_base64_and_signed_where_we_can() -> None:
    assert base64.b64decode(bindings.post_field(XML, None)) == XML
    protocol = "urn:oasis:names:tc:SAML:2.0:protocol"
    message = f'<samlp:LogoutRequest xmlns:samlp="{protocol}" ID="_1">{ISSUER}</samlp:LogoutRequest>'
    signed = etree.fromstring(base64.b64decode(bindings.post_field(message.encode(), signer())))
    assert [etree.QName(child).localname for child in signed] == ["Issuer", "Signature"]


ISSUER = '<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">us</saml:Issuer>'


# --- Theirs: reading -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.RSA, Kind.EC])
def test_a_signature_over_the_query_verifies_with_one_of_the_keys(kind: Kind) -> None:
    query = redirect_query(REQUEST, XML, key(kind), "state")
    check(query, Kind.SECOND_RSA, kind)
    with pytest.raises(BadSignature):
        check(query, Kind.SECOND_RSA)


def test_the_order_of_the_parameters_and_others_beside_them_do_not_matter() -> None:
    parts = redirect_query(REQUEST, XML, key(Kind.RSA), "state").split("&")
    check("&".join(["utm_source=mail", *reversed(parts), "x", "y=1", ""]), Kind.RSA)


def test_lower_case_percent_encoding_is_verified_as_it_was_sent() -> None:
    unsigned = unsigned_query(REQUEST, deflate(XML), "a/b").replace("%2F", "%2f").replace("%3D", "%3d")
    assert "%2f" in unsigned
    private = load_pem_private_key(key(Kind.RSA).private_pem, None)
    assert isinstance(private, rsa.RSAPrivateKey)
    unsigned += "&SigAlg=http%3a%2f%2fwww.w3.org%2f2001%2f04%2fxmldsig-more%23rsa-sha256"
    signature = quote(base64.b64encode(private.sign(unsigned.encode(), padding.PKCS1v15(), SHA256())), safe="")
    check(f"{unsigned}&Signature={signature}", Kind.RSA)
    # Written in the other case it is another string, whatever it means.
    with pytest.raises(BadSignature):
        check(f"{unsigned.replace('%2f', '%2F')}&Signature={signature}", Kind.RSA)


def test_an_empty_relay_state_that_was_signed_is_part_of_what_is_verified() -> None:
    query = sign_query(unsigned_query(REQUEST, deflate(XML)) + "&RelayState=", key(Kind.RSA))
    check(query, Kind.RSA)
    with pytest.raises(BadSignature):
        check(query.replace("&RelayState=", ""), Kind.RSA)


@pytest.mark.parametrize("change", ["RelayState=other", "RelayState="])
def test_a_relay_state_that_was_changed_breaks_the_signature(change: str) -> None:
    query = redirect_query(REQUEST, XML, key(Kind.RSA), "state")
    with pytest.raises(BadSignature):
        check(query.replace("RelayState=state", change), Kind.RSA)


def test_a_relay_state_that_was_added_breaks_the_signature() -> None:
    with pytest.raises(BadSignature):
        check(redirect_query(REQUEST, XML, key(Kind.RSA)) + "&RelayState=added", Kind.RSA)


def test_a_request_cannot_be_passed_off_as_a_response() -> None:
    with pytest.raises(BadSignature):
        check(redirect_query(REQUEST, XML, key(Kind.RSA)).replace(REQUEST, "SAMLResponse"), Kind.RSA)


@pytest.mark.parametrize("missing", ["SigAlg", "Signature", "both"])
def test_a_query_without_algorithm_or_signature_is_unsigned(missing: str) -> None:
    query = redirect_query(REQUEST, XML, key(Kind.RSA))
    names = {"SigAlg", "Signature"} if missing == "both" else {missing}
    left = "&".join(part for part in query.split("&") if part.partition("=")[0] not in names)
    with pytest.raises(LogoutUnsigned):
        check(left, Kind.RSA)


@pytest.mark.parametrize(
    "algorithm",
    [
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "http://www.w3.org/2001/04/xmldsig-more#RSA-SHA256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256 ",
        "",
    ],
)
def test_an_algorithm_off_the_list_is_refused_though_the_signature_is_good(algorithm: str) -> None:
    unsigned = f"{unsigned_query(REQUEST, deflate(XML))}&SigAlg={quote(algorithm, safe='')}"
    private = load_pem_private_key(key(Kind.RSA).private_pem, None)
    assert isinstance(private, rsa.RSAPrivateKey)
    digest = SHA1() if algorithm.endswith("sha1") else SHA256()  # noqa: S303 - to be refused
    signature = base64.b64encode(private.sign(unsigned.encode(), padding.PKCS1v15(), digest))
    with pytest.raises(WeakAlgorithm):
        check(f"{unsigned}&Signature={quote(signature, safe='')}", Kind.RSA)


@pytest.mark.parametrize("algorithm", ["rsa-sha512", "ecdsa-sha256"])
def test_another_algorithm_of_the_list_than_the_one_that_was_used_does_not_verify(algorithm: str) -> None:
    query = redirect_query(REQUEST, XML, key(Kind.RSA)).replace("rsa-sha256", algorithm)
    with pytest.raises(BadSignature):
        check(query, Kind.RSA, Kind.EC)


@pytest.mark.parametrize(
    "signature", ["", "AA==", quote(base64.b64encode(bytes(64))), quote(base64.b64encode(b"x" * 999))]
)
@pytest.mark.parametrize("kind", [Kind.RSA, Kind.EC])
def test_a_signature_of_any_other_length_does_not_verify(signature: str, kind: Kind) -> None:
    query = redirect_query(REQUEST, XML, key(kind)).partition("&Signature=")[0]
    with pytest.raises(BadSignature):
        check(f"{query}&Signature={signature}", kind)


@pytest.mark.parametrize("name", ["SAMLRequest", "RelayState", "SigAlg", "Signature", "SAMLEncoding"])
def test_a_parameter_that_comes_twice_is_refused(name: str) -> None:
    query = redirect_query(REQUEST, XML, key(Kind.RSA), "state") + "&SAMLEncoding="
    again = next(part for part in query.split("&") if part.startswith(f"{name}="))
    with pytest.raises(QueryRefused, match=name):
        bindings.read_redirect(f"{query}&{again}")


@pytest.mark.parametrize(
    ("query", "received"),
    [("", "neither"), ("RelayState=x", "neither"), ("SAMLRequest=QQ&SAMLResponse=QQ", "SAMLRequest and SAMLResponse")],
)
def test_exactly_one_message_is_expected(query: str, received: str) -> None:
    with pytest.raises(QueryRefused, match=received):
        bindings.read_redirect(query)


def test_the_name_of_the_deflate_encoding_may_be_spelled_out_and_no_other() -> None:
    query = redirect_query(REQUEST, XML, key(Kind.RSA))
    deflate_encoding = quote("urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE", safe="")
    check(f"{query}&SAMLEncoding={deflate_encoding}", Kind.RSA)
    with pytest.raises(QueryRefused, match="DEFLATE"):
        bindings.read_redirect(f"{query}&SAMLEncoding=identity")


@pytest.mark.parametrize("value", ["%FF", "%C3", "%ED%A0%80"])
def test_what_is_not_utf_8_is_refused(value: str) -> None:
    for query in (f"SAMLRequest={value}", f"{unsigned_query(REQUEST, deflate(XML))}&RelayState={value}"):
        with pytest.raises(QueryRefused, match="UTF-8"):
            bindings.read_redirect(query)


@pytest.mark.parametrize("query", ["SAMLRequest=ä", "\udcff", "SAMLRequest=QQ==&x=\x80"])
def test_characters_that_were_not_percent_encoded_are_refused(query: str) -> None:
    with pytest.raises(QueryRefused, match="ASCII"):
        bindings.read_redirect(query)


@pytest.mark.parametrize("value", ["QQ=", "QQ", "Q Q==", "QQ==QQ==", "Q+==", "%00", "a-_b", "QQ==%20"])
def test_what_is_not_base64_is_refused(value: str) -> None:
    with pytest.raises(NotBase64):
        bindings.read_redirect(f"SAMLRequest={value}")


def test_base64_may_be_broken_into_lines() -> None:
    encoded = base64.encodebytes(deflate(bytes(range(256)) * 2)).decode()
    assert "\n" in encoded[:-1]
    value = quote(encoded.replace("\n", "\r\n"), safe="")
    assert bindings.read_redirect(f"SAMLRequest={value}").xml == bytes(range(256)) * 2


def test_a_deflate_bomb_is_not_inflated() -> None:
    bomb = deflate(b" " * 50_000_000)
    assert len(bomb) < 50_000
    with pytest.raises(MessageTooLarge):
        bindings.read_redirect(unsigned_query(REQUEST, bomb))


def test_a_message_of_exactly_the_greatest_size_is_read() -> None:
    most = b"x" * bindings.MAX_INFLATED
    assert bindings.read_redirect(unsigned_query(REQUEST, deflate(most))).xml == most
    with pytest.raises((MessageTooLarge, QueryRefused)):
        bindings.read_redirect(unsigned_query(REQUEST, deflate(most + b"x")))


@pytest.mark.parametrize(
    "data",
    [b"", deflate(XML)[:-1], deflate(XML) + b"\x00", zlib.compress(XML), b"\xff" * 20, XML],
    ids=["empty", "cut off", "more behind it", "zlib", "rubbish", "not deflated"],
)
def test_what_is_not_one_deflated_message_is_refused(data: bytes) -> None:
    with pytest.raises(QueryRefused):
        bindings.read_redirect(unsigned_query(REQUEST, data))


@given(st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=0x2FF), max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_query_is_read_or_refused(query: str) -> None:
    for text in (query, f"SAMLRequest={query}", f"SAMLRequest=QQ==&SigAlg={query}", f"SAMLResponse={quote(query)}"):
        with suppress(SamlError):
            bindings.read_redirect(text)


@cache
def signed_once() -> tuple[str, VerificationKey]:
    """What every example changes, and who signed it."""
    return redirect_query(REQUEST, XML, key(Kind.RSA), "state"), verification_key(Kind.RSA)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_change_of_a_signed_query_verifies_as_another_message(data: st.DataObject) -> None:
    query, verifier = signed_once()
    at = data.draw(st.integers(0, len(query) - 1))
    changed = query[:at] + data.draw(st.characters(min_codepoint=33, max_codepoint=126)) + query[at + 1 :]
    try:
        message = bindings.read_redirect(changed)
        bindings.check_redirect_signature(message, [verifier])
    except SamlError:
        return
    assert (message.xml, message.relay_state) == (XML, "state")
