"""Google Workspace.

Shape after Google's pages “Set up your own custom SAML app” (Signed response; attribute mapping; Name ID formats) and a
message that the test data of a public SAML library hold: the Response alone is signed unless “Signed response” is off,
KeyInfo names the subject before the certificate, whose lines are 76 characters long, the declaration says
standalone="no", somebody may have authenticated hours ago, SessionIndex is the assertion's ID, and there is no
AttributeStatement unless attributes are mapped. Values are of type xs:anyType.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saml_sp.protocol import names as n
from tests.vendors.scene import CONTEXTS, certificate, new_hex, signature, signed

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene

_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="no"?>'


def _build(
    scene: Scene, *, sign_response: bool = True, attributes: bool = True, name_id_format: str = n.NAMEID_EMAIL
) -> bytes:
    response, assertion = new_hex(), new_hex()
    key_info = (
        "<ds:X509Data><ds:X509SubjectName>ST=California,C=US,OU=Google For Work,CN=Google,L=Mountain View,O=Google Inc."
        f"</ds:X509SubjectName><ds:X509Certificate>{certificate(scene, width=76)}</ds:X509Certificate></ds:X509Data>"
    )

    def sign(what: str) -> str:
        return signature(scene, what, key_info=key_info)

    def attribute(name: str, value: str) -> str:
        return (
            f'<saml2:Attribute Name="{name}"><saml2:AttributeValue xmlns:xs="{n.XS}" xmlns:xsi="{n.XSI}" '
            f'xsi:type="xs:anyType">{value}</saml2:AttributeValue></saml2:Attribute>'
        )

    statement = (
        f"<saml2:AttributeStatement>{attribute('email', scene.email)}{attribute('firstName', scene.first_name)}"
        f"{attribute('lastName', scene.last_name)}</saml2:AttributeStatement>"
    )
    return signed(
        scene,
        f'<saml2p:Response xmlns:saml2p="{n.SAMLP}" Destination="{scene.acs}" ID="{response}" {scene.answering}'
        f'IssueInstant="{scene.at()}" Version="2.0"><saml2:Issuer xmlns:saml2="{n.SAML}">{scene.issuer}</saml2:Issuer>'
        f"{sign(response) if sign_response else ''}"
        f'<saml2p:Status><saml2p:StatusCode Value="{n.STATUS_SUCCESS}"/></saml2p:Status>'
        f'<saml2:Assertion xmlns:saml2="{n.SAML}" ID="{assertion}" IssueInstant="{scene.at()}" Version="2.0">'
        f"<saml2:Issuer>{scene.issuer}</saml2:Issuer>{'' if sign_response else sign(assertion)}"
        f'<saml2:Subject><saml2:NameID Format="{name_id_format}">{scene.email}</saml2:NameID>'
        f'<saml2:SubjectConfirmation Method="{n.CM_BEARER}"><saml2:SubjectConfirmationData {scene.answering}'
        f'NotOnOrAfter="{scene.at(300)}" Recipient="{scene.acs}"/></saml2:SubjectConfirmation></saml2:Subject>'
        f'<saml2:Conditions NotBefore="{scene.at(-300)}" NotOnOrAfter="{scene.at(300)}"><saml2:AudienceRestriction>'
        f"<saml2:Audience>{scene.audience}</saml2:Audience></saml2:AudienceRestriction></saml2:Conditions>"
        f"{statement if attributes else ''}"
        f'<saml2:AuthnStatement AuthnInstant="{scene.at(-52_995)}" SessionIndex="{assertion}"><saml2:AuthnContext>'
        f"<saml2:AuthnContextClassRef>{CONTEXTS}:unspecified</saml2:AuthnContextClassRef></saml2:AuthnContext>"
        f"</saml2:AuthnStatement></saml2:Assertion></saml2p:Response>",
        declaration=_DECLARATION,
    )


SHAPES: dict[str, Builder] = {
    "response_signed": _build,
    "assertion_signed": lambda scene: _build(scene, sign_response=False),
    "no_attributes": lambda scene: _build(scene, attributes=False, name_id_format=n.NAMEID_PERSISTENT),
}
