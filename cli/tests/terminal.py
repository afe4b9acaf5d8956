"""Runs the client as its own process: with pipes, or at a pseudo-terminal where somebody types.

Most processes are forks of one that has imported the client (fork_server.py): starting Python and importing takes ten
times as long as what a command does. Whatever concerns the interpreter itself, and `Machine(really=True)`, starts
`python -m portico_cli`; test_both_ways.py compares the two.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import pty
import re
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from . import fork_server

TESTS = Path(__file__).parent
SOURCES = TESTS.parent / "src"
COMMAND = [sys.executable, "-m", "portico_cli"]
PATIENCE_S = 30.0
# What a developer's machine may have set, and what must not get in.
KEPT_ENVIRONMENT = ("PATH", "LANG", "COVERAGE_PROCESS_START", "COVERAGE_FILE")
# What is read when a process begins, before any of our code; a fork has what its server began with.
READ_AT_THE_BEGINNING = (
    *("COVERAGE", "LANG", "LC_", "LD_", "MALLOC", "OPENSSL", "PYTHON", "TZ"),
    *("PYDANTIC", "TYPER", "_TYPER"),  # by libraries, while they are imported
)
READ_LATER = {"PYTHON_KEYRING_BACKEND"}


def standing_environment() -> dict[str, str]:
    """What every process of ours finds, on whatever machine."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "PYTHONPATH": f"{SOURCES}{os.pathsep}{TESTS}"}  # among the tests are keyrings to try


def of_the_beginning(env: dict[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in env.items() if name.startswith(READ_AT_THE_BEGINNING) and name not in READ_LATER
    }


class Process(Protocol):
    """What a command runs in."""

    pid: int

    def ended(self, *, block: bool) -> int | None:
        """Its wait status, once; None if it still runs and we do not wait for it."""


@dataclass
class Child:
    """A process of our own."""

    pid: int

    def ended(self, *, block: bool) -> int | None:
        pid, status = os.waitpid(self.pid, 0 if block else os.WNOHANG)
        return status if pid else None


@dataclass
class Fork:
    """A process of the fork server."""

    pid: int
    server: ForkServer

    def ended(self, *, block: bool) -> int | None:
        status: int | None = self.server.ask({"wait": self.pid, "block": block})
        return status


class ForkServer:
    """The process of fork_server.py: it ends with ours, whose end of the socket closes then."""

    def __init__(self) -> None:
        self.env = standing_environment()
        self._peer, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, fork_server.__file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=self.env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def suits(self, env: dict[str, str]) -> bool:
        """Whether a fork behaves as a process that begins with `env`."""
        return of_the_beginning(env) == of_the_beginning(self.env)

    def start(self, args: tuple[str, ...], env: dict[str, str], cwd: Path, *handles: int) -> Fork:
        """The client as a process with these file descriptors as 0, 1 and 2, or at this terminal."""
        umask = os.umask(0o077)
        os.umask(umask)
        start = {"args": args, "env": env, "cwd": str(cwd), "umask": umask}
        return Fork(self.ask({"start": start}, *handles), self)

    def ask(self, what: dict[str, Any], *handles: int) -> Any:
        fork_server.send(self._peer, what, *handles)
        answer, _ = fork_server.receive(self._peer)
        return answer

    def close(self) -> None:
        self._peer.close()
        self.process.wait(PATIENCE_S)


@functools.cache
def forks() -> ForkServer:
    """The fork server of this process."""
    server = ForkServer()
    atexit.register(server.close)
    return server


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        """Standard output, as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error that standard error holds as its last line, as JSON."""
        return json.loads(self.err.splitlines()[-1])["error"]


@dataclass
class Machine:
    """Somebody's machine: a home, an environment, settings. `env` is what every command finds.

    `really` makes every command a Python that is started for it.
    """

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    really: bool = False

    @property
    def folder(self) -> Path:
        return self.home / "config"

    @property
    def profile_file(self) -> Path:
        return self.folder / "profiles" / "default.json"

    @property
    def token_file(self) -> Path:
        return self.folder / "tokens" / "default.json"

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **standing_environment(),
            "HOME": str(self.home),
            "PORTICO_CONFIG_DIR": str(self.folder),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            **self.env,
            **more,
        }

    def run(self, *args: str, stdin: str | bytes = "", **env: str) -> Result:
        """Run one command with pipes. Whatever it does, it prints no traceback."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        environment = self.environment(**env)
        # What is in the folder of whoever runs the tests is not for the client.
        if self.really or not forks().suits(environment):
            done = subprocess.run(
                [*COMMAND, *args],
                input=given,
                capture_output=True,
                cwd=self.home,
                env=environment,
                timeout=PATIENCE_S,
                check=False,
            )
            result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        else:
            result = forked(args, environment, self.home, given)
        assert "Traceback" not in result.out + result.err, result.err
        return result

    def sit_down(self, *args: str, **env: str) -> Terminal:
        """Run one command at a terminal."""
        environment = self.environment(**{"TERM": "xterm", "COLUMNS": "120", **env})
        if self.really or not forks().suits(environment):
            pid, handle = pty.fork()
            if pid == 0:
                os.chdir(self.home)
                os.execve(COMMAND[0], [*COMMAND, *args], environment)  # noqa: S606 - no shell is wanted
            return Terminal(Child(pid), handle)
        handle, theirs = pty.openpty()
        try:
            return Terminal(forks().start(args, environment, self.home, theirs), handle)
        finally:
            os.close(theirs)


def forked(args: tuple[str, ...], env: dict[str, str], cwd: Path, given: bytes) -> Result:
    """Run one command in a fork, with pipes."""
    (stdin, giving), (hearing, stdout), (reading, stderr) = os.pipe(), os.pipe(), os.pipe()
    try:
        process = forks().start(args, env, cwd, stdin, stdout, stderr)
    finally:
        for handle in (stdin, stdout, stderr):
            os.close(handle)
    try:
        out, err = exchange(given, giving, hearing, reading)
    except TimeoutError:
        os.kill(process.pid, signal.SIGKILL)
        process.ended(block=True)
        raise
    status = process.ended(block=True)
    assert status is not None
    return Result(os.waitstatus_to_exitcode(status), out.decode(), err.decode())


def exchange(given: bytes, giving: int, hearing: int, reading: int) -> tuple[bytes, bytes]:
    """Write and read through three pipes until they are closed; they are, when this ends."""
    end = time.monotonic() + PATIENCE_S
    heard = {hearing: bytearray(), reading: bytearray()}
    os.set_blocking(giving, False)
    with selectors.DefaultSelector() as pipes:
        pipes.register(giving, selectors.EVENT_WRITE)
        pipes.register(hearing, selectors.EVENT_READ)
        pipes.register(reading, selectors.EVENT_READ)
        try:
            while pipes.get_map():
                if time.monotonic() > end:
                    raise TimeoutError(f"it does not end: {heard}")
                for pipe in [key.fd for key, _ in pipes.select(1.0)]:
                    if pipe != giving:
                        chunk = os.read(pipe, 65536)
                        heard[pipe] += chunk
                    else:
                        chunk = given = after_writing(pipe, given)
                    if not chunk:
                        pipes.unregister(pipe)
                        os.close(pipe)
        finally:
            for key in pipes.get_map().values():
                os.close(key.fd)
    return bytes(heard[hearing]), bytes(heard[reading])


def after_writing(pipe: int, given: bytes) -> bytes:
    """What is left to write; nothing if nobody reads."""
    try:
        return given[os.write(pipe, given) :] if given else b""
    except BrokenPipeError:
        return b""


class Terminal:
    """A pseudo-terminal with a command in it; what the command prints and the terminal echoes is `screen`."""

    def __init__(self, process: Process, handle: int) -> None:
        self.process = process
        self.handle = handle
        self.screen = ""
        self.status: int | None = None

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Read until `text` is on the screen, so many times."""
        end = time.monotonic() + PATIENCE_S
        while self.screen.count(text) < times:
            assert time.monotonic() < end, f"{text!r} is not on the screen: {self.screen!r}"
            if not self._read():
                raise AssertionError(f"it ended without {text!r}: {self.screen!r}")

    def type(self, text: str) -> None:
        os.write(self.handle, text.encode())

    def answer(self, prompt: str, text: str) -> None:
        """Wait for a prompt, and type a line."""
        self.wait_for(prompt)
        # The echo must be off before anything is typed: getpass prints its prompt after that.
        self.type(f"{text}\r")

    def end(self) -> int:
        """Read to the end; the exit code."""
        end = time.monotonic() + PATIENCE_S
        while self._read():
            assert time.monotonic() < end, f"it does not end: {self.screen!r}"
        os.close(self.handle)
        assert "Traceback" not in self.screen, self.screen
        return self.exit_code()

    def exit_code(self) -> int:
        """Wait until the command ends; what it ends with, or minus the signal that ended it."""
        if self.status is None:
            self.status = self.process.ended(block=True)
        assert self.status is not None
        return os.waitstatus_to_exitcode(self.status)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.type("\x03")

    @property
    def text(self) -> str:
        """The screen without colours and lines."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.screen)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.handle], [], [], 1.0)
        if not ready:
            self.status = self.process.ended(block=False)
            return self.status is None
        try:
            chunk = os.read(self.handle, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.screen += chunk.decode(errors="replace")
        return bool(chunk)
