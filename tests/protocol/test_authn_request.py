"""The AuthnRequest as XML; that it travels and is answered is tested at the HTTP door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from lxml import etree

from saml_sp.protocol import names as n
from saml_sp.protocol import toolkit
from saml_sp.protocol.authn_request import authn_request
from saml_sp.protocol.types import NameIdFormat, SpProfile

SP = SpProfile("https://portico.example/saml/acme/metadata/", "https://portico.example/saml/acme/acs/")
NOON = datetime(2026, 11, 22, 12, 0, 0, 999_999, tzinfo=UTC)


def request(**changes: Any) -> etree._Element:
    facts: dict[str, Any] = {
        "request_id": "_1",
        "issue_instant": NOON,
        "destination": "https://idp.example/sso?a=1&b=<2>",
        "sp": SP,
    }
    root = etree.fromstring(authn_request(**(facts | changes)))
    schema = toolkit.protocol_schema()
    assert schema.validate(root), schema.error_log
    return root


def test_it_says_who_asks_whom_and_where_the_answer_goes() -> None:
    root = request()
    assert dict(root.items()) == {
        "ID": "_1",
        "Version": "2.0",
        "IssueInstant": "2026-11-22T12:00:00Z",
        "Destination": "https://idp.example/sso?a=1&b=<2>",
        "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        "AssertionConsumerServiceURL": SP.acs_url,
    }
    assert [(child.tag, child.text, child.items()) for child in root] == [(n.ISSUER, SP.entity_id, [])]


def test_its_time_is_utc_whatever_it_was_given_in() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=-7)))
    assert request(issue_instant=there).get("IssueInstant") == "2026-11-22T12:00:00Z"


@pytest.mark.parametrize("wanted", NameIdFormat)
def test_it_asks_for_a_name_id_format(wanted: NameIdFormat) -> None:
    policy = request(name_id_format=wanted)[1]
    assert policy.get("Format") == wanted.uri
    assert policy.get("AllowCreate") == (None if wanted is NameIdFormat.TRANSIENT else "true")


def test_everything_at_once_is_in_the_order_of_the_schema() -> None:
    root = request(name_id_format=NameIdFormat.PERSISTENT, force_authn=True, authn_contexts=("urn:b", "urn:a"))
    assert root.get("ForceAuthn") == "true"
    assert [etree.QName(child).localname for child in root] == ["Issuer", "NameIDPolicy", "RequestedAuthnContext"]
    assert root[2].get("Comparison") == "exact"
    assert [child.text for child in root[2]] == ["urn:b", "urn:a"]
