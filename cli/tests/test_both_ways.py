"""The forks that the tests run in, held to what they stand for: `python -m portico_cli`."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .terminal import forks

if TYPE_CHECKING:
    from .server import Portico
    from .terminal import Machine, Result


def both_ways(machine: Machine, *args: str, stdin: str | bytes = "", **env: str) -> tuple[Result, Result]:
    """One command in a fork, and the same in a Python that is started for it; both find the same files."""
    before = machine.home.with_name(f"{machine.home.name}-before")
    shutil.copytree(machine.home, before)
    forked = machine.run(*args, stdin=stdin, **env)
    shutil.rmtree(machine.home)
    before.rename(machine.home)
    return forked, replace(machine, really=True).run(*args, stdin=stdin, **env)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["whoami"], 0),
        (["whoami", "--json"], 0),
        (["whoami", "--host", "http://127.0.0.1:1"], 4),
        (["whoami", "--host", "https://127.0.0.1:1"], 4),
        (["saml", "diff", "-"], 10),
        (["saml", "show", "Größe"], 6),
        (["saml", "show", "Gr\udcff"], 2),
        (["nonsense"], 2),
    ],
)
def test_a_command_does_the_same(machine: Machine, portico: Portico, token: str, args: list[str], code: int) -> None:
    portico.config("acme", description="Größe")
    forked, real = both_ways(machine, *args, stdin="slug: acme\ndescription: x\n")
    assert forked == real
    assert forked.code == code


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"PYTHON_KEYRING_BACKEND": "trial_keyrings.Working"},
        {"PYTHON_KEYRING_BACKEND": "trial_keyrings.Raising"},
        {"PYTHON_KEYRING_BACKEND": "nonsense"},
        {"PORTICO_CONFIG_DIR": "", "XDG_CONFIG_HOME": "/proc/none"},
        {"PORTICO_HOST": "https://127.0.0.1:1", "SSL_CERT_FILE": "/dev/null"},
        {"PORTICO_HOST": "https://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"},
        {"_PORTICO_COMPLETE": "source_bash"},
    ],
)
def test_the_environment_does_the_same(machine: Machine, portico: Portico, env: dict[str, str]) -> None:
    args = ["login", "--with-token", *([] if "PORTICO_HOST" in env else ["--host", portico.url])]
    more = {"KEYRING_FILE": str(machine.home / "keyring.json"), **env}
    forked, real = both_ways(machine, *args, stdin=portico.token(), **more)
    assert forked == real


@pytest.mark.parametrize("really", [False, True])
def test_a_terminal_does_the_same(machine: Machine, portico: Portico, *, really: bool) -> None:
    machine.really = really
    portico.person(password="correct horse")
    terminal = machine.sit_down("login", "--host", portico.url, "--email", "ann@acme.example")
    terminal.answer("Password: ", "correct horse")
    assert terminal.end() == 0
    assert "correct horse" not in terminal.screen
    terminal = machine.sit_down("status")
    assert terminal.end() == 0
    assert "\x1b[1m" in terminal.screen
    terminal = machine.sit_down("login", "--host", portico.url, "--profile", "other")
    terminal.wait_for("E-mail: ")
    terminal.interrupt()
    assert terminal.end() == 130


@pytest.mark.parametrize("really", [False, True])
def test_a_terminal_that_goes_away_ends_it_by_signal(machine: Machine, portico: Portico, *, really: bool) -> None:
    machine.really = really
    terminal = machine.sit_down("login", "--host", portico.url)
    terminal.wait_for("E-mail: ")
    os.close(terminal.handle)
    assert terminal.exit_code() == -1


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_fork_has_what_it_was_given_and_leaves_nothing(machine: Machine, portico: Portico) -> None:
    machine.run("--version")
    server = Path(f"/proc/{forks().process.pid}")
    before = names(server / "fd")
    for _ in range(3):
        terminal = machine.sit_down("login", "--host", portico.url)
        terminal.wait_for("E-mail: ")
        theirs = names(Path(f"/proc/{terminal.process.pid}/fd"))
        folder = Path(f"/proc/{terminal.process.pid}/cwd").readlink()
        terminal.interrupt()
        assert terminal.end() == 130
        assert theirs == ["0", "1", "2"]
        assert folder == machine.home
    machine.run("whoami")
    assert names(server / "fd") == before
    assert not (server / "task" / server.name / "children").read_text()


@pytest.mark.parametrize("name", ["PYTHONIOENCODING", "LC_ALL", "LANG", "TZ", "PYTHONPATH"])
def test_what_is_read_when_python_begins_starts_a_python(machine: Machine, name: str) -> None:
    assert forks().suits(machine.environment())
    assert not forks().suits(machine.environment(**{name: "C"}))
