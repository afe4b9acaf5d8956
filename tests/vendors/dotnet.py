"""Identity providers that are built with .NET: Duende IdentityServer, ITfoxtec Identity SAML 2.0, Sustainsys.Saml2.

Shape after the remarks on the round-trip format specifier (“O”) in Microsoft's page “Standard date and time format
strings”, and System.Security.Cryptography.Xml's way to write a signature: a moment with seven digits behind the second,
or with the offset of the machine it was made on; `saml2` for both the assertion and, as `saml2p`, the protocol; no
NameFormat; a confirmation with the e-mail alone. A few write no AuthnContextDeclRef but several audiences.
"""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import TYPE_CHECKING

from saml_sp.protocol import names as n
from tests.vendors.scene import CLAIMS, CONTEXTS, new_id, signature, signed

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene


def _build(scene: Scene, *, local: bool = False) -> bytes:
    response, assertion = new_id(), new_id()

    def at(seconds: float = 0) -> str:
        if not local:
            return scene.at(seconds, digits=7)
        moment = (scene.now + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=5, minutes=30)))
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0+05:30"

    def attribute(name: str, value: str) -> str:
        return f'<saml2:Attribute Name="{name}"><saml2:AttributeValue>{value}</saml2:AttributeValue></saml2:Attribute>'

    return signed(
        scene,
        f'<saml2p:Response xmlns:saml2p="{n.SAMLP}" xmlns:saml2="{n.SAML}" Destination="{scene.acs}" ID="{response}" '
        f'{scene.answering}Version="2.0" IssueInstant="{at()}"><saml2:Issuer>{scene.issuer}</saml2:Issuer>'
        f"{signature(scene, response, prefix='', inclusive='#default saml2p saml2')}"
        f'<saml2p:Status><saml2p:StatusCode Value="{n.STATUS_SUCCESS}" /></saml2p:Status>'
        f'<saml2:Assertion Version="2.0" ID="{assertion}" IssueInstant="{at()}">'
        f"<saml2:Issuer>{scene.issuer}</saml2:Issuer>"
        f'<saml2:Subject><saml2:NameID Format="{n.NAMEID_EMAIL}">{scene.email}</saml2:NameID>'
        f'<saml2:SubjectConfirmation Method="{n.CM_BEARER}"><saml2:SubjectConfirmationData {scene.answering}'
        f'NotOnOrAfter="{at(300)}" Recipient="{scene.acs}" /></saml2:SubjectConfirmation></saml2:Subject>'
        f'<saml2:Conditions NotBefore="{at()}" NotOnOrAfter="{at(300)}"><saml2:AudienceRestriction>'
        f"<saml2:Audience>{scene.audience}</saml2:Audience><saml2:Audience>urn:other:audience</saml2:Audience>"
        f"</saml2:AudienceRestriction><saml2:OneTimeUse /></saml2:Conditions>"
        f"<saml2:AttributeStatement>{attribute(f'{CLAIMS}/emailaddress', scene.email)}"
        f"{attribute(f'{CLAIMS}/givenname', scene.first_name)}{attribute(f'{CLAIMS}/surname', scene.last_name)}"
        f'</saml2:AttributeStatement><saml2:AuthnStatement AuthnInstant="{at(-30)}" SessionIndex="{new_id("{}")}">'
        f"<saml2:AuthnContext><saml2:AuthnContextClassRef>{CONTEXTS}:unspecified</saml2:AuthnContextClassRef>"
        f"</saml2:AuthnContext></saml2:AuthnStatement></saml2:Assertion></saml2p:Response>",
    )


SHAPES: dict[str, Builder] = {
    "seven_digits": _build,
    "local_time": lambda scene: _build(scene, local=True),
}
