"""Somebody who holds very much, of things with very long names, for looking at: run in the demo's database."""

from __future__ import annotations

from accounts.models import User
from orgs.models import (
    AccessGroup,
    BillingAccount,
    BillingPermission,
    GroupMembership,
    Membership,
    MembershipRole,
    Organization,
    Property,
    PropertyGrant,
    Role,
    RoleGrant,
    Source,
)
from orgs.permissions import FOR_ROLES

WORDS = "The Society for the Improvement of Very Long Names in Administrative Software "
LONG = (WORDS * 3)[:200].strip()
UNBROKEN = "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
MANY = 200


def make(email: str) -> None:
    """Give this person all of it."""
    user = User.objects.get(email=email)
    said = {
        "source": Source.IDP, "source_id": "0", "given_by": WORDS.strip(), "via": "groups",
        "attribute": "http://schemas.xmlsoap.org/claims/Group", "value": f"CN={UNBROKEN},OU=Groups,DC=customer",
    }  # fmt: skip
    for number, name in enumerate((LONG, UNBROKEN)):
        organization = Organization.objects.create(name=name, external_id=f"{number}-" + "x" * 62)
        account = BillingAccount.objects.create(organization=organization, name=name)
        group = AccessGroup.objects.create(name=name, description=UNBROKEN)
        role = Role.objects.create(name=name, description=LONG, permissions=list(FOR_ROLES))
        Membership.objects.create(user=user, organization=organization, role=MembershipRole.ADMIN, **said)
        Membership.objects.create(user=user, organization=organization, given_by=f"{'a' * 60}@{'b' * 60}.example")
        BillingPermission.objects.create(user=user, billing_account=account)
        GroupMembership.objects.create(user=user, group=group, **said)
        RoleGrant.objects.create(user=user, role=role, **said)
    for number in range(MANY):
        thing = Property.objects.create(name=f"Property number {number}", external_id=f"many-{number}")
        PropertyGrant.objects.create(user=user, property=thing, **said)
    User.objects.filter(pk=user.pk).update(first_name=UNBROKEN[:150], last_name=LONG[:150])
