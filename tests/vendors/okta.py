"""Okta Workforce Identity.

Shape after the Response that Decibel Insight's documentation prints for just-in-time provisioning through Okta, and
Okta's pages “Application Integration Wizard SAML field reference” (Response and Assertion Signature, both on by
default) and “Define attribute statements”: OpenSAML's prefixes, an Issuer of format entity, `xs` in the PrefixList,
attribute names as the administrator wrote them, blanks included, and IDs with a decimal number.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from saml_sp.protocol import names as n
from tests.vendors.scene import CONTEXTS, UNSPECIFIED, signature, signed

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_XS = f'xmlns:xs="{n.XS}"'


def _build(
    scene: Scene,
    *,
    sign_response: bool = True,
    sign_assertion: bool = True,
    name_id_format: str = n.NAMEID_UNSPECIFIED,
    xs_on_root_only: bool = False,
) -> bytes:
    response, assertion = (f"id{secrets.randbelow(10**28):028d}" for _ in range(2))
    issuer = f'<saml2:Issuer xmlns:saml2="{n.SAML}" Format="{n.NAMEID_ENTITY}">{scene.issuer}</saml2:Issuer>'
    declared = f'xmlns:xsi="{n.XSI}"' if xs_on_root_only else f'{_XS} xmlns:xsi="{n.XSI}"'

    def attribute(name: str, *values: str) -> str:
        opening = f'<saml2:AttributeValue {declared} xsi:type="xs:string">'
        inner = "".join(f"{opening}{value}</saml2:AttributeValue>" for value in values)
        return f'<saml2:Attribute Name="{name}" NameFormat="{UNSPECIFIED}">{inner}</saml2:Attribute>'

    return signed(
        scene,
        f'<saml2p:Response xmlns:saml2p="{n.SAMLP}" Destination="{scene.acs}" ID="{response}" {scene.answering}'
        f'IssueInstant="{scene.at()}" Version="2.0" {_XS}>{issuer}'
        f"{signature(scene, response, inclusive='xs') if sign_response else ''}"
        f'<saml2p:Status xmlns:saml2p="{n.SAMLP}"><saml2p:StatusCode Value="{n.STATUS_SUCCESS}"/></saml2p:Status>'
        f'<saml2:Assertion xmlns:saml2="{n.SAML}" ID="{assertion}" IssueInstant="{scene.at()}" Version="2.0"'
        f"{'' if xs_on_root_only else f' {_XS}'}>{issuer}"
        f"{signature(scene, assertion, inclusive='xs') if sign_assertion else ''}"
        f'<saml2:Subject xmlns:saml2="{n.SAML}"><saml2:NameID Format="{name_id_format}">{scene.email}</saml2:NameID>'
        f'<saml2:SubjectConfirmation Method="{n.CM_BEARER}"><saml2:SubjectConfirmationData {scene.answering}'
        f'NotOnOrAfter="{scene.at(300)}" Recipient="{scene.acs}"/></saml2:SubjectConfirmation></saml2:Subject>'
        f'<saml2:Conditions xmlns:saml2="{n.SAML}" NotBefore="{scene.at(-300)}" NotOnOrAfter="{scene.at(300)}">'
        f"<saml2:AudienceRestriction><saml2:Audience>{scene.audience}</saml2:Audience></saml2:AudienceRestriction>"
        f'</saml2:Conditions><saml2:AuthnStatement xmlns:saml2="{n.SAML}" AuthnInstant="{scene.at(-10)}" '
        f'SessionIndex="id{secrets.randbelow(10**13):013d}.{secrets.randbelow(10**9)}"><saml2:AuthnContext>'
        f"<saml2:AuthnContextClassRef>{CONTEXTS}:PasswordProtectedTransport</saml2:AuthnContextClassRef>"
        f'</saml2:AuthnContext></saml2:AuthnStatement><saml2:AttributeStatement xmlns:saml2="{n.SAML}">'
        f"{attribute('First Name', scene.first_name)}{attribute('Last Name', scene.last_name)}"
        f"{attribute('Email', scene.email)}{attribute('Permissions', 'dxa_analyst')}"
        f"{attribute('Properties', '1001', '1002', '1003')}{attribute('Roles', 'Reader')}"
        f"</saml2:AttributeStatement></saml2:Assertion></saml2p:Response>",
        declaration=_DECLARATION,
    )


SHAPES: dict[str, Builder] = {
    "both_signed": _build,
    "response_signed": lambda scene: _build(scene, sign_assertion=False),
    "assertion_signed": lambda scene: _build(scene, sign_response=False),
    "name_id_email": lambda scene: _build(scene, name_id_format=n.NAMEID_EMAIL),
    # A prefix of the PrefixList that is declared outside of what is signed.
    "xs_on_the_root_only": lambda scene: _build(scene, xs_on_root_only=True),
}
