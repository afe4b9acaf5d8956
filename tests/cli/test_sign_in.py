"""The client signs in to a real server: at a terminal by password, and by a token that was made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from audit.kinds import Kind
from audit.models import Event
from orgs.models import MembershipRole
from tests import factories
from tests.accounts.people import code, recovery_codes, set_up_app
from tests.pages.forms import PASSWORD, sign_in_by_password
from tests.tokens.making import token_of
from tokens.models import ApiToken
from tokens.scopes import Scope

if TYPE_CHECKING:
    from accounts.models import User
    from cli.tests.terminal import Machine, Terminal
    from saml_sp.models import IdentityProvider

# What these tests make is committed, so that the server sees it.
pytestmark = pytest.mark.django_db(transaction=True)
SSO = "SSORequiredError: The user is registered via single sign-on and may only log in through the identity provider"
CODE = "Code of your authenticator app or recovery code: "


def typed_in(machine: Machine, host: str, email: str, password: str = PASSWORD) -> Terminal:
    """At a terminal, after the password."""
    terminal = machine.sit_down("login", "--host", host)
    terminal.answer("E-mail: ", email)
    terminal.answer("Password: ", password)
    return terminal


# --- By password ----------------------------------------------------------------------------------------------------


def test_a_local_user_signs_in_by_password_which_is_not_shown(machine: Machine, host: str, lou: User) -> None:
    terminal = typed_in(machine, host, "Lou@Portico.example")
    assert terminal.end() == 0
    assert f"Signed in to {host} as Lou Reed <lou@portico.example>." in terminal.text
    assert PASSWORD not in terminal.screen
    token = ApiToken.objects.get()
    assert f"Token {token.prefix}…" in terminal.text
    assert token.scopes == ["read:self", "write:tokens", "read:org"]
    assert token.name.startswith("portico on ")
    assert "Lou Reed <lou@portico.example>" in machine.run("whoami").out


def test_a_wrong_password_is_told(machine: Machine, host: str, lou: User) -> None:
    terminal = typed_in(machine, host, lou.email, "wrong")
    assert terminal.end() == 4
    assert "E-mail and password do not match an account here." in terminal.text
    assert not ApiToken.objects.exists()


def test_the_code_of_an_app_is_asked_for_until_it_is_right(machine: Machine, host: str, lou: User) -> None:
    secret = set_up_app(sign_in_by_password(lou))
    terminal = typed_in(machine, host, lou.email)
    # Setting the app up took the code of the step before.
    terminal.answer(CODE, code(secret, -1))
    terminal.wait_for("That code is not right, or was used before.")
    now = code(secret)
    terminal.answer("Code of your second factor: ", now)
    assert terminal.end() == 0
    assert "as Lou Reed" in terminal.text
    assert now not in terminal.screen
    assert Event.objects.get(kind=Kind.API_SIGN_IN).data["second_factor"] == "totp"


def test_a_recovery_code_is_as_good(machine: Machine, host: str, lou: User) -> None:
    browser = sign_in_by_password(lou)
    set_up_app(browser)
    one = recovery_codes(browser)[0]
    terminal = typed_in(machine, host, lou.email)
    terminal.answer(CODE, one)
    assert terminal.end() == 0
    assert one not in terminal.screen
    assert Event.objects.get(kind=Kind.API_SIGN_IN).data["second_factor"] == "recovery_codes"


def test_somebody_of_an_identity_provider_reads_where_a_token_is_made(
    machine: Machine, host: str, acme: IdentityProvider, lou: User
) -> None:
    factories.identity(acme, lou)
    terminal = typed_in(machine, host, lou.email)
    assert terminal.end() == 3
    assert SSO in terminal.text
    assert f"Open {host}/profile/tokens/ in your browser, make a token there, then: portico login --host {host}" in (
        terminal.text
    )
    assert "--with-token" in terminal.text
    assert not ApiToken.objects.exists()


# --- By a token -----------------------------------------------------------------------------------------------------


def test_a_token_is_handed_over_and_tells_who_one_is(machine: Machine, host: str, lou: User) -> None:
    acme, north = factories.organization("Acme"), factories.organization("Northwind")
    factories.membership(lou, acme, MembershipRole.ADMIN)
    factories.membership(lou, north)
    token, text = token_of(lou, name="Laptop", scopes=(Scope.READ_SELF, Scope.READ_ORG))
    assert machine.run("login", "--host", host, "--with-token", stdin=f"{text}\n").code == 0
    told = machine.run("whoami", "--json").told
    assert told["user"] == {
        "id": str(lou.pk), "email": "lou@portico.example", "name": "Lou Reed", "service_account": False,
    }  # fmt: skip
    assert told["token"]["id"] == str(token.pk)
    shown = machine.run("whoami").out
    assert "Acme (admin), Northwind (member)" in shown
    assert "read:self, read:org" in shown
    listed = machine.run("orgs", "list").out
    assert [line.split() for line in listed.splitlines()[1:]] == [
        ["acme", "Acme", "admin"], ["northwind", "Northwind", "member"],
    ]  # fmt: skip
    status = machine.run("status", "--check", "--json").told
    assert (status["works"], status["who"]) == (True, "Lou Reed <lou@portico.example>")
    assert (status["token"]["id"], status["token"]["prefix"]) == (str(token.pk), token.prefix)
    token.refresh_from_db()
    assert token.last_used_by.startswith("portico-cli/")


def test_a_token_in_the_environment_is_used_and_kept_nowhere(machine: Machine, host: str, lou: User) -> None:
    _token, text = token_of(lou)
    done = machine.run("whoami", PORTICO_TOKEN=text, PORTICO_HOST=host)
    assert "Lou Reed <lou@portico.example>" in done.out
    assert not machine.folder.exists()
    refused = machine.run("orgs", "list", PORTICO_TOKEN=text, PORTICO_HOST=host)
    assert refused.code == 5
    assert "This token lacks the scope read:org." in refused.err


def test_logout_ends_the_token_for_every_copy_of_it(machine: Machine, host: str, lou: User) -> None:
    token, text = token_of(lou)
    machine.run("login", "--host", host, "--with-token", stdin=text)
    assert machine.run("logout", "--revoke").code == 0
    token.refresh_from_db()
    assert token.revoked_by == str(lou)
    copied = machine.run("whoami", "--json", PORTICO_TOKEN=text)
    assert (copied.code, copied.error["code"]) == (4, "token_revoked")
    assert f"{timezone.now():%d %B %Y}" in copied.error["message"]
