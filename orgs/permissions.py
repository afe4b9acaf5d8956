"""What somebody may be allowed to do, and what each access level and each place in an organisation allows.

The one table of it: docs/access.md is made from it, `orgs.access` answers `user.has_perm` by it. A permission is
`room:what` as Django writes it, `app.codename`; those of `platform` are for the platform behind this site, which reads
them in `whoami`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError


class Permission(StrEnum):
    """Everything there is to be allowed."""

    VIEW_REPORTS = "platform.view_reports"
    EXPORT_DATA = "platform.export_data"
    EDIT_PROJECTS = "platform.edit_projects"
    MANAGE_INTEGRATIONS = "platform.manage_integrations"
    VIEW_PEOPLE = "orgs.view_people"
    VIEW_EVERY_ORGANIZATION = "orgs.view_every_organization"
    BILL = "orgs.bill"

    @property
    def description(self) -> str:
        """What it allows, as a sentence would go on after “may”."""
        return DESCRIPTIONS[self]


DESCRIPTIONS = {
    Permission.VIEW_REPORTS: "see reports and dashboards of the platform",
    Permission.EXPORT_DATA: "export data from the platform",
    Permission.EDIT_PROJECTS: "make and change projects on the platform",
    Permission.MANAGE_INTEGRATIONS: "connect the platform with other systems",
    Permission.VIEW_PEOPLE: "see and search the people of an organisation",
    Permission.VIEW_EVERY_ORGANIZATION: "see every organisation, not only their own",
    Permission.BILL: "bill to a billing account",
}

# By the names of orgs.models.AccessLevel; each level has what those below it have.
_ANALYST = frozenset({Permission.VIEW_REPORTS})
_ADMIN = _ANALYST | {Permission.EXPORT_DATA, Permission.EDIT_PROJECTS}
_SUPER_ADMIN = _ADMIN | {
    Permission.MANAGE_INTEGRATIONS,
    Permission.VIEW_PEOPLE,
    Permission.VIEW_EVERY_ORGANIZATION,
}
BY_LEVEL: dict[str, frozenset[Permission]] = {
    "none": frozenset(),
    "analyst": _ANALYST,
    "admin": _ADMIN,
    "super_admin": _SUPER_ADMIN,
}

# What holds for one organisation, by the names of orgs.models.MembershipRole.
BY_MEMBERSHIP: dict[str, frozenset[Permission]] = {
    "member": frozenset(),
    "admin": frozenset({Permission.VIEW_PEOPLE}),
}

# What a role may bring. Seeing people everywhere and billing are not among them: those are given one by one.
FOR_ROLES = tuple(permission for permission in Permission if permission.startswith("platform."))


def validate_permissions(value: Any) -> None:
    """A role's permissions: a list of known ones, each once."""
    allowed = [permission.value for permission in FOR_ROLES]
    if not isinstance(value, list) or len(set(map(str, value))) != len(value):
        raise ValidationError("Give a list of permissions, each once.", code="permissions")
    if unknown := [str(item)[:80] for item in value if item not in allowed]:
        raise ValidationError(
            f"Unknown: {', '.join(unknown)}. A role may bring {', '.join(allowed)}.", code="permissions"
        )
