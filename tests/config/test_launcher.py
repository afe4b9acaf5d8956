"""The embedded PostgreSQL: started once, shared, stopped by the last to leave."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from config import launcher

CLONE = Path(__file__).parent.parent.parent


def test_it_starts_a_server_and_keeps_its_url_to_itself(data: Path) -> None:
    with launcher.hold(data, throw_away=True) as server:
        assert launcher.running_url(data) == server.url
        assert stat.S_IMODE((data / "database_url").stat().st_mode) == 0o600
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT current_database(), lower('ÄÖ')").fetchone() == ("portico", "äö")
    assert launcher.running_url(data) is None
    assert not (data / "postgres" / "postmaster.pid").exists()


def test_the_last_one_to_leave_stops_the_server(data: Path) -> None:
    first, second = launcher.ensure(data, throw_away=True), launcher.ensure(data)
    assert first.url == second.url
    first.stop()
    first.stop()
    assert launcher.running_url(data) == second.url
    second.stop()
    assert launcher.running_url(data) is None


def test_a_second_start_finds_the_same_data(data: Path) -> None:
    with launcher.hold(data, throw_away=True) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept ()")
    with launcher.hold(data, throw_away=True) as server, psycopg.connect(server.url) as connection:
        connection.execute("SELECT FROM kept")


def test_a_server_whose_holder_was_killed_is_found_and_stopped_by_the_next(data: Path) -> None:
    program = (
        "import pathlib, sys, time; from config import launcher; "
        "launcher.ensure(pathlib.Path(sys.argv[1]), throw_away=True); print('up', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(data)], cwd=CLONE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"up\n"
    holder.kill()
    holder.communicate()
    left = launcher.running_url(data)
    assert left is not None
    with launcher.hold(data) as server:
        assert server.url == left
    assert launcher.running_url(data) is None


def test_a_pid_file_that_names_another_program_is_not_believed(data: Path) -> None:
    launcher.ensure(data, throw_away=True).stop()
    (data / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n/x\n1\n5432\n/x\n\n1 1\nready\n")
    with launcher.hold(data, throw_away=True) as server:
        assert launcher.running_url(data) == server.url


def test_a_server_that_lost_its_url_is_started_anew(data: Path) -> None:
    launcher.ensure(data, throw_away=True)
    (data / "database_url").unlink()
    with launcher.hold(data, throw_away=True) as server:
        assert launcher.running_url(data) == server.url


def test_paths_too_long_for_a_socket_and_paths_with_blanks_work(data: Path) -> None:
    for folder in (data / ("long" * 30), data / "it's a folder"):
        with launcher.hold(folder, throw_away=True) as server:
            assert launcher.running_url(folder) == server.url


def test_sweeping_spares_servers_in_use_and_deletes_the_others(data: Path) -> None:
    used, left = data / "used", data / "left"
    with launcher.hold(used, throw_away=True):
        launcher.ensure(left, throw_away=True).lease.close()
        assert launcher.running_url(left) is not None
        launcher.sweep(data)
        assert launcher.running_url(used) is not None
        assert not left.exists()


def test_reset_forgets_the_data_but_only_ours(data: Path) -> None:
    assert "nothing to forget" in launcher.reset(data)
    launcher.ensure(data, throw_away=True)
    (data / "thesis.odt").touch()
    with pytest.raises(launcher.LauncherError, match=r"thesis\.odt"):
        launcher.reset(data)
    assert launcher.running_url(data) is not None
    (data / "thesis.odt").unlink()
    assert "is deleted" in launcher.reset(data)
    assert not data.exists()


def test_a_folder_that_cannot_be_made_is_named(data: Path) -> None:
    data.mkdir()
    (data / "file").touch()
    with pytest.raises(launcher.LauncherError, match="PORTICO_DATA"):
        launcher.ensure(data / "file" / "below")


def manage(data: Path, *arguments: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | {
        "PORTICO_DATA": str(data)
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments], cwd=CLONE, env=environ, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_manage_brings_its_own_database_and_leaves_standard_input_to_the_command(data: Path) -> None:
    command = manage(data, "shell", "--no-startup", "--no-imports")
    out, err = command.communicate(
        "from django.db import connection; connection.ensure_connection(); print('connected')"
    )
    assert (command.returncode, out) == (0, "connected\n"), err
    assert launcher.running_url(data) is None


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_manage_stops_its_database_when_it_is_stopped(data: Path, number: signal.Signals, status: int) -> None:
    command = manage(data, "shell", "--no-imports", "-c", "import time; print('up', flush=True); time.sleep(60)")
    assert command.stdout is not None
    assert command.stdout.readline() == "up\n"
    command.send_signal(number)
    _, err = command.communicate(timeout=20)
    assert (command.returncode, err) == (status, "")
    assert launcher.running_url(data) is None
