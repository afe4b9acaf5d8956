"""Attribute mapping and group rules as administrators set them up, through the admin's own pages."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from audit.models import Event
from demo.issuer import AttributeSpec
from orgs.models import AccessGroup, AccessLevel, GroupMembership, LevelGrant, Membership, MembershipRole
from saml_sp.mapping import PRESETS, Target
from saml_sp.models import GroupRule, IdentityProvider
from tests import factories
from tests.door import Browser, let_in
from tests.idp import ATTRIBUTES, Forge
from tests.saml_sp.test_idp_admin import form, page, refused, text

pytestmark = pytest.mark.django_db

RULES = "/admin/saml_sp/grouprule/"


@pytest.fixture
def client() -> Client:
    signed_in = Client()
    let_in(signed_in, User.objects.create_superuser("root@example.com"))
    return signed_in


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp("customer")


def staff(*permissions: str, email: str = "staff@example.com") -> Client:
    """Somebody who administers, without being a superuser."""
    person = User.objects.create_user(email, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    signed_in = Client()
    let_in(signed_in, person)
    return signed_in


def rows(idp: IdentityProvider, *added: dict[str, Any], removed: tuple[int, ...] = ()) -> dict[str, Any]:
    """What a browser sends of the group rules: those that are held, some of them ticked for removal, and new ones."""
    held = list(idp.group_rules.all())
    fields: dict[str, Any] = {
        "group_rules-TOTAL_FORMS": len(held) + len(added), "group_rules-INITIAL_FORMS": len(held)
    }  # fmt: skip
    for number, rule in enumerate(held):
        fields |= {f"group_rules-{number}-id": rule.pk, f"group_rules-{number}-idp": idp.pk}
        fields |= {f"group_rules-{number}-DELETE": "on"} if rule.pk in removed else {}
    for number, facts in enumerate(added, len(held)):
        posted = {"role": MembershipRole.MEMBER.value, "idp": idp.pk} | facts
        fields |= {f"group_rules-{number}-{name}": value for name, value in posted.items()}
    return fields


def save(client: Client, idp: IdentityProvider, **changed: Any) -> IdentityProvider:
    response = client.post(page(idp), form(idp, **changed))
    assert response.status_code == 302, text(response)
    return IdentityProvider.objects.get(pk=idp.pk)


def changes() -> dict[str, Any]:
    """What the last audit event says was changed."""
    event = Event.objects.filter(kind="admin:idp:change").latest("id")
    found: dict[str, Any] = event.data["changed"]
    return found


def come(idp: IdentityProvider, **values: list[str]) -> User:
    said = (*ATTRIBUTES, *(AttributeSpec(name, said) for name, said in values.items()))
    browser = Browser()
    browser.sign_in(idp, Forge(idp, timezone.now()).xml(attributes=said))
    assert browser.user is not None
    return browser.user


# --- Which attributes mean what -------------------------------------------------------------------------------------


def test_attributes_are_typed_one_a_line_and_count_from_the_next_sign_in(client: Client, idp: IdentityProvider) -> None:
    factories.role("editor")
    assert come(idp, Roles=["editor"]).rolegrants.count() == 0
    saved = save(client, idp, map_roles="memberOf\r\n\r\n  Roles \r\n", map_first_name="First Name")
    assert saved.attribute_mapping == {"roles": ["memberOf", "Roles"], "first_name": ["First Name"]}
    assert changes()["attribute_mapping"] == {"from": {}, "to": saved.attribute_mapping}
    assert come(idp, Roles=["editor"]).rolegrants.count() == 1
    said = client.get(page(idp)).content.decode()
    assert ">\nmemberOf\nRoles</textarea>" in said
    assert save(client, idp).attribute_mapping == {}


def test_saving_the_same_attributes_leaves_no_event(client: Client, idp: IdentityProvider) -> None:
    save(client, idp, map_groups="groups", level_spellings="a = admin")
    count = Event.objects.count()
    save(client, IdentityProvider.objects.get(), map_groups="groups\r\n", level_spellings="a=admin")
    assert Event.objects.count() == count


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("a\nb\na", "Line 3 repeats line 1: a"),
        ("a\nb\x00c", "Line 2 holds an invisible character (U+0000)."),
        ("a\tb", "Line 1 holds an invisible character (U+0009)."),
        ("a\u200bb", "Line 1 holds an invisible character (U+200B)."),
        ("\u00a0a", "Line 1 holds an invisible character (U+00A0)."),
        (f"ok\n{'x' * 201}", "Line 2 has 201 characters; the name of an attribute has at most 200."),
        ("\n".join(f"name-{number}" for number in range(13)), "There are 13 names; at most 12 are tried."),
    ],
)
def test_a_line_that_is_no_name_gets_a_message_of_its_own(
    client: Client, idp: IdentityProvider, lines: str, sentence: str
) -> None:
    assert sentence in refused(client.post(page(idp), form(idp, map_groups=lines, map_email="Email")))
    assert IdentityProvider.objects.get().attribute_mapping == {}


def test_two_megabytes_of_lines_get_few_messages(client: Client, idp: IdentityProvider) -> None:
    said = refused(client.post(page(idp), form(idp, map_groups="\x01\n" * 500_000)))
    assert said.count("invisible character") <= 12


def test_a_vendor_fills_in_what_is_empty_and_nothing_else(client: Client, idp: IdentityProvider) -> None:
    response = client.post(page(idp), form(idp, preset="okta", map_groups="mine"), follow=True)
    mapping = IdentityProvider.objects.get().attribute_mapping
    names = PRESETS["okta"].names
    assert mapping == {target.value: list(names[target]) for target in names} | {"groups": ["mine"]}
    said = text(response)
    assert "Filled in for Okta: e-mail, first name, last name, display name, permissions, properties, roles." in said
    assert "it gives and takes by permissions and properties and roles" in said


def test_a_vendor_that_has_nothing_to_fill_in_is_said_to(client: Client, idp: IdentityProvider) -> None:
    typed = {f"map_{target.value}": "typed" for target in Target}
    response = client.post(page(idp), form(idp, preset="google", **typed), follow=True)
    assert "Nothing was filled in for Google Workspace" in text(response)
    assert IdentityProvider.objects.get().attribute_mapping == {target.value: ["typed"] for target in Target}


def test_names_alone_bring_no_warning_of_rights(client: Client, idp: IdentityProvider) -> None:
    response = client.post(page(idp), form(idp, preset="google", map_groups="groups"), follow=True)
    assert "Filled in for Google Workspace: e-mail, first name, last name." in text(response)
    assert "gives and takes" not in text(response)


def test_a_vendor_nobody_knows_is_refused(client: Client, idp: IdentityProvider) -> None:
    refused(client.post(page(idp), form(idp, preset="netware")))


# --- How far its word goes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("boss", "Line 1: write “their word = our level”, not “boss”."),
        ("= admin", "Line 1: write “their word = our level”, not “= admin”."),
        ("boss =", "Line 1: write “their word = our level”, not “boss =”."),
        ("a = admin\nb = owner", "Line 2: “owner” is no level. The levels are none, analyst, admin, super_admin."),
        ("a = admin\na = analyst", "Line 2: “a” stands above already, as admin."),
        ("a\x00 = admin", "Line 1 holds an invisible character (U+0000)."),
        (f"{'x' * 301} = admin", "Line 1 has 301 characters; a word has at most 300."),
        ("\n".join(f"w{number} = admin" for number in range(101)), "There are 101 words; at most 100 are kept."),
    ],
)
def test_a_line_that_is_no_spelling_gets_a_message_of_its_own(
    client: Client, idp: IdentityProvider, lines: str, sentence: str
) -> None:
    assert sentence in refused(client.post(page(idp), form(idp, level_spellings=lines)))
    assert IdentityProvider.objects.get().level_spellings == {}


def test_spellings_and_ceiling_say_which_level_comes_of_a_word(client: Client, idp: IdentityProvider) -> None:
    spelt = "CN=Bosses,OU=x = admin\r\ndxa_analyst = analyst"
    saved = save(client, idp, map_permissions="Permissions", level_spellings=spelt, level_ceiling=20)
    assert saved.level_spellings == {"CN=Bosses,OU=x": "admin", "dxa_analyst": "analyst"}
    assert changes()["level_ceiling"] == {"from": AccessLevel.ANALYST, "to": AccessLevel.ADMIN}
    come(saved, Permissions=["CN=Bosses,OU=x"])
    assert LevelGrant.objects.get().level == AccessLevel.ADMIN
    assert ">\nCN=Bosses,OU=x = admin\ndxa_analyst = analyst</textarea>" in text(client.get(page(idp)))


def test_a_lower_ceiling_lowers_what_was_given_at_once(client: Client, idp: IdentityProvider) -> None:
    saved = save(client, idp, map_permissions="Permissions", level_ceiling=20)
    come(saved, Permissions=["admin"])
    save(client, saved, map_permissions="Permissions", level_ceiling=10)
    assert LevelGrant.objects.get().level == AccessLevel.ANALYST


def test_a_superuser_allows_super_admin_on_record(client: Client, idp: IdentityProvider) -> None:
    assert "super_admin</option>" in text(client.get(page(idp)))
    save(client, idp, level_ceiling=30)
    assert changes() == {"level_ceiling": {"from": AccessLevel.ANALYST, "to": AccessLevel.SUPER_ADMIN}}


def test_nobody_else_allows_super_admin_whatever_they_send(idp: IdentityProvider) -> None:
    other = staff("change_identityprovider", "view_identityprovider")
    assert "super_admin</option>" not in text(other.get(page(idp)))
    said = refused(other.post(page(idp), form(idp, level_ceiling=30)))
    assert "Only a superuser allows super_admin." in said
    assert IdentityProvider.objects.get().level_ceiling == AccessLevel.ANALYST


def test_what_a_superuser_has_allowed_stays_when_somebody_else_saves_the_page() -> None:
    idp = factories.idp("customer", level_ceiling=AccessLevel.SUPER_ADMIN)
    other = staff("change_identityprovider")
    save(other, idp, contact="desk@example.com")
    assert IdentityProvider.objects.get().level_ceiling == AccessLevel.SUPER_ADMIN
    save(other, idp, level_ceiling=10)
    refused(other.post(page(idp), form(idp, level_ceiling=30)))


def test_the_switches_and_the_limit_of_days_are_kept(client: Client, idp: IdentityProvider) -> None:
    saved = save(client, idp, keep_when_missing="on", refuse_unknown="on", no_sign_in_days=30)
    assert (saved.keep_when_missing, saved.refuse_unknown, saved.no_sign_in_days) == (True, True, 30)
    assert set(changes()) == {"keep_when_missing", "refuse_unknown", "no_sign_in_days"}
    assert "at least" not in refused(client.post(page(idp), form(idp, no_sign_in_days="soon")))
    refused(client.post(page(idp), form(idp, no_sign_in_days=0)))


def test_the_page_says_what_no_assertion_can_do(client: Client, idp: IdentityProvider) -> None:
    assert "No assertion makes anybody staff or a superuser of this site" in text(client.get(page(idp)))


def test_whoever_may_only_look_reads_the_mapping_without_fields(idp: IdentityProvider) -> None:
    IdentityProvider.objects.update(attribute_mapping={"groups": ["memberOf"]}, level_spellings={"boss": "admin"})
    said = text(staff("view_identityprovider").get(page(idp)))
    assert "memberOf" in said
    assert "the usual names" in said
    assert "boss" in said
    assert "<textarea" not in said


# --- Group rules ----------------------------------------------------------------------------------------------------


def test_rules_are_added_and_removed_on_the_page_and_count_at_once(client: Client, idp: IdentityProvider) -> None:
    group, organization = AccessGroup.objects.create(name="Readers"), factories.organization("Acme")
    added = rows(
        idp, {"value": "staff", "access_group": group.pk},
        {"value": "acme-*", "is_pattern": "on", "organization": organization.pk, "role": MembershipRole.ADMIN.value},
    )  # fmt: skip
    save(client, idp, map_groups="groups", **added)
    assert changes()["group_rules"] == {
        "from": [], "to": ["pattern acme-* → admin of Acme", "staff → access group Readers"]
    }  # fmt: skip
    user = come(idp, groups=["staff", "acme-west"])
    assert GroupMembership.objects.get().group == group
    assert Membership.objects.get(user=user).role == MembershipRole.ADMIN
    gone = GroupRule.objects.get(value="staff").pk
    save(client, idp, map_groups="groups", **rows(idp, removed=(gone,)))
    assert changes() == {"group_rules": {"from": ["staff → access group Readers"], "to": []}}
    come(idp, groups=["staff", "acme-west"])
    assert not GroupMembership.objects.exists()
    assert Membership.objects.exists()


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"value": "x"}, "Choose an access group, or an organisation: one of the two."),
        ({"value": "x", "access_group": "G", "organization": "O"}, "one of the two."),
        ({"value": " x", "access_group": "G"}, ""),
        ({"value": "x\x00", "access_group": "G"}, "Null characters are not allowed."),
        ({"value": "x\u200b", "access_group": "G"}, "no invisible characters"),
        ({"value": "x" * 301, "access_group": "G"}, "at most 300 characters"),
        ({"value": "x", "is_pattern": "on", "access_group": "G"}, "A pattern has one * to 5."),
        ({"value": "x******", "is_pattern": "on", "access_group": "G"}, "A pattern has one * to 5."),
        ({"value": "**", "is_pattern": "on", "access_group": "G"}, "would catch every group"),
        ({"value": "x", "access_group": "99999999"}, "Select a valid choice"),
        ({"value": "x", "access_group": "G", "role": "9"}, "Select a valid choice"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(
    client: Client, idp: IdentityProvider, facts: dict[str, Any], sentence: str
) -> None:
    known = {"G": AccessGroup.objects.create(name="Readers").pk, "O": factories.organization("Acme").pk}
    facts = {name: known.get(value, value) for name, value in facts.items()}
    response = client.post(page(idp), form(idp, **rows(idp, facts)))
    if not sentence:  # blanks at the ends are nobody's intention, and are left out
        assert GroupRule.objects.get().value == "x"
        return
    assert sentence in refused(response)
    assert not GroupRule.objects.exists()


def test_the_same_rule_twice_is_refused(client: Client, idp: IdentityProvider) -> None:
    facts = {"value": "x", "access_group": AccessGroup.objects.create(name="Readers").pk}
    again = "There is such a rule already."
    assert again in refused(client.post(page(idp), form(idp, **rows(idp, facts, facts))))
    save(client, idp, **rows(idp, facts))
    assert again in refused(client.post(page(idp), form(idp, **rows(idp, facts))))
    save(client, idp, **rows(idp, facts, removed=(GroupRule.objects.get().pk,)))
    assert GroupRule.objects.count() == 1


def test_hundreds_of_rules_cost_no_more_queries_than_one(
    client: Client, idp: IdentityProvider, django_assert_max_num_queries: Any
) -> None:
    group = AccessGroup.objects.create(name="Readers")
    GroupRule.objects.create(idp=idp, value="first", access_group=group)
    client.get(page(idp))
    with django_assert_max_num_queries(40) as one:
        client.get(page(idp))
    made = (GroupRule(idp=idp, value=f"group-{number}", access_group=group) for number in range(399))
    GroupRule.objects.bulk_create(made)
    with django_assert_max_num_queries(len(one)):
        said = text(client.get(page(idp)))
    assert "group-398" in said
    gone = GroupRule.objects.get(value="group-200").pk
    save(client, idp, **rows(idp, {"value": "last", "access_group": group.pk}, removed=(gone,)))
    assert changes()["group_rules"] == {
        "from": ["group-200 → access group Readers"], "to": ["last → access group Readers"]
    }  # fmt: skip


def test_more_than_that_are_in_their_own_list(client: Client, idp: IdentityProvider) -> None:
    group = AccessGroup.objects.create(name="Readers")
    GroupRule.objects.bulk_create(GroupRule(idp=idp, value=f"g{number}", access_group=group) for number in range(401))
    said = text(client.get(page(idp)))
    assert "All 401 rules" in said
    assert "g400" not in said
    none_listed = {"group_rules-TOTAL_FORMS": 1, "group_rules-INITIAL_FORMS": 0}
    new = {"idp": idp.pk, "value": "new", "access_group": group.pk, "role": 1}
    save(client, idp, **none_listed, **{f"group_rules-0-{name}": value for name, value in new.items()})
    assert GroupRule.objects.count() == 402
    listed = text(client.get(f"{RULES}?idp__id__exact={idp.pk}&q=g400"))
    assert "g400" in listed
    assert "1 result" in listed


def test_a_rule_has_a_page_of_its_own_and_its_changes_are_on_record(client: Client, idp: IdentityProvider) -> None:
    group = AccessGroup.objects.create(name="Readers")
    facts = {"idp": idp.pk, "value": "x", "access_group": group.pk, "role": 1}
    assert client.post(f"{RULES}add/", facts).status_code == 302
    assert changes() == {"group_rules": {"from": [], "to": ["x → access group Readers"]}}
    assert "There is such a rule already." in refused(client.post(f"{RULES}add/", facts))
    rule = GroupRule.objects.get()
    moved = facts | {"value": "y", "idp": factories.idp("other").pk}
    assert client.post(f"{RULES}{rule.pk}/change/", moved).status_code == 302
    rule.refresh_from_db()
    assert (rule.idp, rule.value) == (idp, "y")
    assert changes() == {"group_rules": {"from": ["x → access group Readers"], "to": ["y → access group Readers"]}}
    assert client.post(f"{RULES}{rule.pk}/delete/", {"post": "yes"}).status_code == 302
    assert changes() == {"group_rules": {"from": ["y → access group Readers"], "to": []}}


def test_rules_are_removed_many_at_once_on_the_record_of_each_identity_provider(
    client: Client, idp: IdentityProvider
) -> None:
    group = AccessGroup.objects.create(name="Readers")
    other = factories.idp("other")
    made = [GroupRule.objects.create(idp=one, value="x", access_group=group) for one in (idp, other)]
    chosen = {"action": "delete_selected", "_selected_action": [rule.pk for rule in made], "post": "yes"}
    assert client.post(RULES, chosen).status_code == 302
    assert not GroupRule.objects.exists()
    assert sorted(Event.objects.values_list("subject_id", flat=True)) == sorted([str(idp.pk), str(other.pk)])


def test_whoever_may_not_add_rules_sees_no_row_for_one(idp: IdentityProvider) -> None:
    GroupRule.objects.create(idp=idp, value="theirs", access_group=AccessGroup.objects.create(name="Readers"))
    looking = staff("view_identityprovider", "change_identityprovider", "view_grouprule")
    said = text(looking.get(page(idp)))
    assert "theirs" in said
    assert 'name="group_rules-1-value"' not in said
    blind = staff("change_identityprovider", email="other@example.com")
    assert "theirs" not in text(blind.get(page(idp)))


@pytest.mark.parametrize("sent", ["abc", "\x00", "9" * 30])
def test_what_cannot_be_an_organisation_or_a_group_is_refused_in_words(
    client: Client, idp: IdentityProvider, sent: str
) -> None:
    fields = {"value": "x", "organization": sent, "access_group": sent, "role": "1"}
    assert client.get(f"{RULES}add/", fields).status_code == 200
    for path, sent_there in ((f"{RULES}add/", fields | {"idp": idp.pk}), (page(idp), form(idp, **rows(idp, fields)))):
        answer = client.post(path, sent_there)
        assert answer.status_code == 200
        assert "Select a valid choice" in text(answer) or "Null characters are not allowed" in text(answer)
    assert not GroupRule.objects.exists()


# --- At the same moment ---------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_administrators_who_add_the_same_rule_at_once_the_second_reads_so() -> None:
    idp = factories.idp("customer")
    group = AccessGroup.objects.create(name="Readers")
    barrier = threading.Barrier(2, timeout=20)

    def add(client: Client, address: str, facts: dict[str, Any]) -> int:
        try:
            barrier.wait()
            return client.post(address, facts).status_code
        finally:
            connection.close()

    clients = [staff("change_identityprovider", "add_grouprule", email=f"{n}@example.com") for n in range(2)]
    ways = (
        (page(idp), form(idp, **rows(idp, {"value": "x", "access_group": group.pk}))),
        (f"{RULES}add/", {"idp": idp.pk, "value": "x", "access_group": group.pk, "role": 1}),
    )
    for first, second in ((ways[0], ways[0]), (ways[1], ways[1]), ways):
        with ThreadPoolExecutor(2) as pool:
            found = [pool.submit(add, client, *way) for client, way in zip(clients, (first, second), strict=True)]
            assert sorted(answer.result() for answer in found) == [200, 302]
        assert GroupRule.objects.get().value == "x"
        GroupRule.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_a_ceiling_that_a_superuser_lowers_meanwhile_is_not_raised_again_by_an_old_page() -> None:
    idp = factories.idp("customer", level_ceiling=AccessLevel.SUPER_ADMIN)
    other = staff("change_identityprovider")
    old_page = form(idp, contact="desk@example.com")

    def save_old_page() -> int:
        try:
            return other.post(page(idp), old_page).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            IdentityProvider.objects.update(level_ceiling=AccessLevel.ANALYST)
            answer = pool.submit(save_old_page)
            until_somebody_waits()
        assert answer.result() == 403
    found = IdentityProvider.objects.get()
    assert (found.level_ceiling, found.contact) == (AccessLevel.ANALYST, "")


def until_somebody_waits() -> None:
    """Until another connection waits for a lock."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            row = cursor.fetchone()
        if row and row[0]:
            return
        time.sleep(0.02)
    raise AssertionError("nobody waits")
