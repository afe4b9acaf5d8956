"""What a mapping does, tried on what an identity provider has sent before. Writes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orgs import grants
from orgs.models import AccessLevel, Property, Role, Source
from saml_sp import mapping, provisioning, rights
from saml_sp.ledger import LONGEST_VALUE, MOST_ATTRIBUTES, MOST_VALUES
from saml_sp.mapping import RIGHTS, Reading, Target
from saml_sp.models import FederatedIdentity, GroupRule, Outcome
from saml_sp.protocol.errors import SamlError
from saml_sp.protocol.types import Assertion, Attribute, NameId

if TYPE_CHECKING:
    from accounts.models import User
    from saml_sp.models import IdentityProvider, SignInAttempt

# How many of the latest sign-ins are offered, and looked at for what they brought.
RECENT = 20
# How many of the latest sign-ins are looked through for values of groups.
SEARCHED = 200
# How many names of attributes fit into a sentence.
_MOST_NAMED = 30
_VIA_GROUPS = (grants.What.ROLE, grants.What.GROUP, grants.What.ORGANIZATION)


def recent(idp: IdentityProvider) -> list[SignInAttempt]:
    """The latest attempts of which a verified assertion is on record, accepted or refused; the newest first."""
    told = idp.attempts.filter(outcome__in=(Outcome.ACCEPTED, Outcome.REFUSED), detail__has_key="attributes")
    return list(told.select_related("user").order_by("-at", "-pk")[:RECENT])


def attributes_of(detail: dict[str, Any]) -> tuple[Attribute, ...]:
    """The attributes that the record of an attempt holds."""
    friendly = detail.get("friendly_names", {})
    kept = detail.get("attributes", {})
    return tuple(Attribute(name, friendly.get(name, ""), tuple(values)) for name, values in kept.items())


def assertion_of(attempt: SignInAttempt) -> Assertion:
    """The assertion as far as the record of an attempt holds it: subject and attributes are what counts here."""
    return Assertion(
        id=attempt.assertion_id, issuer=attempt.issuer,
        name_id=NameId(attempt.name_id, attempt.detail.get("name_id_format", "")),
        attributes=attributes_of(attempt.detail), authn_instant=attempt.at, session_index="",
        session_not_on_or_after=None, authn_context="", expires=attempt.at, in_response_to=attempt.request_id,
    )  # fmt: skip


def may_be_cut(attempt: SignInAttempt) -> bool:
    """Whether the assertion may have held more than the record keeps of one."""
    kept: dict[str, list[str | None]] = attempt.detail.get("attributes", {})
    return len(kept) >= MOST_ATTRIBUTES or any(
        len(values) >= MOST_VALUES or any(value is not None and len(value) >= LONGEST_VALUE for value in values)
        for values in kept.values()
    )


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a sign-in with the same assertion would do now: give `rights` to `person`, or be refused.

    `person` is None where nobody is known by that subject yet: then nothing is held, and nothing taken away.
    """

    readings: dict[Target, Reading]
    person: User | None
    rights: rights.Rights
    refusal: SamlError | None


def rehearse(idp: IdentityProvider, attempt: SignInAttempt) -> Rehearsal:
    """Read what an attempt brought by the present mapping, and hold it against what the person has."""
    assertion = assertion_of(attempt)
    readings = {
        target: mapping.read(assertion, mapping.names_for(target, idp.attribute_mapping))
        for target in Target
        if mapping.names_for(target, idp.attribute_mapping)
    }
    person = attempt.user
    try:
        profile = provisioning.read_profile(idp, assertion)
        readings |= profile.readings
        person = person or _known(idp, profile.subject.key)
        wished = rights.wish(idp, assertion)
    except SamlError as refusal:
        return Rehearsal(readings, person, rights.Rights(), refusal)
    planned = rights.plan(wished, grants.held(person, idp.pk) if person is not None else [])
    return Rehearsal(readings, person, planned, None)


def _known(idp: IdentityProvider, subject_key: str) -> User | None:
    identity = FederatedIdentity.objects.select_related("user").filter(idp=idp, subject_key=subject_key).first()
    return None if identity is None else identity.user


@dataclass(frozen=True, slots=True)
class Catch:
    """What a rule catches: group values with the number of sign-ins that brought them, of so many looked through.

    `holders` counts the people who hold something by a group that it catches; `rules` and `roles` catch such a group,
    or just this value, already.
    """

    searched: int
    values: list[tuple[str, int]]
    others: int
    holders: int
    rules: list[GroupRule]
    roles: list[Role]


def catch(idp: IdentityProvider, rule: GroupRule) -> Catch:
    """What this rule, which need not be saved, catches of the groups that were seen lately."""
    searched, seen = seen_groups(idp)
    values = [(value, times) for value, times in seen.most_common() if rule.catches(value)]
    caught = {value for value, _ in values}
    same = [
        other
        for other in idp.group_rules.select_related("access_group", "organization")
        if other.value == rule.value
        or any(map(other.catches, caught))
        or (not other.is_pattern and rule.catches(other.value))
    ]
    roles = [role for role in Role.objects.exclude(group_name="") if rule.catches(role.group_name)]
    return Catch(searched, values, len(seen) - len(values), holders(idp, rule), same, roles)


def seen_groups(idp: IdentityProvider) -> tuple[int, Counter[str]]:
    """In how many of the latest sign-ins, of how many, each group value was: as read then, or as it would be now."""
    names = mapping.names_for(Target.GROUPS, idp.attribute_mapping)
    accepted = idp.attempts.filter(outcome=Outcome.ACCEPTED).order_by("-at", "-pk")
    attempts = list(accepted[:SEARCHED])
    seen: Counter[str] = Counter()
    for attempt in attempts:
        read_then = attempt.detail.get("read", {}).get(Target.GROUPS, {}).get("values", [])[: rights.MOST_REPORTED]
        read_now = mapping.read(assertion_of(attempt), names).values
        seen.update(set(read_then) | set(read_now))
    return len(attempts), seen


def holders(idp: IdentityProvider, rule: GroupRule) -> int:
    """How many people hold something from this identity provider by a group that the rule catches."""
    given = [
        grants.TABLES[what].model.objects.filter(source=Source.IDP, source_id=str(idp.pk), via=Target.GROUPS)
        for what in _VIA_GROUPS
    ]
    caught = {
        value for rows in given for value in rows.values_list("value", flat=True).distinct() if rule.catches(value)
    }
    first, *others = (rows.filter(value__in=caught).values_list("user_id", flat=True) for rows in given)
    return first.union(*others).count()


def brought(attempts: list[SignInAttempt]) -> list[str]:
    """The names of all attributes that these attempts brought, friendly ones in brackets, the most frequent first."""
    names: Counter[str] = Counter()
    for attempt in attempts:
        names.update(
            f"{one.name} ({one.friendly_name})" if one.friendly_name else one.name
            for one in attributes_of(attempt.detail)
        )
    return [name for name, _ in names.most_common(_MOST_NAMED)]


def advice(idp: IdentityProvider, attempts: list[SignInAttempt]) -> list[str]:
    """What is wrong with the mapping, by what there is here and by what these attempts brought: sentences."""
    return [*_nothing_to_give(idp), *_never_came(idp, attempts)]


def _nothing_to_give(idp: IdentityProvider) -> list[str]:
    """Rights that are read although there is nothing that they could give, and rules that nothing is read for."""
    mapped = {target for target in RIGHTS if idp.attribute_mapping.get(target)}
    rules = idp.group_rules.count()
    found = []
    if Target.PERMISSIONS in mapped and idp.level_ceiling == AccessLevel.NONE:
        found.append("Permissions are mapped, but the ceiling is none: they give nothing.")
    if Target.ROLES in mapped and not Role.objects.exists():
        found.append("Roles are mapped, but there is no role here yet.")
    if Target.PROPERTIES in mapped and not Property.objects.exists():
        found.append("Properties are mapped, but there is no property here yet.")
    if Target.GROUPS in mapped and not rules and not Role.objects.exclude(group_name="").exists():
        found.append("Groups are mapped, but there is no group rule below, and no role has a group name.")
    if rules and Target.GROUPS not in mapped:
        found.append("There are group rules, but no attribute is mapped to groups: the rules give nothing.")
    return found


def _never_came(idp: IdentityProvider, attempts: list[SignInAttempt]) -> list[str]:
    """Targets for which none of the attributes was in any attempt."""
    if not attempts:
        return []
    came = {
        name for attempt in attempts for one in attributes_of(attempt.detail) for name in (one.name, one.friendly_name)
    }
    last = f"the last {len(attempts)} sign-ins" if len(attempts) > 1 else "the last sign-in"
    found = []
    for target in Target:
        names = idp.attribute_mapping.get(target, [])
        if names and came.isdisjoint(names):
            called = " or ".join(f"“{name}”" for name in names)
            found.append(f"{target.label.capitalize()}: {last} brought no attribute called {called}.")
    return found
