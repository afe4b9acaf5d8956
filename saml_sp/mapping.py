"""Which attribute of an assertion means what, per identity provider: names, presets, reading.

An attribute is named by its Name or its FriendlyName, exactly; several names stand in order of preference. E-mail and
names have defaults that suit most vendors. What gives rights (groups, permissions, properties, roles) has none: an
identity provider grants nothing until an administrator has said which attribute does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from saml_sp.protocol.types import Assertion

MOST_NAMES: Final = 12
MAX_ATTRIBUTE_NAME: Final = 200
MAX_VALUE: Final = 300


class Target(StrEnum):
    """What an attribute can be read as."""

    EMAIL = "email"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    DISPLAY_NAME = "display_name"
    GROUPS = "groups"
    PERMISSIONS = "permissions"
    PROPERTIES = "properties"
    ROLES = "roles"

    @property
    def label(self) -> str:
        """What people call it."""
        return "e-mail" if self is Target.EMAIL else self.value.replace("_", " ")


RIGHTS: Final = (Target.GROUPS, Target.PERMISSIONS, Target.PROPERTIES, Target.ROLES)

DEFAULTS: Final[Mapping[Target, tuple[str, ...]]] = {
    Target.EMAIL: (
        "Email",
        "email",
        "mail",
        "emailAddress",
        "User.email",
        "urn:oid:0.9.2342.19200300.100.1.3",
        "urn:oid:1.2.840.113549.1.9.1",  # of PKCS #9: what Keycloak's built-in X500 mapper sends
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "http://schemas.xmlsoap.org/claims/EmailAddress",
    ),
    Target.FIRST_NAME: (
        "First Name",
        "FirstName",
        "firstName",
        "first_name",
        "givenName",
        "User.FirstName",
        "urn:oid:2.5.4.42",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
    ),
    Target.LAST_NAME: (
        "Last Name",
        "LastName",
        "lastName",
        "last_name",
        "sn",
        "surname",
        "User.LastName",
        "urn:oid:2.5.4.4",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
    ),
    Target.DISPLAY_NAME: (
        "displayName",
        "urn:oid:2.16.840.1.113730.3.1.241",
        "http://schemas.microsoft.com/identity/claims/displayname",
    ),
}

_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_MICROSOFT = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"
# What Entra ID sends in place of the groups of somebody who is in more than 150: a link to them.
OVERAGE: Final = frozenset({"http://schemas.microsoft.com/claims/groups.link", "groups.link"})


@dataclass(frozen=True, slots=True)
class Preset:
    """The names that a vendor uses unless somebody changes them there."""

    vendor: str
    names: Mapping[Target, tuple[str, ...]]


PRESETS: Final[Mapping[str, Preset]] = {
    "okta": Preset("Okta", {
        Target.EMAIL: ("email", "Email"), Target.FIRST_NAME: ("firstName", "First Name"),
        Target.LAST_NAME: ("lastName", "Last Name"), Target.DISPLAY_NAME: ("displayName",), Target.GROUPS: ("groups",),
        Target.PERMISSIONS: ("Permissions",), Target.PROPERTIES: ("Properties",), Target.ROLES: ("Roles",),
    }),
    "entra": Preset("Microsoft Entra ID", {
        Target.EMAIL: (f"{_CLAIMS}emailaddress",), Target.FIRST_NAME: (f"{_CLAIMS}givenname",),
        Target.LAST_NAME: (f"{_CLAIMS}surname",),
        Target.DISPLAY_NAME: ("http://schemas.microsoft.com/identity/claims/displayname",),
        Target.GROUPS: (f"{_MICROSOFT}groups",), Target.ROLES: (f"{_MICROSOFT}role",),
    }),
    "adfs": Preset("AD FS", {
        Target.EMAIL: (f"{_CLAIMS}emailaddress", "http://schemas.xmlsoap.org/claims/EmailAddress"),
        Target.FIRST_NAME: (f"{_CLAIMS}givenname",), Target.LAST_NAME: (f"{_CLAIMS}surname",),
        Target.DISPLAY_NAME: (f"{_CLAIMS}name",), Target.GROUPS: ("http://schemas.xmlsoap.org/claims/Group",),
        Target.ROLES: (f"{_MICROSOFT}role",),
    }),
    "google": Preset("Google Workspace", {
        Target.EMAIL: ("email",), Target.FIRST_NAME: ("firstName",), Target.LAST_NAME: ("lastName",),
        Target.GROUPS: ("groups",),
    }),
    "pingone": Preset("PingOne", {
        Target.EMAIL: ("email",), Target.FIRST_NAME: ("firstName", "given_name", "givenName"),
        Target.LAST_NAME: ("lastName", "family_name", "sn"), Target.DISPLAY_NAME: ("formattedName",),
        Target.GROUPS: ("memberOf", "groups"),
    }),
    "onelogin": Preset("OneLogin", {
        Target.EMAIL: ("User.email",), Target.FIRST_NAME: ("User.FirstName",), Target.LAST_NAME: ("User.LastName",),
        Target.GROUPS: ("memberOf",), Target.ROLES: ("Roles",),
    }),
    "keycloak": Preset("Keycloak", {
        Target.EMAIL: ("email", "urn:oid:1.2.840.113549.1.9.1"),
        Target.FIRST_NAME: ("givenName", "urn:oid:2.5.4.42", "firstName"),
        Target.LAST_NAME: ("surname", "urn:oid:2.5.4.4", "lastName"), Target.GROUPS: ("member", "groups"),
        Target.ROLES: ("Role",),
    }),
    "shibboleth": Preset("Shibboleth", {
        Target.EMAIL: ("urn:oid:0.9.2342.19200300.100.1.3", "mail"),
        Target.FIRST_NAME: ("urn:oid:2.5.4.42", "givenName"), Target.LAST_NAME: ("urn:oid:2.5.4.4", "sn"),
        Target.DISPLAY_NAME: ("urn:oid:2.16.840.1.113730.3.1.241", "displayName"),
        Target.GROUPS: ("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "isMemberOf"),
        Target.ROLES: ("urn:oid:1.3.6.1.4.1.5923.1.1.1.7", "eduPersonEntitlement"),
    }),
}  # fmt: skip


def validate_mapping(value: Any) -> None:
    """A mapping from targets to lists of attribute names, as `IdentityProvider.attribute_mapping` keeps it."""
    if not isinstance(value, dict):
        raise ValidationError("Give an object: for each target a list of attribute names.", code="mapping")
    targets = [target.value for target in Target]
    for target, names in value.items():
        if target not in targets:
            raise ValidationError(f"“{str(target)[:80]}” is none of the targets: {', '.join(targets)}.", code="mapping")
        if not isinstance(names, list) or len(names) > MOST_NAMES or not all(map(_is_name, names)):
            raise ValidationError(
                f"{target}: give at most {MOST_NAMES} attribute names of 1 to {MAX_ATTRIBUTE_NAME} characters, without "
                "blanks at the ends.",
                code="mapping",
            )
        if len(set(names)) != len(names):
            raise ValidationError(f"{target}: each attribute name once.", code="mapping")


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MAX_ATTRIBUTE_NAME and name == name.strip() and name.isprintable()


def filled(mapping: Mapping[str, Sequence[str]], preset: Preset) -> tuple[dict[str, list[str]], list[Target]]:
    """The mapping with the preset's names for those targets that have none, and which ones these were."""
    given = {target: list(names) for target, names in mapping.items() if names}
    missing = [target for target in Target if target.value not in given and preset.names.get(target)]
    return given | {target.value: list(preset.names[target]) for target in missing}, missing


def names_for(target: Target, mapping: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The attribute names of a target, in order of preference: what is configured, else the defaults."""
    return tuple(mapping.get(target, ())) or DEFAULTS.get(target, ())


def said(mapping: Mapping[str, Sequence[str]], target: Target) -> str:
    """What is read for a target, in words."""
    usual = "the usual names" if target in DEFAULTS else "nothing"
    return ", ".join(mapping.get(target, ())) or usual


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read for one target: from which attribute (as it is called in the mapping), and its plain values.

    Values are those that say something: no empty ones, no blank ones, none that hold elements, each once and in order.
    Both are empty where none of the names was there, or none had such a value: the two mean the same.
    """

    attribute: str = ""
    values: tuple[str, ...] = ()


def values_of(assertion: Assertion, name: str) -> list[str | None]:
    """All values of what is called so: by Name, else by FriendlyName (Core 2.7.3.1).

    Some identity providers repeat the attribute for each of its values.
    """
    by_name = assertion.values(name)
    return by_name or [
        value for attribute in assertion.attributes if attribute.friendly_name == name for value in attribute.values
    ]


def read(assertion: Assertion, names: Sequence[str]) -> Reading:
    """The first of the named attributes that has a value."""
    for name in names:
        values = dict.fromkeys(value for value in values_of(assertion, name) if value is not None and value.strip())
        if values:
            return Reading(name, tuple(values))
    return Reading()


def has_overage(assertion: Assertion) -> bool:
    """Whether a link to the groups came in place of their values (Entra ID, beyond 150 groups)."""
    return any(attribute.name in OVERAGE or attribute.friendly_name in OVERAGE for attribute in assertion.attributes)
