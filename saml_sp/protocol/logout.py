"""Single logout: LogoutRequest and LogoutResponse, ours and the identity provider's (Core 3.7, Profiles 4.4).

A message of theirs takes the same way as a sign-in: the gate, the schema, a signature by a key that we hold, then
ordered checks of what was signed and of nothing else. By HTTP-Redirect the signature stands in the query and covers
the message as it was sent; one inside the message as well must verify too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import xmlsec
from lxml import etree

from saml_sp.protocol import assertion as verdict
from saml_sp.protocol import bindings, encryption, gate, signature
from saml_sp.protocol import names as n
from saml_sp.protocol.errors import (
    BadStructure,
    EncryptionUnsupported,
    Expired,
    IssuerMismatch,
    LogoutDestinationMismatch,
    LogoutUnsigned,
    NoCurrentCertificate,
    UnknownLogout,
    ValueTooLong,
)
from saml_sp.protocol.types import Expectation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from saml_sp.protocol.bindings import RedirectMessage
    from saml_sp.protocol.types import IdpProfile, NameId, SpProfile, VerificationKey

VALIDITY: Final = timedelta(minutes=5)  # of a request of ours
MAX_AGE: Final = timedelta(minutes=10)  # of a message of theirs, by its IssueInstant

REQUEST_FIELD: Final = "SAMLRequest"
RESPONSE_FIELD: Final = "SAMLResponse"
_ROOTS: Final = {REQUEST_FIELD: n.LOGOUT_REQUEST, RESPONSE_FIELD: n.LOGOUT_RESPONSE}


@dataclass(frozen=True, slots=True, eq=False)
class SignedLogout:
    """A logout message whose bytes a verified signature covers; `root` was parsed from them."""

    root: etree._Element

    @property
    def encrypted(self) -> bool:
        """Whether our keys are needed to read whom it is about."""
        return self.root.find(n.ENCRYPTED_ID) is not None


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A verified request to end sessions: those of `session_indexes`, or all of the NameID's where there is none.

    From `spent_until` on its age refuses it, so that its ID need be remembered no longer.
    """

    id: str
    name_id: NameId
    session_indexes: tuple[str, ...]
    spent_until: datetime


@dataclass(frozen=True, slots=True)
class LogoutResponse:
    """A verified answer to a request of ours; `status` are the status codes, the outermost first."""

    in_response_to: str
    status: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every session that the identity provider knows of has ended (Core 3.7.3.2)."""
        return self.status[0] == n.STATUS_SUCCESS and n.STATUS_PARTIAL_LOGOUT not in self.status


# --- Theirs: from the wire to a signed tree ------------------------------------------------------------------------


def open_redirect(message: RedirectMessage, idp: IdpProfile, now: datetime) -> SignedLogout:
    """Verify a message that came by HTTP-Redirect (Bindings 3.4.4.1). `now` (aware) selects the current certificates.

    Raises a GateRefused, SignatureRefused, SchemaInvalid or NoCurrentCertificate.
    """
    keys = current_keys(idp, now)
    # The signature first: it covers bytes, so nobody but the identity provider reaches the XML library.
    bindings.check_redirect_signature(message, keys)
    root = admit(message.field, message.xml)
    enveloped = root.find(n.SIGNATURE)
    return SignedLogout(root) if enveloped is None else verify_enveloped(enveloped, keys)


def open_post(field: str, value: str, idp: IdpProfile, now: datetime) -> SignedLogout:
    """Verify a message that came by HTTP-POST, in this form field (Bindings 3.5.4). Raises as `open_redirect` does."""
    keys = current_keys(idp, now)
    root = admit(field, gate.decode(value))
    enveloped = root.find(n.SIGNATURE)
    if enveloped is None:
        raise LogoutUnsigned(expected="a signature on the message", received="none")
    return verify_enveloped(enveloped, keys)


def current_keys(idp: IdpProfile, now: datetime) -> Sequence[VerificationKey]:
    """The keys whose certificates are within their validity. Raises NoCurrentCertificate when there is none."""
    keys = [key for key in idp.keys if key.is_current(now)]
    if not keys:
        raise NoCurrentCertificate(expected="a certificate that is valid now", received="none")
    return keys


def admit(field: str, xml: bytes) -> etree._Element:
    """Parse a message and see that it is of the shape that belongs into this field; nothing of it is verified yet."""
    root = gate.parse(xml, strict=True)
    if root.tag != _ROOTS[field]:
        raise BadStructure(expected=_ROOTS[field], received=str(root.tag)[:200])
    gate.check_tree(root)
    gate.check_version(root)
    for encrypted in root.iterchildren(n.ENCRYPTED_ID):
        gate.check_encrypted(encrypted)
    signature.check_schema(root)
    return root


def verify_enveloped(enveloped: etree._Element, keys: Sequence[VerificationKey]) -> SignedLogout:
    """Verify the signature on the message itself, and go on with what it covers."""
    gate.check_signature(enveloped)
    xmlsec.tree.add_ids(enveloped.getroottree().getroot(), ["ID"])
    signature.check_signature_value(enveloped, keys)
    return SignedLogout(signature.reread(enveloped))


# --- Theirs: the verdict -------------------------------------------------------------------------------------------


def accept_request(
    signed: SignedLogout,
    idp: IdpProfile,
    sp: SpProfile,
    now: datetime,
    decryption_keys: Sequence[RSAPrivateKey] = (),
) -> LogoutRequest:
    """Hold a verified LogoutRequest against what is expected, and return what it says (Core 3.7.1, Profiles 4.4.4.1).

    `now` is aware, `decryption_keys` are ours to try on an EncryptedID. Raises a VerdictRefused, DecryptionFailed, or
    EncryptionUnsupported where there is no key.
    """
    root = signed.root
    check_issuer(root, idp)
    check_destination(root, sp)
    spent_until = check_window(root, Expectation(idp=idp, sp=sp), now)
    return LogoutRequest(
        id=root.get("ID", ""),
        name_id=read_name_id(root, decryption_keys),
        session_indexes=tuple(read_session_index(element) for element in root.iterchildren(n.SESSION_INDEX)),
        spent_until=spent_until,
    )


def accept_response(signed: SignedLogout, idp: IdpProfile, sp: SpProfile, now: datetime) -> LogoutResponse:
    """Hold a verified LogoutResponse against what is expected, and return what it says (Core 3.7.2, Profiles 4.4.4.2).

    `now` is aware. Raises a VerdictRefused. Whether we asked is for the caller to find out.
    """
    root = signed.root
    check_issuer(root, idp)
    check_destination(root, sp)
    check_window(root, Expectation(idp=idp, sp=sp), now)
    in_response_to = root.get("InResponseTo")
    if not in_response_to:
        raise UnknownLogout(expected="InResponseTo", received="none")
    return LogoutResponse(
        in_response_to=in_response_to, status=tuple(code.get("Value", "") for code in root.iter(n.STATUS_CODE))
    )


def check_issuer(root: etree._Element, idp: IdpProfile) -> None:
    """Issuer equals the configured entity ID; a logout message must have one (Profiles 4.4.4.1, 4.4.4.2)."""
    issuer = root.find(n.ISSUER)
    if issuer is None:
        raise IssuerMismatch(expected=idp.entity_id, received="no Issuer")
    if (issuer.text or "") != idp.entity_id:
        raise IssuerMismatch(expected=idp.entity_id, received=bindings.printable(issuer.text or "an empty one"))
    if issuer.get("Format", n.NAMEID_ENTITY) != n.NAMEID_ENTITY:
        raise IssuerMismatch(
            expected="an Issuer of format entity", received=bindings.printable(issuer.get("Format", ""))
        )


def check_destination(root: etree._Element, sp: SpProfile) -> None:
    """Destination equals our single logout URL; what is signed must have one (Bindings 3.4.5.2, 3.5.5.2)."""
    destination = root.get("Destination")
    if destination != sp.slo_url:
        raise LogoutDestinationMismatch(expected=sp.slo_url, received=bindings.printable(destination or "none"))


def check_window(root: etree._Element, expectation: Expectation, now: datetime) -> datetime:
    """Issued a short while ago, and not over; returns until when the message could pass this check at all.

    The specification makes NotOnOrAfter optional and many leave it out, so age limits every message: MAX_AGE and the
    tolerance. NotOnOrAfter, where present, is enforced as well (Core 3.7.1).
    """
    issued = verdict.parse_instant(root.get("IssueInstant", ""))
    verdict.check_not_before(issued, expectation, now)
    latest = issued + MAX_AGE + expectation.idp.tolerance
    if now > latest:
        raise Expired(
            expected=f"an IssueInstant at most {MAX_AGE.total_seconds() / 60:.0f} minutes old",
            received=f"{issued:%FT%TZ}",
        )
    not_on_or_after = root.get("NotOnOrAfter")
    if not_on_or_after is not None:
        verdict.check_not_on_or_after(verdict.parse_instant(not_on_or_after), expectation, now)
    return latest


def read_name_id(root: etree._Element, decryption_keys: Sequence[RSAPrivateKey]) -> NameId:
    """The NameID whose sessions are meant, as it stands, or as it stands inside an EncryptedID (Core 2.2.4)."""
    element, encrypted = root.find(n.NAME_ID), root.find(n.ENCRYPTED_ID)
    if encrypted is not None:
        if not decryption_keys:
            raise EncryptionUnsupported(expected="a plain NameID", received="EncryptedID")
        element = encryption.decrypt_name_id(encrypted, decryption_keys)
    assert element is not None  # noqa: S101 - the schema wants one of BaseID, which the gate has refused, and these
    return verdict.read_name_id(element)


def read_session_index(element: etree._Element) -> str:
    """A SessionIndex, as it stands. Raises ValueTooLong for one that no session can have."""
    value = element.text or ""
    if len(value) > verdict.MAX_TEXT:
        raise ValueTooLong(expected=f"SessionIndex of at most {verdict.MAX_TEXT} characters", received=f"{len(value)}")
    return value


# --- Ours ----------------------------------------------------------------------------------------------------------


def logout_request(  # noqa: PLR0913 - what a request says, all keyword-only
    *, request_id: str, now: datetime, destination: str, sp: SpProfile, name_id: NameId, session_index: str
) -> bytes:
    """An unsigned LogoutRequest as UTF-8 XML (Core 3.7.1).

    `name_id` and `session_index` stand as the assertion gave them, absent qualifiers left out (Profiles 4.4.4.1).
    """
    root = _message(n.LOGOUT_REQUEST, message_id=request_id, now=now, destination=destination, sp=sp)
    root.set("NotOnOrAfter", _instant(now + VALIDITY))
    root.set("Reason", n.LOGOUT_BY_USER)
    facts = {
        "Format": name_id.format,
        "NameQualifier": name_id.name_qualifier,
        "SPNameQualifier": name_id.sp_name_qualifier,
    }
    attributes = {name: value for name, value in facts.items() if value}
    etree.SubElement(root, n.NAME_ID, attributes).text = name_id.value
    if session_index:
        etree.SubElement(root, n.SESSION_INDEX).text = session_index
    return etree.tostring(root, encoding="utf-8")


def logout_response(*, response_id: str, now: datetime, destination: str, sp: SpProfile, in_response_to: str) -> bytes:
    """An unsigned LogoutResponse of status Success as UTF-8 XML (Core 3.7.2)."""
    root = _message(n.LOGOUT_RESPONSE, message_id=response_id, now=now, destination=destination, sp=sp)
    root.set("InResponseTo", in_response_to)
    status = etree.SubElement(root, n.STATUS)
    etree.SubElement(status, n.STATUS_CODE, {"Value": n.STATUS_SUCCESS})
    return etree.tostring(root, encoding="utf-8")


def _message(tag: str, *, message_id: str, now: datetime, destination: str, sp: SpProfile) -> etree._Element:
    facts = {"ID": message_id, "Version": "2.0", "IssueInstant": _instant(now), "Destination": destination}
    root = etree.Element(tag, facts, nsmap={"samlp": n.SAMLP, "saml": n.SAML})
    etree.SubElement(root, n.ISSUER).text = sp.entity_id
    return root


def _instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
