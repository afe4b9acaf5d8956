"""Rows that tests begin with."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding
from django.utils import timezone

from accounts.models import User
from orgs.models import (
    AccessGroup,
    BillingAccount,
    Membership,
    MembershipRole,
    Organization,
    Property,
    Role,
    Source,
)
from saml_sp import keys
from saml_sp.models import FederatedIdentity, GroupRule, IdentityProvider, KeyState, SpKeyPair
from saml_sp.protocol import key_pairs
from saml_sp.protocol.types import NameId
from saml_sp.provisioning import subject_key
from tests.encrypting import Ours, our_key
from tests.idp import ANA, Kind, key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.keys import SigningKey

_numbers = itertools.count(1)


def der(signing_key: SigningKey) -> bytes:
    """The key's certificate."""
    return signing_key.certificate.public_bytes(Encoding.DER)


def idp(slug: str = "", *, certificates: Sequence[Kind] = (Kind.RSA,), **fields: Any) -> IdentityProvider:
    """An enabled identity provider that signs with these keys."""
    slug = slug or f"customer-{next(_numbers)}"
    facts = {
        "description": f"The IdP of {slug}",
        "enabled": True,
        "entity_id": f"https://idp.{slug}.example/metadata",
        "sso_url": f"https://idp.{slug}.example/sso",
    }
    row = IdentityProvider(slug=slug, **(facts | fields))
    row.full_clean()
    row.save()
    row.set_certificates([der(key(kind)) for kind in certificates])
    return row


def user(email: str = ANA, **fields: Any) -> User:
    """A person with a local account, without a password unless one is given."""
    return User.objects.create_user(email, **fields)


def pending(idp: IdentityProvider, user: User, email: str = "") -> FederatedIdentity:
    """What an administrator makes to say: whoever this identity provider vouches for by this address is this user."""
    return FederatedIdentity.objects.create(idp=idp, user=user, email_key=email or user.email)


def identity(idp: IdentityProvider, user: User, subject: str = ANA, email: str = "") -> FederatedIdentity:
    """Somebody who has signed in before."""
    return FederatedIdentity.objects.create(
        idp=idp,
        user=user,
        email_key=email or user.email,
        subject=subject,
        subject_key=subject_key(NameId(value=subject)),
    )


def key_pair(which: Ours, state: KeyState) -> SpKeyPair:
    """A key pair of ours in this state, kept as an administrator's import keeps it."""
    signing_key = our_key(which)
    found = key_pairs.read(signing_key.private_pem, signing_key.certificate_pem, timezone.now())
    row = keys.sealed(found, state, timezone.now())
    row.save()
    return row


def organization(name: str = "Acme", **fields: Any) -> Organization:
    """A customer."""
    return Organization.objects.create(name=name, **{"external_id": name.lower().replace(" ", "-")} | fields)


def billing_account(organization: Organization, name: str = "Main", **fields: Any) -> BillingAccount:
    """What work of the customer is billed to."""
    return BillingAccount.objects.create(organization=organization, name=name, **fields)


def access_group(name: str = "Pilots", **fields: Any) -> AccessGroup:
    """A named group of people."""
    return AccessGroup.objects.create(name=name, **fields)


def role(name: str = "Editor", **fields: Any) -> Role:
    """A named set of permissions."""
    return Role.objects.create(name=name, **{"permissions": ["platform.edit_projects"]} | fields)


def property_(external_id: str = "P-1", **fields: Any) -> Property:
    """Something that people are given access to one by one."""
    return Property.objects.create(external_id=external_id, **{"name": f"House {external_id}"} | fields)


def membership(user: User, organization: Organization, role: MembershipRole = MembershipRole.MEMBER) -> Membership:
    """What an administrator gave, without the record of it."""
    return Membership.objects.create(user=user, organization=organization, role=role, given_by="grace@portico.example")


def asserted(user: User, organization: Organization, role: MembershipRole = MembershipRole.MEMBER) -> Membership:
    """What an identity provider says."""
    return Membership.objects.create(
        user=user, organization=organization, role=role, source=Source.IDP, source_id="7", given_by="Acme Okta",
        via="groups", attribute="groups", value="staff",
    )  # fmt: skip


def group_rule(idp: IdentityProvider, value: str, meaning: Organization | AccessGroup, **fields: Any) -> GroupRule:
    """What a group at this identity provider means."""
    place = {"organization": meaning} if isinstance(meaning, Organization) else {"access_group": meaning}
    rule = GroupRule(idp=idp, value=value, **place, **fields)
    rule.full_clean()
    rule.save()
    return rule
