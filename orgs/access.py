"""An authentication backend that lets nobody in: it answers `user.has_perm` by level, roles and memberships.

Views, the REST door, the administration and the rooms below all ask `user.has_perm`; what each level allows is the
table in `orgs.permissions`. Without an object the question is about the whole account; with an Organization or a
BillingAccount it is about that one. Django answers yes for an active superuser before it asks here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.backends import BaseBackend

from orgs.models import (
    AccessLevel,
    BillingAccount,
    BillingPermission,
    LevelGrant,
    Membership,
    MembershipRole,
    Organization,
    Role,
    highest,
)
from orgs.permissions import BY_LEVEL, BY_MEMBERSHIP, FOR_ROLES, Permission

if TYPE_CHECKING:
    from accounts.models import User

_KEPT = "_portico_rights"  # on the user's instance, which lives for one request


class AccessBackend(BaseBackend):
    """What people may do on this account and in their organisations."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Django's hook: every permission that holds, account-wide or for this object."""
        if not user_obj.is_active or user_obj.is_anonymous:
            return set()
        everywhere = account_wide(user_obj)
        if obj is None:
            return {*everywhere}
        if isinstance(obj, Organization):
            return {*everywhere} | _in_organization(user_obj, obj)
        if isinstance(obj, BillingAccount):
            return {*everywhere} | _at_billing_account(user_obj, obj)
        return set()

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Whether it holds. One that is not in the table is somebody else's to answer, and costs no query."""
        return perm in _KNOWN and perm in self.get_all_permissions(user_obj, obj)


_KNOWN = frozenset(str(permission) for permission in Permission)


def level_of(user: User) -> AccessLevel:
    """The level that counts: the highest that any source says."""
    return highest(LevelGrant.objects.filter(user=user).values_list("level", flat=True))


def account_wide(user: User) -> frozenset[str]:
    """What level and roles allow, whatever the organisation; asked once per instance of the user. Two queries."""
    kept: frozenset[str] | None = getattr(user, _KEPT, None)
    if kept is None:
        brought = Role.objects.filter(grants__user=user).values_list("permissions", flat=True)
        by_roles = {permission for permissions in brought for permission in permissions if permission in FOR_ROLES}
        kept = BY_LEVEL[level_of(user).label] | by_roles
        setattr(user, _KEPT, kept)
    return kept


def _in_organization(user: User, organization: Organization) -> set[str]:
    roles = Membership.objects.filter(user=user, organization=organization).values_list("role", flat=True)
    best = max(roles, default=None)
    return set() if best is None else {*BY_MEMBERSHIP[MembershipRole(best).label]}


def _at_billing_account(user: User, account: BillingAccount) -> set[str]:
    given = BillingPermission.objects.filter(user=user, billing_account=account).exists()
    return {Permission.BILL} if given else set()
