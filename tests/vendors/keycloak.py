"""Keycloak.

Shape after Keycloak's “Server Administration Guide” (SAML clients: Sign documents, Sign assertions, Signature
algorithm, SAML signature key name; the X500 mappers, the role list with “Single Role Attribute” off, the audience
mapper) and a message of a realm that the test data of a public SAML library hold: `dsig` for signatures, KeyName and
KeyValue in KeyInfo, an unused default namespace on the assertion, OIDs with a FriendlyName under format basic, the
e-mail under PKCS #9's OID, one Attribute per role under the same Name, several audiences, less than a minute to use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saml_sp.protocol import names as n
from tests.vendors.scene import (
    BASIC,
    CONTEXTS,
    RSA_SHA256,
    RSA_SHA512,
    SHA256,
    SHA512,
    certificate,
    key_value,
    new_id,
    signature,
    signed,
)

if TYPE_CHECKING:
    from tests.vendors.scene import Builder, Scene

_VALUE = f'xmlns:xs="{n.XS}" xmlns:xsi="{n.XSI}" xsi:type="xs:string"'


def _build(
    scene: Scene,
    *,
    sign_response: bool = True,
    sign_assertion: bool = False,
    strong: bool = False,
    friendly: bool = True,
) -> bytes:
    response, assertion = new_id("ID_{}"), new_id("ID_{}")
    key_info = (
        f"<dsig:KeyName>jR3UQTQOE9k8iqTK77NrOBahhyFNT2p3B2lF1I3ov1g</dsig:KeyName><dsig:X509Data>"
        f"<dsig:X509Certificate>{certificate(scene)}</dsig:X509Certificate></dsig:X509Data>{key_value(scene, 'dsig:')}"
    )

    def sign(what: str) -> str:
        method, digest = (RSA_SHA512, SHA512) if strong else (RSA_SHA256, SHA256)
        return signature(scene, what, prefix="dsig:", method=method, digest=digest, key_info=key_info)

    def attribute(name: str, value: str, friendly_name: str = "") -> str:
        called = f'FriendlyName="{friendly_name}" ' if friendly_name else ""
        return (
            f'<saml:Attribute {called}Name="{name}" NameFormat="{BASIC}"><saml:AttributeValue {_VALUE}>{value}'
            "</saml:AttributeValue></saml:Attribute>"
        )

    person = (
        f"{attribute('urn:oid:2.5.4.4', scene.last_name, 'surname')}"
        f"{attribute('urn:oid:2.5.4.42', scene.first_name, 'givenName')}"
        f"{attribute('urn:oid:1.2.840.113549.1.9.1', scene.email, 'email')}"
        if friendly
        else f"{attribute('lastName', scene.last_name)}{attribute('firstName', scene.first_name)}"
        f"{attribute('email', scene.email)}"
    )
    roles = "".join(
        attribute("Role", role) for role in ("uma_authorization", "view-profile", "offline_access", "manage-account")
    )
    return signed(
        scene,
        f'<samlp:Response xmlns:samlp="{n.SAMLP}" xmlns:saml="{n.SAML}" Destination="{scene.acs}" ID="{response}" '
        f'{scene.answering}IssueInstant="{scene.at()}" Version="2.0"><saml:Issuer>{scene.issuer}</saml:Issuer>'
        f"{sign(response) if sign_response else ''}"
        f'<samlp:Status><samlp:StatusCode Value="{n.STATUS_SUCCESS}"/></samlp:Status>'
        f'<saml:Assertion xmlns="{n.SAML}" ID="{assertion}" IssueInstant="{scene.at()}" Version="2.0">'
        f"<saml:Issuer>{scene.issuer}</saml:Issuer>{sign(assertion) if sign_assertion else ''}"
        f'<saml:Subject><saml:NameID Format="{n.NAMEID_PERSISTENT}">G-58956f28-7bf5-448d-923a-bd39438c2a9e'
        f'</saml:NameID><saml:SubjectConfirmation Method="{n.CM_BEARER}"><saml:SubjectConfirmationData '
        f'{scene.answering}NotOnOrAfter="{scene.at(58)}" Recipient="{scene.acs}"/></saml:SubjectConfirmation>'
        f'</saml:Subject><saml:Conditions NotBefore="{scene.at(-2)}" NotOnOrAfter="{scene.at(58)}">'
        f"<saml:AudienceRestriction><saml:Audience>https://api.customer.example/</saml:Audience>"
        f"<saml:Audience>{scene.audience}</saml:Audience><saml:Audience>account</saml:Audience>"
        f"</saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement "
        f'AuthnInstant="{scene.at()}" SessionIndex="{new_id("{}")}::{new_id("{}")}" '
        f'SessionNotOnOrAfter="{scene.at(36_000)}"><saml:AuthnContext><saml:AuthnContextClassRef>'
        f"{CONTEXTS}:unspecified</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        f"<saml:AttributeStatement>{person}{roles}</saml:AttributeStatement></saml:Assertion></samlp:Response>",
    )


SHAPES: dict[str, Builder] = {
    "document_signed": _build,
    "assertion_signed": lambda scene: _build(scene, sign_response=False, sign_assertion=True, friendly=False),
    "both_signed_sha_512": lambda scene: _build(scene, sign_assertion=True, strong=True),
}
