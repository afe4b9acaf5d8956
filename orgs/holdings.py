"""What somebody holds and why: each thing once, with every source that gives it.

Plain values, for a page as well as for a program; nothing here knows of requests or of HTML.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orgs.models import (
    AccessLevel,
    BillingPermission,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    PropertyGrant,
    RoleGrant,
    highest,
)
from orgs.permissions import BY_LEVEL, BY_MEMBERSHIP, FOR_ROLES, Permission

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from accounts.models import User
    from orgs.models import Grant


@dataclass(frozen=True, slots=True)
class Why:
    """One source of something that is held.

    `given_by` is the administrator's address or the identity provider's description, as it was at `given_at`;
    `attribute` and `value` are what the latter said. `gives` is the level or the role that this source gives, empty
    where there is only having and not having.
    """

    by_hand: bool
    given_by: str
    given_at: datetime
    attribute: str = ""
    value: str = ""
    gives: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """A thing that somebody holds: its external ID (of roles and access groups the name), its name, and why."""

    id: str
    name: str
    whys: tuple[Why, ...]


@dataclass(frozen=True, slots=True)
class HeldOrganization(Holding):
    """An organisation that somebody belongs to, with the highest role that any source gives."""

    role: MembershipRole

    @property
    def permissions(self) -> frozenset[Permission]:
        """What this place in the organisation allows there."""
        return BY_MEMBERSHIP[self.role.label]


@dataclass(frozen=True, slots=True)
class HeldBillingAccount(Holding):
    """A billing account that somebody may bill to, and the organisation that it belongs to, by name and external ID."""

    organization: str
    organization_id: str


@dataclass(frozen=True, slots=True)
class HeldRole(Holding):
    """A role, with what it allows."""

    description: str
    permissions: tuple[Permission, ...]


@dataclass(frozen=True, slots=True)
class HeldGroup(Holding):
    """An access group."""

    description: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """All that one person holds; false where that is nothing. Lists are in the order of the things' names."""

    level: AccessLevel = AccessLevel.NONE
    level_whys: tuple[Why, ...] = ()
    organizations: tuple[HeldOrganization, ...] = ()
    billing_accounts: tuple[HeldBillingAccount, ...] = ()
    roles: tuple[HeldRole, ...] = ()
    groups: tuple[HeldGroup, ...] = ()
    properties: tuple[Holding, ...] = ()

    def __bool__(self) -> bool:
        lists = (self.organizations, self.billing_accounts, self.roles, self.groups, self.properties)
        return self.level > AccessLevel.NONE or any(lists)

    @property
    def level_name(self) -> str:
        """The level, for people."""
        return self.level.label.replace("_", " ")

    @property
    def level_permissions(self) -> tuple[Permission, ...]:
        """What the level allows, in the order of the table."""
        return _in_order(BY_LEVEL[self.level.label])

    @property
    def permissions(self) -> frozenset[Permission]:
        """What level and roles allow, whatever the organisation: the answer of `user.has_perm` (superusers apart)."""
        return BY_LEVEL[self.level.label].union(*(role.permissions for role in self.roles))


def holdings(user: User) -> Holdings:
    """Read what this person holds. Six queries, however much it is."""
    levels = list(LevelGrant.objects.filter(user=user))
    return Holdings(
        level=highest(grant.level for grant in levels),
        level_whys=whys_of(levels),
        organizations=tuple(
            HeldOrganization(
                thing.external_id, thing.name, whys_of(grants), MembershipRole(max(grant.role for grant in grants))
            )
            for thing, grants in _things(Membership, "organization", user)
        ),
        billing_accounts=tuple(
            HeldBillingAccount(
                thing.external_id, thing.name, whys_of(grants), thing.organization.name, thing.organization.external_id
            )
            for thing, grants in _things(BillingPermission, "billing_account", user, "billing_account__organization")
        ),
        roles=tuple(
            HeldRole(thing.name, thing.name, whys_of(grants), thing.description, _brought(thing.permissions))
            for thing, grants in _things(RoleGrant, "role", user)
        ),
        groups=tuple(
            HeldGroup(thing.name, thing.name, whys_of(grants), thing.description)
            for thing, grants in _things(GroupMembership, "group", user)
        ),
        properties=tuple(
            Holding(thing.external_id, thing.name, whys_of(grants))
            for thing, grants in _things(PropertyGrant, "property", user)
        ),
    )


def whys_of(grants: Iterable[Grant]) -> tuple[Why, ...]:
    """Why a thing is held, of all grants of it: those that give most first, then the oldest."""
    ordered = sorted(grants, key=lambda grant: (-(_rank(grant) or 0), grant.given_at, grant.pk))
    return tuple(
        Why(
            grant.by_hand, grant.given_by, grant.given_at, grant.attribute, grant.value,
            str(rank.label) if (rank := _rank(grant)) else "",
        )
        for grant in ordered
    )  # fmt: skip


def _rank(grant: Grant) -> AccessLevel | MembershipRole | None:
    """The level or the role that a grant gives."""
    if isinstance(grant, LevelGrant):
        return AccessLevel(grant.level)
    return MembershipRole(grant.role) if isinstance(grant, Membership) else None


def _things(model: type[Grant], thing: str, user: User, related: str = "") -> list[tuple[Any, list[Any]]]:
    """Each thing once, by name, with the grants of it."""
    rows = model.objects.filter(user=user).select_related(related or thing)
    found: dict[int, tuple[Any, list[Any]]] = {}
    for grant in rows.order_by(f"{thing}__name", f"{thing}_id"):
        found.setdefault(getattr(grant, f"{thing}_id"), (getattr(grant, thing), []))[1].append(grant)
    return list(found.values())


def _brought(permissions: Iterable[str]) -> tuple[Permission, ...]:
    """What a role brings, of what is written in it: that list may name permissions that are gone."""
    return _in_order(permission for permission in permissions if permission in FOR_ROLES)


def _in_order(permissions: Iterable[str]) -> tuple[Permission, ...]:
    held = set(permissions)
    return tuple(permission for permission in Permission if permission in held)
