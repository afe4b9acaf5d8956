"""JumpCloud.

Shape after JumpCloud's pages “SSO using custom SAML application connectors” and “SSO application connector fields”: one
chooses to sign the assertion, the response or both, the SAMLSubject NameID and its format (among them the unspecified
one of SAML 1.0), the issuer (“IdP Entity ID”), and every attribute's name. The rest is OpenSAML's, indented, with
prefixes declared once, on the Response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saml_sp.protocol import names as n
from tests.vendors.scene import CONTEXTS, UNSPECIFIED, new_hex, signature, signed

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene

_UNSPECIFIED_1_0 = "urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified"


def _build(
    scene: Scene,
    *,
    sign_response: bool = False,
    sign_assertion: bool = True,
    name_id_format: str = n.NAMEID_EMAIL,
) -> bytes:
    response, assertion = new_hex("id{}"), new_hex("id{}")

    def sign(what: str) -> str:
        return signature(scene, what, inclusive="xs")

    def attribute(name: str, value: str) -> str:
        return f"""
            <saml2:Attribute Name="{name}" NameFormat="{UNSPECIFIED}">
                <saml2:AttributeValue xsi:type="xs:string">{value}</saml2:AttributeValue>
            </saml2:Attribute>"""

    return signed(
        scene,
        f"""<saml2p:Response xmlns:saml2p="{n.SAMLP}" xmlns:saml2="{n.SAML}" xmlns:xs="{n.XS}" xmlns:xsi="{n.XSI}"
    Destination="{scene.acs}" ID="{response}" {scene.answering}IssueInstant="{scene.at()}" Version="2.0">
    <saml2:Issuer>{scene.issuer}</saml2:Issuer>{sign(response) if sign_response else ""}
    <saml2p:Status>
        <saml2p:StatusCode Value="{n.STATUS_SUCCESS}"/>
    </saml2p:Status>
    <saml2:Assertion ID="{assertion}" IssueInstant="{scene.at()}" Version="2.0">
        <saml2:Issuer>{scene.issuer}</saml2:Issuer>{sign(assertion) if sign_assertion else ""}
        <saml2:Subject>
            <saml2:NameID Format="{name_id_format}">{scene.email}</saml2:NameID>
            <saml2:SubjectConfirmation Method="{n.CM_BEARER}">
                <saml2:SubjectConfirmationData {scene.answering}NotOnOrAfter="{scene.at(600)}" Recipient="{scene.acs}"/>
            </saml2:SubjectConfirmation>
        </saml2:Subject>
        <saml2:Conditions NotBefore="{scene.at(-600)}" NotOnOrAfter="{scene.at(600)}">
            <saml2:AudienceRestriction>
                <saml2:Audience>{scene.audience}</saml2:Audience>
            </saml2:AudienceRestriction>
        </saml2:Conditions>
        <saml2:AuthnStatement AuthnInstant="{scene.at()}" SessionIndex="{new_hex("{}")}">
            <saml2:AuthnContext>
                <saml2:AuthnContextClassRef>{CONTEXTS}:PasswordProtectedTransport</saml2:AuthnContextClassRef>
            </saml2:AuthnContext>
        </saml2:AuthnStatement>
        <saml2:AttributeStatement>{attribute("email", scene.email)}{attribute("firstName", scene.first_name)}
            {attribute("lastName", scene.last_name)}
        </saml2:AttributeStatement>
    </saml2:Assertion>
</saml2p:Response>
""",
        declaration='<?xml version="1.0" encoding="UTF-8"?>\n',
    )


SHAPES: dict[str, Builder] = {
    "assertion_signed": _build,
    "response_signed": lambda scene: _build(scene, sign_response=True, sign_assertion=False),
    "both_signed": lambda scene: _build(scene, sign_response=True, name_id_format=_UNSPECIFIED_1_0),
}
