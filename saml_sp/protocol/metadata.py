"""Metadata: reading an identity provider's, writing ours (SAML Metadata 2.0).

An identity provider's document is configuration that an administrator brings along, not a message: it is parsed with
the same hardened parser, yet not held against the schema, because real files (AD FS, Entra ID) carry vocabularies that
no schema of ours knows. Their own signatures are ignored for the same reason: the administrator vouches for the file.
"""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from lxml import etree

from saml_sp.protocol import certificates, gate, toolkit, urls
from saml_sp.protocol import names as n
from saml_sp.protocol.assertion import parse_instant
from saml_sp.protocol.errors import (
    BadTimestamp,
    CertificateRefused,
    ForbiddenMarkup,
    MetadataRefused,
    NotUtf8,
    NotXml,
    UrlRefused,
)
from saml_sp.protocol.types import Binding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from saml_sp.protocol.certificates import CertificateFacts
    from saml_sp.protocol.types import Signer, SpDescription

MAX_BYTES: Final = 1024 * 1024
MAX_ENTITY_ID: Final = 1024  # Core 8.3.6
MAX_FAULTS: Final = 3  # so many certificates' faults are told; a document can hold thousands

_ENTITIES: Final = f"{{{n.MD}}}EntitiesDescriptor"
_ENTITY: Final = f"{{{n.MD}}}EntityDescriptor"
_IDP: Final = f"{{{n.MD}}}IDPSSODescriptor"
_SP: Final = f"{{{n.MD}}}SPSSODescriptor"
_KEY: Final = f"{{{n.MD}}}KeyDescriptor"
_CERTIFICATE: Final = f"{n.KEY_INFO}/{{{n.DS}}}X509Data/{{{n.DS}}}X509Certificate"
_SSO: Final = f"{{{n.MD}}}SingleSignOnService"
_SLO: Final = f"{{{n.MD}}}SingleLogoutService"
_NAME_ID_FORMAT: Final = f"{{{n.MD}}}NameIDFormat"
_ACS: Final = f"{{{n.MD}}}AssertionConsumerService"

SP_VALIDITY: Final = timedelta(days=365)
# By the names that the X.500 attribute profile gives them (Profiles 8.2); other spellings are understood too.
REQUESTED_ATTRIBUTES: Final = {
    "mail": "urn:oid:0.9.2342.19200300.100.1.3",
    "givenName": "urn:oid:2.5.4.42",
    "sn": "urn:oid:2.5.4.4",
}
# Of what we decrypt, what an identity provider should choose from, the best first.
_ENCRYPTION_METHODS: Final = (
    f"{n.XENC11}aes256-gcm", f"{n.XENC11}aes128-gcm", f"{n.XENC}aes256-cbc", f"{n.XENC}aes128-cbc", n.RSA_OAEP_MGF1P,
)  # fmt: skip

_TRUE: Final = frozenset({"true", "1"})  # xs:boolean
_WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True, slots=True)
class IdpMetadata:
    """What an identity provider's metadata says of it.

    `certificates` are DER, each of a kind that we verify with, valid now or later, at least one of them now. Empty
    strings stand for what the document does not name. `notes` are sentences for the administrator on what was left out.
    """

    entity_id: str
    sso_url: str
    sso_binding: Binding
    slo_url: str
    slo_binding: Binding
    slo_response_url: str
    certificates: tuple[bytes, ...]
    wants_signed_requests: bool
    name_id_formats: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_idp(xml: bytes, now: datetime) -> IdpMetadata:
    """Read the one identity provider that a metadata document describes.

    `xml` is the document as it came, UTF-8; `now` (aware) decides which certificates, and whether the document itself,
    are still valid. Raises MetadataRefused with a sentence for the administrator. Specification: Metadata 2.3, 2.4.
    """
    root = _parse(xml)
    entity, role = _identity_provider(root)
    _check_valid_until(role, now)
    entity_id = _entity_id(entity)
    sso_url, sso_binding = _sso(role)
    slo_url, slo_binding, slo_response_url = _slo(role)
    held, notes = _signing_certificates(role, now)
    return IdpMetadata(
        entity_id=entity_id,
        sso_url=sso_url,
        sso_binding=sso_binding,
        slo_url=slo_url,
        slo_binding=slo_binding,
        slo_response_url=slo_response_url,
        certificates=held,
        wants_signed_requests=role.get("WantAuthnRequestsSigned", "").strip() in _TRUE,
        name_id_formats=tuple((found.text or "").strip() for found in role.iterchildren(_NAME_ID_FORMAT)),
        notes=notes,
    )


def fingerprints(found: IdpMetadata) -> list[str]:
    """SHA-256 of its certificates, in lower-case hexadecimal."""
    return [hashlib.sha256(der).hexdigest() for der in found.certificates]


def sp_metadata(description: SpDescription, now: datetime, signer: Signer | None = None) -> bytes:
    """Our metadata towards one identity provider: UTF-8 XML, valid against the schema (Metadata 2.4.4).

    It is good for a year from `now` (aware), and to be fetched anew every day. With a signer it carries an enveloped
    signature (Metadata 3).
    """
    sp = description.sp
    entity = etree.Element(
        _ENTITY,
        entityID=sp.entity_id,
        validUntil=f"{(now + SP_VALIDITY).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        cacheDuration="P1D",
        nsmap={"md": n.MD, "ds": n.DS},
    )
    role = etree.SubElement(
        entity,
        _SP,
        AuthnRequestsSigned=str(description.signs_requests).lower(),
        WantAssertionsSigned="true",
        protocolSupportEnumeration=n.PROTOCOL_SAML2,
    )
    for pem in description.signing_certificates:
        _add_key(role, "signing", pem)
    for pem in description.encryption_certificates:
        key = _add_key(role, "encryption", pem)
        for algorithm in _ENCRYPTION_METHODS:
            etree.SubElement(key, f"{{{n.MD}}}EncryptionMethod", Algorithm=algorithm)
    if sp.slo_url:
        for binding in (Binding.REDIRECT, Binding.POST):
            etree.SubElement(role, _SLO, Binding=binding.uri, Location=sp.slo_url)
    if description.name_id_format:
        etree.SubElement(role, _NAME_ID_FORMAT).text = description.name_id_format
    etree.SubElement(role, _ACS, Binding=Binding.POST.uri, Location=sp.acs_url, index="0", isDefault="true")
    _add_requested_attributes(role)
    etree.indent(entity)
    xml = etree.tostring(entity, xml_declaration=True, encoding="UTF-8")
    return xml if signer is None else toolkit.sign_element(xml, signer)


def _add_key(role: etree._Element, use: str, pem: str) -> etree._Element:
    descriptor = etree.SubElement(role, _KEY, use=use)
    data = etree.SubElement(etree.SubElement(descriptor, n.KEY_INFO), f"{{{n.DS}}}X509Data")
    lines = [line for line in pem.split("\n") if line and not line.startswith("-----")]
    etree.SubElement(data, f"{{{n.DS}}}X509Certificate").text = "".join(lines)
    return descriptor


def _add_requested_attributes(role: etree._Element) -> None:
    """What we like to be told. None is required: which of them a login needs depends on the account it meets."""
    service = etree.SubElement(role, f"{{{n.MD}}}AttributeConsumingService", index="0", isDefault="true")
    etree.SubElement(service, f"{{{n.MD}}}ServiceName", {f"{{{n.XML}}}lang": "en"}).text = "Portico"
    for friendly_name, name in REQUESTED_ATTRIBUTES.items():
        etree.SubElement(
            service,
            f"{{{n.MD}}}RequestedAttribute",
            FriendlyName=friendly_name,
            Name=name,
            NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
            isRequired="false",
        )


def _parse(xml: bytes) -> etree._Element:
    """The gate's hardened parse, its refusals put into an administrator's words."""
    if len(xml) > MAX_BYTES:
        raise MetadataRefused(
            "This is longer than 1 MiB. An identity provider's metadata is a few kilobytes long: "
            "choose the file that describes only this one."
        )
    if xml.startswith(_WIDE_MARKS) or b"\x00" in xml[:4]:
        raise MetadataRefused("This is UTF-16 or UTF-32 text, and UTF-8 is expected. Save the file as UTF-8.")
    # Blanks before the XML declaration come with copy and paste; XML forbids them.
    document = xml.removeprefix(codecs.BOM_UTF8).strip()
    if not document:
        raise MetadataRefused("This is empty. Paste the metadata XML, or choose the file that holds it.")
    if document[:14].lower() == b"<!doctype html" or document[:5].lower() == b"<html":
        raise MetadataRefused(
            "This is an HTML page, and metadata XML is expected. Save the page's metadata link as a file instead."
        )
    try:
        return gate.parse(document, strict=False)
    except NotUtf8 as error:
        raise MetadataRefused(
            f"UTF-8 is expected, and this has {error.received}. Save the file as UTF-8, and let its first line say so."
        ) from error
    except ForbiddenMarkup as error:
        raise MetadataRefused(
            f"Metadata must hold no document type or entity declarations, and this has “{error.received}”. "
            "Download the metadata from the identity provider again."
        ) from error
    except NotXml as error:
        raise MetadataRefused(
            f"Metadata XML is expected, and this is not well-formed XML ({_shown(error.received)}). "
            "Copy the whole document, from its first < to its last >."
        ) from error


def _identity_provider(root: etree._Element) -> tuple[etree._Element, etree._Element]:
    """The one entity that is an identity provider, and its role descriptor for SAML 2.0."""
    if root.tag not in {_ENTITY, _ENTITIES}:
        raise MetadataRefused(
            f"A SAML 2.0 EntityDescriptor is expected, and this is a “{_shown(_local(root))}”. "
            "Export the metadata (sometimes called federation metadata) of the identity provider."
        )
    entities = list(root.iter(_ENTITY))
    providers = [entity for entity in entities if entity.find(_IDP) is not None]
    if not providers:
        raise _no_identity_provider(entities)
    if len(providers) > 1:
        named = ", ".join(_shown(entity.get("entityID", "")) for entity in providers[:3])
        raise MetadataRefused(
            f"One identity provider is expected, and this describes {len(providers)}: {named}"
            f"{' …' if len(providers) > 3 else ''}. Keep the EntityDescriptor of the right one and remove the others."  # noqa: PLR2004 - as many as were named
        )
    roles = [role for role in providers[0].iterchildren(_IDP) if _speaks_saml2(role)]
    if not roles:
        raise MetadataRefused(
            "This identity provider does not say that it speaks SAML 2.0: its protocolSupportEnumeration should name "
            f"{n.PROTOCOL_SAML2}. Switch SAML 2.0 on there and export the metadata again."
        )
    if len(roles) > 1:
        raise MetadataRefused(
            f"One IDPSSODescriptor for SAML 2.0 is expected, and this entity has {len(roles)}. Remove all but one."
        )
    return providers[0], roles[0]


def _no_identity_provider(entities: list[etree._Element]) -> MetadataRefused:
    service_provider = next((entity for entity in entities if entity.find(_SP) is not None), None)
    if service_provider is not None:
        return MetadataRefused(
            f"This is a service provider's metadata (entity ID {_shown(service_provider.get('entityID', ''))}), and an "
            "identity provider's is expected. Export it at the system where your users sign in."
        )
    return MetadataRefused(
        "This describes no identity provider: it has no IDPSSODescriptor. "
        "Export the identity provider's SAML 2.0 metadata."
    )


def _speaks_saml2(role: etree._Element) -> bool:
    return n.PROTOCOL_SAML2 in role.get("protocolSupportEnumeration", "").split()


def _check_valid_until(role: etree._Element, now: datetime) -> None:
    """Neither the role nor anything around it has run out (Metadata 2.3.1, 2.3.2, 2.4.1)."""
    for element in (role, *role.iterancestors()):
        text = element.get("validUntil")
        if text is None:
            continue
        try:
            until = parse_instant(text.strip())
        except BadTimestamp as error:
            raise MetadataRefused(
                f"Its validUntil should be {error.expected}, and is “{_shown(text)}”. Correct or remove that attribute."
            ) from error
        if until <= now:
            raise MetadataRefused(
                f"This metadata was valid until {until:%Y-%m-%d %H:%M} UTC only. "
                "Export it from the identity provider again."
            )


def _entity_id(entity: etree._Element) -> str:
    entity_id = entity.get("entityID", "")
    if not entity_id or len(entity_id) > MAX_ENTITY_ID or any(c.isspace() or not c.isprintable() for c in entity_id):
        raise MetadataRefused(
            f"Its entityID should be a name of 1 to {MAX_ENTITY_ID} characters without blanks, and is "
            f"“{_shown(entity_id)}”. Correct it at the identity provider."
        )
    return entity_id


def _sso(role: etree._Element) -> tuple[str, Binding]:
    """Where it takes AuthnRequests: by HTTP-Redirect if it does, else by HTTP-POST."""
    found = _endpoint(role, _SSO)
    if found is None:
        bindings = ", ".join(_shown(e.get("Binding", "").rpartition(":")[2]) for e in role.iterchildren(_SSO)) or "none"
        raise MetadataRefused(
            "A SingleSignOnService with the HTTP-Redirect or HTTP-POST binding is expected, and this identity provider "
            f"has {bindings}. Switch one of the two on there and export the metadata again."
        )
    element, binding = found
    return _location(element, "Location"), binding


def _slo(role: etree._Element) -> tuple[str, Binding, str]:
    """Where it takes logout messages, and where their answers if elsewhere; empty when it has no such service."""
    found = _endpoint(role, _SLO)
    if found is None:
        return "", Binding.REDIRECT, ""
    element, binding = found
    response = _location(element, "ResponseLocation") if element.get("ResponseLocation") else ""
    return _location(element, "Location"), binding, response


def _endpoint(role: etree._Element, tag: str) -> tuple[etree._Element, Binding] | None:
    for binding in (Binding.REDIRECT, Binding.POST):
        for element in role.iterchildren(tag):
            if element.get("Binding", "").strip() == binding.uri:
                return element, binding
    return None


def _location(element: etree._Element, attribute: str) -> str:
    url = element.get(attribute, "").strip()
    try:
        urls.check_endpoint(url)
    except UrlRefused as error:
        raise MetadataRefused(
            f"The {attribute} of its {_local(element)} is “{_shown(url)}”, which cannot be used. {error}"
        ) from error
    return url


def _signing_certificates(role: etree._Element, now: datetime) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """The certificates to verify with, and notes on those that were left out.

    Identity providers leave old certificates in their metadata. One that is expired, weak or unreadable beside a good
    one is left out with a note; with no good one the document is refused.
    """
    texts = list(_certificate_texts(role))
    if not texts:
        raise MetadataRefused(
            'A signing certificate (KeyDescriptor with use="signing" and an X509Certificate) is expected, and this '
            "identity provider names none. Switch on signing there and export the metadata again."
        )
    good: dict[str, CertificateFacts] = {}
    faults = []
    for text in texts:
        try:
            facts = certificates.describe(certificates.read_one(text.encode()))
        except CertificateRefused as error:
            faults.append(str(error))
            continue
        if facts.not_after < now:
            faults.append(f"It was valid from {facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}.")
        else:
            good[facts.sha256] = facts
    if not any(facts.not_before <= now for facts in good.values()):
        faults += [f"It is valid from {f.not_before:%Y-%m-%d} to {f.not_after:%Y-%m-%d}." for f in good.values()]
        raise MetadataRefused(
            "A signing certificate that is valid now is expected, and there is none. "
            + " ".join(_numbered(faults[:MAX_FAULTS]))
            + " Renew it at the identity provider and export the metadata again."
        )
    notes = tuple(
        f"One of its {len(texts)} signing certificates was left out. {fault}" for fault in faults[:MAX_FAULTS]
    )
    return tuple(facts.der for facts in good.values()), notes


def _certificate_texts(role: etree._Element) -> Iterator[str]:
    """A KeyDescriptor without `use` serves for signing too (Metadata 2.4.1.1)."""
    for key in role.iterchildren(_KEY):
        if key.get("use", "signing") == "signing":
            for certificate in key.iterfind(_CERTIFICATE):
                yield certificate.text or ""


def _numbered(faults: list[str]) -> list[str]:
    if len(faults) == 1:
        return faults
    return [f"Certificate {number}: {fault}" for number, fault in enumerate(faults, 1)]


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _shown(text: str) -> str:
    """For a sentence: short, and printable."""
    return "".join(character if character.isprintable() else "·" for character in text[:120])
