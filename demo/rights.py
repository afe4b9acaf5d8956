"""What the demo's people may do: by what their identity provider says, and by an administrator's hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accounts import addresses
from accounts.actors import Actor
from accounts.models import User
from audit.kinds import Kind
from audit.log import record
from demo.people import PEOPLE
from orgs.models import (
    AccessGroup,
    AccessLevel,
    BillingAccount,
    BillingPermission,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    Organization,
    Property,
    PropertyGrant,
    Role,
)
from orgs.permissions import Permission
from saml_sp import configuration, moving
from saml_sp.models import GroupRule

if TYPE_CHECKING:
    from datetime import datetime

    from demo.people import Person
    from orgs.models import Grant
    from saml_sp.models import IdentityProvider

MAPPING = {"groups": ["Groups"], "permissions": ["Permissions"], "properties": ["Properties"], "roles": ["Roles"]}
SPELLINGS = {"dxa_analyst": "analyst", "dxa_admin": "admin", "dxa_super_admin": "super_admin"}


def seed(idp: IdentityProvider, *, by: str, now: datetime) -> None:
    """Make all of it, once: not where somebody has mapped an attribute, or made anything that can be given.

    `by` is the address of the administrator who assigns.
    """
    made = (Organization, AccessGroup, Role, Property, LevelGrant)
    if idp.attribute_mapping or any(model.objects.exists() for model in made):
        return
    northwind = _organization("northwind", "Northwind Trading", "NW-2041", "Northwind, research budget")
    harbour = _organization("harbour", "Harbour Analytics", "HB-7730", "Harbour, projects")
    _make_roles()
    early = AccessGroup.objects.create(name="Early access", description="Tries out what is new before everybody else.")
    panel = AccessGroup.objects.create(name="Research panel", description="Is asked what should come next.")
    for external_id, name in (("3868", "northwind.example"), ("25541", "Northwind app"), ("40122", "Harbour port map")):
        Property.objects.create(external_id=external_id, name=name)
    rules = (
        GroupRule(idp=idp, value="northwind-staff", organization=northwind),
        GroupRule(idp=idp, value="northwind-admins", organization=northwind, role=MembershipRole.ADMIN),
        GroupRule(idp=idp, value="harbour-analysts", organization=harbour),
        GroupRule(idp=idp, value="early-access-*", is_pattern=True, access_group=early),
    )
    _map(idp, rules, now)
    ana, ada = _expected(PEOPLE["ana"], idp, now), _expected(PEOPLE["ada"], idp, now)
    # What no attribute says, and some that one says as well: then a thing has two reasons.
    by_hand: list[tuple[type[Grant], User, dict[str, Any]]] = [
        (BillingPermission, ana, {"billing_account": northwind.billing_accounts.get()}),
        (PropertyGrant, ana, {"property": Property.objects.get(external_id="3868")}),
        (PropertyGrant, ana, {"property": Property.objects.get(external_id="40122")}),
        (GroupMembership, ana, {"group": panel}),
        (LevelGrant, ada, {"level": AccessLevel.ANALYST}),
        (Membership, ada, {"organization": northwind}),
        (Membership, ada, {"organization": harbour}),
    ]
    administrator = User.objects.get(email_key=addresses.key(by))
    for model, user, thing in by_hand:
        _assign(model, user, thing, administrator, now)


def _organization(external_id: str, name: str, account_id: str, account: str) -> Organization:
    organization = Organization.objects.create(external_id=external_id, name=name)
    BillingAccount.objects.create(organization=organization, external_id=account_id, name=account)
    return organization


def _make_roles() -> None:
    Role.objects.create(
        name="Report editor", description="Keeps the reports in order.",
        permissions=[Permission.VIEW_REPORTS, Permission.EDIT_PROJECTS],
    )  # fmt: skip
    Role.objects.create(
        name="Data steward", description="Looks after what comes in and what goes out.", group_name="harbour-data",
        permissions=[Permission.EXPORT_DATA, Permission.MANAGE_INTEGRATIONS],
    )  # fmt: skip


def _map(idp: IdentityProvider, rules: tuple[GroupRule, ...], now: datetime) -> None:
    before = configuration.locked_snapshot(idp)
    idp.attribute_mapping, idp.level_spellings, idp.level_ceiling = MAPPING, SPELLINGS, AccessLevel.ADMIN
    idp.full_clean()
    idp.save()
    for rule in rules:
        rule.full_clean()
        rule.save()
    configuration.record_difference(idp, before, now=now, actor=Actor("make run"))


def _assign(model: type[Grant], user: User, thing: dict[str, Any], administrator: User, now: datetime) -> None:
    facts = {"given_by": administrator.email, "given_by_id": str(administrator.pk), "given_at": now}
    grant = model.objects.create(user=user, **facts, **thing)
    record(
        Kind.GRANT_ASSIGNED, now=now, actor=administrator, actor_id=administrator.pk, subject_type="user",
        subject_id=user.pk, subject=user, data={"grant": str(grant)},
    )  # fmt: skip


def _expected(person: Person, idp: IdentityProvider, now: datetime) -> User:
    """Somebody's account, made for the first sign-in to find it where there has been none."""
    user = User.objects.filter(email_key=addresses.key(person.email)).first()
    if user is None:
        user = User.objects.create_user(person.email, first_name=person.first_name, last_name=person.last_name)
        moving.assign(user, idp, now=now, actor=Actor("make run"))
    return user
