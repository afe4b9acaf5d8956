"""Microsoft Entra ID (Azure AD).

Shape after Microsoft's pages “Single sign-on SAML protocol” and “SAML token claims reference” and “Advanced certificate
signing options in a SAML token”: no prefix for assertions and signatures, the statements in the other order, claim
URIs without a NameFormat, several values of authnmethodsreferences, the overage claim in place of groups, a persistent
NameID that is no address. .NET writes a moment with seven digits behind the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saml_sp.protocol import names as n
from tests.vendors.scene import CLAIMS, CONTEXTS, new_id, signature, signed

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene

_MICROSOFT = "http://schemas.microsoft.com"
_TENANT = "72f988bf-0000-41af-91ab-2d7cd011db47"
_OBJECT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
GROUP = "8b1a9953-4611-4296-a827-abf8c47804d7"


def _build(
    scene: Scene,
    *,
    sign_response: bool = False,
    sign_assertion: bool = True,
    name_id: str | None = None,
    name_id_format: str = n.NAMEID_EMAIL,
    overage: bool = False,
) -> bytes:
    response, assertion = new_id(), new_id()

    def attribute(name: str, *values: str) -> str:
        inner = "".join(f"<AttributeValue>{value}</AttributeValue>" for value in values)
        return f'<Attribute Name="{name}">{inner}</Attribute>'

    groups = (
        attribute(
            f"{_MICROSOFT}/claims/groups.link", f"https://graph.windows.net/{_TENANT}/users/{_OBJECT}/getMemberObjects"
        )
        if overage
        else attribute(f"{_MICROSOFT}/ws/2008/06/identity/claims/groups", GROUP, _TENANT)
    )
    methods = (f"{_MICROSOFT}/ws/2008/06/identity/authenticationmethod/password", f"{_MICROSOFT}/claims/multipleauthn")
    return signed(
        scene,
        f'<samlp:Response ID="{response}" Version="2.0" IssueInstant="{scene.at()}" Destination="{scene.acs}" '
        f'{scene.answering}xmlns:samlp="{n.SAMLP}"><Issuer xmlns="{n.SAML}">{scene.issuer}</Issuer>'
        f"{signature(scene, response, prefix='') if sign_response else ''}"
        f'<samlp:Status><samlp:StatusCode Value="{n.STATUS_SUCCESS}"/></samlp:Status>'
        f'<Assertion ID="{assertion}" IssueInstant="{scene.at(digits=7)}" Version="2.0" xmlns="{n.SAML}">'
        f"<Issuer>{scene.issuer}</Issuer>{signature(scene, assertion, prefix='') if sign_assertion else ''}"
        f'<Subject><NameID Format="{name_id_format}">{name_id or scene.email}</NameID>'
        f'<SubjectConfirmation Method="{n.CM_BEARER}"><SubjectConfirmationData {scene.answering}'
        f'NotOnOrAfter="{scene.at(3600)}" Recipient="{scene.acs}"/></SubjectConfirmation></Subject>'
        f'<Conditions NotBefore="{scene.at(-300)}" NotOnOrAfter="{scene.at(3600)}"><AudienceRestriction>'
        f"<Audience>{scene.audience}</Audience></AudienceRestriction></Conditions><AttributeStatement>"
        f"{attribute(f'{_MICROSOFT}/identity/claims/tenantid', _TENANT)}"
        f"{attribute(f'{_MICROSOFT}/identity/claims/objectidentifier', _OBJECT)}"
        f"{attribute(f'{_MICROSOFT}/identity/claims/displayname', f'{scene.first_name} {scene.last_name}')}{groups}"
        f"{attribute(f'{_MICROSOFT}/identity/claims/identityprovider', f'https://sts.windows.net/{_TENANT}/')}"
        f"{attribute(f'{_MICROSOFT}/claims/authnmethodsreferences', *methods)}"
        f"{attribute(f'{CLAIMS}/givenname', scene.first_name)}{attribute(f'{CLAIMS}/surname', scene.last_name)}"
        f"{attribute(f'{CLAIMS}/emailaddress', scene.email)}{attribute(f'{CLAIMS}/name', scene.email)}"
        f'</AttributeStatement><AuthnStatement AuthnInstant="{scene.at(-4000, digits=7)}" SessionIndex="{assertion}">'
        f"<AuthnContext><AuthnContextClassRef>{CONTEXTS}:Password</AuthnContextClassRef></AuthnContext>"
        f"</AuthnStatement></Assertion></samlp:Response>",
    )


SHAPES: dict[str, Builder] = {
    "assertion_signed": _build,
    "response_signed": lambda scene: _build(scene, sign_response=True, sign_assertion=False),
    "both_signed": lambda scene: _build(scene, sign_response=True),
    "name_id_persistent": lambda scene: _build(
        scene, name_id="kJ7x0Q8r3mVn2pLw5sTz9uYb1cDf4gHa6eKi8oRq0tU", name_id_format=n.NAMEID_PERSISTENT, overage=True
    ),
}
