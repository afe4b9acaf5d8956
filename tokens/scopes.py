"""What a token may be used for. A token never exceeds its owner."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounts.models import User


class Scope(StrEnum):
    """The scopes there are. Values are stored and sent: they never change."""

    READ_SELF = "read:self"
    WRITE_TOKENS = "write:tokens"
    READ_ORG = "read:org"
    ADMIN_USERS = "admin:users"
    ADMIN_SAML = "admin:saml"
    ADMIN_AUDIT = "admin:audit"

    @property
    def description(self) -> str:
        """What it lets a program do, in words for whoever chooses."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS = {
    Scope.READ_SELF: "See who you are: your name, your organisations, your permissions",
    Scope.WRITE_TOKENS: "List, make, rotate and revoke your API tokens",
    Scope.READ_ORG: "See the organisations that you see, and the people of those that you administer",
    Scope.ADMIN_USERS: "See all people and switch accounts off",
    Scope.ADMIN_SAML: "See and change identity providers",
    Scope.ADMIN_AUDIT: "Read the audit log",
}
# The least that the owner must be allowed to do; what a call changes is asked for by that call as well. As strings:
# some of these rooms lie above this one.
_DEMANDS = {
    Scope.ADMIN_USERS: "accounts.view_user",
    Scope.ADMIN_SAML: "saml_sp.change_identityprovider",
    Scope.ADMIN_AUDIT: "audit.view_event",
}


def may_have(user: User, scope: Scope) -> bool:
    """Whether a token of this user may have the scope, and one that has it may use it: now, not when it was made.

    What is administered in the administration is so by tokens of those alone to whom it opens, and of service accounts.
    """
    demanded = _DEMANDS.get(scope)
    return demanded is None or ((user.is_staff or user.is_service_account) and user.has_perm(demanded))


def within_reach(user: User) -> list[Scope]:
    """The scopes that a token of this user may have."""
    return [scope for scope in Scope if may_have(user, scope)]
