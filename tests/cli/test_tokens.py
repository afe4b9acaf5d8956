"""Tokens made, listed, replaced and ended by the client at a real server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.tokens.making import token_of
from tokens.models import ApiToken
from tokens.scopes import Scope

if TYPE_CHECKING:
    from accounts.models import User
    from cli.tests.terminal import Machine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def text(lou: User) -> str:
    """A token of Lou's that makes tokens."""
    return token_of(lou, name="Laptop", scopes=(Scope.READ_SELF, Scope.WRITE_TOKENS))[1]


@pytest.fixture
def program(machine: Machine, host: str, text: str) -> Machine:
    """A machine that has the token in its environment."""
    machine.env = {"PORTICO_HOST": host, "PORTICO_TOKEN": text}
    return machine


def test_a_token_is_made_listed_and_ended(program: Machine) -> None:
    made = program.run("tokens", "create", "ci", "--scope", "read:self", "--expires-in-days", "7")
    row = ApiToken.objects.get(name="ci")
    assert (row.scopes, (row.expires_at - row.created_at).days) == (["read:self"], 7)
    text = made.out.strip()
    told = program.run("whoami", "--json", PORTICO_TOKEN=text).told
    assert told["token"]["id"] == str(row.pk)
    assert program.run("tokens", "revoke", str(row.pk)).code == 0
    assert program.run("whoami", PORTICO_TOKEN=text).code == 4
    shown = program.run("tokens", "list").out.splitlines()
    assert re.search(rf"^{row.pk}  ci +{row.prefix} .* revoked$", shown[1])
    assert re.search(r"  Laptop .* in use here$", shown[2])


def test_a_token_makes_none_that_can_do_more(program: Machine) -> None:
    more = program.run("tokens", "create", "ci", "--scope", "read:org", "--json")
    assert (more.code, more.error["code"]) == (11, "invalid")
    assert "scopes: The token in use lacks read:org" in more.error["message"]
    longer = program.run("tokens", "create", "ci", "--expires-in-days", "3000")
    assert longer.code == 11
    assert "A token lives for 1 to 365 days, not 3000." in longer.err
    nothing = program.run("tokens", "revoke", "00000000-0000-0000-0000-000000000000", "--json")
    assert (nothing.code, nothing.error["code"]) == (6, "not_found")
    no_id = program.run("tokens", "revoke", "ci", "--json")
    assert (no_id.code, no_id.error["code"]) == (6, "not_found")


def test_the_token_in_use_is_replaced_and_goes_on_working(machine: Machine, host: str, text: str) -> None:
    assert machine.run("login", "--host", host, "--with-token", stdin=text).code == 0
    assert machine.run("tokens", "rotate").code == 0
    assert machine.run("tokens", "list", "--json").told["items"][0]["current"]
    assert text not in machine.token_file.read_text()
    assert ApiToken.objects.filter(revoked_at__isnull=True).count() == 1


def test_another_one_is_replaced_and_goes_to_a_file(program: Machine) -> None:
    program.run("tokens", "create", "ci")
    old = ApiToken.objects.get(name="ci")
    assert program.run("tokens", "rotate", str(old.pk), "--output", "new-token").code == 0
    file = program.home / "new-token"
    assert file.stat().st_mode & 0o777 == 0o600
    told = program.run("whoami", "--json", PORTICO_TOKEN=file.read_text()).told
    assert told["token"]["name"] == "ci"
    old.refresh_from_db()
    assert old.revoked_at is not None
