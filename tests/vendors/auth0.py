"""Auth0.

Shape after Auth0's page “Customize SAML Assertions” (signResponse off by default, so that the assertion alone is
signed; lifetimeInSeconds 3600; signatureAlgorithm set to rsa-sha256, as the default is refused here) and messages that
the test data of several public projects hold: an Issuer of urn form, a NameID that names the connection, claim URIs,
values of type xs:boolean and xs:anyType beside strings, format uri throughout.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from saml_sp.protocol import names as n
from tests.vendors.scene import CLAIMS, CONTEXTS, URI, new_hex, signature, signed

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene

_AUTH0 = "http://schemas.auth0.com"


def _build(scene: Scene, *, sign_response: bool = False) -> bytes:
    response, assertion = new_hex(), f"_{secrets.token_urlsafe(24)}"

    def attribute(name: str, value: str, kind: str = "string") -> str:
        return (
            f'<saml:Attribute Name="{name}" NameFormat="{URI}"><saml:AttributeValue xsi:type="xs:{kind}">{value}'
            "</saml:AttributeValue></saml:Attribute>"
        )

    return signed(
        scene,
        f'<samlp:Response xmlns:samlp="{n.SAMLP}" ID="{response}" {scene.answering} Version="2.0" '
        f'IssueInstant="{scene.at()}"  Destination="{scene.acs}"><saml:Issuer xmlns:saml="{n.SAML}">{scene.issuer}'
        f"</saml:Issuer>{signature(scene, response) if sign_response else ''}"
        f'<samlp:Status><samlp:StatusCode Value="{n.STATUS_SUCCESS}"/></samlp:Status>'
        f'<saml:Assertion xmlns:saml="{n.SAML}" Version="2.0" ID="{assertion}" IssueInstant="{scene.at(-0.009)}">'
        f"<saml:Issuer>{scene.issuer}</saml:Issuer>{'' if sign_response else signature(scene, assertion)}"
        f'<saml:Subject><saml:NameID Format="{n.NAMEID_UNSPECIFIED}">auth0|6558a48531108fd1ba12d457</saml:NameID>'
        f'<saml:SubjectConfirmation Method="{n.CM_BEARER}"><saml:SubjectConfirmationData '
        f'NotOnOrAfter="{scene.at(3600)}" Recipient="{scene.acs}" {scene.answering}/></saml:SubjectConfirmation>'
        f'</saml:Subject><saml:Conditions NotBefore="{scene.at()}" NotOnOrAfter="{scene.at(3600)}">'
        f"<saml:AudienceRestriction><saml:Audience>{scene.audience}</saml:Audience></saml:AudienceRestriction>"
        f'</saml:Conditions><saml:AuthnStatement AuthnInstant="{scene.at()}" '
        f'SessionIndex="_{secrets.token_urlsafe(24)}"><saml:AuthnContext><saml:AuthnContextClassRef>'
        f"{CONTEXTS}:unspecified</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        f'<saml:AttributeStatement xmlns:xs="{n.XS}" xmlns:xsi="{n.XSI}">'
        f"{attribute(f'{CLAIMS}/nameidentifier', 'auth0|6558a48531108fd1ba12d457')}"
        f"{attribute(f'{CLAIMS}/emailaddress', scene.email)}"
        f"{attribute(f'{CLAIMS}/name', f'{scene.first_name} {scene.last_name}')}"
        f"{attribute(f'{CLAIMS}/givenname', scene.first_name)}{attribute(f'{CLAIMS}/surname', scene.last_name)}"
        f"{attribute(f'{CLAIMS}/upn', scene.email)}"
        f"{attribute(f'{_AUTH0}/identities/default/provider', 'auth0')}"
        f"{attribute(f'{_AUTH0}/identities/default/connection', 'Username-Password-Authentication')}"
        f"{attribute(f'{_AUTH0}/identities/default/isSocial', 'false', 'boolean')}"
        f"{attribute(f'{_AUTH0}/email_verified', 'true', 'boolean')}{attribute(f'{_AUTH0}/logins', '17', 'double')}"
        f"{attribute(f'{_AUTH0}/created_at', 'Sat Nov 18 2023 11:48:21 GMT+0000', 'anyType')}"
        f"{attribute(f'{_AUTH0}/picture', 'https://s.gravatar.com/avatar/x?s=480&amp;r=pg&amp;d=https%3A%2F%2Fa')}"
        f"</saml:AttributeStatement></saml:Assertion></samlp:Response>",
    )


SHAPES: dict[str, Builder] = {
    "assertion_signed": _build,
    "response_signed": lambda scene: _build(scene, sign_response=True),
}
