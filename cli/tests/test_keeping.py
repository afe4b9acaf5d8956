"""Where the token is kept: keyring, or a file that only its owner may read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .server import Portico
    from .terminal import Machine

TESTS = "trial_keyrings"


@pytest.fixture
def keyring(machine: Machine, tmp_path: Path) -> Path:
    """The machine has a keyring, which is this file."""
    machine.env |= {
        "PYTHON_KEYRING_BACKEND": f"{TESTS}.Working",
        "KEYRING_FILE": str(tmp_path / "keyring.json"),
    }
    return tmp_path / "keyring.json"


def sign_in(machine: Machine, portico: Portico, **more: str) -> tuple[str, str]:
    token = portico.token()
    done = machine.run("login", "--host", portico.url, "--with-token", stdin=token, **more)
    assert done.code == 0, done.err
    return token, done.err


def files_in(machine: Machine) -> str:
    return "".join(path.read_text() for path in machine.folder.rglob("*") if path.is_file())


def test_the_keyring_keeps_it_where_there_is_one(machine: Machine, portico: Portico, keyring: Path) -> None:
    token, told = sign_in(machine, portico)
    assert told == ""
    assert json.loads(keyring.read_text()) == {f"portico:{portico.url} default": token}
    assert token not in files_in(machine)
    assert machine.run("whoami").code == 0
    assert "the keyring" in machine.run("status").out


def test_the_keyring_forgets_it_at_logout(machine: Machine, portico: Portico, keyring: Path) -> None:
    sign_in(machine, portico)
    assert machine.run("logout").code == 0
    assert json.loads(keyring.read_text()) == {}


def test_an_entry_that_is_gone_from_the_keyring_means_signed_out(
    machine: Machine, portico: Portico, keyring: Path
) -> None:
    sign_in(machine, portico)
    keyring.unlink()
    assert machine.run("whoami").code == 4


def test_something_else_in_the_keyring_is_no_token(machine: Machine, portico: Portico, keyring: Path) -> None:
    sign_in(machine, portico)
    keyring.write_text(json.dumps({f"portico:{portico.url} default": "rubbish"}))
    assert machine.run("whoami").code == 4


@pytest.mark.parametrize(
    "backend",
    [
        "keyring.backends.fail.Keyring",
        "keyring.backends.null.Keyring",
        "no.such.module.Keyring",
        "keyring.backends.fail.NoSuchName",
        "nonsense",
        f"{TESTS}.Raising",
    ],
)
def test_without_a_keyring_a_file_keeps_it_and_that_is_said(
    machine: Machine, portico: Portico, keyring: Path, backend: str
) -> None:
    machine.env["PYTHON_KEYRING_BACKEND"] = backend
    token, told = sign_in(machine, portico)
    path = machine.token_file
    assert str(path) in told
    assert "No keyring can be used here" in told
    assert token not in told
    assert json.loads(path.read_text()) == {"host": portico.url, "token": token}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert machine.folder.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["default.json"]
    assert machine.run("whoami").code == 0
    assert machine.run("logout").code == 0
    assert not path.exists()


def test_a_keyring_that_fails_later_is_told(machine: Machine, portico: Portico, keyring: Path) -> None:
    sign_in(machine, portico)
    done = machine.run("whoami", PYTHON_KEYRING_BACKEND=f"{TESTS}.Raising")
    assert done.code == 14
    assert "ZeroDivisionError" in done.err
    assert "the keyring's own fault" not in done.err


def test_a_fault_of_our_own_shows_neither_values_nor_a_traceback(
    machine: Machine, portico: Portico, keyring: Path
) -> None:
    token, _ = sign_in(machine, portico)
    for more in ([], ["--json"]):
        done = machine.run("whoami", *more, PYTHON_KEYRING_BACKEND=f"{TESTS}.Odd")
        assert done.code == 1
        assert "AttributeError at tokens.py:" in done.err
        assert token not in done.err
        assert not more or done.error["code"] == "defect"


def test_moving_from_the_file_to_the_keyring_leaves_no_copy(machine: Machine, portico: Portico, keyring: Path) -> None:
    token, _ = sign_in(machine, portico, PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")
    assert token in files_in(machine)
    other, _ = sign_in(machine, portico)
    assert token not in files_in(machine)
    assert other not in files_in(machine)


def test_a_file_that_others_may_read_is_closed_to_them(machine: Machine, token: str) -> None:
    path = machine.token_file
    path.chmod(0o644)
    path.parent.chmod(0o755)
    done = machine.run("whoami")
    assert done.code == 0
    assert "Others could read" in done.err
    assert "Others had rights" in done.err
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert machine.run("whoami").err == ""


def test_a_umask_that_is_open_to_all_opens_nothing(machine: Machine, portico: Portico) -> None:
    before = os.umask(0)
    try:
        sign_in(machine, portico)
    finally:
        os.umask(before)
    for path in [machine.folder, *machine.folder.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_somebody_else_s_folder_is_not_trusted(machine: Machine, portico: Portico) -> None:
    # Root can give a folder away; anybody else has one that is root's.
    theirs = machine.home / "theirs"
    theirs.mkdir()
    if os.geteuid() == 0:
        os.chown(theirs, 12345, 12345)
    else:
        theirs = Path("/usr")
    done = machine.run(
        "login", "--host", portico.url, "--with-token", stdin=portico.token(), PORTICO_CONFIG_DIR=str(theirs)
    )
    assert done.code == 14
    assert "belongs to another user" in done.err
    assert portico.seen == []


def test_a_link_in_place_of_the_file_is_not_followed(machine: Machine, token: str, tmp_path: Path) -> None:
    path = machine.token_file
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert machine.run("whoami").code == 14


def test_a_pipe_in_place_of_the_file_does_not_hang(machine: Machine, token: str) -> None:
    path = machine.token_file
    path.unlink()
    os.mkfifo(path)
    done = machine.run("whoami")
    assert done.code == 14
    assert "not a plain file" in done.err


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"host": "x"}', "[" * 50_000, "\xff"])
def test_a_damaged_file_is_told(machine: Machine, token: str, text: str) -> None:
    machine.token_file.write_bytes(text.encode("latin-1"))
    done = machine.run("whoami")
    assert done.code == 14
    assert len(done.err.splitlines()) == 2


def test_a_file_with_another_host_s_token_is_not_used(machine: Machine, token: str) -> None:
    path = machine.token_file
    path.write_text(json.dumps({"host": "https://elsewhere.example", "token": token}))
    assert machine.run("whoami").code == 4


def test_what_cannot_be_kept_is_not_asked_for(machine: Machine, portico: Portico) -> None:
    machine.folder.write_text("a file where the folder should be")
    done = machine.run("login", "--host", portico.url, "--with-token", stdin=portico.token())
    assert done.code == 14
    assert portico.seen == []


def test_a_token_by_password_that_cannot_be_kept_is_ended(machine: Machine, portico: Portico) -> None:
    portico.person(password="correct horse")
    terminal = machine.sit_down("login", "--host", portico.url, "--email", "ann@acme.example")
    terminal.wait_for("Password: ")
    # Between the question and the answer the place goes away.
    (machine.folder / "profiles").write_text("in the way")
    terminal.type("correct horse\r")
    assert terminal.end() == 14
    assert [row["revoked_at"] for row in portico.tokens.values()] == ["2026-01-02T00:00:00Z"]


def test_no_home_is_told(machine: Machine) -> None:
    done = machine.run("status", PORTICO_CONFIG_DIR="", HOME="")
    assert done.code in {4, 14}
