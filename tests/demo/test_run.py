"""`make run`, as a whole: starts, shares nothing with a second one, and leaves nothing behind."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from config import launcher

CLONE = Path(__file__).parent.parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(data: Path, **variables: int | str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    chosen = {name: str(value) for name, value in variables.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "demo"], cwd=CLONE, env=kept | {"PORTICO_DATA": str(data)} | chosen, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def until_running(demo: subprocess.Popen[str]) -> str:
    """What it says until the box is closed."""
    assert demo.stdout is not None
    said = ""
    for line in demo.stdout:
        said += line
        if line.startswith("└"):
            return said
    raise AssertionError(said)


def status(port: int, path: str = "/") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    with connection.getresponse() as response:
        return response.status


def test_it_runs_and_two_impatient_interrupts_stop_all_of_it(data: Path) -> None:
    port, demo_port = free_port(), free_port()
    demo = run(data, PORT=port, DEMO_PORT=demo_port)
    said = until_running(demo)
    password = re.search(r"password +(\S+)", said)
    assert password is not None
    assert password[1] == (data / "demo" / "admin_password").read_text().strip()
    assert (status(port), status(port, "/admin/"), status(demo_port)) == (302, 302, 200)
    assert launcher.running_url(data) is not None
    family = psutil.Process(demo.pid).children(recursive=True)
    os.killpg(demo.pid, signal.SIGINT)
    time.sleep(0.1)
    os.killpg(demo.pid, signal.SIGINT)
    rest, _ = demo.communicate(timeout=15)
    assert demo.returncode == 0
    assert "Traceback" not in rest
    assert [process for process in family if process.is_running()] == []
    assert launcher.running_url(data) is None


def test_a_part_that_ends_by_itself_ends_the_rest(data: Path) -> None:
    demo = run(data, PORT=free_port(), DEMO_PORT=free_port())
    until_running(demo)
    family = psutil.Process(demo.pid).children(recursive=True)
    next(process for process in family if "demo.idp" in process.cmdline()).kill()
    rest, _ = demo.communicate(timeout=15)
    assert demo.returncode == 1
    assert "The demo portal has ended by itself" in rest
    assert [process for process in family if process.is_running()] == []
    assert launcher.running_url(data) is None


@pytest.mark.parametrize("variable", ["PORT", "DEMO_PORT"])
def test_a_busy_port_names_the_variable_that_changes_it(data: Path, variable: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = {"PORT": free_port(), "DEMO_PORT": free_port()} | {variable: other.getsockname()[1]}
        demo = run(data, **ports)
        said, _ = demo.communicate(timeout=20)
    assert demo.returncode == 1
    assert f"make run {variable}=" in said
    assert "Traceback" not in said
    assert not data.exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"PORT": "eighty"}, "PORT must be a whole number"),
        ({"PORTICO_ENV": "production"}, "This is the demo"),
        ({"PORTICO_BASE_URL": "http://portico.example"}, "must begin with https://"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "The database does not work"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(data: Path, variables: dict[str, str], sentence: str) -> None:
    demo = run(data, **({"PORT": free_port(), "DEMO_PORT": free_port()} | variables))
    said, _ = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert sentence in said
    assert "Traceback" not in said
