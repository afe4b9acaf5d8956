"""Trying a mapping and a group rule on what was sent before, and reading on an attempt what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.models import User
from demo.issuer import AttributeSpec
from orgs.models import AccessGroup, AccessLevel, Grant, RoleGrant
from saml_sp.models import GroupRule, IdentityProvider, Outcome, SignInAttempt
from tests import factories
from tests.door import Browser, let_in
from tests.idp import Forge, Kind, email_attribute, key
from tests.saml_sp.test_idp_admin import page, text
from tests.vendors import entra
from tests.vendors.scene import Scene

if TYPE_CHECKING:
    from django.http.response import HttpResponseBase

pytestmark = pytest.mark.django_db

MAPPING = {"groups": ["Groups"], "permissions": ["Permissions"], "properties": ["Properties"], "roles": ["Roles"]}


@pytest.fixture
def client() -> Client:
    signed_in = Client()
    let_in(signed_in, User.objects.create_superuser("root@example.com"))
    return signed_in


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp("customer", attribute_mapping=MAPPING)


def come(
    idp: IdentityProvider, *said: AttributeSpec, name: str = "ana@customer.example", refused: bool = False
) -> SignInAttempt:
    """Somebody signs in with these attributes; what is on record of it."""
    own = (AttributeSpec("First Name", ["Ana"]), email_attribute(name))
    xml = Forge(idp, timezone.now()).xml(name_id=name, attributes=(*own, *said))
    if refused:
        assert Browser().send(idp, xml).status_code == 403
    else:
        Browser().sign_in(idp, xml)
    return SignInAttempt.objects.latest("pk")


def groups(*values: str) -> AttributeSpec:
    return AttributeSpec("Groups", values)


def place(idp: IdentityProvider, name: str) -> str:
    return page(idp).replace("/change/", f"/{name}/")


def try_rule(client: Client, idp: IdentityProvider, value: str, *, pattern: bool = False) -> str:
    asked = {"value": value, "is_pattern": "on"} if pattern else {"value": value}
    response = client.get(place(idp, "groups"), asked)
    assert response.status_code == 200
    return " ".join(text(response).partition('id="content-main"')[2].split())


def rehearse(client: Client, attempt: SignInAttempt) -> str:
    assert attempt.idp is not None
    response = client.get(place(attempt.idp, "rehearsal"), {"attempt": str(attempt.pk)})
    assert response.status_code == 200
    return " ".join(text(response).partition('id="content-main"')[2].split())


def shown(client: Client, attempt: SignInAttempt) -> str:
    response: HttpResponseBase = client.get(f"/admin/saml_sp/signinattempt/{attempt.pk}/change/")
    return " ".join(text(response).split())


def everything() -> list[Any]:
    """Every grant, attempt and rule, to see that nothing was written."""
    models: list[Any] = [*Grant.__subclasses__(), SignInAttempt, GroupRule]
    return [list(model.objects.order_by("pk").values()) for model in models]


# --- The record that this is tried on -------------------------------------------------------------------------------


def test_the_record_keeps_friendly_names_and_every_value_of_a_repeated_attribute(idp: IdentityProvider) -> None:
    attempt = come(
        idp, AttributeSpec("Role", ["a"]), AttributeSpec("Role", ["b", "c"]),
        AttributeSpec("urn:oid:1.2", ["x"], "member"),
    )  # fmt: skip
    assert attempt.detail["attributes"]["Role"] == ["a", "b", "c"]
    assert attempt.detail["friendly_names"] == {"urn:oid:1.2": "member"}


def test_the_record_keeps_fifty_values_of_a_repeated_attribute(idp: IdentityProvider) -> None:
    attempt = come(idp, *(AttributeSpec("Role", [f"a{n}", f"b{n}", f"c{n}"]) for n in range(20)))
    assert len(attempt.detail["attributes"]["Role"]) == 50


# --- What a rule would catch ----------------------------------------------------------------------------------------


def test_a_pattern_shows_what_it_catches_before_it_is_saved(client: Client, idp: IdentityProvider) -> None:
    come(idp, groups("acme-west", "acme-east", "other"))
    come(idp, groups("acme-west"), name="bob@customer.example")
    before = everything()
    said = try_rule(client, idp, "acme-*", pattern=True)
    assert "It catches 2 group values of 2 sign-ins" in said
    assert "<td>acme-west</td> <td>2</td>" in said
    assert "<td>acme-east</td> <td>1</td>" in said
    assert "1 other value was seen and not caught." in said
    assert "0 people hold something by such a group now." in said
    assert "?idp=" in said
    assert f"{idp.pk}&value=acme-%2A&is_pattern=1" in said
    assert everything() == before
    add = client.get("/admin/saml_sp/grouprule/add/", {"idp": str(idp.pk), "value": "acme-*", "is_pattern": "1"})
    assert 'value="acme-*"' in text(add)


def test_a_value_is_compared_letter_by_letter(client: Client, idp: IdentityProvider) -> None:
    come(idp, groups("Acme"))
    assert "It catches 0 group values of 1 sign-in" in try_rule(client, idp, "acme")
    assert "It catches 1 group value of 1 sign-in" in try_rule(client, idp, "Acme")


def test_it_counts_who_holds_something_and_names_what_catches_the_same(client: Client, idp: IdentityProvider) -> None:
    readers = AccessGroup.objects.create(name="Readers")
    factories.group_rule(idp, "acme-*", readers, is_pattern=True)
    factories.group_rule(idp, "elsewhere", readers)
    factories.role("Editor", group_name="acme-west")
    come(idp, groups("acme-west"))
    come(idp, groups("acme-east"), name="bob@customer.example")
    come(factories.idp("other", attribute_mapping=MAPPING), groups("acme-west"), name="eve@other.example")
    said = try_rule(client, idp, "acme-west")
    assert "1 person holds something by such a group now." in said
    assert "acme-* → access group Readers" in said
    assert "role Editor, by its group name acme-west" in said
    assert "elsewhere" not in said
    assert "2 people hold" in try_rule(client, idp, "a*", pattern=True)
    assert "elsewhere → access group Readers" in try_rule(client, idp, "else*", pattern=True)


def test_a_mapping_that_was_made_afterwards_finds_the_groups_as_well(client: Client) -> None:
    idp = factories.idp("customer")
    come(idp, groups("acme"))
    said = try_rule(client, idp, "acme")
    assert "No attribute is mapped to groups, so no rule gives anything." in said
    assert "No group value was seen at all." in said
    IdentityProvider.objects.update(attribute_mapping={"groups": ["Groups"]})
    assert "It catches 1 group value" in try_rule(client, idp, "acme")


def test_of_very_many_groups_the_remark_that_there_are_more_is_no_group(client: Client, idp: IdentityProvider) -> None:
    come(idp, groups(*(f"g{number}" for number in range(60))))
    assert "It catches 0 group values" in try_rule(client, idp, "and*", pattern=True)
    assert "It catches 50 group values" in try_rule(client, idp, "g*", pattern=True)


@pytest.mark.parametrize(
    ("value", "pattern", "sentence"),
    [
        ("", "", "This field is required."),
        ("*", "pattern", "would catch every group"),
        ("a", "pattern", "A pattern has one * to 5."),
        ("a\x00", "", "Null characters are not allowed."),
        (" a", "", "No blanks at the ends"),
        ("x" * 301, "", "at most 300 characters"),
    ],
)
def test_what_is_no_rule_gets_a_message(
    client: Client, idp: IdentityProvider, value: str, pattern: str, sentence: str
) -> None:
    said = try_rule(client, idp, value, pattern=bool(pattern))
    assert sentence in said
    assert "It catches" not in said


def test_hundreds_of_sign_ins_and_rules_cost_no_more_queries_than_one(
    client: Client, idp: IdentityProvider, django_assert_max_num_queries: Any
) -> None:
    readers = AccessGroup.objects.create(name="Readers")
    factories.group_rule(idp, "acme-west", readers)
    attempt = come(idp, groups("acme-west"))
    with django_assert_max_num_queries(20) as one:
        try_rule(client, idp, "acme-*", pattern=True)
    GroupRule.objects.bulk_create(GroupRule(idp=idp, value=f"acme-{n}", access_group=readers) for n in range(300))
    facts = {"idp": idp, "at": attempt.at, "outcome": Outcome.ACCEPTED, "detail": attempt.detail}
    SignInAttempt.objects.bulk_create(SignInAttempt(trace_id=f"T{n}", **facts) for n in range(300))
    with django_assert_max_num_queries(len(one)):
        assert "of 200 sign-ins" in try_rule(client, idp, "acme-*", pattern=True)


# --- What a mapping would do ----------------------------------------------------------------------------------------


def test_a_recent_sign_in_is_tried_on_the_mapping_of_now(client: Client, idp: IdentityProvider) -> None:
    factories.role("Editor")
    factories.role("Auditor")
    factories.property_("1001")
    attempt = come(
        idp, AttributeSpec("Roles", ["Editor"]), AttributeSpec("OldRoles", ["Auditor", "Nobody"]),
        AttributeSpec("Properties", ["1001,9"]), AttributeSpec("Permissions", ["super_admin"]),
    )  # fmt: skip
    IdentityProvider.objects.update(attribute_mapping=MAPPING | {"roles": ["OldRoles"]})
    before = everything()
    said = rehearse(client, attempt)
    assert "Held against what ana@customer.example has" in said
    granted, _, rest = said.partition("<dt>Kept</dt>")
    kept, _, rest = rest.partition("<dt>Taken away</dt>")
    revoked, _, unknown = rest.partition("<dt>Not known here")
    assert "role Auditor" in granted
    assert "access level analyst" in kept
    assert "property 1001" in kept
    assert "role Editor" in revoked
    assert "role “Nobody”" in unknown
    assert "property “9”" in unknown
    assert "It asserted super_admin; its ceiling is analyst" in said
    assert '<th scope="row">roles</th><td><code>OldRoles</code></td>' in said
    assert "may be shorter" not in said
    assert everything() == before


def test_somebody_who_is_new_holds_nothing_yet(client: Client) -> None:
    idp = factories.idp("customer", jit=False, attribute_mapping={"roles": ["Roles"]})
    factories.role("Editor")
    attempt = come(idp, AttributeSpec("Roles", ["Editor"]), refused=True)
    said = rehearse(client, attempt)
    assert "Nobody is known here by that subject yet: as for a new account." in said
    assert "role Editor" in said
    assert "jit_off" in said


def test_a_refused_sign_in_is_held_against_the_person_of_that_subject(client: Client, idp: IdentityProvider) -> None:
    factories.role("Editor")
    come(idp, AttributeSpec("Roles", ["Editor"]))
    IdentityProvider.objects.update(refuse_unknown=True)
    attempt = come(idp, AttributeSpec("Roles", ["Nobody"]), refused=True)
    said = rehearse(client, attempt)
    assert "It would be refused: unknown_rights" in said
    assert "role “Nobody”" in said
    assert "<code>Roles</code>" in said
    IdentityProvider.objects.update(refuse_unknown=False)
    said = rehearse(client, attempt)
    assert "Held against what ana@customer.example has" in said
    assert "<dt>Taken away</dt><dd><ul><li>role Editor</li>" in said


def test_an_address_that_cannot_be_read_is_said_to_be_refused(client: Client, idp: IdentityProvider) -> None:
    attempt = come(idp, AttributeSpec("contact", ["ana@customer.example", "eve@customer.example"]))
    IdentityProvider.objects.update(attribute_mapping={"email": ["contact"]})
    assert "It would be refused: ambiguous_email" in rehearse(client, attempt)


def test_a_record_that_may_have_been_cut_is_said_to_be(client: Client, idp: IdentityProvider) -> None:
    for said in (groups(*(f"g{n}" for n in range(50))), groups("x" * 250)):
        assert "The record may be shorter than the assertion was" in rehearse(client, come(idp, said))


def test_a_friendly_name_counts_in_a_rehearsal_too(client: Client, idp: IdentityProvider) -> None:
    factories.role("Editor")
    attempt = come(idp, AttributeSpec("urn:oid:1.2.3", ["Editor"], "memberOf"))
    IdentityProvider.objects.update(attribute_mapping={"roles": ["memberOf"]})
    assert "role Editor" in rehearse(client, attempt)


def test_only_the_latest_of_this_identity_provider_are_offered(client: Client, idp: IdentityProvider) -> None:
    foreign = come(factories.idp("other"), name="eve@other.example")
    old = come(idp)
    facts = {"idp": idp, "outcome": Outcome.ACCEPTED, "detail": old.detail}
    SignInAttempt.objects.bulk_create(SignInAttempt(trace_id=f"T{n}", at=timezone.now(), **facts) for n in range(20))
    for attempt in (foreign, old):
        response = client.get(place(idp, "rehearsal"), {"attempt": attempt.pk})
        assert "That sign-in is not among the latest any more." in text(response)
    assert text(client.get(place(idp, "rehearsal"))).count("?attempt=") == 20
    assert client.get(place(idp, "rehearsal"), {"attempt": "x\x00"}).status_code == 200


def test_without_a_sign_in_there_is_nothing_to_try(client: Client, idp: IdentityProvider) -> None:
    assert "There is none yet" in text(client.get(place(idp, "rehearsal")))


@pytest.mark.parametrize("name", ["groups", "rehearsal"])
def test_these_pages_are_for_whoever_may_see_both_identity_providers_and_attempts(
    idp: IdentityProvider, name: str
) -> None:
    person = User.objects.create_user("staff@example.com", is_staff=True)
    signed_in = Client()
    assert signed_in.get(place(idp, name)).status_code == 302
    let_in(signed_in, person)
    assert signed_in.get(place(idp, name)).status_code == 403
    for codename, status in (("view_identityprovider", 403), ("view_signinattempt", 200)):
        person.user_permissions.add(Permission.objects.get(codename=codename))
        assert signed_in.get(place(idp, name)).status_code == status
    assert signed_in.post(place(idp, name)).status_code == 405
    assert signed_in.get(f"/admin/saml_sp/identityprovider/{idp.pk + 1}/{name}/").status_code == 404


# --- What is wrong with a mapping -----------------------------------------------------------------------------------


def advice(client: Client, idp: IdentityProvider) -> str:
    return " ".join(text(client.get(page(idp))).split())


def test_the_page_says_what_recent_sign_ins_brought_and_which_attribute_never_came(
    client: Client, idp: IdentityProvider
) -> None:
    assert "Nobody has come through it yet." in advice(client, idp)
    come(idp, AttributeSpec("urn:oid:1.2", ["x"], "memberOf"))
    said = advice(client, idp)
    assert "Groups: the last sign-in brought no attribute called “Groups”." in said
    assert "The last sign-in brought: <code>Email</code>, <code>First Name</code>, " in said
    assert "<code>urn:oid:1.2 (memberOf)</code>" in said
    come(idp, groups("x"))
    said = advice(client, idp)
    assert "Groups: the last 2 sign-ins" not in said
    assert "Roles: the last 2 sign-ins brought no attribute called “Roles”." in said
    IdentityProvider.objects.update(attribute_mapping={"groups": ["memberOf", "other"]})
    assert "brought no attribute" not in advice(client, idp)


def test_the_page_says_when_a_mapping_can_give_nothing(client: Client, idp: IdentityProvider) -> None:
    IdentityProvider.objects.update(level_ceiling=AccessLevel.NONE)
    said = advice(client, idp)
    nothing = (
        "Roles are mapped, but there is no role here yet.",
        "Properties are mapped, but there is no property here yet.",
        "Groups are mapped, but there is no group rule below, and no role has a group name.",
        "Permissions are mapped, but the ceiling is none: they give nothing.",
    )
    for sentence in nothing:
        assert sentence in said
    factories.role("Editor", group_name="x")
    factories.property_("1")
    IdentityProvider.objects.update(level_ceiling=AccessLevel.ANALYST)
    said = advice(client, idp)
    for sentence in nothing:
        assert sentence not in said


def test_the_page_says_when_rules_have_nothing_to_read(client: Client, idp: IdentityProvider) -> None:
    factories.group_rule(idp, "x", AccessGroup.objects.create(name="Readers"))
    sentence = "There are group rules, but no attribute is mapped to groups: the rules give nothing."
    assert sentence not in advice(client, idp)
    IdentityProvider.objects.update(attribute_mapping={})
    assert sentence in advice(client, idp)


# --- On the attempt -------------------------------------------------------------------------------------------------


def test_an_attempt_shows_what_was_read_and_what_came_of_it(client: Client, idp: IdentityProvider) -> None:
    factories.role("Editor")
    attempt = come(idp, AttributeSpec("Roles", ["Editor", "<b>"]), AttributeSpec("Permissions", ["admin"]))
    raw = client.get(f"/admin/saml_sp/signinattempt/{attempt.pk}/change/").content.decode()
    assert '<th scope="row">roles</th><td><code>Roles</code></td><td><ul><li>Editor</li><li>&lt;b&gt;</li>' in raw
    said = shown(client, attempt)
    assert '<th scope="row">groups</th><td>none came</td>' in said
    assert '<th scope="row">e-mail</th><td><code>Email</code></td><td><ul><li>ana@customer.example</li>' in said
    assert "<dt>Granted</dt>" in said
    assert "<dt>Not known here, so nothing came of it</dt><dd><ul><li>role “<b>”</li>" in said
    assert "It asserted admin; its ceiling is analyst" in said
    assert "<dt>read</dt>" not in said
    assert "<dt>rights</dt>" not in said
    factories.role("<b>")
    attempt = come(idp)
    assert "<dt>Taken away</dt>" in shown(client, attempt)
    assert RoleGrant.objects.count() == 0


def test_an_attempt_that_gave_nothing_says_so(client: Client) -> None:
    assert "Nothing: no rights came of it." in shown(client, come(factories.idp("customer")))


def test_a_refused_attempt_shows_its_reason_and_no_table(client: Client, idp: IdentityProvider) -> None:
    IdentityProvider.objects.update(refuse_unknown=True)
    said = shown(client, come(idp, AttributeSpec("Roles", ["Nobody"]), refused=True))
    assert "unknown_rights" in said
    assert "role “Nobody”" in said
    assert "What was read of it" not in said


def test_an_attempt_with_a_link_in_place_of_groups_says_what_to_do(client: Client, idp: IdentityProvider) -> None:
    IdentityProvider.objects.update(
        attribute_mapping={"groups": ["http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"]}
    )
    Browser().sign_in(idp, entra.SHAPES["name_id_persistent"](Scene(idp, timezone.now(), key(Kind.RSA))))
    said = shown(client, SignInAttempt.objects.latest("pk"))
    assert "It sent a link in place of the groups" in said
    assert "Let it send only the groups assigned to the application, or app roles." in said
