"""What an assertion gives: read by the identity provider's mapping, looked up here, held against what it gave before.

Nothing is invented: what names no role, property, level or rule that exists is reported, and refused only where the
identity provider is set to refuse. What an administrator gave by hand is in none of this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError
from django.db.models import Q

from audit.statements import execute
from orgs import grants
from orgs.grants import Change, Thing, What
from orgs.models import AccessLevel
from saml_sp import mapping
from saml_sp.mapping import RIGHTS, Reading, Target
from saml_sp.protocol.errors import UnknownRights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from accounts.models import User
    from saml_sp.models import GroupRule, IdentityProvider
    from saml_sp.protocol.types import Assertion

# For people to read: enough to see what is wrong, not a second copy of the assertion.
MOST_REPORTED = 50
_NO_VALUES = Reading()


@dataclass(frozen=True, slots=True)
class Wish:
    """What an assertion asks for, before it is held against what the person has.

    `keep` are the ways (`Thing.via`) of which nothing is taken away this time; `unknown` and `notes` are for the
    administrator's record.
    """

    things: tuple[Thing, ...] = ()
    keep: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    readings: dict[Target, Reading] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a login does to what somebody holds by this identity provider's word."""

    change: Change = field(default_factory=Change)
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    readings: dict[Target, Reading] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """For the sign-in attempt and the audit log, as JSON: what came of it."""
        came = {
            "granted": _some(map(str, self.change.granted)),
            "kept": _some(map(str, self.change.kept)),
            "revoked": _some(map(str, self.change.revoked)),
            "unknown": _some(self.unknown),
        }
        return {name: texts for name, texts in came.items() if texts}


def told(readings: Mapping[Target, Reading]) -> dict[str, Any]:
    """What was read from which attribute, as JSON for the sign-in attempt; a target without an attribute is empty."""
    return {
        target.value: {"attribute": reading.attribute, "values": _some(reading.values)}
        for target, reading in readings.items()
    }


def _some(texts: Any) -> list[str]:
    """The first of many, and how many more there were."""
    listed = list(texts)
    more = [f"and {len(listed) - MOST_REPORTED} more"] if len(listed) > MOST_REPORTED else []
    return [text[:300] for text in listed[:MOST_REPORTED]] + more


def wish(idp: IdentityProvider, assertion: Assertion) -> Wish:
    """Read what is mapped and look it up; changes nothing. At most two queries, none where nothing is mapped.

    Raises UnknownRights where something is not known here and the identity provider is set to refuse that.
    """
    readings = {
        target: mapping.read(assertion, names)
        for target in RIGHTS
        if (names := mapping.names_for(target, idp.attribute_mapping))
    }
    groups = readings.get(Target.GROUPS, _NO_VALUES).values
    role_names = readings.get(Target.ROLES, _NO_VALUES).values
    property_ids = _property_ids(readings.get(Target.PROPERTIES, _NO_VALUES))
    catalogue = grants.find(role_names=role_names, group_values=groups, property_ids=property_ids)
    found = _Found()
    _read_level(idp, readings.get(Target.PERMISSIONS, _NO_VALUES), found)
    _read_roles(readings.get(Target.ROLES, _NO_VALUES), catalogue, found)
    _read_properties(readings.get(Target.PROPERTIES, _NO_VALUES), property_ids, catalogue, found)
    _read_groups(readings.get(Target.GROUPS, _NO_VALUES), _rules(idp, groups), catalogue, found)
    if found.unknown and idp.refuse_unknown:
        raise UnknownRights(
            expected="roles, properties, permissions and groups that are known here",
            received=", ".join(_some(found.unknown))[:1000],
        )
    keep = {target.value for target, reading in readings.items() if idp.keep_when_missing and not reading.values}
    if Target.GROUPS in readings and not groups and mapping.has_overage(assertion):
        keep.add(Target.GROUPS.value)
        found.notes.append(
            "It sent a link in place of the groups, as Entra ID does for somebody in more than 150 of them. Nothing "
            "that groups gave was taken away. Let it send only the groups assigned to the application, or app roles."
        )
    things = tuple(found.best.values())
    return Wish(things, frozenset(keep), tuple(found.unknown), tuple(found.notes), readings)


def plan(wished: Wish, holding: Sequence[grants.Held]) -> Rights:
    """Hold a wish against what the person has from the same identity provider."""
    kept_back = [one.thing for one in holding if one.thing.via in wished.keep]
    change = grants.compare([*wished.things, *kept_back], holding)
    return Rights(change, wished.unknown, wished.notes, wished.readings)


def apply(rights: Rights, user: User, idp: IdentityProvider, now: datetime) -> None:
    """Write it down, in the login's transaction: one statement where something changes, none otherwise.

    One more where the access level does: raises django.db.IntegrityError if the ceiling is, or was, changed meanwhile:
    plan again, after `reread_ceiling`.
    """
    if not rights.change:
        return
    if any(thing.what is What.LEVEL for thing in (*rights.change.granted, *rights.change.rewritten)):
        _hold_ceiling(idp)
    grants.apply(rights.change, user, source_id=idp.pk, label=idp.description, now=now)


def _hold_ceiling(idp: IdentityProvider) -> None:
    """Whoever lowers the ceiling from now on waits for this login to end, and then lowers what it gave as well.

    Nobody is waited for here: the person's row is locked by now, and whoever changes an identity provider locks
    people after it.
    """
    with execute(f"{_CEILING} SKIP LOCKED", [idp.pk]) as cursor:
        if cursor.fetchone() != (idp.level_ceiling,):
            raise IntegrityError("the ceiling of access levels is being changed at this moment")


def reread_ceiling(idp: IdentityProvider) -> None:
    """Bring the ceiling up to date, outside of any transaction: waits for whoever is changing it."""
    with execute(_CEILING, [idp.pk]) as cursor:
        row = cursor.fetchone()
    if row is not None:
        (idp.level_ceiling,) = row


_CEILING = "SELECT level_ceiling FROM saml_sp_identityprovider WHERE id = $1 FOR SHARE"


class _Found:
    """What has been found so far: of two ways to the same thing the higher rank stays."""

    def __init__(self) -> None:
        self.best: dict[tuple[What, int, str], Thing] = {}
        self.unknown: list[str] = []
        self.notes: list[str] = []

    def add(self, thing: Thing) -> None:
        held = self.best.get(thing.key)
        if held is None or held.rank < thing.rank:
            self.best[thing.key] = thing


def _read_level(idp: IdentityProvider, reading: Reading, found: _Found) -> None:
    """The highest of the levels that are named, never above the ceiling."""
    named: list[tuple[AccessLevel, str]] = []
    for value in reading.values:
        word = value.strip()
        level = AccessLevel.named(idp.level_spellings.get(word, word))
        if level is None:
            found.unknown.append(f"permission “{word}”")
        else:
            named.append((level, word))
    if not named:
        return
    asserted, word = max(named)
    ceiling = AccessLevel(idp.level_ceiling)
    if asserted > ceiling:
        found.notes.append(f"It asserted {asserted.label}; its ceiling is {ceiling.label}, and so is the level.")
    if level := min(asserted, ceiling):
        found.add(
            Thing(
                What.LEVEL, 0, "", Target.PERMISSIONS, rank=level, attribute=reading.attribute,
                value=word[: mapping.MAX_VALUE],
            )
        )  # fmt: skip


def _read_roles(reading: Reading, catalogue: grants.Catalogue, found: _Found) -> None:
    for value in reading.values:
        role = catalogue.roles_by_name.get(value)
        if role is None:
            found.unknown.append(f"role “{value}”")
        else:
            found.add(_thing(What.ROLE, role, Target.ROLES, reading, value))


def _property_ids(reading: Reading) -> tuple[str, ...]:
    """The IDs in all values: several values, or one with commas; blanks around an ID do not count."""
    parts = (part.strip() for value in reading.values for part in value.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def _read_properties(reading: Reading, ids: Sequence[str], catalogue: grants.Catalogue, found: _Found) -> None:
    for external_id in ids:
        known = catalogue.properties.get(external_id)
        if known is None:
            found.unknown.append(f"property “{external_id}”")
        else:
            found.add(_thing(What.PROPERTY, known, Target.PROPERTIES, reading, external_id))


def _read_groups(reading: Reading, rules: Sequence[GroupRule], catalogue: grants.Catalogue, found: _Found) -> None:
    exact: dict[str, list[GroupRule]] = {}
    for rule in rules:
        if not rule.is_pattern:
            exact.setdefault(rule.value, []).append(rule)
    patterns = [rule for rule in rules if rule.is_pattern]
    for value in reading.values:
        caught = exact.get(value, []) + [rule for rule in patterns if rule.catches(value)]
        for rule in caught:
            found.add(_ruled(rule, reading, value))
        role = catalogue.roles_by_group.get(value)
        if role is not None:
            found.add(_thing(What.ROLE, role, Target.GROUPS, reading, value))
        if not caught and role is None:
            found.unknown.append(f"group “{value}”")


def _ruled(rule: GroupRule, reading: Reading, value: str) -> Thing:
    if rule.access_group is not None:
        return _thing(What.GROUP, (rule.access_group.pk, rule.access_group.name), Target.GROUPS, reading, value)
    assert rule.organization is not None  # noqa: S101 - the database wants one of the two
    organization = (rule.organization.pk, rule.organization.name)
    return _thing(What.ORGANIZATION, organization, Target.GROUPS, reading, value, rank=rule.role)


def _thing(  # noqa: PLR0913, PLR0917 - the facts of one grant
    what: What, named: tuple[int, str], via: Target, reading: Reading, value: str, rank: int = 0
) -> Thing:
    key, label = named
    return Thing(what, key, label, via, rank=rank, attribute=reading.attribute, value=value[: mapping.MAX_VALUE])


def _rules(idp: IdentityProvider, groups: Sequence[str]) -> list[GroupRule]:
    """The rules that may catch one of these groups; no query where there are none."""
    if not groups:
        return []
    rows = idp.group_rules.select_related("access_group", "organization")
    return list(rows.filter(Q(is_pattern=True) | Q(value__in=groups)))
