"""What happens at a terminal: questions, passwords that do not echo, Ctrl-C, tables."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from .server import SSO_SENTENCE, Portico, raw

if TYPE_CHECKING:
    from pathlib import Path

    from .terminal import Machine

PASSWORD = "correct horse battery"


def test_e_mail_and_password_sign_in_and_do_not_echo(machine: Machine, portico: Portico) -> None:
    portico.person(password=PASSWORD)
    terminal = machine.sit_down("login", "--host", portico.url)
    terminal.answer("E-mail: ", "ann@acme.example")
    terminal.answer("Password: ", PASSWORD)
    assert terminal.end() == 0
    assert "Signed in to" in terminal.text
    assert "ann@acme.example" in terminal.text
    assert PASSWORD not in terminal.screen
    assert not [token for token in portico.tokens if token in terminal.screen]
    assert machine.run("whoami").code == 0


def test_the_new_token_is_what_was_asked_for(machine: Machine, portico: Portico) -> None:
    portico.person(password=PASSWORD)
    options = ["--email", "ann@acme.example", "--name", "ci", "--scope", "read:self", "--expires-in-days", "7"]
    terminal = machine.sit_down("login", "--host", portico.url, *options)
    terminal.answer("Password: ", PASSWORD)
    assert terminal.end() == 0
    sent = portico.seen[0].body
    assert sent == {
        "email": "ann@acme.example",
        "password": PASSWORD,
        "name": "ci",
        "scopes": ["read:self"],
        "expires_in_days": 7,
    }
    assert "authorization" not in portico.seen[0].headers


def test_the_host_is_asked_for_too(machine: Machine, portico: Portico) -> None:
    portico.person(password=PASSWORD)
    terminal = machine.sit_down("login", "--email", "ann@acme.example")
    terminal.answer("Address of your Portico: ", portico.url)
    terminal.answer("Password: ", PASSWORD)
    assert terminal.end() == 0


def test_the_second_factor_is_asked_for_and_does_not_echo(machine: Machine, portico: Portico) -> None:
    portico.person(password=PASSWORD, codes=["271828", "recovery-code-1"])
    terminal = machine.sit_down("login", "--host", portico.url, "--email", "ann@acme.example")
    terminal.answer("Password: ", PASSWORD)
    terminal.answer("Code of your authenticator app or recovery code: ", "000000")
    terminal.wait_for("That code is not right.")
    terminal.wait_for("Code of your second factor: ")
    terminal.type("271828\r")
    assert terminal.end() == 0
    assert "271828" not in terminal.screen
    assert "000000" not in terminal.screen


def test_a_second_factor_is_not_asked_for_forever(machine: Machine, portico: Portico) -> None:
    portico.person(password=PASSWORD, codes=["271828"])
    terminal = machine.sit_down("login", "--host", portico.url, "--email", "ann@acme.example")
    terminal.answer("Password: ", PASSWORD)
    terminal.answer("recovery code: ", "1")
    for turn in (1, 2):
        terminal.wait_for("Code of your second factor: ", times=turn)
        terminal.type("1\r")
    assert terminal.end() == 4
    assert len(portico.seen) == 4


def test_a_wrong_password_is_told_once(machine: Machine, portico: Portico) -> None:
    portico.person(password=PASSWORD)
    terminal = machine.sit_down("login", "--host", portico.url, "--email", "ann@acme.example")
    terminal.answer("Password: ", "wrong")
    assert terminal.end() == 4
    assert "The address or the password is wrong." in terminal.text
    assert "wrong\r\nThe address" not in terminal.text


def test_somebody_of_an_identity_provider_reads_the_sentence_and_the_way(machine: Machine, portico: Portico) -> None:
    terminal = machine.sit_down("login", "--host", portico.url, "--email", "eve@sso.example")
    terminal.answer("Password: ", "whatever")
    assert terminal.end() == 3
    assert SSO_SENTENCE in terminal.text
    assert f"Open {portico.url}/profile/tokens/" in terminal.text
    assert "portico login" in terminal.text
    assert "--with-token" in terminal.text


@pytest.mark.parametrize("code", ["passkey_only", "password_sign_in_off"])
def test_somebody_without_a_password_reads_the_way_too(machine: Machine, portico: Portico, code: str) -> None:
    portico.answer("POST", "/login", code, 403, "Not by password.")
    terminal = machine.sit_down("login", "--host", portico.url, "--email", "ann@acme.example")
    terminal.answer("Password: ", "whatever")
    assert terminal.end() == 5
    assert "/profile/tokens/" in terminal.text


def test_what_is_no_e_mail_address_is_not_sent(machine: Machine, portico: Portico) -> None:
    terminal = machine.sit_down("login", "--host", portico.url)
    terminal.answer("E-mail: ", "ann")
    assert terminal.end() == 2
    assert portico.seen == []


def test_the_token_can_be_pasted_and_does_not_echo(machine: Machine, portico: Portico) -> None:
    token = portico.token()
    terminal = machine.sit_down("login", "--host", portico.url, "--with-token")
    terminal.answer("Token: ", token)
    assert terminal.end() == 0
    assert token not in terminal.screen


def test_ctrl_c_at_a_question_ends_quietly(machine: Machine, portico: Portico) -> None:
    for prompt in ("E-mail: ", "Password: "):
        terminal = machine.sit_down("login", "--host", portico.url)
        if prompt != "E-mail: ":
            terminal.answer("E-mail: ", "ann@acme.example")
        terminal.wait_for(prompt)
        terminal.interrupt()
        assert terminal.end() == 130
        assert "Interrupted." in terminal.text


def test_ctrl_c_during_a_request_ends_quietly(machine: Machine, portico: Portico, token: str) -> None:
    with raw(b"", then_wait=True) as server:
        terminal = machine.sit_down("whoami", PORTICO_HOST=server.url, PORTICO_TOKEN=token)
        assert server.asked.wait(30)
        terminal.interrupt()
        assert terminal.end() == 130


@pytest.mark.parametrize("imported", ["portico_cli.errors", "typer.main", "portico_cli.commands.saml", "httpx._models"])
def test_ctrl_c_at_the_very_beginning_ends_quietly(machine: Machine, token: str, imported: str) -> None:
    # Python tells what it imports; before it has begun to run us, the signal is its own affair.
    terminal = machine.sit_down(
        "whoami", "--host", "http://127.0.0.1:1", PYTHONPROFILEIMPORTTIME="1", PORTICO_TOKEN=token
    )
    terminal.wait_for(imported)
    terminal.interrupt()
    # By the signal itself where it came during exec of a text, as dataclasses do: `python -m` makes up for it then
    # (the script does not). A shell says 130 for both.
    assert terminal.end() in {130, -signal.SIGINT}


def test_the_end_of_input_is_an_answer_too(machine: Machine, portico: Portico) -> None:
    for prompt in ("E-mail: ", "Password: "):
        terminal = machine.sit_down("login", "--host", portico.url)
        if prompt != "E-mail: ":
            terminal.answer("E-mail: ", "ann@acme.example")
        terminal.wait_for(prompt)
        terminal.type("\x04")
        assert terminal.end() == 13


def test_a_terminal_gets_tables_and_colours_unless_it_wants_none(
    machine: Machine, portico: Portico, token: str
) -> None:
    portico.organizations = [{"id": "o1", "name": "Acme [red]", "role": None}]
    terminal = machine.sit_down("orgs", "list")
    assert terminal.end() == 0
    assert "┃" in terminal.screen
    assert "Acme [red]" in terminal.screen
    assert "\x1b[1m" in terminal.screen
    plain = machine.sit_down("status", NO_COLOR="1")
    assert plain.end() == 0
    assert not re.search(r"\x1b\[3[0-9]", plain.screen)


def test_apply_asks_and_takes_no_for_an_answer(machine: Machine, portico: Portico, token: str, tmp_path: Path) -> None:
    portico.config("acme")
    file = tmp_path / "acme.yaml"
    file.write_text("slug: acme\ndescription: Better\nenabled: false\n")
    for answer in ("n", "", "yep"):
        terminal = machine.sit_down("saml", "apply", str(file))
        terminal.answer("[y/N] ", answer)
        assert terminal.end() == 13
        assert 'description: "Acme" -> "Better"' in terminal.text
    assert portico.configs["acme"]["description"] == "Acme"
    terminal = machine.sit_down("saml", "apply", str(file))
    terminal.answer("[y/N] ", "y")
    assert terminal.end() == 0
    assert portico.configs["acme"]["description"] == "Better"


def test_a_terminal_that_goes_away_leaves_no_process(machine: Machine, portico: Portico) -> None:
    terminal = machine.sit_down("login", "--host", portico.url)
    terminal.wait_for("E-mail: ")
    os.close(terminal.handle)
    assert terminal.exit_code() != 0
