"""From an admitted message to what was signed."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
import xmlsec
from lxml import etree

from demo import issuer
from demo.issuer import Signed, encode
from saml_sp.protocol import gate, signature
from saml_sp.protocol import names as n
from saml_sp.protocol.errors import BadSignature, NoCurrentCertificate, SamlError, SchemaInvalid
from tests.idp import ANA, Kind, find, key, sign_by_template, swap
from tests.idp import signature as template
from tests.protocol.expecting import FORGE, NOW, expectation, opened
from tests.spoilers import SHELVES, A, Spoiled

AT_THE_SIGNATURE = [
    spoiled
    for shelf in ("structure", "wrapping", "signatures")
    for spoiled in SHELVES[shelf]
    if spoiled.code in {"schema_invalid", "bad_signature"}
]


@pytest.mark.parametrize("spoiled", AT_THE_SIGNATURE, ids=lambda spoiled: spoiled.name)
def test_it_refuses(spoiled: Spoiled) -> None:
    with pytest.raises(SamlError) as caught:
        opened(spoiled.make(FORGE))
    assert caught.value.code == spoiled.code


@pytest.mark.parametrize("signed", [Signed.RESPONSE, Signed.BOTH])
def test_a_signed_response_is_read_anew_with_all_that_is_in_it(signed: Signed) -> None:
    message = gate.admit(encode(FORGE.xml(signed=signed)))
    verified = signature.open_message(message, expectation(), NOW)
    assert verified.response_signed
    assert verified.assertion.getparent() is verified.response
    assert verified.response.getroottree() is not message.root.getroottree()
    assert verified.response.find(n.SIGNATURE) is None


def test_of_a_signed_assertion_the_envelope_is_not_vouched_for() -> None:
    message = gate.admit(encode(FORGE.xml(signed=Signed.ASSERTION)))
    verified = signature.open_message(message, expectation(), NOW)
    assert not verified.response_signed
    assert verified.response is message.root
    assert verified.assertion.getparent() is None
    assert find(verified.assertion, "saml:Subject/saml:NameID").text == ANA


def signed_once_more(parent: etree._Element, index: int) -> None:
    """Sign again what has changed around the signature."""
    context = xmlsec.SignatureContext()
    context.key = FORGE.key.xmlsec_key
    context.sign(parent[index])


def test_the_white_space_around_a_signature_stays_where_it_was() -> None:
    tree = issuer.build_tree(FORGE.spec())
    etree.indent(tree, space="  ")
    assertion = find(tree, A)
    sign_by_template(assertion, template(), FORGE.key.xmlsec_key)
    assertion[1].tail = "\n\t"
    signed_once_more(assertion, 1)
    verified = opened(issuer.serialise(tree))
    assert verified.assertion[0].tail == "\n    \n\t"
    assert [child.tag for child in verified.assertion][:2] == [n.ISSUER, n.SUBJECT]


def test_a_signature_may_be_the_first_child_of_a_response_without_issuer() -> None:
    tree = issuer.build_tree(FORGE.spec(response_issuer=False))
    issuer.sign(tree, FORGE.key)
    tree.text, tree[0].tail = "\n", "\n "
    signed_once_more(tree, 0)
    assert opened(issuer.serialise(tree)).response.text == "\n\n "


@pytest.mark.parametrize("held", [(Kind.RSA, Kind.SECOND_RSA), (Kind.SECOND_RSA, Kind.RSA), (Kind.EC, Kind.RSA)])
def test_any_of_the_current_keys_will_do(held: tuple[Kind, ...]) -> None:
    opened(FORGE.xml(), expectation(*held))


@pytest.mark.parametrize("held", [(Kind.RSA_EXPIRED,), (Kind.RSA_FUTURE,)])
def test_a_certificate_counts_within_its_validity_only(held: tuple[Kind, ...]) -> None:
    with pytest.raises(NoCurrentCertificate):
        opened(FORGE.xml(), expectation(*held))
    with pytest.raises(BadSignature, match="1 current"):
        opened(FORGE.xml(), expectation(*held, Kind.SECOND_RSA))


def test_the_moment_is_an_argument() -> None:
    then = NOW - timedelta(days=5)
    opened(FORGE.xml(), expectation(Kind.RSA_EXPIRED), then)
    with pytest.raises(NoCurrentCertificate):
        opened(FORGE.xml(), expectation(Kind.RSA), then)


def test_response_and_assertion_may_be_signed_with_different_keys_of_ours() -> None:
    tree = issuer.build_tree(FORGE.spec())
    issuer.sign(find(tree, A), key(Kind.EC), signature_method=xmlsec.constants.TransformEcdsaSha256)
    issuer.sign(tree, FORGE.key)
    xml = issuer.serialise(tree)
    opened(xml, expectation(Kind.RSA, Kind.EC))
    with pytest.raises(BadSignature):
        opened(xml, expectation(Kind.RSA))


def test_what_is_read_is_what_was_digested_or_nothing() -> None:
    """Were xmlsec ever to verify other bytes than ours, the digests would differ."""
    message = gate.admit(encode(FORGE.xml(signed=Signed.RESPONSE)))
    find(message.root, f"{A}/saml:Subject/saml:NameID").text = "eve@attacker.example"
    with pytest.raises(BadSignature, match="another digest"):
        signature.reread(message.signatures[0])


def test_a_digest_that_is_no_base64_is_a_bad_signature() -> None:
    message = gate.admit(encode(FORGE.xml(signed=Signed.RESPONSE)))
    find(message.root, "ds:Signature/ds:SignedInfo/ds:Reference/ds:DigestValue").text = "?"
    with pytest.raises(BadSignature, match="base64"):
        signature.reread(message.signatures[0])


def test_the_schema_says_what_is_wrong() -> None:
    with pytest.raises(SchemaInvalid) as caught:
        opened(swap(FORGE.xml(), ' Version="2.0"', ' Version="2.0" Role="x"', 1))
    assert "Role" in caught.value.received


THREADS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from lxml import etree
from saml_sp.protocol import toolkit
xml = sys.stdin.buffer.read()
together = threading.Barrier(16, timeout=20)
def validate(number):
    root = etree.fromstring(xml)
    if number % 2:
        root.set("Role", "x")
    together.wait()
    return bool(toolkit.violation(root)) == bool(number % 2)
with ThreadPoolExecutor(16) as pool:
    assert all(pool.map(validate, range(16)))
"""


def test_threads_that_validate_the_first_message_together_do_not_disturb_each_other() -> None:
    """Without a lock, libxml2 has crashed here while two threads made its table of types."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS], input=FORGE.xml(), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
