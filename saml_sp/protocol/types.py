"""Frozen values that the protocol takes and returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from saml_sp.protocol import names

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import xmlsec
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from lxml import etree


class Binding(StrEnum):
    """How a message travels (Bindings 3.4, 3.5)."""

    REDIRECT = "redirect"
    POST = "post"

    @property
    def uri(self) -> str:
        """The binding's identifier in metadata."""
        name = "HTTP-Redirect" if self is Binding.REDIRECT else "HTTP-POST"
        return f"urn:oasis:names:tc:SAML:2.0:bindings:{name}"

    @classmethod
    def choices(cls) -> list[tuple[str, str]]:
        """For a form field: value and the name people know."""
        return [(cls.REDIRECT.value, "HTTP-Redirect"), (cls.POST.value, "HTTP-POST")]


class NameIdFormat(StrEnum):
    """The NameID formats that a request may ask for (Core 8.3)."""

    EMAIL = "email"
    PERSISTENT = "persistent"
    TRANSIENT = "transient"
    UNSPECIFIED = "unspecified"

    @property
    def uri(self) -> str:
        """The format's identifier."""
        return {
            NameIdFormat.EMAIL: names.NAMEID_EMAIL,
            NameIdFormat.PERSISTENT: names.NAMEID_PERSISTENT,
            NameIdFormat.TRANSIENT: names.NAMEID_TRANSIENT,
            NameIdFormat.UNSPECIFIED: names.NAMEID_UNSPECIFIED,
        }[self]

    @classmethod
    def choices(cls) -> list[tuple[str, str]]:
        """For a form field."""
        return [(member.value, member.value) for member in cls]


@dataclass(frozen=True, slots=True)
class Signer:
    """A key pair of ours to sign with: both PEM. The private key stays out of every repr."""

    private_key: bytes = field(repr=False)
    certificate: bytes


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key of an identity provider, loaded once and kept, with the validity of its certificate (UTC).

    `key` is for signatures in XML, `public` for the detached ones of HTTP-Redirect.
    """

    key: xmlsec.Key
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    not_before: datetime
    not_after: datetime

    def is_current(self, now: datetime) -> bool:
        """Whether the certificate is within its own validity."""
        return self.not_before <= now <= self.not_after


@dataclass(frozen=True, slots=True)
class IdpProfile:
    """What we know of an identity provider, compiled: its entity ID and the keys it signs with."""

    entity_id: str
    keys: tuple[VerificationKey, ...]
    tolerance: timedelta
    unsolicited: bool


@dataclass(frozen=True, slots=True)
class SpProfile:
    """How an identity provider knows us."""

    entity_id: str
    acs_url: str
    slo_url: str = ""


@dataclass(frozen=True, slots=True)
class SpDescription:
    """What our metadata says. Certificates are PEM, `name_id_format` is a URI or empty for none."""

    sp: SpProfile
    signing_certificates: tuple[str, ...] = ()
    encryption_certificates: tuple[str, ...] = ()
    name_id_format: str = ""
    signs_requests: bool = False


@dataclass(frozen=True, slots=True)
class Expectation:
    """All that a response is held against.

    `request_id` is the ID of the AuthnRequest that this browser has outstanding at this identity provider, or None
    when nothing was asked and only an unsolicited response can be right. `force_authn_since` is when a fresh
    authentication was asked for; `authn_contexts` are those of which the answer must name one.
    `decryption_keys` are ours to try on what is encrypted; empty when there are none, or the message needs none
    (`Message.encrypted`).
    """

    idp: IdpProfile
    sp: SpProfile
    request_id: str | None = None
    force_authn_since: datetime | None = None
    authn_contexts: tuple[str, ...] = ()
    decryption_keys: tuple[rsa.RSAPrivateKey, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A message that passed the gate. Its shape is known; nothing in it is verified.

    `encrypted` says that our keys are needed: `assertion` is an EncryptedAssertion, or one whose subject is an
    EncryptedID.
    """

    root: etree._Element
    assertion: etree._Element
    signatures: tuple[etree._Element, ...]
    in_response_to: str | None
    encrypted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SignedAssertion:
    """Trees that were parsed from exactly the bytes that a verified signature covers.

    `assertion` always is such a tree. `response` is one too when the response was signed (`response_signed`);
    otherwise it is the unverified envelope, whose claims may cause a refusal and never an admission.
    """

    response: etree._Element
    assertion: etree._Element
    response_signed: bool


@dataclass(frozen=True, slots=True)
class NameId:
    """A name identifier (Core 2.2.3); absent attributes are empty."""

    value: str
    format: str = ""
    name_qualifier: str = ""
    sp_name_qualifier: str = ""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute (Core 2.7.3.1) with the text of its values; a value that holds elements is None."""

    name: str
    friendly_name: str
    values: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a verified and accepted assertion says. All times are UTC."""

    id: str
    issuer: str
    name_id: NameId
    attributes: tuple[Attribute, ...]
    authn_instant: datetime
    session_index: str
    session_not_on_or_after: datetime | None
    authn_context: str
    expires: datetime
    in_response_to: str | None

    def values(self, name: str) -> list[str | None]:
        """All values of the attribute(s) of exactly this Name: some identity providers repeat it for each value."""
        return [value for attribute in self.attributes if attribute.name == name for value in attribute.values]
