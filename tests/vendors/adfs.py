"""Active Directory Federation Services.

Shape after Microsoft's pages “AD FS: customize claims to be emitted” (the LDAP attribute templates), “Set-AdfsRelying
PartyTrust” (-SamlResponseSignature AssertionOnly, MessageAndAssertion, MessageOnly; -SignatureAlgorithm) and messages
that the test data of several public SAML libraries hold: a Consent attribute on the Response, no prefix for assertions
but `ds` for signatures, claim URIs, an authentication context of Microsoft's own, a NameID without a Format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saml_sp.protocol import names as n
from tests.vendors.scene import CLAIMS, RSA_SHA512, SHA512, new_id, signature, signed

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene

_UNSPECIFIED_CONSENT = "urn:oasis:names:tc:SAML:2.0:consent:unspecified"
_GROUP = "http://schemas.xmlsoap.org/claims/Group"


def _build(
    scene: Scene,
    *,
    sign_response: bool = False,
    sign_assertion: bool = True,
    strong: bool = False,
    name_id_format: str = "",
    context: str = "urn:federation:authentication:windows",
) -> bytes:
    response, assertion = new_id(), new_id()
    style = {"method": RSA_SHA512, "digest": SHA512} if strong else {}
    formatted = f' Format="{name_id_format}"' if name_id_format else ""

    def attribute(name: str, *values: str) -> str:
        inner = "".join(f"<AttributeValue>{value}</AttributeValue>" for value in values)
        return f'<Attribute Name="{name}">{inner}</Attribute>'

    return signed(
        scene,
        f'<samlp:Response ID="{response}" Version="2.0" IssueInstant="{scene.at()}" Destination="{scene.acs}" '
        f'Consent="{_UNSPECIFIED_CONSENT}" {scene.answering}xmlns:samlp="{n.SAMLP}">'
        f'<Issuer xmlns="{n.SAML}">{scene.issuer}</Issuer>'
        f"{signature(scene, response, **style) if sign_response else ''}"
        f'<samlp:Status><samlp:StatusCode Value="{n.STATUS_SUCCESS}" /></samlp:Status>'
        f'<Assertion ID="{assertion}" IssueInstant="{scene.at()}" Version="2.0" xmlns="{n.SAML}">'
        f"<Issuer>{scene.issuer}</Issuer>{signature(scene, assertion, **style) if sign_assertion else ''}"
        f"<Subject><NameID{formatted}>{scene.email}</NameID>"
        f'<SubjectConfirmation Method="{n.CM_BEARER}"><SubjectConfirmationData {scene.answering}'
        f'NotOnOrAfter="{scene.at(300)}" Recipient="{scene.acs}" /></SubjectConfirmation></Subject>'
        f'<Conditions NotBefore="{scene.at()}" NotOnOrAfter="{scene.at(3600)}"><AudienceRestriction>'
        f"<Audience>{scene.audience}</Audience></AudienceRestriction></Conditions><AttributeStatement>"
        f"{attribute(f'{CLAIMS}/emailaddress', scene.email)}{attribute(f'{CLAIMS}/givenname', scene.first_name)}"
        f"{attribute(f'{CLAIMS}/surname', scene.last_name)}{attribute(f'{CLAIMS}/upn', 'ana@corp.customer.local')}"
        f"{attribute(_GROUP, 'Domain Users', 'Researchers')}</AttributeStatement>"
        f'<AuthnStatement AuthnInstant="{scene.at(-1)}" SessionIndex="{assertion}"><AuthnContext>'
        f"<AuthnContextClassRef>{context}</AuthnContextClassRef></AuthnContext></AuthnStatement>"
        f"</Assertion></samlp:Response>",
    )


SHAPES: dict[str, Builder] = {
    "assertion_signed": _build,
    "message_and_assertion_signed": lambda scene: _build(scene, sign_response=True),
    "message_signed": lambda scene: _build(scene, sign_response=True, sign_assertion=False),
    "sha_512": lambda scene: _build(scene, strong=True, name_id_format=n.NAMEID_EMAIL),
}
