"""Rows that tests begin with."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding
from django.utils import timezone

from accounts.models import User
from orgs.models import Organization, Property, Role
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
    from orgs.models import AccessGroup

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


def organization(name: str = "", **fields: Any) -> Organization:
    """An organisation."""
    return Organization.objects.create(name=name or f"Organisation {next(_numbers)}", **fields)


def role(name: str, **fields: Any) -> Role:
    """A role; without permissions unless they are given."""
    return Role.objects.create(name=name, **fields)


def property_(external_id: str, name: str = "") -> Property:
    """A property of this ID."""
    return Property.objects.create(external_id=external_id, name=name or f"Property {external_id}")


def group_rule(idp: IdentityProvider, value: str, meaning: Organization | AccessGroup, **fields: Any) -> GroupRule:
    """What a group at this identity provider means."""
    place = {"organization": meaning} if isinstance(meaning, Organization) else {"access_group": meaning}
    rule = GroupRule(idp=idp, value=value, **place, **fields)
    rule.full_clean()
    rule.save()
    return rule
