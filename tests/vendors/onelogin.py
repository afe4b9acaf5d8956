"""OneLogin.

Shape after OneLogin's pages “SAML Response” (developers' examples) and “SAML Custom Connector (Advanced)” (SAML
signature element: Response, Assertion or Both; SAML nameID format; session length), and a message of app.onelogin.com
that the test data of a public project hold: whole seconds, an ID that begins with “pfx” on what is signed, a session
that lasts a day, attributes of format basic, a typed value that is empty, NotOnOrAfter before Recipient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saml_sp.protocol import names as n
from tests.vendors.scene import BASIC, CONTEXTS, new_hex, new_id, signature, signed

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene


def _build(scene: Scene, *, sign_response: bool = False, sign_assertion: bool = True) -> bytes:
    response = new_id("pfx{}") if sign_response else new_hex("R{}")
    assertion = new_id("pfx{}") if sign_assertion else new_hex("A{}")

    def attribute(name: str, value: str) -> str:
        return (
            f'<saml:Attribute NameFormat="{BASIC}" Name="{name}"><saml:AttributeValue xmlns:xsi="{n.XSI}" '
            f'xsi:type="xs:string">{value}</saml:AttributeValue></saml:Attribute>'
        )

    return signed(
        scene,
        f'<samlp:Response xmlns:saml="{n.SAML}" xmlns:samlp="{n.SAMLP}" ID="{response}" Version="2.0" '
        f'IssueInstant="{scene.at(digits=0)}" Destination="{scene.acs}" {scene.answering}>'
        f"<saml:Issuer>{scene.issuer}</saml:Issuer>{signature(scene, response) if sign_response else ''}"
        f'<samlp:Status><samlp:StatusCode Value="{n.STATUS_SUCCESS}"/></samlp:Status>'
        f'<saml:Assertion xmlns:saml="{n.SAML}" xmlns:xs="{n.XS}" Version="2.0" ID="{assertion}" '
        f'IssueInstant="{scene.at(digits=0)}"><saml:Issuer>{scene.issuer}</saml:Issuer>'
        f"{signature(scene, assertion) if sign_assertion else ''}"
        f'<saml:Subject><saml:NameID Format="{n.NAMEID_EMAIL}">{scene.email}</saml:NameID>'
        f'<saml:SubjectConfirmation Method="{n.CM_BEARER}"><saml:SubjectConfirmationData '
        f'NotOnOrAfter="{scene.at(180, digits=0)}" Recipient="{scene.acs}" {scene.answering}/>'
        f'</saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{scene.at(-180, digits=0)}" '
        f'NotOnOrAfter="{scene.at(180, digits=0)}"><saml:AudienceRestriction><saml:Audience>{scene.audience}'
        f"</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement "
        f'AuthnInstant="{scene.at(-1, digits=0)}" SessionNotOnOrAfter="{scene.at(86_400, digits=0)}" '
        f'SessionIndex="{new_id()}"><saml:AuthnContext><saml:AuthnContextClassRef>{CONTEXTS}:'
        f"PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        f"<saml:AttributeStatement>{attribute('memberOf', '')}{attribute('User.FirstName', scene.first_name)}"
        f"{attribute('PersonImmutableID', '')}{attribute('User.LastName', scene.last_name)}"
        f"{attribute('User.email', scene.email)}</saml:AttributeStatement></saml:Assertion></samlp:Response>\n\n",
    )


SHAPES: dict[str, Builder] = {
    "assertion_signed": _build,
    "response_signed": lambda scene: _build(scene, sign_response=True, sign_assertion=False),
    "both_signed": lambda scene: _build(scene, sign_response=True),
}
