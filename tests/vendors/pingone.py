"""PingOne and PingFederate.

Shape after Ping Identity's pages “SAML SSO using GET” (NameID formats), “Editing an application: SAML” (Sign Assertion,
Sign Response, Sign Assertion & Response; RSA or ECDSA with SHA-256, -384 or -512) and Glance's page “Sample SAML
Assertion Document”, whose sample PingOne made: `saml` and `samlp`, the Issuer before its namespace ends, an assertion
that is signed alone, IDs that begin with “ID”, attributes of format basic, and names the administrator chose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saml_sp.protocol import names as n
from tests.vendors.scene import (
    BASIC,
    CONTEXTS,
    ECDSA_SHA256,
    RSA_SHA256,
    RSA_SHA384,
    SHA256,
    SHA384,
    new_hex,
    signature,
    signed,
)

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene


def _build(
    scene: Scene,
    *,
    sign_response: bool = False,
    sign_assertion: bool = True,
    method: str = RSA_SHA256,
    digest: str = SHA256,
    name_id: str = "",
    name_id_format: str = n.NAMEID_EMAIL,
) -> bytes:
    response, assertion = new_hex("ID{}"), new_hex("ID{}")

    def sign(what: str) -> str:
        return signature(scene, what, method=method, digest=digest, space="\n")

    def attribute(name: str, value: str) -> str:
        return (
            f'<saml:Attribute xmlns:xs="{n.XS}" NameFormat="{BASIC}" Name="{name}"><saml:AttributeValue '
            f'xmlns:xsi="{n.XSI}" xsi:type="xs:string">{value}</saml:AttributeValue></saml:Attribute>\n'
        )

    return signed(
        scene,
        f'<samlp:Response Destination="{scene.acs}" IssueInstant="{scene.at()}" ID="{response}" {scene.answering}'
        f'Version="2.0" xmlns:samlp="{n.SAMLP}">\n<saml:Issuer xmlns:saml="{n.SAML}">{scene.issuer}</saml:Issuer>'
        f"{sign(response) if sign_response else ''}\n"
        f'<samlp:Status>\n<samlp:StatusCode Value="{n.STATUS_SUCCESS}"/>\n</samlp:Status>\n'
        f'<saml:Assertion Version="2.0" IssueInstant="{scene.at()}" ID="{assertion}" xmlns:saml="{n.SAML}">\n'
        f"<saml:Issuer>{scene.issuer}</saml:Issuer>{sign(assertion) if sign_assertion else ''}\n"
        f'<saml:Subject>\n<saml:NameID Format="{name_id_format}">{name_id or scene.email}</saml:NameID>\n'
        f'<saml:SubjectConfirmation Method="{n.CM_BEARER}">\n<saml:SubjectConfirmationData {scene.answering}'
        f'NotOnOrAfter="{scene.at(300)}" Recipient="{scene.acs}"/>\n</saml:SubjectConfirmation>\n</saml:Subject>\n'
        f'<saml:Conditions NotOnOrAfter="{scene.at(300)}" NotBefore="{scene.at(-300)}">\n<saml:AudienceRestriction>\n'
        f"<saml:Audience>{scene.audience}</saml:Audience>\n</saml:AudienceRestriction>\n</saml:Conditions>\n"
        f'<saml:AuthnStatement AuthnInstant="{scene.at()}" SessionIndex="{assertion}">\n<saml:AuthnContext>\n'
        f"<saml:AuthnContextClassRef>{CONTEXTS}:Password</saml:AuthnContextClassRef>\n</saml:AuthnContext>\n"
        f"</saml:AuthnStatement>\n<saml:AttributeStatement>\n{attribute('email', scene.email)}"
        f"{attribute('givenName', scene.first_name)}{attribute('sn', scene.last_name)}"
        f"</saml:AttributeStatement>\n</saml:Assertion>\n</samlp:Response>\n",
        declaration='<?xml version="1.0" encoding="utf-8"?>\n',
    )


SHAPES: dict[str, Builder] = {
    "assertion_signed": _build,
    "response_signed": lambda scene: _build(scene, sign_response=True, sign_assertion=False),
    "sha_384": lambda scene: _build(
        scene, method=RSA_SHA384, digest=SHA384, name_id="5d5c1d6e-8c6f-4a53-9a2e-2a7a1b7d3c10",
        name_id_format=n.NAMEID_PERSISTENT,
    ),
}  # fmt: skip
# These are signed by an elliptic curve key.
EC_SHAPES: dict[str, Builder] = {
    "ecdsa": lambda scene: _build(scene, sign_response=True, method=ECDSA_SHA256),
}
