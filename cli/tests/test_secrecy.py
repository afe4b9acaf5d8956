"""A token is on the screen once in its life: when `tokens create` makes it."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from typing import TYPE_CHECKING

import pytest

from portico_cli.client import Door
from portico_cli.errors import Refusal
from portico_cli.hosts import Host
from portico_cli.keeping import Keeper
from portico_cli.tokens import Token

from .server import Canned, Portico, minted

if TYPE_CHECKING:
    from pathlib import Path

    from .terminal import Machine

COMMANDS = [
    ["login", "--with-token"],
    ["login"],
    ["whoami"],
    ["status"],
    ["status", "--check"],
    ["profiles", "list"],
    ["tokens", "list"],
    ["tokens", "revoke", "nope"],
    ["orgs", "list"],
    ["saml", "list"],
    ["saml", "show", "acme"],
    ["saml", "diff", "-"],
    ["saml", "apply", "--yes", "-"],
    ["--version"],
    ["--help"],
    ["tokens", "rotate"],
    ["logout"],
    ["whoami"],
]


def test_no_command_prints_a_token(machine: Machine, portico: Portico) -> None:
    portico.config("acme")
    for more in ([], ["--json"]):
        token = portico.token()
        machine.run("login", "--host", portico.url, "--token", token)
        for command in COMMANDS:
            done = machine.run(*command, *more, stdin=token if "login" in command else "slug: acme\ncontact: x\n")
            printed(portico, done.out, done.err)
        machine.run("login", "--with-token", stdin=portico.token())
        done = machine.run("tokens", "create", "ci", *more)
        printed(portico, done.err)
        assert len([text for text in portico.tokens if text in done.out]) == 1


def printed(portico: Portico, *texts: str) -> None:
    for text in texts:
        assert not [token for token in portico.tokens if token[4:] in text], text


def test_a_server_that_repeats_the_token_does_not_get_it_printed(
    machine: Machine, portico: Portico, token: str
) -> None:
    echo = f'"{token}"'.encode()
    portico.config("acme")
    portico.tokens[token] |= {"name": token, "prefix": token, "id": token}
    portico.people["ann@acme.example"].name = token
    portico.organizations = [{"id": token, "name": token, token: token}]
    for command in (*COMMANDS[:-3], ["saml", "show", token]):
        for more in ([], ["--json"]):
            done = machine.run(*command, *more, stdin="slug: acme")
            printed(portico, done.out, done.err)
    for status in (200, 403, 302, 500):
        headers = {"Location": f"http://x/?{token}", "Content-Type": token}
        portico.canned["GET", "/whoami"] = Canned(
            status, b'{"code": "x", "detail": %b, "idp": %b}' % (echo, echo), headers
        )
        for more in ([], ["--json"]):
            done = machine.run("whoami", *more)
            printed(portico, done.out, done.err)


def test_nothing_but_the_keeping_file_has_the_token(machine: Machine, token: str) -> None:
    machine.run("whoami")
    having = [path for path in machine.home.rglob("*") if path.is_file() and token in path.read_text(errors="replace")]
    assert having == [machine.token_file]


def test_a_token_cannot_print_itself() -> None:
    text = minted("x")
    token = Token.parse(text)
    for shown in (repr(token), str(token), f"{token}", f"{token!r}", repr([token]), ascii(token)):
        assert text[13:] not in shown
        assert text[:8] in shown
    with pytest.raises(TypeError):
        pickle.dumps(token)
    with pytest.raises(TypeError):
        copy.copy(token)
    assert not hasattr(token, "__dict__")
    assert token == Token.parse(f" {text} ")
    assert hash(token) == hash(Token.parse(text))
    assert token != text


def test_what_holds_a_token_does_not_show_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    text = minted("x")
    host = Host.parse("http://127.0.0.1:1")
    door = Door(host, Token.parse(text), timeout=2)
    keeper = Keeper(tmp_path, "default", host, print)
    assert text not in repr(door) + repr(vars(door)) + repr(keeper)
    with pytest.raises(Refusal) as refused:
        door.call("GET", "/whoami")
    assert text not in "".join(traceback.format_exception(refused.value))
    assert text not in caplog.text
