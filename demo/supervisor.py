"""Starts the parts of the demo, says where they are, and stops all of them when told to or when one of them ends."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import Error as DatabaseError
from django.db import connections

from config import env, launcher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from demo.seed import Administrator

CLONE = Path(__file__).resolve().parent.parent
ANSWER_TIMEOUT_S = 60
GRACE_S = 4
LOOPBACK = "127.0.0.1"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal said so. Not an Exception: nothing on the way may take it for a fault."""


class CannotRun(Exception):
    """The demo cannot go on; the message is for the person at the terminal."""


@dataclass(frozen=True)
class Child:
    """A process of ours and what people call it."""

    name: str
    process: subprocess.Popen[bytes]


def main() -> int:
    """Run the demo until a signal ends it. Returns the exit status: 0 when told to stop, 1 when something failed."""
    for number in SIGNALS:
        signal.signal(number, _stop)
    try:
        run()
    except Stopped:
        print("Everything is stopped.", flush=True)
        return 0
    except (CannotRun, launcher.LauncherError, ImproperlyConfigured) as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    return 0


def run() -> None:
    """Start everything, then wait. Raises CannotRun, LauncherError, ImproperlyConfigured or Stopped."""
    if os.environ.get("PORTICO_ENV") == "production":
        raise CannotRun("This is the demo: it does not run with PORTICO_ENV=production.")
    port = env.integer("PORT", 8000, at_least=1, at_most=65535)
    demo_port = env.integer("DEMO_PORT", 8100, at_least=1, at_most=65535)
    check_free(port, "PORT")
    check_free(demo_port, "DEMO_PORT")
    data = launcher.data_folder()
    os.environ |= {"PORTICO_DATA": str(data), "PORT": str(port), "DJANGO_SETTINGS_MODULE": "config.settings"}
    os.environ.setdefault("PORTICO_ENCRYPTION_KEYS", encryption_key(data / "demo"))
    with database(data), children() as running:
        administrator, base_url = prepare(data / "demo", demo_port)
        gunicorn = ("gunicorn", "--config", "config/gunicorn.conf.py", "config.wsgi:application")
        idp = ("demo.idp", "--port", str(demo_port), "--service", base_url, "--keys", str(data / "demo"))
        with step("Portico and the demo portal"):
            running += [start("Portico", *gunicorn)]
            running += [start("The demo portal", *idp)]
            wait_until_answering(port, running)
            wait_until_answering(demo_port, running)
        print(box(base_url, f"http://localhost:{demo_port}", administrator), flush=True)
        while True:
            check_alive(running)
            time.sleep(0.3)


def encryption_key(folder: Path) -> str:
    """The key under which the demo's Portico keeps its own key pair, made once: a Fernet key."""
    secret = env.kept_secret(folder / "encryption_secret")
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).decode()


def check_free(port: int, variable: str) -> None:
    """Raise CannotRun, naming the variable that changes it, if something listens on the port already."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a server that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise CannotRun(
                f"Port {port} cannot be had ({error.strerror}). Stop what uses it, or choose another: "
                f"make run {variable}={port + 1}"
            ) from error


@contextlib.contextmanager
def database(data: Path) -> Iterator[None]:
    """A database in DATABASE_URL: the one that is set already, or the embedded server's."""
    if os.environ.get("DATABASE_URL"):
        print("Database: DATABASE_URL is set and used.", flush=True)
        yield
        return
    with contextlib.ExitStack() as stack:
        with step("PostgreSQL"):
            server = stack.enter_context(launcher.hold(data))
        os.environ["DATABASE_URL"] = server.url
        yield


@contextlib.contextmanager
def children() -> Iterator[list[Child]]:
    """A list of processes that are all told to stop at the end, and killed if they do not."""
    running: list[Child] = []
    try:
        yield running
    except Stopped:
        print("\nStopping …", flush=True)
        raise
    finally:
        for child in running:
            child.process.terminate()
        until = time.monotonic() + GRACE_S
        for child in running:
            try:
                child.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                # It leads a process group of its own: workers go with it.
                os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()


def prepare(folder: Path, demo_port: int) -> tuple[Administrator, str]:
    """Bring the database up to date and seed it; returns the administrator and Portico's base URL."""
    try:
        with step("Database schema"):
            django.setup()
            call_command("migrate", interactive=False, verbosity=0)
        with step("Demo data"):
            # Models can only be imported once Django is set up.
            from django.conf import settings  # noqa: PLC0415

            from demo.idp import at_home  # noqa: PLC0415
            from demo.seed import seed  # noqa: PLC0415

            base_url: str = settings.PORTICO_BASE_URL
            administrator = seed(at_home(demo_port, base_url, folder), folder, datetime.now(UTC))
    except DatabaseError as error:
        raise CannotRun(f"The database does not work: {error}".strip()) from error
    connections.close_all()
    return administrator, base_url


def start(name: str, module: str, *arguments: str) -> Child:
    """Start a Python module as a process; in a session of its own, so that Ctrl-C reaches only us."""
    command = [sys.executable, "-m", module, *arguments]
    return Child(name, subprocess.Popen(command, cwd=CLONE, stdin=subprocess.DEVNULL, start_new_session=True))


def check_alive(running: list[Child]) -> None:
    """Raise CannotRun if one of the processes has ended."""
    for child in running:
        if (status := child.process.poll()) is not None:
            raise CannotRun(f"{child.name} has ended by itself (status {status}); stopping the rest.")


def wait_until_answering(port: int, running: list[Child]) -> None:
    """Return once something on the port answers HTTP, whatever it says. Raises CannotRun."""
    until = time.monotonic() + ANSWER_TIMEOUT_S
    while time.monotonic() < until:
        check_alive(running)
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_TIMEOUT_S)
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
    raise CannotRun(f"Nothing answers on port {port} after {ANSWER_TIMEOUT_S} seconds.")


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Show what is being done, and how long it took."""
    print(f"{name} … ", end="", flush=True)
    began = time.monotonic()
    yield
    print(f"ready ({time.monotonic() - began:.1f} s)", flush=True)


def box(base_url: str, portal_url: str, administrator: Administrator) -> str:
    """Where to go, and how to stop."""
    password = administrator.password or "as you changed it"
    lines = [
        "Portico is running.",
        "",
        f"Portal       {portal_url}/   begin here: be somebody",
        f"Portico      {base_url}/",
        f"Admin        {base_url}/admin/",
        f"  e-mail     {administrator.email}",
        f"  password   {password}",
        "",
        "Ctrl-C stops everything. The data is kept; `make reset` forgets it.",
    ]
    width = max(map(len, lines))
    rule = "─" * (width + 2)
    return "\n".join([f"┌{rule}┐", *(f"│ {line:<{width}} │" for line in lines), f"└{rule}┘"])


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End the story once; whoever presses Ctrl-C again only hurries what is under way already."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise Stopped
