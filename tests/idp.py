"""The tests' identity provider: makes a valid, really signed response, or one that is wrong in a way one asks for.

What is said and how it is signed is the demo's issuer; here are keys of every kind, a `Forge` bound to one identity
provider and one moment, and what it takes to write a signature of any shape.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import xmlsec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from demo import issuer, keys
from demo.issuer import AttributeSpec, Spec
from saml_sp.protocol import names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from demo.keys import SigningKey

ANA = "ana@customer.example"
NS = {"samlp": names.SAMLP, "saml": names.SAML, "ds": names.DS, "xenc": names.XENC, "xsi": names.XSI, "xs": issuer.XS}
_DECLARATIONS = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NS.items())


class Kind(Enum):
    """The keys there are. Several certificates of one key differ in their validity only."""

    RSA = auto()
    RSA_EXPIRED = auto()
    RSA_FUTURE = auto()
    SECOND_RSA = auto()
    STRANGER = auto()
    EC = auto()
    WEAK = auto()


@cache
def key(kind: Kind) -> SigningKey:
    """A key with its certificate, made once per process."""
    now = datetime.now(UTC)
    if kind is Kind.EC:
        return keys.make("EC", key=ec.generate_private_key(ec.SECP256R1()))
    if kind is Kind.WEAK:
        return keys.make("weak", key=rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505 - to be refused
    if kind is Kind.RSA_EXPIRED:
        return keys.make("expired", key=_private(Kind.RSA), not_before=now - timedelta(9), not_after=now - timedelta(1))
    if kind is Kind.RSA_FUTURE:
        return keys.make("future", key=_private(Kind.RSA), not_before=now + timedelta(1), not_after=now + timedelta(9))
    return keys.make(kind.name)


def _private(kind: Kind) -> rsa.RSAPrivateKey:
    private = load_pem_private_key(key(kind).private_pem, None)
    assert isinstance(private, rsa.RSAPrivateKey)
    return private


class Counterpart(Protocol):
    """An identity provider as the service provider knows it, and how it knows the service provider: an
    `IdentityProvider` row, or a `Party` where there is no database."""

    @property
    def entity_id(self) -> str: ...
    @property
    def acs_url(self) -> str: ...
    @property
    def sp_entity_id(self) -> str: ...


@dataclass(frozen=True)
class Party:
    """A counterpart without a database row."""

    entity_id: str = "https://idp.customer.example/metadata"
    acs_url: str = "https://portico.example/saml/customer/acs/"
    sp_entity_id: str = "https://portico.example/saml/customer/metadata/"


def email_attribute(*values: str | None, name: str = "Email") -> AttributeSpec:
    """An attribute that holds e-mail addresses."""
    return AttributeSpec(name, values)


ATTRIBUTES = (AttributeSpec("First Name", ["Ana"]), AttributeSpec("Last Name", ["Lima"]), email_attribute(ANA))


@dataclass(frozen=True)
class Forge:
    """Makes the messages of one identity provider at one moment: valid ones, unless told otherwise."""

    party: Counterpart
    now: datetime
    key: SigningKey = dataclasses.field(default_factory=lambda: key(Kind.RSA))

    def spec(self, **changes: Any) -> Spec:
        """What a valid message says, with changes."""
        facts = {"name_id": ANA, "attributes": ATTRIBUTES} | changes
        return Spec.fresh(
            issuer=facts.pop("issuer", self.party.entity_id),
            acs_url=self.party.acs_url,
            audience=self.party.sp_entity_id,
            now=self.now,
            **facts,
        )

    def tree(
        self, before: Callable[[etree._Element], object] | None = None, *, by: SigningKey | None = None, **changes: Any
    ) -> etree._Element:
        """A signed Response. `before` changes the tree before it is signed, `by` is another key to sign with."""
        spec = self.spec(**changes)
        tree = issuer.build_tree(spec)
        if before:
            before(tree)
        issuer.sign_as_specified(tree, spec, by or self.key)
        # Read again: lxml does not find by name what xmlsec has put into a tree.
        return etree.fromstring(issuer.serialise(tree))

    def xml(
        self,
        before: Callable[[etree._Element], object] | None = None,
        *,
        after: Callable[[etree._Element], object] | None = None,
        by: SigningKey | None = None,
        **changes: Any,
    ) -> bytes:
        """A signed Response as bytes. `after` changes the tree after it was signed."""
        tree = self.tree(before, by=by, **changes)
        if after:
            after(tree)
        return issuer.serialise(tree)

    def signed_by(self, template: str, *, where: str = "saml:Assertion", with_key: xmlsec.Key | None = None) -> bytes:
        """A Response whose one signature is written by the template (see `signature`), the digests computed."""
        tree = issuer.build_tree(self.spec())
        parent = tree if where == "." else find(tree, where)
        sign_by_template(parent, template, with_key or self.key.xmlsec_key)
        return issuer.serialise(tree)


def find(tree: etree._Element, path: str) -> etree._Element:
    """The first element at the path, in the prefixes of `NS`."""
    element = tree.find(path, NS)
    assert element is not None, path
    return element


def remove(tree: etree._Element, path: str) -> None:
    """Take every element at the path out."""
    found = tree.findall(path, NS)
    assert found, path
    for element in found:
        parent = element.getparent()
        assert parent is not None
        parent.remove(element)


def fragment(xml: str) -> etree._Element:
    """One element, written in the prefixes of `NS`."""
    return etree.fromstring(f"<wrap {_DECLARATIONS}>{xml}</wrap>")[0]


def swap(xml: bytes, old: str | bytes, new: str | bytes, times: int = -1) -> bytes:
    """The document with a text replaced that must be there."""
    old, new = (text.encode() if isinstance(text, str) else text for text in (old, new))
    assert old in xml, old
    return xml.replace(old, new, times)


EXCLUSIVE = f'<ds:Transform Algorithm="{names.EXCLUSIVE}"/>'
ENVELOPED = f'<ds:Transform Algorithm="{names.ENVELOPED_SIGNATURE}"/>'
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


def reference(
    *,
    uri: str | None = "#{ID}",
    transforms: Sequence[str] = (ENVELOPED, EXCLUSIVE),
    digest: str = SHA256,
    more: str = "",
) -> str:
    """A Reference for `signature`; {ID} becomes the parent's."""
    uri_attribute = "" if uri is None else f'URI="{uri}"'
    return (
        f"<ds:Reference {uri_attribute} {more}><ds:Transforms>{''.join(transforms)}</ds:Transforms>"
        f'<ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference>'
    )


def signature(
    *references: str,
    method: str = RSA_SHA256,
    canonicalization: str = names.EXCLUSIVE,
    method_holds: str = "",
    rest: str = "",
) -> str:
    """A Signature to be filled in. `rest` follows the SignatureValue."""
    return (
        f'<ds:Signature xmlns:ds="{names.DS}"><ds:SignedInfo>'
        f'<ds:CanonicalizationMethod Algorithm="{canonicalization}"/>'
        f'<ds:SignatureMethod Algorithm="{method}">{method_holds}</ds:SignatureMethod>'
        f"{''.join(references or (reference(),))}</ds:SignedInfo><ds:SignatureValue/>{rest}</ds:Signature>"
    )


def sign_by_template(parent: etree._Element, template: str, with_key: xmlsec.Key) -> None:
    """Put the Signature behind the parent's Issuer and fill it in."""
    signature_element = etree.fromstring(template.replace("{ID}", str(parent.get("ID"))))
    parent.insert(1, signature_element)
    xmlsec.tree.add_ids(parent.getroottree().getroot(), ["ID"])
    context = xmlsec.SignatureContext()
    context.key = with_key
    context.sign(signature_element)
