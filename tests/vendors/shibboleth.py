"""Shibboleth Identity Provider.

Shape after the Shibboleth wiki's pages “NameIDGenerationConfiguration” (transient by default, with both qualifiers),
“SecurityAndNetworking: signing and encryption” (the Response is signed and the assertion inside encrypted by default)
and “SAML2StringAttributeEncoder”, with eduPerson's object identifiers: OpenSAML's prefixes, a SubjectLocality, the
person's network address in the confirmation, OIDs with a FriendlyName under format uri, eduPersonTargetedID whose value
is an element, `xsd` in the PrefixList.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from saml_sp.protocol import names as n
from tests.encrypting import AES_GCM, MGF1P, lock, seal
from tests.vendors.scene import (
    CONTEXTS,
    ECDSA_SHA384,
    RSA_SHA256,
    SHA256,
    SHA384,
    URI,
    new_hex,
    sign_tree,
    signature,
    signed,
)

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_TARGETED_ID = "urn:oid:1.3.6.1.4.1.5923.1.1.1.10"


def _text(
    scene: Scene,
    *,
    sign_response: bool,
    sign_assertion: bool,
    method: str = RSA_SHA256,
    digest: str = SHA256,
    name_id_format: str = n.NAMEID_PERSISTENT,
) -> str:
    response, assertion = new_hex(), new_hex()
    typed = 'xsi:type="xsd:string"'
    transient = name_id_format == n.NAMEID_TRANSIENT
    subject = "AAdzZWNyZXQxQ2s3bGxT" + new_hex("{}") if transient else "7DBQ2seeNYvP9l6RsCrJZRh8/kw="
    qualified = f'NameQualifier="{scene.issuer}" SPNameQualifier="{scene.audience}"'

    def attribute(name: str, friendly: str, value: str) -> str:
        return f'<saml2:Attribute FriendlyName="{friendly}" Name="{name}" NameFormat="{URI}">{value}</saml2:Attribute>'

    def text(name: str, friendly: str, value: str) -> str:
        return attribute(name, friendly, f"<saml2:AttributeValue {typed}>{value}</saml2:AttributeValue>")

    targeted = (
        f'<saml2:AttributeValue><saml2:NameID Format="{n.NAMEID_PERSISTENT}" {qualified}>7DBQ2seeNYvP9l6RsCrJZRh8/kw='
        "</saml2:NameID></saml2:AttributeValue>"
    )
    return (
        f'<saml2p:Response xmlns:saml2p="{n.SAMLP}" Destination="{scene.acs}" ID="{response}" {scene.answering}'
        f'IssueInstant="{scene.at()}" Version="2.0"><saml2:Issuer xmlns:saml2="{n.SAML}">{scene.issuer}</saml2:Issuer>'
        f"{signature(scene, response, method=method, digest=digest, inclusive='xsd') if sign_response else ''}"
        f'<saml2p:Status><saml2p:StatusCode Value="{n.STATUS_SUCCESS}"/></saml2p:Status>'
        f'<saml2:Assertion xmlns:saml2="{n.SAML}" xmlns:xsd="{n.XS}" xmlns:xsi="{n.XSI}" ID="{assertion}" '
        f'IssueInstant="{scene.at()}" Version="2.0"><saml2:Issuer>{scene.issuer}</saml2:Issuer>'
        f"{signature(scene, assertion, method=method, digest=digest, inclusive='xsd') if sign_assertion else ''}"
        f'<saml2:Subject><saml2:NameID Format="{name_id_format}" {qualified}>{subject}</saml2:NameID>'
        f'<saml2:SubjectConfirmation Method="{n.CM_BEARER}"><saml2:SubjectConfirmationData Address="192.0.2.17" '
        f'{scene.answering}NotOnOrAfter="{scene.at(300)}" Recipient="{scene.acs}"/></saml2:SubjectConfirmation>'
        f'</saml2:Subject><saml2:Conditions NotBefore="{scene.at()}" NotOnOrAfter="{scene.at(300)}">'
        f"<saml2:AudienceRestriction><saml2:Audience>{scene.audience}</saml2:Audience></saml2:AudienceRestriction>"
        f'</saml2:Conditions><saml2:AuthnStatement AuthnInstant="{scene.at(-2)}" SessionIndex="{new_hex()}">'
        f'<saml2:SubjectLocality Address="192.0.2.17"/><saml2:AuthnContext><saml2:AuthnContextClassRef>'
        f"{CONTEXTS}:PasswordProtectedTransport</saml2:AuthnContextClassRef></saml2:AuthnContext>"
        f"</saml2:AuthnStatement><saml2:AttributeStatement>"
        f"{text('urn:oid:0.9.2342.19200300.100.1.3', 'mail', scene.email)}"
        f"{text('urn:oid:2.5.4.42', 'givenName', scene.first_name)}{text('urn:oid:2.5.4.4', 'sn', scene.last_name)}"
        f"{attribute(_TARGETED_ID, 'eduPersonTargetedID', targeted)}"
        f"{text('urn:oid:1.3.6.1.4.1.5923.1.1.1.6', 'eduPersonPrincipalName', 'ana@customer.example')}"
        f"{text('urn:oid:1.3.6.1.4.1.5923.1.1.1.9', 'eduPersonScopedAffiliation', 'staff@customer.example')}"
        f"{text('urn:oasis:names:tc:SAML:attribute:subject-id', 'subject-id', 'ana-17@customer.example')}"
        f"</saml2:AttributeStatement></saml2:Assertion></saml2p:Response>"
    )


def _build(scene: Scene, **how: str) -> bytes:
    return signed(scene, _text(scene, sign_response=True, sign_assertion=True, **how), declaration=_DECLARATION)


def encrypted(scene: Scene) -> bytes:
    """As it comes out of the box: the Response is signed, and around an assertion that is encrypted for us."""
    root = etree.fromstring(_text(scene, sign_response=True, sign_assertion=False).encode())
    assertion = root.find(n.ASSERTION)
    assert assertion is not None
    plain = etree.tostring(assertion, with_tail=False)
    root.replace(assertion, seal(plain, lock(algorithm=AES_GCM[128], transport=MGF1P)))
    sign_tree(root, scene.key)
    return _DECLARATION.encode() + etree.tostring(root, encoding="utf-8")


def transient(scene: Scene) -> bytes:
    """The NameID is another one at each sign-in; subject-id names the person."""
    return _build(scene, name_id_format=n.NAMEID_TRANSIENT)


SHAPES: dict[str, Builder] = {
    "both_signed": _build,
    "response_signed": lambda scene: signed(
        scene, _text(scene, sign_response=True, sign_assertion=False), declaration=_DECLARATION
    ),
}
EC_SHAPES: dict[str, Builder] = {"ecdsa_sha_384": lambda scene: _build(scene, method=ECDSA_SHA384, digest=SHA384)}
