"""An identity provider whose responses are about 10 KB long, with both the Response and the Assertion signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from demo import issuer, keys

SIZE = 10 * 1024
ENTITY_ID = "https://idp.example.com/saml"
SSO_URL = "https://idp.example.com/saml/sso"
PERSON = "ana.lyst@example.com"

_METADATA = """<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{entity_id}">
  <IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <KeyDescriptor use="signing">
      <KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#">
        <X509Data><X509Certificate>{certificate}</X509Certificate></X509Data>
      </KeyInfo>
    </KeyDescriptor>
    <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{sso_url}"/>
  </IDPSSODescriptor>
</EntityDescriptor>
"""


@dataclass(frozen=True)
class IdentityProvider:
    """A key, the service provider that it speaks to, and the groups that fill its responses up."""

    key: keys.SigningKey
    sp_entity_id: str
    acs_url: str
    groups: tuple[str, ...] = ()

    @classmethod
    def new(cls, *, sp_entity_id: str, acs_url: str) -> IdentityProvider:
        """A fresh key, and as many groups as it takes to come near SIZE."""
        key = keys.make("benchmark")
        bare = cls(key, sp_entity_id, acs_url)
        # Groups differ in nothing but their number, so what one adds is known.
        each = len(cls(key, sp_entity_id, acs_url, ("Group 100", "Group 101")).xml()) - len(
            cls(key, sp_entity_id, acs_url, ("Group 100",)).xml()
        )
        count = (SIZE - len(bare.xml())) // each
        return cls(key, sp_entity_id, acs_url, tuple(f"Group {100 + number}" for number in range(count)))

    def xml(self) -> bytes:
        """A response for the same person as ever, with IDs of its own, valid from now on for five minutes."""
        spec = issuer.Spec.fresh(
            issuer=ENTITY_ID,
            acs_url=self.acs_url,
            audience=self.sp_entity_id,
            name_id=PERSON,
            now=datetime.now(UTC),
            attributes=(
                issuer.AttributeSpec("First Name", ["Ana"]),
                issuer.AttributeSpec("Last Name", ["Lyst"]),
                issuer.AttributeSpec("Email", [PERSON]),
                issuer.AttributeSpec("Roles", self.groups),
            ),
            signed=issuer.Signed.BOTH,
        )
        return issuer.issue(spec, self.key)

    def response(self) -> str:
        """The same as the form field SAMLResponse."""
        return issuer.encode(self.xml())

    @property
    def certificate(self) -> str:
        """Its certificate in PEM."""
        return self.key.certificate_pem.decode()

    def metadata(self) -> str:
        """What an administrator imports."""
        return _METADATA.format(entity_id=ENTITY_ID, certificate=self.key.certificate_text, sso_url=SSO_URL)
