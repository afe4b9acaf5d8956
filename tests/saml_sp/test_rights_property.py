"""For any sequence of logins, grants and revocations: what is held is what was given by hand, and the last word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from demo.issuer import AttributeSpec
from orgs.models import (
    AccessGroup,
    AccessLevel,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    Organization,
    Property,
    PropertyGrant,
    Role,
    RoleGrant,
    Source,
)
from tests import factories
from tests.door import Browser
from tests.idp import ATTRIBUTES, Forge

if TYPE_CHECKING:
    from django.db.models import Model

    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db

MAPPING = {"groups": ["Groups"], "permissions": ["Permissions"], "properties": ["Properties"], "roles": ["Roles"]}
LEVELS = ["analyst", "admin", "super_admin"]
CEILING = AccessLevel.ADMIN


@dataclass(frozen=True)
class Login:
    """Ana comes; the identity provider says this of her."""

    groups: frozenset[str]
    roles: frozenset[str]
    properties: frozenset[str]
    level: str

    def attributes(self) -> tuple[AttributeSpec, ...]:
        said = {
            "Groups": sorted(self.groups),
            "Roles": sorted(self.roles),
            "Properties": [",".join(sorted(self.properties))],
            "Permissions": [self.level],
        }
        # One without values is left out, as many identity providers do.
        return (*ATTRIBUTES, *(AttributeSpec(name, values) for name, values in said.items() if any(values)))

    def gives(self) -> set[tuple[str, str]]:
        """By the rules below, written once more and in another way."""
        held = {("role", name) for name in self.roles & {"r1", "r2"}}
        held |= {("property", name) for name in self.properties & {"1", "2"}}
        held |= {("role", "r2") for name in self.groups & {"grp-r2"}}
        held |= {("group", "g") for name in self.groups & {"grp-g", "pat-1", "pat-2"}}
        if "grp-admins" in self.groups:
            held.add(("organisation", "admin"))
        elif "grp-members" in self.groups:
            held.add(("organisation", "member"))
        if self.level in LEVELS:
            held.add(("level", "admin" if self.level == "super_admin" else self.level))
        return held


@dataclass(frozen=True)
class Hand:
    """An administrator gives something, or takes what was given by hand."""

    give: bool
    kind: str
    name: str


LOGINS = st.builds(
    Login,
    groups=st.frozensets(st.sampled_from(["grp-r2", "grp-g", "pat-1", "pat-2", "grp-admins", "grp-members", "noise"])),
    roles=st.frozensets(st.sampled_from(["r1", "r2", "no such"])),
    properties=st.frozensets(st.sampled_from(["1", "2", "no such"])),
    level=st.sampled_from([*LEVELS, "", "boss"]),
)
THINGS = [
    ("role", "r1"), ("role", "r2"), ("property", "1"), ("property", "2"), ("group", "g"), ("organisation", "member"),
    ("organisation", "admin"), ("level", "analyst"), ("level", "super_admin"),
]  # fmt: skip
HANDS = st.builds(lambda give, thing: Hand(give, *thing), give=st.booleans(), thing=st.sampled_from(THINGS))


@pytest.fixture
def idp() -> IdentityProvider:
    idp = factories.idp("customer", attribute_mapping=MAPPING, level_ceiling=CEILING)
    acme = factories.organization("Acme")
    factories.role("r1")
    factories.role("r2", group_name="grp-r2")
    factories.property_("1")
    factories.property_("2")
    group = AccessGroup.objects.create(name="g")
    factories.group_rule(idp, "grp-g", group)
    factories.group_rule(idp, "pat-*", group, is_pattern=True)
    factories.group_rule(idp, "grp-members", acme)
    factories.group_rule(idp, "grp-admins", acme, role=MembershipRole.ADMIN)
    return idp


def change_by_hand(user: User, hand: Hand) -> None:
    found: dict[str, tuple[type[Model], dict[str, object], dict[str, object]]] = {
        "role": (RoleGrant, {"role": Role.objects.filter(name=hand.name).first()}, {}),
        "property": (PropertyGrant, {"property": Property.objects.filter(external_id=hand.name).first()}, {}),
        "group": (GroupMembership, {"group": AccessGroup.objects.first()}, {}),
        "organisation": (
            Membership, {"organization": Organization.objects.first()}, {"role": MembershipRole.named(hand.name)}
        ),
        "level": (LevelGrant, {}, {"level": AccessLevel.named(hand.name)}),
    }  # fmt: skip
    model, thing, rank = found[hand.kind]
    own: dict[str, Any] = {"user": user, "source": Source.MANUAL, **thing}
    if hand.give:
        model._default_manager.update_or_create(**own, defaults=rank)
    else:
        model._default_manager.filter(**own).delete()


def held(user: User, *, source: Source) -> set[tuple[str, str]]:
    """What the rows of one source say."""
    mine = {"user": user, "source": source}
    return {
        *(("role", name) for name in RoleGrant.objects.filter(**mine).values_list("role__name", flat=True)),
        *(("property", row.property.external_id) for row in PropertyGrant.objects.filter(**mine)),
        *(("group", name) for name in GroupMembership.objects.filter(**mine).values_list("group__name", flat=True)),
        *(("organisation", row.get_role_display()) for row in Membership.objects.filter(**mine)),
        *(("level", row.get_level_display()) for row in LevelGrant.objects.filter(**mine)),
    }


def by_hand_after(manual: set[tuple[str, str]], hand: Hand) -> set[tuple[str, str]]:
    """What is held by hand after one more act; of organisation and level there is one at a time."""
    single = hand.kind in {"organisation", "level"}
    rest = {thing for thing in manual if not (thing[0] == hand.kind and (single or thing[1] == hand.name))}
    return rest | {(hand.kind, hand.name)} if hand.give else rest


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=LOGINS, steps=st.lists(LOGINS | HANDS, max_size=8))
def test_what_is_held_is_what_was_given_by_hand_and_what_was_last_asserted(
    idp: IdentityProvider, first: Login, steps: list[Login | Hand]
) -> None:
    with transaction.atomic():
        manual: set[tuple[str, str]] = set()
        asserted: set[tuple[str, str]] = set()
        for step in (first, *steps):
            if isinstance(step, Login):
                answer = Browser().send(idp, Forge(idp, timezone.now()).xml(attributes=step.attributes()))
                assert answer.status_code == 303
                asserted = step.gives()
            else:
                change_by_hand(User.objects.get(), step)
                manual = by_hand_after(manual, step)
            user = User.objects.get()
            assert held(user, source=Source.IDP) == asserted
            assert held(user, source=Source.MANUAL) == manual
        transaction.set_rollback(True)
