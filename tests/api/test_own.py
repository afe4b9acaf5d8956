"""Who I am, and my own tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actors import Actor
from audit.kinds import Kind
from audit.models import Event
from orgs.models import (
    AccessGroup,
    AccessLevel,
    BillingAccount,
    BillingPermission,
    GroupMembership,
    LevelGrant,
    Membership,
    Organization,
    Property,
    PropertyGrant,
    Role,
    RoleGrant,
    Source,
)
from orgs.permissions import Permission
from tests.api.calling import Program, program_of
from tokens import service_accounts
from tokens.models import ApiToken
from tokens.scopes import Scope

if TYPE_CHECKING:
    from accounts.models import User

pytestmark = pytest.mark.django_db

WHOAMI = 7  # the bearer check, and one for each kind of thing that can be held


def give(user: User, organization: Organization, number: int = 0) -> None:
    """One of everything."""
    group = AccessGroup.objects.create(name=f"Group {number}")
    role = Role.objects.create(name=f"Role {number}", permissions=["platform.export_data"])
    place = Property.objects.create(external_id=f"p-{number}", name=f"Property {number}")
    account = BillingAccount.objects.create(organization=organization, external_id=f"b-{number}", name=f"B {number}")
    GroupMembership.objects.create(user=user, group=group)
    GroupMembership.objects.create(user=user, group=group, source=Source.IDP, source_id="1")
    RoleGrant.objects.create(user=user, role=role)
    PropertyGrant.objects.create(user=user, property=place)
    BillingPermission.objects.create(user=user, billing_account=account)


def test_whoami_says_all_that_somebody_is_and_may_do(lou: User, acme: Organization, program: Program) -> None:
    give(lou, acme)
    LevelGrant.objects.create(user=lou, level=AccessLevel.ANALYST)
    Membership.objects.create(user=lou, organization=acme, source=Source.IDP, source_id="1")
    lou.sso_label = "Acme Okta"
    lou.save()
    assert program.token
    assert program.get("/whoami").body == {
        "user": {"id": str(lou.pk), "email": "Lou@Portico.example", "name": "Lou Reed", "service_account": False},
        "identity_provider": "Acme Okta",
        "access_level": "analyst",
        "organizations": [{"id": "acme", "name": "Acme", "role": "admin"}],
        "billing_accounts": [{"id": "b-0", "name": "B 0", "organization": "acme"}],
        "roles": ["Role 0"],
        "properties": [{"id": "p-0", "name": "Property 0"}],
        "access_groups": ["Group 0"],
        "permissions": ["platform.view_reports", "platform.export_data"],
        "token": {
            "id": str(program.token.pk), "name": "ci", "scopes": program.token.scopes,
            "expires_at": program.get("/tokens/current").body["expires_at"],
        },
    }  # fmt: skip


def test_whoami_of_somebody_without_anything_is_whole_too(program: Program) -> None:
    body = program.get("/whoami").body
    assert (body["identity_provider"], body["access_level"]) == (None, "none")
    assert [body[name] for name in ("organizations", "roles", "properties", "access_groups", "permissions")] == [[]] * 5


def test_a_superuser_may_do_everything(admin: Program) -> None:
    assert admin.get("/whoami").body["permissions"] == [permission.value for permission in Permission]


def test_whoami_costs_the_same_however_much_somebody_has(lou: User, acme: Organization, program: Program) -> None:
    program.get("/whoami")
    for number in range(5):
        give(lou, acme, number)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert program.get("/whoami").status == 200
    assert len(asked) <= WHOAMI


# --- Tokens ---------------------------------------------------------------------------------------------------------


def test_a_token_is_made_shown_once_and_used(program: Program, lou: User) -> None:
    made = program.post("/tokens", {"name": "Nightly", "scopes": ["read:self"], "expires_in_days": 3})
    assert made.status == 201
    assert Program(made.body["token"]).get("/whoami").body["token"]["name"] == "Nightly"
    assert made.body["api_token"] | {"current": True} == Program(made.body["token"]).get("/tokens/current").body | {
        "last_used_at": None, "last_used_ip": None, "last_used_by": ""
    }  # fmt: skip
    assert Event.objects.filter(kind=Kind.TOKEN_CREATED, actor_id=str(lou.pk)).count() == 2


def test_own_tokens_are_listed_the_newest_first_and_nobody_elses(program: Program, grace: User) -> None:
    program_of(grace)
    program.post("/tokens", {"name": "second", "scopes": ["read:self"]})
    listed = program.get("/tokens").body["items"]
    assert [(item["name"], item["current"]) for item in listed] == [("second", False), ("ci", True)]
    assert "digest" not in listed[0]
    assert listed[1]["last_used_ip"] == "127.0.0.1"


def test_a_token_makes_none_that_can_do_more_or_lasts_longer(grace: User) -> None:
    program = program_of(grace, Scope.WRITE_TOKENS, days=2)
    assert program.post("/tokens", {"name": "more", "scopes": ["admin:saml"]}).fields == ["scopes"]
    longer = {"name": "longer", "scopes": ["write:tokens"], "expires_in_days": 3}
    assert program.post("/tokens", longer).fields == ["expires_in_days"]
    assert ApiToken.objects.count() == 1


def test_rotating_the_token_in_use_needs_no_scope_and_ends_it(lou: User) -> None:
    program = program_of(lou, Scope.READ_ORG)
    assert program.token
    new = program.post("/tokens/current/rotate")
    assert (new.status, new.body["api_token"]["current"], new.body["api_token"]["name"]) == (201, True, "ci")
    assert program.get("/tokens/current").code == "token_revoked"
    after = Program(new.body["token"]).get("/tokens/current").body
    assert after["scopes"] == ["read:org"]


def test_rotating_another_token_hands_out_nothing_that_the_one_in_use_lacks(grace: User) -> None:
    mighty = program_of(grace)
    small = program_of(grace, Scope.WRITE_TOKENS, days=2)
    assert mighty.token
    answer = small.post(f"/tokens/{mighty.token.pk}/rotate")
    assert (answer.code, answer.body["scope"]) == ("scope_missing", "read:self")
    later = program_of(grace, Scope.WRITE_TOKENS, days=3)
    assert later.token
    assert small.post(f"/tokens/{later.token.pk}/rotate").code == "not_allowed"
    assert later.post(f"/tokens/{small.token.pk if small.token else ''}/rotate").status == 201
    assert mighty.get("/whoami").status == 200


def test_a_token_that_has_ended_is_not_rotated(program: Program) -> None:
    made = program.post("/tokens", {"name": "gone", "scopes": ["read:self"]}).body["api_token"]
    assert program.delete(f"/tokens/{made['id']}").status == 204
    answer = program.post(f"/tokens/{made['id']}/rotate")
    assert (answer.status, answer.code) == (409, "conflict")


def test_revoking_is_for_good_and_twice_is_the_same(program: Program) -> None:
    made = program.post("/tokens", {"name": "gone", "scopes": ["read:self"]}).body
    path = f"/tokens/{made['api_token']['id']}"
    assert [program.delete(path).status for _ in range(2)] == [204, 204]
    assert Program(made["token"]).get("/whoami").code == "token_revoked"
    assert Event.objects.filter(kind=Kind.TOKEN_REVOKED).count() == 1


def test_a_token_ends_itself_without_any_scope_for_that(lou: User) -> None:
    by_word, by_id = program_of(lou, Scope.READ_SELF), program_of(lou, Scope.READ_SELF)
    assert by_id.token
    assert by_word.delete("/tokens/current").status == 204
    assert by_id.delete(f"/tokens/{by_id.token.pk}").status == 204
    assert by_word.get("/whoami").code == by_id.get("/whoami").code == "token_revoked"


def test_somebody_elses_token_is_not_there(program: Program, grace: User) -> None:
    theirs = program_of(grace)
    assert theirs.token
    assert program.delete(f"/tokens/{theirs.token.pk}").code == "not_found"
    assert program.post(f"/tokens/{theirs.token.pk}/rotate").code == "not_found"
    assert theirs.get("/whoami").status == 200


def test_a_service_account_is_told_what_it_is(db: None) -> None:
    account = service_accounts.create(
        name="Robot", contact="ops@portico.example", now=timezone.now(), actor=Actor.command("tests")
    )
    user = program_of(account.user).get("/whoami").body["user"]
    assert (user["name"], user["service_account"]) == ("Robot", True)
