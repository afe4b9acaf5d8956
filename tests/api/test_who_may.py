"""Every route, and what each kind of caller gets from it: one table, so that nobody opens a door by the way."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.deactivation import deactivate, reactivate
from api.door import api
from tests import factories
from tests.api.calling import ALL, Program, program_of
from tests.tokens.making import OPERATOR, token_of
from tokens import service_accounts
from tokens.models import RefusedAddress
from tokens.scopes import Scope

if TYPE_CHECKING:
    from accounts.models import User
    from orgs.models import Organization

pytestmark = pytest.mark.django_db
NOBODY = uuid.UUID(int=0)

WHO = (
    "no token", "a session cookie", "switched off and on", "one scope", "somebody", "service account",
    "superuser once", "some rights", "superuser",
)  # fmt: skip
# Statuses in the order of WHO. The last row comes after the one before it: a token that was rotated has stopped.
TABLE = """
    GET    /whoami                         401 401 401 200 200 200 200 200 200
    GET    /tokens                         401 401 401 403 200 200 200 200 200
    POST   /tokens                         401 401 401 403 201 201 201 201 201
    GET    /tokens/current                 401 401 401 200 200 200 200 200 200
    POST   /tokens/THEIRS/rotate           401 401 401 403 404 404 404 404 404
    DELETE /tokens/THEIRS                  401 401 401 403 404 404 404 404 404
    DELETE /tokens/NOBODY                  401 401 401 403 404 404 404 404 404
    GET    /organizations                  401 401 401 403 200 200 200 200 200
    GET    /organizations/acme/members     401 401 401 403 404 404 404 404 200
    GET    /organizations/none/members     401 401 401 403 404 404 404 404 404
    GET    /users                          401 401 401 403 403 403 403 200 200
    GET    /users/BOB                      401 401 401 403 403 403 403 200 200
    GET    /users/NOBODY                   401 401 401 403 403 403 403 404 404
    POST   /users/BOB/deactivate           401 401 401 403 403 403 403 403 200
    POST   /users/NOBODY/deactivate        401 401 401 403 403 403 403 403 404
    GET    /audit-events                   401 401 401 403 403 403 403 200 200
    GET    /saml-config                    401 401 401 403 403 403 403 200 200
    GET    /saml-config/okta               401 401 401 403 403 403 403 200 200
    GET    /saml-config/none               401 401 401 403 403 403 403 404 404
    PUT    /saml-config/none?dry_run=1     401 401 401 403 403 403 403 403 200
    PUT    /saml-config/okta?dry_run=1     401 401 401 403 403 403 403 200 200
    PATCH  /saml-config/okta?dry_run=1     401 401 401 403 403 403 403 200 200
    PATCH  /saml-config/none?dry_run=1     401 401 401 403 403 403 403 404 404
    DELETE /saml-config/okta?dry_run=1     401 401 401 403 403 403 403 403 200
    DELETE /saml-config/none?dry_run=1     401 401 401 403 403 403 403 403 404
    POST   /tokens/current/rotate          401 401 401 201 201 201 201 201 201
    DELETE /tokens/current                 401 401 401 401 401 401 401 401 401
"""


@pytest.fixture
def callers(lou: User, grace: User, admin: Program) -> dict[str, Program]:
    """By name, in the order of WHO."""
    cookie = Client()
    cookie.force_login(grace)
    back = factories.user("back@portico.example")
    was_off = program_of(back)
    deactivate(back, now=timezone.now(), actor=OPERATOR)
    reactivate(back, now=timezone.now(), actor=OPERATOR)
    robot = service_accounts.create(name="Robot", contact="ops@portico.example", now=timezone.now(), actor=OPERATOR)
    once = factories.user("once@portico.example", is_staff=True, is_superuser=True)
    demoted = program_of(once)
    once.is_superuser = False
    once.save()
    clerk = factories.user("clerk@portico.example", is_staff=True)
    names = ("view_user", "view_event", "change_identityprovider")
    clerk.user_permissions.set(Permission.objects.filter(codename__in=names))
    programs = (
        Program(), Program(client=cookie), was_off, program_of(lou, Scope.READ_SELF), program_of(lou),
        program_of(robot.user), demoted, program_of(clerk, *ALL), admin,
    )  # fmt: skip
    return dict(zip(WHO, programs, strict=True))


def rows() -> list[tuple[str, str, list[int]]]:
    found = [line.split() for line in TABLE.strip().splitlines()]
    return [(method, path, [int(status) for status in statuses]) for method, path, *statuses in found]


def test_each_caller_gets_what_the_table_says(callers: dict[str, Program], acme: Organization, lou: User) -> None:
    acme.memberships.all().delete()
    factories.idp("okta")
    bob = factories.user("bob@portico.example")
    theirs, _text = token_of(bob)
    ids = {"THEIRS": str(theirs.pk), "BOB": str(bob.pk), "NOBODY": str(NOBODY)}
    for method, path, expected in rows():
        address = path
        for word, pk in ids.items():
            address = address.replace(word, pk)
        RefusedAddress.objects.all().delete()
        headers = {"If_Match": "*"} if "okta" in path and method != "GET" else {}
        body: Any = {"name": "x", "scopes": ["read:self"]} if path == "/tokens" else {}
        got = [
            program.call(method, address, None if method in {"GET", "DELETE"} else body, **headers).status
            for program in callers.values()
        ]
        assert got == expected, f"{method} {path}: {dict(zip(WHO, got, strict=True))}"


def test_the_table_has_every_route() -> None:
    words = {"{token_id}": "THEIRS", "{user_id}": "BOB", "{organization_id}": "acme", "{slug}": "okta"}
    documented = set()
    for path, methods in api.get_openapi_schema(path_prefix="")["paths"].items():
        address = path
        for name, word in words.items():
            address = address.replace(name, word)
        documented |= {(method.upper(), address) for method in methods}
    assert documented - {("POST", "/login")} == {
        (method, path.partition("?")[0]) for method, path, _ in rows() if "NOBODY" not in path and "none" not in path
    }
