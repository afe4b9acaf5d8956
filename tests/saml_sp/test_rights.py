"""What an assertion brings, by an identity provider's mapping, and kept apart from what was given by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import etree

from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from demo import issuer
from demo.issuer import AttributeSpec
from orgs import access
from orgs.models import (
    AccessGroup,
    AccessLevel,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    PropertyGrant,
    Role,
    RoleGrant,
    Source,
)
from saml_sp import provisioning
from saml_sp.models import FederatedIdentity, IdentityProvider, Outcome, SignInAttempt
from saml_sp.protocol import gate, signature
from saml_sp.protocol import names as n
from saml_sp.protocol.assertion import accept
from tests import factories
from tests.door import CONTINUE, Browser, holds_nothing
from tests.idp import ANA, ATTRIBUTES, Forge, email_attribute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saml_sp.protocol.types import Assertion

pytestmark = pytest.mark.django_db

MAPPING = {"groups": ["Groups"], "permissions": ["Permissions"], "properties": ["Properties"], "roles": ["Roles"]}


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp("customer", attribute_mapping=MAPPING)


def attributes(**values: Sequence[str | None]) -> tuple[AttributeSpec, ...]:
    """Ana's, and what gives her rights."""
    return (*ATTRIBUTES, *(AttributeSpec(name, list(said)) for name, said in values.items()))


def sign_in(idp: IdentityProvider, **values: Sequence[str | None]) -> User:
    """Ana comes with these attributes."""
    return come(idp, attributes(**values))


def come(idp: IdentityProvider, said: Sequence[AttributeSpec]) -> User:
    browser = Browser()
    browser.sign_in(idp, Forge(idp, timezone.now()).xml(attributes=said))
    assert browser.user is not None
    return browser.user


def refused(idp: IdentityProvider, **values: Sequence[str | None]) -> SignInAttempt:
    answer = Browser().send(idp, Forge(idp, timezone.now()).xml(attributes=attributes(**values)))
    assert answer.status_code == 403
    assert holds_nothing(answer)
    return SignInAttempt.objects.latest("pk")


def held(user: User) -> set[str]:
    """What somebody has, by any source, in words."""
    rows = [
        *Membership.objects.filter(user=user).select_related("organization"),
        *GroupMembership.objects.filter(user=user).select_related("group"),
        *RoleGrant.objects.filter(user=user).select_related("role"),
        *PropertyGrant.objects.filter(user=user).select_related("property"),
        *LevelGrant.objects.filter(user=user),
    ]
    return {str(row).removeprefix(f"{user}").lstrip(", ") for row in rows}


def report() -> dict[str, Any]:
    """What the last sign-in attempt says of rights."""
    attempt = SignInAttempt.objects.latest("pk")
    assert attempt.outcome == Outcome.ACCEPTED
    found: dict[str, Any] = attempt.detail.get("rights", {})
    return found


def notes() -> list[str]:
    found: list[str] = SignInAttempt.objects.latest("pk").detail.get("notes", [])
    return found


# --- Mapped, or not -------------------------------------------------------------------------------------------------


def test_nothing_is_granted_until_an_administrator_has_mapped_it() -> None:
    idp = factories.idp("customer")
    factories.role("editor")
    factories.property_("1")
    user = sign_in(idp, Permissions=["admin"], Roles=["editor"], Properties=["1"], groups=["editor"])
    assert held(user) == set()
    assert report() == {}


@pytest.mark.parametrize(
    "mapped", [["urn:oid:1.2.3"], ["memberOf"], ["absent", "memberOf"], ["empty", "urn:oid:1.2.3"]]
)
def test_an_attribute_is_found_by_name_or_friendly_name_in_order_of_preference(mapped: list[str]) -> None:
    idp = factories.idp("customer", attribute_mapping={"roles": mapped})
    factories.role("editor")
    said = [*ATTRIBUTES, AttributeSpec("urn:oid:1.2.3", ["editor"], "memberOf"), AttributeSpec("empty", [""])]
    assert held(come(idp, said)) == {"has editor"}


def test_a_friendly_name_counts_only_where_no_attribute_has_the_name() -> None:
    idp = factories.idp("customer", attribute_mapping={"roles": ["Roles"]})
    factories.role("editor")
    factories.role("auditor")
    said = [*ATTRIBUTES, AttributeSpec("urn:oid:1.2.3", ["auditor"], "Roles"), AttributeSpec("Roles", ["editor"])]
    assert held(come(idp, said)) == {"has editor"}


@pytest.mark.parametrize("groups", [["crew", "leads"], ["leads", "crew"]])
def test_of_two_groups_that_mean_one_organisation_the_higher_role_counts(
    idp: IdentityProvider, groups: list[str]
) -> None:
    acme = factories.organization("Acme")
    factories.group_rule(idp, "crew", acme)
    factories.group_rule(idp, "leads", acme, role=MembershipRole.ADMIN)
    assert held(sign_in(idp, Groups=groups)) == {"admin of Acme"}


def test_the_first_attribute_with_a_value_counts_alone() -> None:
    idp = factories.idp("customer", attribute_mapping={"roles": ["first", "second"]})
    factories.role("editor")
    factories.role("auditor")
    assert held(sign_in(idp, first=["editor"], second=["auditor"])) == {"has editor"}


def test_names_and_the_address_come_from_the_mapped_attributes() -> None:
    mapping = {
        "email": ["contact", "mail"],
        "first_name": ["given"],
        "last_name": ["family"],
        "display_name": ["called"],
    }
    idp = factories.idp("customer", attribute_mapping=mapping)
    said = [
        email_attribute("ana.lima@customer.example", name="contact"),
        email_attribute("other@customer.example", name="mail"),
        AttributeSpec("given", ["Ana"]), AttributeSpec("family", ["Lima"]), AttributeSpec("called", ["Ana M. Lima"]),
    ]  # fmt: skip
    user = come(idp, said)
    assert (user.email, user.first_name, user.last_name) == ("ana.lima@customer.example", "Ana", "Lima")
    assert user.get_full_name() == "Ana M. Lima"
    read = SignInAttempt.objects.latest("pk").detail["read"]
    assert read["email"] == {"attribute": "contact", "values": ["ana.lima@customer.example"]}
    assert read["display_name"] == {"attribute": "called", "values": ["Ana M. Lima"]}


@pytest.mark.parametrize(
    ("mapping", "parts", "expected"),
    [
        ({}, ("Ana", "Lima"), "Ana Lima"),
        ({}, ("", "Lima"), "Lima"),
        ({}, ("", ""), "A. M. Lima"),
        ({"display_name": ["displayName"]}, ("Ana", "Lima"), "A. M. Lima"),
    ],
)
def test_a_whole_name_counts_where_it_is_mapped_or_there_are_no_parts(
    mapping: dict[str, list[str]], parts: tuple[str, str], expected: str
) -> None:
    first, last = parts
    idp = factories.idp("customer", attribute_mapping=mapping)
    names = {"First Name": first, "Last Name": last, "displayName": "A. M. Lima"}
    said = (email_attribute(ANA), *(AttributeSpec(name, [value]) for name, value in names.items()))
    assert come(idp, said).get_full_name() == expected


def test_names_are_shortened_and_addresses_are_not(idp: IdentityProvider) -> None:
    idp.attribute_mapping |= {"display_name": ["displayName"]}
    idp.save()
    said = (AttributeSpec("First Name", ["A" * 400]), AttributeSpec("displayName", ["D" * 400]), email_attribute(ANA))
    user = come(idp, said)
    assert (user.first_name, user.display_name) == ("A" * 150, "D" * 200)
    too_long = (email_attribute(f"{'a' * 300}@customer.example"),)
    answer = Browser().send(idp, Forge(idp, timezone.now()).xml(name_id="another", attributes=too_long))
    assert answer.status_code == 403
    assert SignInAttempt.objects.latest("pk").code == "email_invalid"
    assert User.objects.count() == 1


def test_two_mapped_values_that_differ_are_no_address() -> None:
    idp = factories.idp("customer", attribute_mapping={"email": ["mail"]})
    said = (email_attribute(ANA, "other@customer.example", name="mail"),)
    assert Browser().send(idp, Forge(idp, timezone.now()).xml(attributes=said)).status_code == 403
    assert SignInAttempt.objects.latest("pk").code == "ambiguous_email"


def test_what_was_read_is_on_the_attempt(idp: IdentityProvider) -> None:
    sign_in(idp, Permissions=["analyst"], Roles=[])
    read = SignInAttempt.objects.latest("pk").detail["read"]
    assert read["permissions"] == {"attribute": "Permissions", "values": ["analyst"]}
    assert read["roles"] == {"attribute": "", "values": []}
    assert read["first_name"] == {"attribute": "First Name", "values": ["Ana"]}


# --- The access level -----------------------------------------------------------------------------------------------


def level(user: User) -> AccessLevel:
    return access.level_of(User.objects.get(pk=user.pk))


@pytest.mark.parametrize(
    ("ceiling", "said", "expected"),
    [
        (AccessLevel.ANALYST, ["analyst"], AccessLevel.ANALYST),
        (AccessLevel.ANALYST, ["admin"], AccessLevel.ANALYST),
        (AccessLevel.ADMIN, ["admin"], AccessLevel.ADMIN),
        (AccessLevel.ADMIN, ["super_admin"], AccessLevel.ADMIN),
        (AccessLevel.SUPER_ADMIN, ["super_admin"], AccessLevel.SUPER_ADMIN),
        (AccessLevel.ADMIN, ["analyst", "admin"], AccessLevel.ADMIN),
        (AccessLevel.ADMIN, ["none"], AccessLevel.NONE),
        (AccessLevel.NONE, ["admin"], AccessLevel.NONE),
        (AccessLevel.ADMIN, ["ADMIN"], AccessLevel.NONE),
        (AccessLevel.ADMIN, ["administrator"], AccessLevel.NONE),
        (AccessLevel.ADMIN, [" admin "], AccessLevel.ADMIN),
        (AccessLevel.ADMIN, [""], AccessLevel.NONE),
    ],
)
def test_the_level_is_the_highest_that_is_named_below_the_ceiling(
    idp: IdentityProvider, ceiling: AccessLevel, said: list[str], expected: AccessLevel
) -> None:
    idp.level_ceiling = ceiling
    idp.save()
    user = sign_in(idp, Permissions=said)
    assert level(user) == expected
    assert not user.is_staff
    assert not user.is_superuser


def test_a_level_above_the_ceiling_is_noted(idp: IdentityProvider) -> None:
    sign_in(idp, Permissions=["super_admin"])
    assert notes() == ["It asserted super_admin; its ceiling is analyst, and so is the level."]


def test_the_identity_providers_own_words_mean_what_is_set(idp: IdentityProvider) -> None:
    idp.level_spellings, idp.level_ceiling = {"Portico Admins": "admin", "analyst": "none"}, AccessLevel.ADMIN
    idp.save()
    assert level(sign_in(idp, Permissions=["Portico Admins"])) == AccessLevel.ADMIN
    # A word of ours may mean something else there.
    assert level(sign_in(idp, Permissions=["analyst"])) == AccessLevel.NONE


def test_the_manual_level_and_the_asserted_one_are_kept_apart(idp: IdentityProvider) -> None:
    user = sign_in(idp, Permissions=["analyst"])
    LevelGrant.objects.create(user=user, level=AccessLevel.ADMIN, given_by="admin@portico.example")
    assert level(user) == AccessLevel.ADMIN
    sign_in(idp)
    assert level(user) == AccessLevel.ADMIN
    LevelGrant.objects.filter(source=Source.MANUAL).delete()
    assert level(user) == AccessLevel.NONE


# --- Properties, roles, groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", [["3868", "25541"], ["3868,25541"], ["3868, 25541"], [" 3868 ", ",25541,,"], ["3868,25541", "3868"]]
)
def test_properties_come_as_several_values_or_one_list(idp: IdentityProvider, said: list[str]) -> None:
    for external_id in ("3868", "25541", "7"):
        factories.property_(external_id)
    user = sign_in(idp, Properties=said)
    assert set(PropertyGrant.objects.values_list("property__external_id", flat=True)) == {"3868", "25541"}
    assert {row.user for row in PropertyGrant.objects.all()} == {user}
    assert "unknown" not in report()


def test_unknown_ids_roles_groups_and_permissions_are_reported_and_never_invented(idp: IdentityProvider) -> None:
    factories.property_("1")
    user = sign_in(idp, Properties=["1", "2"], Roles=["no such role"], Groups=["nobody's"], Permissions=["boss"])
    assert report()["unknown"] == ["permission “boss”", "role “no such role”", "property “2”", "group “nobody's”"]
    assert held(user) == {"has House 1 (1)"}
    assert not Role.objects.exists()
    assert not AccessGroup.objects.exists()


def test_unknown_values_refuse_where_that_is_set_and_nothing_is_left_behind(idp: IdentityProvider) -> None:
    idp.refuse_unknown = True
    idp.save()
    factories.property_("1")
    attempt = refused(idp, Properties=["1", "2"])
    assert (attempt.code, attempt.received) == ("unknown_rights", "property “2”")
    assert not User.objects.exists()
    assert not PropertyGrant.objects.exists()
    assert held(sign_in(idp, Properties=["1"])) == {"has House 1 (1)"}


def test_a_role_is_granted_by_its_name_or_by_a_group_of_its_group_name(idp: IdentityProvider) -> None:
    editor = factories.role("editor", group_name="grp-editors")
    user = sign_in(idp, Roles=["editor"])
    assert RoleGrant.objects.get().via == "roles"
    sign_in(idp, Groups=["grp-editors"])
    assert RoleGrant.objects.get().via == "groups"
    sign_in(idp, Roles=["editor"], Groups=["grp-editors"])
    assert RoleGrant.objects.filter(role=editor, user=user).count() == 2
    sign_in(idp, Groups=["grp-editors "])
    assert not RoleGrant.objects.exists()
    sign_in(idp, Roles=["Editor"])
    assert not RoleGrant.objects.exists()


def test_the_group_name_of_a_role_is_no_role_name_and_an_empty_one_catches_nothing(idp: IdentityProvider) -> None:
    factories.role("editor", group_name="grp-editors")
    factories.role("viewer")
    assert held(sign_in(idp, Roles=["grp-editors"], Groups=["", "editor"])) == set()


def test_groups_give_access_groups_and_places_in_organisations(idp: IdentityProvider) -> None:
    acme, other = factories.organization("Acme"), factories.organization("Other")
    staff = AccessGroup.objects.create(name="staff")
    factories.group_rule(idp, "all", staff)
    factories.group_rule(idp, "all", acme)
    factories.group_rule(idp, "acme-admins", acme, role=MembershipRole.ADMIN)
    factories.group_rule(factories.idp(), "all", other)
    user = sign_in(idp, Groups=["all"])
    assert held(user) == {"in staff", "member of Acme"}
    sign_in(idp, Groups=["acme-admins", "all"])
    assert held(user) == {"in staff", "admin of Acme"}
    row = Membership.objects.get()
    assert (row.source, row.source_id, row.given_by) == (Source.IDP, str(idp.pk), idp.description)
    assert (row.attribute, row.value) == ("Groups", "acme-admins")
    sign_in(idp, Groups=["all"])
    assert held(user) == {"in staff", "member of Acme"}
    assert report()["granted"] == ["organisation Acme (member)"]
    assert report()["revoked"] == ["organisation Acme (admin)"]
    sign_in(idp, Groups=["ALL"])
    assert held(user) == set()


@pytest.mark.parametrize(
    ("pattern", "value", "caught"),
    [
        ("eng-*", "eng-core", True),
        ("eng-*", "eng-", True),
        ("eng-*", "xeng-core", False),
        ("*-admins", "acme-admins", True),
        ("*-admins", "acme-admins2", False),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "acb", False),
        ("a*a", "a", False),
        ("eng-*", "Eng-core", False),
        ("eng.*", "engx", False),
        ("*a*a*a*", "a" * 250, True),
        ("*a*a*b*", "a" * 250, False),
    ],
)
def test_a_pattern_covers_the_whole_value(idp: IdentityProvider, pattern: str, value: str, *, caught: bool) -> None:
    factories.group_rule(idp, pattern, AccessGroup.objects.create(name="g"), is_pattern=True)
    assert (held(sign_in(idp, Groups=[value])) == {"in g"}) is caught


def test_a_star_in_an_exact_value_is_a_star(idp: IdentityProvider) -> None:
    factories.group_rule(idp, "eng-*", AccessGroup.objects.create(name="g"))
    assert held(sign_in(idp, Groups=["eng-core"])) == set()
    assert held(User.objects.get()) == set()
    assert held(sign_in(idp, Groups=["eng-*"])) == {"in g"}


# --- Taken away, kept -----------------------------------------------------------------------------------------------


EVERYTHING: dict[str, Sequence[str | None]] = {
    "Groups": ["all"], "Permissions": ["analyst"], "Properties": ["1"], "Roles": ["editor"],
}  # fmt: skip


@pytest.fixture
def catalogue(idp: IdentityProvider) -> None:
    factories.property_("1")
    factories.role("editor")
    factories.group_rule(idp, "all", factories.organization("Acme"))


ALL_HELD = {"has House 1 (1)", "has editor", "member of Acme", "is analyst"}


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize("values", [None, [], [""], [" "], [None]], ids=["missing", "none", "empty", "blank", "bare"])
def test_a_mapped_attribute_that_is_missing_or_empty_takes_away(
    idp: IdentityProvider, values: list[str | None] | None
) -> None:
    user = sign_in(idp, **EVERYTHING)
    assert held(user) == ALL_HELD
    sign_in(idp, **({} if values is None else dict.fromkeys(EVERYTHING, values)))
    assert held(user) == set()
    assert len(report()["revoked"]) == 4


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize("values", [None, [], [""]], ids=["missing", "none", "empty"])
def test_it_is_kept_where_the_identity_provider_is_set_to(idp: IdentityProvider, values: list[str] | None) -> None:
    idp.keep_when_missing = True
    idp.save()
    user = sign_in(idp, **EVERYTHING)
    sign_in(idp, **({} if values is None else dict.fromkeys(EVERYTHING, values)))
    assert held(user) == ALL_HELD
    assert "revoked" not in report()
    # One that is there with other values takes away what it had given, and nothing else.
    sign_in(idp, Roles=["another"])
    assert held(user) == ALL_HELD - {"has editor"}


@pytest.mark.usefixtures("catalogue")
def test_what_is_not_mapped_any_more_is_not_asserted_any_more(idp: IdentityProvider) -> None:
    user = sign_in(idp, **EVERYTHING)
    idp.attribute_mapping = {"roles": ["Roles"]}
    idp.keep_when_missing = True
    idp.save()
    sign_in(idp, **EVERYTHING)
    assert held(user) == {"has editor"}


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize("name", ["http://schemas.microsoft.com/claims/groups.link", "groups.link"])
def test_a_link_in_place_of_groups_revokes_nothing_that_groups_gave(idp: IdentityProvider, name: str) -> None:
    user = sign_in(idp, **EVERYTHING)
    said = [*ATTRIBUTES, AttributeSpec(name, ["https://graph.example/users/1/getMemberObjects"])]
    come(idp, said)
    assert held(user) == {"member of Acme"}
    assert "more than 150" in notes()[0]
    assert "groups assigned to the application" in notes()[0]
    # Beside values it means nothing: those are the groups.
    come(idp, [*said, AttributeSpec("Groups", ["other"])])
    assert held(user) == set()


@pytest.mark.usefixtures("catalogue")
def test_what_was_given_by_hand_is_never_touched(idp: IdentityProvider) -> None:
    user = sign_in(idp, **EVERYTHING)
    by_hand = {"given_by": "admin@portico.example"}
    Membership.objects.create(user=user, organization=Membership.objects.get().organization, role=2, **by_hand)
    RoleGrant.objects.create(user=user, role=RoleGrant.objects.get().role, **by_hand)
    PropertyGrant.objects.create(user=user, property=factories.property_("2"), **by_hand)
    before = list(Membership.objects.filter(source=Source.MANUAL).values())
    sign_in(idp)
    assert held(user) == {"admin of Acme", "has editor", "has House 2 (2)"}
    sign_in(idp, **EVERYTHING)
    sign_in(idp)
    assert held(user) == {"admin of Acme", "has editor", "has House 2 (2)"}
    assert list(Membership.objects.filter(source=Source.MANUAL).values()) == before


@pytest.mark.usefixtures("catalogue")
def test_one_identity_provider_touches_nothing_of_anothers(idp: IdentityProvider) -> None:
    user = sign_in(idp, **EVERYTHING)
    other = factories.idp(attribute_mapping=MAPPING)
    factories.identity(other, user)
    sign_in(other)
    assert held(user) == ALL_HELD
    sign_in(other, Roles=["editor"])
    assert RoleGrant.objects.count() == 2
    sign_in(idp)
    assert held(user) == {"has editor"}
    assert RoleGrant.objects.get().source_id == str(other.pk)


# --- One event, one plan --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("catalogue")
def test_a_change_is_one_event_and_no_change_is_none(idp: IdentityProvider) -> None:
    user = sign_in(idp, **EVERYTHING)
    sign_in(idp, **EVERYTHING)
    event = Event.objects.get(kind=Kind.SSO_RIGHTS_CHANGED)
    assert event.subject_id == str(user.pk)
    assert event.trace_id == SignInAttempt.objects.earliest("pk").trace_id
    assert sorted(event.data["granted"]) == [
        "access level analyst", "organisation Acme (member)", "property 1", "role editor"
    ]  # fmt: skip
    sign_in(idp, **(EVERYTHING | {"Roles": []}))
    assert Event.objects.filter(kind=Kind.SSO_RIGHTS_CHANGED).latest("pk").data["revoked"] == ["role editor"]


@pytest.mark.usefixtures("catalogue")
def test_since_when_and_why_stay_true(idp: IdentityProvider) -> None:
    sign_in(idp, **EVERYTHING)
    long_ago = timezone.now() - timedelta(days=90)
    Membership.objects.update(given_at=long_ago)
    factories.group_rule(idp, "everybody", Membership.objects.get().organization)
    sign_in(idp, **(EVERYTHING | {"Groups": ["everybody"]}))
    row = Membership.objects.get()
    assert (row.given_at, row.value) == (long_ago, "everybody")


@pytest.mark.usefixtures("catalogue")
def test_another_rank_is_given_since_it_is_asserted(idp: IdentityProvider) -> None:
    idp.level_ceiling = AccessLevel.ADMIN
    idp.save()
    sign_in(idp, Permissions=["analyst"])
    long_ago = timezone.now() - timedelta(days=90)
    LevelGrant.objects.update(given_at=long_ago)
    sign_in(idp, Permissions=["admin"])
    assert LevelGrant.objects.get().given_at > long_ago + timedelta(days=89)


@pytest.mark.usefixtures("catalogue")
def test_a_dry_run_shows_the_plan_that_the_login_then_applies(idp: IdentityProvider) -> None:
    user = sign_in(idp, **(EVERYTHING | {"Roles": []}))
    xml = Forge(idp, timezone.now()).xml(attributes=attributes(Roles=["editor", "x"], Permissions=["super_admin"]))
    before = held(user)
    dry = provisioning.plan(idp, judged(idp, xml))
    assert provisioning.plan(idp, judged(idp, xml)) == dry
    assert held(user) == before
    Browser().sign_in(idp, xml)
    assert report() == dry.rights.report()
    assert notes() == list(dry.rights.notes)
    assert {str(thing) for thing in (*dry.rights.change.granted, *dry.rights.change.kept)} == {
        "role editor", "access level analyst"
    }  # fmt: skip
    assert held(user) == {"has editor", "is analyst"}


def judged(idp: IdentityProvider, xml: bytes) -> Assertion:
    now = timezone.now()
    expectation = SignInAttempt(idp=idp).expectation()
    return accept(signature.open_message(gate.admit(issuer.encode(xml)), expectation, now), expectation, now)


def test_a_refused_sign_in_changes_no_rights(idp: IdentityProvider) -> None:
    factories.role("editor")
    user = sign_in(idp, Roles=["editor"])
    user.is_active = False
    user.save()
    assert refused(idp).code == "account_deactivated"
    assert held(user) == {"has editor"}


# --- The documented response ----------------------------------------------------------------------------------------


@pytest.fixture
def documented(idp: IdentityProvider) -> IdentityProvider:
    """An identity provider set up for the response that a vendor of this field documents."""
    for external_id in ("3868", "25541", "4"):
        factories.property_(external_id)
    factories.role("Report editor")
    spellings = {f"dxa_{level.label}": level.label for level in AccessLevel if level}
    idp.attribute_mapping = {
        "email": ["Email"], "first_name": ["First Name"], "last_name": ["Last Name"], "permissions": ["Permissions"],
        "properties": ["Properties"], "roles": ["Roles"],
    }  # fmt: skip
    idp.level_spellings, idp.level_ceiling = spellings, AccessLevel.ADMIN
    idp.save()
    return idp


def documented_response(idp: IdentityProvider, permission: str, properties: Sequence[str]) -> bytes:
    """Okta's way: both signed, xs on the Response too and kept by InclusiveNamespaces, white space everywhere."""
    said = (
        AttributeSpec("First Name", ["Ana"]), AttributeSpec("Last Name", ["Lima"]), email_attribute(ANA),
        AttributeSpec("Permissions", [permission]), AttributeSpec("Properties", list(properties)),
        AttributeSpec("Roles", ["Report editor"]),
    )  # fmt: skip
    forge = Forge(idp, timezone.now())
    spec = forge.spec(name_id_format=n.NAMEID_UNSPECIFIED, inclusive_prefixes=("xs",), attributes=said)
    tree = issuer.build_tree(spec)
    etree.indent(tree, space="   ")
    text = etree.tostring(tree).decode().replace("<saml2p:Response ", f'<saml2p:Response xmlns:xs="{issuer.XS}" ', 1)
    tree = etree.fromstring(text)
    issuer.sign_as_specified(tree, spec, forge.key)
    return issuer.serialise(tree)


@pytest.mark.parametrize("properties", [["3868", "25541"], ["3868,25541"]])
def test_the_documented_response_makes_the_account_that_it_describes(
    documented: IdentityProvider, properties: list[str]
) -> None:
    Browser().sign_in(documented, documented_response(documented, "dxa_admin", properties))
    user = User.objects.get()
    assert (user.email, user.first_name, user.last_name) == (ANA, "Ana", "Lima")
    assert FederatedIdentity.objects.get().subject == ANA
    assert held(user) == {
        "has House 3868 (3868)", "has House 25541 (25541)", "has Report editor", "is admin"
    }  # fmt: skip
    assert (user.is_staff, user.is_superuser) == (False, False)
    assert notes() == []


def test_the_documented_response_of_a_super_admin_stops_at_the_ceiling(documented: IdentityProvider) -> None:
    Browser().sign_in(documented, documented_response(documented, "dxa_super_admin", ["3868"]))
    assert level(User.objects.get()) == AccessLevel.ADMIN
    assert notes() == ["It asserted super_admin; its ceiling is admin, and so is the level."]


# --- What it costs --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_hundred_groups_are_at_most_four_more_statements(idp: IdentityProvider) -> None:
    names = [f"group {number}" for number in range(200)]
    organization = factories.organization("Acme")
    for number, name in enumerate(names):
        factories.group_rule(idp, name, AccessGroup.objects.create(name=name))
        factories.role(f"role {number}", group_name=name)
    factories.group_rule(idp, "group 7", organization)
    sign_in(idp)
    alone = statements(idp)
    granting = statements(idp, Groups=names)
    assert GroupMembership.objects.count() == RoleGrant.objects.count() == 200
    returning = statements(idp, Groups=names)
    revoking = statements(idp, Groups=names[:100])
    assert GroupMembership.objects.count() == 100
    for one in (granting, returning, revoking):
        assert len(one) <= len(alone) + 4, "\n".join(one)


def statements(idp: IdentityProvider, **values: Sequence[str]) -> list[str]:
    browser = Browser()
    xml = Forge(idp, timezone.now()).xml(attributes=attributes(**values))
    with CaptureQueriesContext(connection) as captured:
        assert browser.send(idp, xml).status_code == 303
        assert browser.get(CONTINUE).status_code == 303
    return [query["sql"] for query in captured.captured_queries]


# --- What an administrator changes meanwhile ------------------------------------------------------------------------


@pytest.mark.usefixtures("catalogue")
def test_what_was_deleted_is_unknown_at_the_next_sign_in(idp: IdentityProvider) -> None:
    user = sign_in(idp, **EVERYTHING)
    Role.objects.all().delete()
    sign_in(idp, **EVERYTHING)
    assert held(user) == ALL_HELD - {"has editor"}
    assert report()["unknown"] == ["role “editor”"]
