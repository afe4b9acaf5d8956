"""What is printed: nothing a terminal obeys, nothing that cannot be read, and no word when the reader is gone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from portico_cli.output import aligned, clean

from .server import Canned, minted
from .terminal import COMMAND

if TYPE_CHECKING:
    from .server import Portico
    from .terminal import Machine

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\b\x9b31m\u202e\u2066\u200f\u2028\udcff[bold]x[/bold]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe 👩\u200d💻 نمی\u200cخواهم", "Größe 👩\u200d💻 نمی\u200cخواهم"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x9b", "\\x9b"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        (f"a {minted('x')}b", "a ptc_…"),
        (minted("x")[:8], minted("x")[:8]),
    ],
)
def test_text_is_made_harmless_and_stays_readable(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_columns_are_as_wide_as_what_is_seen() -> None:
    assert aligned([["A", "B"], ["日本", "x"], ["", "y"]]) == "A     B\n日本  x\n      y"


def test_a_hostile_server_moves_no_terminal(machine: Machine, portico: Portico, token: str) -> None:
    portico.people["ann@acme.example"].name = HOSTILE
    portico.organizations = [{"id": "o1", "name": HOSTILE, "role": HOSTILE}]
    portico.tokens[token] |= {"name": HOSTILE}
    portico.config("acme", description=HOSTILE, domains=[{"domain": HOSTILE, "verified": True}])
    commands = [
        ["login", "--with-token"],
        ["whoami"],
        ["status"],
        ["status", "--check"],
        ["profiles", "list"],
        ["tokens", "list"],
        ["orgs", "list"],
        ["saml", "list"],
        ["saml", "show", "acme"],
        ["saml", "diff", "-"],
        ["saml", "show", "nope\x1b[31m"],
    ]
    for command in commands:
        for more in ([], ["--json"]):
            stdin = token if command[0] == "login" else "slug: acme"
            done = machine.run(*command, *more, stdin=stdin)
            assert done.code in {0, 6, 10}, done.err
            assert not set(done.out + done.err) & set("\x1b\x07\r\b\x9b\u202e\u2066\u200f\u2028"), command
    portico.canned["GET", "/whoami"] = Canned(403, json.dumps({"code": "not_allowed", "detail": HOSTILE}).encode())
    done = machine.run("whoami")
    assert "\\x1b]0;owned\\x07" in done.err
    assert len(done.err.splitlines()) == 2


def test_at_a_terminal_too(machine: Machine, portico: Portico, token: str) -> None:
    portico.organizations = [{"id": "o1", "name": HOSTILE, "role": None}]
    terminal = machine.sit_down("orgs", "list", COLUMNS="200", NO_COLOR="1")
    assert terminal.end() == 0
    assert "\x1b]" not in terminal.screen
    assert "\x1b[2J" not in terminal.screen
    assert "\u202e" not in terminal.screen
    assert "[bold]x[/bold]" in terminal.text


def test_a_terminal_that_knows_ascii_only_gets_question_marks(machine: Machine, portico: Portico, token: str) -> None:
    portico.organizations = [{"id": "o1", "name": "Größe", "role": None}]
    done = machine.run("orgs", "list", PYTHONIOENCODING="ascii")
    assert done.code == 0
    assert "Gr??e" in done.out
    assert machine.run("orgs", "list", "--json", PYTHONIOENCODING="ascii").told["items"][0]["name"] == "Größe"


def test_a_long_message_is_cut(machine: Machine, portico: Portico, token: str) -> None:
    portico.answer("GET", "/whoami", "not_allowed", 403, "long " * 10_000)
    assert len(machine.run("whoami").err) < 1000


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_a_reader_who_leaves_is_no_fault(machine: Machine, portico: Portico, token: str, json_too: list[str]) -> None:
    portico.organizations = [{"id": str(n), "name": "x" * 5000, "role": None} for n in range(60)]
    reader, writer = os.pipe()
    os.close(reader)
    command = [*COMMAND, "orgs", "list", *json_too]
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, env=machine.environment()) as process:
        os.close(writer)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 141
    assert told == b""


def test_errors_nobody_reads_are_no_fault_either(machine: Machine) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen([*COMMAND, "whoami"], stderr=writer, env=machine.environment()) as process:
        os.close(writer)
        assert process.wait(60) == 141


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_is_no_fault(machine: Machine, portico: Portico, token: str, closed: str) -> None:
    number = {"stdin": 0, "stdout": 1, "stderr": 2}[closed]
    for command in ("whoami", "login --with-token", "saml diff -", "nonsense"):
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec {number}>&-; exec "$0" -m portico_cli {command}', COMMAND[0]],
            input=None,
            capture_output=True,
            env=machine.environment(),
            timeout=60,
            check=False,
        )
        assert done.returncode in {0, 2, 4, 10, 11}, (command, done.stderr)
        assert b"Traceback" not in done.stderr


def test_a_full_disk_is_told(machine: Machine, token: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "whoami"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=machine.environment(),
            check=False,
            timeout=60,
        )
        assert done.returncode == 14
        assert b"No space left" in done.stderr
        done = subprocess.run([*COMMAND, "x"], stderr=full, env=machine.environment(), check=False, timeout=60)
        assert done.returncode == 14
