"""What the vendors' builders share: who signs in where and when, and how a message with empty signatures is signed.

Each builder writes the document letter by letter, white space and order of XML attributes included, since that is what
differs between vendors.
"""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import xmlsec
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from saml_sp.protocol import names as n
from tests.idp import ANA

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from demo.keys import SigningKey
    from tests.idp import Counterpart

    Builder = Callable[["Scene"], bytes]

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
RSA_SHA512 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
ECDSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
SHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"

CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
UNSPECIFIED = "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified"
URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
CONTEXTS = "urn:oasis:names:tc:SAML:2.0:ac:classes"


@dataclass(frozen=True)
class Scene:
    """Who signs in where and when. Text goes into the documents as it is: none of it needs escaping but the URLs."""

    party: Counterpart
    now: datetime
    key: SigningKey
    email: str = ANA
    first_name: str = "Ana"
    last_name: str = "Lima"
    in_response_to: str | None = None

    @property
    def acs(self) -> str:
        """Where to, as it stands in XML."""
        return escape(self.party.acs_url)

    @property
    def audience(self) -> str:
        """To whom."""
        return escape(self.party.sp_entity_id)

    @property
    def issuer(self) -> str:
        """From whom."""
        return escape(self.party.entity_id)

    @property
    def answering(self) -> str:
        """The InResponseTo attribute with a blank behind it, or nothing when nobody asked."""
        return f'InResponseTo="{self.in_response_to}" ' if self.in_response_to else ""

    def at(self, seconds: float = 0, *, digits: int = 3) -> str:
        """A moment that many seconds from now as xs:dateTime in UTC, with so many digits behind the second."""
        moment = (self.now + timedelta(seconds=seconds)).astimezone(UTC)
        fraction = f".{f'{moment.microsecond:06d}0':.{digits}}" if digits else ""
        return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def new_id(form: str = "_{}") -> str:
    """A random ID of the vendor's form."""
    return form.format(uuid.uuid4())


def new_hex(form: str = "_{}") -> str:
    """A random ID of the vendor's form, without dashes."""
    return form.format(uuid.uuid4().hex)


def certificate(scene: Scene, *, width: int = 0) -> str:
    """The base64 of the signing certificate, in one line or in lines of that width."""
    text = scene.key.certificate_text
    return "\n".join(text[at : at + width] for at in range(0, len(text), width)) if width else text


def key_value(scene: Scene, prefix: str) -> str:
    """The RSA key itself, as KeyInfo may hold it."""
    public = scene.key.certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    numbers = public.public_numbers()

    def encoded(number: int) -> str:
        return base64.b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()

    return (
        f"<{prefix}KeyValue><{prefix}RSAKeyValue><{prefix}Modulus>{encoded(numbers.n)}</{prefix}Modulus>"
        f"<{prefix}Exponent>{encoded(numbers.e)}</{prefix}Exponent></{prefix}RSAKeyValue></{prefix}KeyValue>"
    )


def signature(
    scene: Scene,
    reference: str,
    *,
    prefix: str = "ds:",
    method: str = RSA_SHA256,
    digest: str = SHA256,
    inclusive: str = "",
    key_info: str | None = None,
    space: str = "",
) -> str:
    """A Signature of the element with this ID, to be filled in.

    `prefix` is empty for a default namespace, `inclusive` a PrefixList, `space` stands between the elements;
    `key_info` is what KeyInfo holds in place of the certificate.
    """
    p, s = prefix, space
    declared = f"xmlns:{p[:-1]}" if p else "xmlns"
    exclusive = f'<{p}Transform Algorithm="{n.EXCLUSIVE}"/>'
    if inclusive:
        exclusive = (
            f'<{p}Transform Algorithm="{n.EXCLUSIVE}"><ec:InclusiveNamespaces xmlns:ec="{n.EXC_C14N}" '
            f'PrefixList="{inclusive}"/></{p}Transform>'
        )
    held = (
        f"<{p}X509Data><{p}X509Certificate>{certificate(scene)}</{p}X509Certificate></{p}X509Data>"
        if key_info is None
        else key_info
    )
    return s.join((
        f'<{p}Signature {declared}="{n.DS}">',
        f"<{p}SignedInfo>",
        f'<{p}CanonicalizationMethod Algorithm="{n.EXCLUSIVE}"/>',
        f'<{p}SignatureMethod Algorithm="{method}"/>',
        f'<{p}Reference URI="#{reference}">',
        f'<{p}Transforms><{p}Transform Algorithm="{n.ENVELOPED_SIGNATURE}"/>{exclusive}</{p}Transforms>',
        f'<{p}DigestMethod Algorithm="{digest}"/><{p}DigestValue></{p}DigestValue>',
        f"</{p}Reference>",
        f"</{p}SignedInfo>",
        f"<{p}SignatureValue></{p}SignatureValue>",
        f"<{p}KeyInfo>{held}</{p}KeyInfo>",
        f"</{p}Signature>",
    ))  # fmt: skip


def signed(scene: Scene, xml: str, *, declaration: str = "") -> bytes:
    """Fill in every Signature of the document, the innermost first; `declaration` goes in front of it as it is."""
    root = etree.fromstring(xml.encode())
    sign_tree(root, scene.key)
    return declaration.encode() + etree.tostring(root, encoding="utf-8")


def sign_tree(root: etree._Element, key: SigningKey) -> None:
    """Fill in every Signature of a tree: an assertion's before the response's that covers it."""
    xmlsec.tree.add_ids(root, ["ID"])
    # Without a certificate beside it, so that xmlsec leaves KeyInfo as the vendor writes it.
    private = xmlsec.Key.from_memory(key.private_pem, xmlsec.constants.KeyDataFormatPem)
    for element in reversed(list(root.iter(n.SIGNATURE))):
        context = xmlsec.SignatureContext()
        context.key = private
        context.sign(element)
