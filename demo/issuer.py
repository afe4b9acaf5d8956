"""Makes and signs SAML Responses, as an identity provider does: right by default, and wrong in any way one asks for.

Of the service provider it knows the names of XML elements and nothing else: a mistake there is not repeated here.
"""

from __future__ import annotations

import base64
import dataclasses
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import xmlsec
from lxml import etree

from saml_sp.protocol import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.keys import SigningKey

XS = "http://www.w3.org/2001/XMLSchema"
UNSPECIFIED_NAME = "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified"
PASSWORD_OVER_TLS = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"  # noqa: S105 - an identifier

RSA_SHA256 = xmlsec.constants.TransformRsaSha256
SHA256 = xmlsec.constants.TransformSha256


class Signed(StrEnum):
    """Which elements carry a signature of their own."""

    RESPONSE = "response"
    ASSERTION = "assertion"
    BOTH = "both"
    NONE = "none"


@dataclass(frozen=True)
class AttributeSpec:
    """An attribute. Values are text; `xsi_type` empty leaves the type out, a `value` of None makes an empty element."""

    name: str
    values: Sequence[str | None]
    friendly_name: str = ""
    name_format: str = UNSPECIFIED_NAME
    xsi_type: str = "xs:string"


@dataclass(frozen=True)
class Spec:
    """All that a Response says. Where None is allowed it leaves the element or attribute out."""

    # Whom it is from and for.
    issuer: str | None
    destination: str | None
    recipient: str | None
    audiences: Sequence[str]
    # Whom it is about.
    name_id: str | None
    # When. All aware datetimes.
    issue_instant: datetime
    not_before: datetime | None
    not_on_or_after: datetime | None
    confirmation_not_on_or_after: datetime | None
    authn_instant: datetime | None
    name_id_format: str | None = names.NAMEID_UNSPECIFIED
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None
    attributes: Sequence[AttributeSpec] = ()
    confirmation_not_before: datetime | None = None
    session_not_on_or_after: datetime | None = None
    session_index: str | None = field(default_factory=lambda: new_id("s"))
    authn_context: str = PASSWORD_OVER_TLS
    confirmation_method: str = names.CM_BEARER
    # What it answers, in the Response and in the confirmation alike.
    in_response_to: str | None = None
    response_id: str = field(default_factory=lambda: new_id("r"))
    assertion_id: str = field(default_factory=lambda: new_id("a"))
    status: str = names.STATUS_SUCCESS
    status_message: str | None = None
    issuer_format: str | None = names.NAMEID_ENTITY
    response_issuer: bool = True
    # How it is written.
    protocol_prefix: str | None = "saml2p"
    assertion_prefix: str | None = "saml2"
    signed: Signed = Signed.BOTH
    signature_method: Any = RSA_SHA256
    digest_method: Any = SHA256
    inclusive_prefixes: Sequence[str] = ("xs",)

    @classmethod
    def fresh(cls, *, issuer: str, acs_url: str, audience: str, name_id: str, now: datetime, **changes: Any) -> Self:
        """An unsolicited sign-in that began this moment and can be used for five minutes."""
        ends = now + timedelta(minutes=5)
        spec = cls(
            issuer=issuer, destination=acs_url, recipient=acs_url, audiences=(audience,), name_id=name_id,
            issue_instant=now, not_before=now - timedelta(minutes=5), not_on_or_after=ends,
            confirmation_not_on_or_after=ends, authn_instant=now - timedelta(seconds=5),
        )  # fmt: skip
        return dataclasses.replace(spec, **changes)

    def shifted(self, by: timedelta) -> Self:
        """The same with every time moved: what an identity provider with a wrong clock sends."""
        moved: dict[str, Any] = {
            item.name: value + by
            for item in dataclasses.fields(self)
            if isinstance(value := getattr(self, item.name), datetime)
        }
        return dataclasses.replace(self, **moved)


def new_id(prefix: str) -> str:
    """An ID that is an NCName with 128 random bits (Core 1.3.4)."""
    return f"{prefix}-{secrets.token_hex(16)}"


def instant(moment: datetime) -> str:
    """A moment as xs:dateTime in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def build_tree(spec: Spec) -> etree._Element:
    """The Response of a specification, not signed yet (Core 3.3.3, Profiles 4.1.4.2)."""
    response = etree.Element(
        names.RESPONSE,
        _present({
            "Destination": spec.destination, "ID": spec.response_id, "InResponseTo": spec.in_response_to,
            "IssueInstant": instant(spec.issue_instant), "Version": "2.0",
        }),
        nsmap=_nsmap(spec.protocol_prefix, names.SAMLP),
    )  # fmt: skip
    if spec.response_issuer:
        _add_issuer(response, spec)
    status = etree.SubElement(response, names.STATUS)
    etree.SubElement(status, names.STATUS_CODE, {"Value": spec.status})
    if spec.status_message is not None:
        etree.SubElement(status, names.STATUS_MESSAGE).text = spec.status_message
    if spec.status == names.STATUS_SUCCESS:
        response.append(build_assertion(spec))
    return response


def build_assertion(spec: Spec) -> etree._Element:
    """The Assertion of a specification, not signed yet (Core 2.3.3)."""
    assertion = etree.Element(
        names.ASSERTION,
        {"ID": spec.assertion_id, "IssueInstant": instant(spec.issue_instant), "Version": "2.0"},
        nsmap=_nsmap(spec.assertion_prefix, names.SAML, xs=XS, xsi=names.XSI),
    )
    _add_issuer(assertion, spec)
    _add_subject(assertion, spec)
    _add_conditions(assertion, spec)
    _add_authn_statement(assertion, spec)
    if spec.attributes:
        statement = etree.SubElement(assertion, names.ATTRIBUTE_STATEMENT)
        for attribute in spec.attributes:
            _add_attribute(statement, attribute)
    return assertion


def sign(
    element: etree._Element,
    key: SigningKey,
    *,
    signature_method: Any = RSA_SHA256,
    digest_method: Any = SHA256,
    inclusive_prefixes: Sequence[str] = (),
) -> etree._Element:
    """Sign a Response, Assertion or other element with an ID in place; the Signature follows its Issuer (Core 5.4).

    Returns the Signature.
    """
    signature = xmlsec.template.create(element, xmlsec.constants.TransformExclC14N, signature_method, ns="ds")
    reference = xmlsec.template.add_reference(signature, digest_method, uri=f"#{element.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    exclusive = xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    if inclusive_prefixes:
        xmlsec.template.transform_add_c14n_inclusive_namespaces(exclusive, list(inclusive_prefixes))
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    issuer = element.find(names.ISSUER)
    element.insert(0 if issuer is None else element.index(issuer) + 1, signature)
    xmlsec.tree.add_ids(element, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = key.xmlsec_key
    context.sign(signature)
    return signature


def sign_as_specified(response: etree._Element, spec: Spec, key: SigningKey) -> None:
    """Sign what the specification wants signed: the Assertion first, for the Response's signature covers it."""
    style = {
        "signature_method": spec.signature_method,
        "digest_method": spec.digest_method,
        "inclusive_prefixes": spec.inclusive_prefixes,
    }
    assertion = response.find(names.ASSERTION)
    if spec.signed in {Signed.ASSERTION, Signed.BOTH} and assertion is not None:
        sign(assertion, key, **style)
    if spec.signed in {Signed.RESPONSE, Signed.BOTH}:
        sign(response, key, **style)


def issue(spec: Spec, key: SigningKey) -> bytes:
    """A signed Response, serialised."""
    response = build_tree(spec)
    sign_as_specified(response, spec, key)
    return serialise(response)


def serialise(element: etree._Element) -> bytes:
    """The XML, in UTF-8 with its declaration, exactly as it was signed."""
    return etree.tostring(element, xml_declaration=True, encoding="UTF-8")


def encode(xml: bytes) -> str:
    """The value of the form field SAMLResponse (Bindings 3.5.4)."""
    return base64.b64encode(xml).decode()


def _present(attributes: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if value is not None}


def _nsmap(prefix: str | None, uri: str, **others: str) -> dict[Any, str]:
    """Namespace declarations; a prefix of None is the default namespace."""
    return {prefix: uri, **others}


def _moment(value: datetime | None) -> str | None:
    return None if value is None else instant(value)


def _add_issuer(parent: etree._Element, spec: Spec) -> None:
    if spec.issuer is None:
        return
    issuer = etree.SubElement(
        parent, names.ISSUER, _present({"Format": spec.issuer_format}), nsmap=_nsmap(spec.assertion_prefix, names.SAML)
    )
    issuer.text = spec.issuer


def _add_subject(assertion: etree._Element, spec: Spec) -> None:
    subject = etree.SubElement(assertion, names.SUBJECT)
    if spec.name_id is not None:
        facts = {
            "Format": spec.name_id_format,
            "NameQualifier": spec.name_qualifier,
            "SPNameQualifier": spec.sp_name_qualifier,
        }
        etree.SubElement(subject, names.NAME_ID, _present(facts)).text = spec.name_id
    confirmation = etree.SubElement(subject, names.SUBJECT_CONFIRMATION, {"Method": spec.confirmation_method})
    data = {
        "InResponseTo": spec.in_response_to,
        "NotBefore": _moment(spec.confirmation_not_before),
        "NotOnOrAfter": _moment(spec.confirmation_not_on_or_after),
        "Recipient": spec.recipient,
    }
    etree.SubElement(confirmation, names.SUBJECT_CONFIRMATION_DATA, _present(data))


def _add_conditions(assertion: etree._Element, spec: Spec) -> None:
    window = {"NotBefore": _moment(spec.not_before), "NotOnOrAfter": _moment(spec.not_on_or_after)}
    conditions = etree.SubElement(assertion, names.CONDITIONS, _present(window))
    if spec.audiences:
        restriction = etree.SubElement(conditions, names.AUDIENCE_RESTRICTION)
        for audience in spec.audiences:
            etree.SubElement(restriction, names.AUDIENCE).text = audience


def _add_authn_statement(assertion: etree._Element, spec: Spec) -> None:
    if spec.authn_instant is None:
        return
    facts = {
        "AuthnInstant": instant(spec.authn_instant),
        "SessionIndex": spec.session_index,
        "SessionNotOnOrAfter": _moment(spec.session_not_on_or_after),
    }
    statement = etree.SubElement(assertion, names.AUTHN_STATEMENT, _present(facts))
    context = etree.SubElement(statement, names.AUTHN_CONTEXT)
    etree.SubElement(context, names.AUTHN_CONTEXT_CLASS_REF).text = spec.authn_context


def _add_attribute(statement: etree._Element, spec: AttributeSpec) -> None:
    facts = {"Name": spec.name, "NameFormat": spec.name_format or None, "FriendlyName": spec.friendly_name or None}
    attribute = etree.SubElement(statement, names.ATTRIBUTE, _present(facts))
    kind = {f"{{{names.XSI}}}type": spec.xsi_type} if spec.xsi_type else {}
    for value in spec.values:
        etree.SubElement(attribute, names.ATTRIBUTE_VALUE, kind).text = value
