"""What the demo's identity provider issues is well formed, really signed, and as asked for."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import xmlsec
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from demo import issuer, keys
from demo.issuer import AttributeSpec, Signed, Spec
from saml_sp.protocol import names, toolkit

NOW = datetime(2026, 5, 11, 8, 52, 11, 834567, tzinfo=UTC)
KEY = keys.make("Test")


def spec(**changes: Any) -> Spec:
    attributes = (AttributeSpec("Email", ("ana@customer.example",), friendly_name="mail"), AttributeSpec("empty", ()))
    return Spec.fresh(
        issuer="https://idp", acs_url="https://sp/acs", audience="https://sp", name_id="ana", now=NOW,
        **{"attributes": attributes} | changes,
    )  # fmt: skip


def signatures(root: etree._Element, key: keys.SigningKey = KEY) -> list[str]:
    """The names of the elements whose signature is good."""
    xmlsec.tree.add_ids(root, ["ID"])
    found = []
    for signature in root.iter(names.SIGNATURE):
        context = xmlsec.SignatureContext()
        context.key = key.xmlsec_key
        context.verify(signature)
        parent = signature.getparent()
        assert parent is not None
        found.append(etree.QName(parent).localname)
    return found


@pytest.mark.parametrize(
    ("signed", "elements"),
    [
        (Signed.BOTH, ["Response", "Assertion"]),
        (Signed.RESPONSE, ["Response"]),
        (Signed.ASSERTION, ["Assertion"]),
        (Signed.NONE, []),
    ],
)
def test_it_signs_what_is_asked_and_fits_the_schema(signed: Signed, elements: list[str]) -> None:
    root = etree.fromstring(issuer.issue(spec(signed=signed), KEY))
    toolkit.protocol_schema().assertValid(root)
    assert signatures(root) == elements


@pytest.mark.parametrize("prefixes", [("samlp", "saml"), (None, None), ("a", "b")])
def test_prefixes_are_free(prefixes: tuple[str | None, str | None]) -> None:
    xml = issuer.issue(spec(protocol_prefix=prefixes[0], assertion_prefix=prefixes[1]), KEY)
    root = etree.fromstring(xml)
    assert root.prefix == prefixes[0]
    assert signatures(root) == ["Response", "Assertion"]


def test_other_algorithms_and_kinds_of_key_sign_too() -> None:
    key = keys.make("EC", key=ec.generate_private_key(ec.SECP256R1()))
    chosen = spec(
        signature_method=xmlsec.constants.TransformEcdsaSha384, digest_method=xmlsec.constants.TransformSha512
    )
    root = etree.fromstring(issuer.issue(chosen, key))
    assert signatures(root, key) == ["Response", "Assertion"]


def test_a_shifted_clock_moves_every_time() -> None:
    there = etree.fromstring(issuer.issue(spec(), KEY))
    ahead = etree.fromstring(issuer.issue(spec().shifted(timedelta(hours=1)), KEY))
    moments = "//@IssueInstant | //@NotBefore | //@NotOnOrAfter | //@AuthnInstant"
    before, after = there.xpath(moments), ahead.xpath(moments)
    assert isinstance(before, list)
    assert isinstance(after, list)
    assert len(before) == 6
    for early, late in zip(before, after, strict=True):
        assert datetime.fromisoformat(str(late)) - datetime.fromisoformat(str(early)) == timedelta(hours=1)


def test_another_status_comes_without_an_assertion() -> None:
    status = "urn:oasis:names:tc:SAML:2.0:status:Responder"
    root = etree.fromstring(issuer.issue(spec(status=status, status_message="Not today"), KEY))
    toolkit.protocol_schema().assertValid(root)
    assert root.find(names.ASSERTION) is None
    assert signatures(root) == ["Response"]


def test_what_is_none_is_left_out() -> None:
    bare = dataclasses.replace(
        spec(), issuer=None, name_id=None, audiences=(), recipient=None, destination=None, authn_instant=None,
        attributes=(), not_before=None, not_on_or_after=None, confirmation_not_on_or_after=None,
    )  # fmt: skip
    root = etree.fromstring(issuer.issue(bare, KEY))
    gone = [names.ISSUER, names.NAME_ID, names.AUDIENCE, names.AUTHN_STATEMENT, names.ATTRIBUTE_STATEMENT]
    assert [tag for tag in gone if root.find(f".//{tag}") is not None] == []
    assert root.get("Destination") is None
    assert signatures(root) == ["Response", "Assertion"]


def test_keys_do_not_print() -> None:
    assert "PRIVATE" not in repr(KEY)
    assert "BEGIN" not in repr(KEY)
