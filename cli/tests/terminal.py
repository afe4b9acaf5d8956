"""Runs the client as its own process: with pipes, or at a pseudo-terminal where somebody types."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent.parent / "src"
COMMAND = [sys.executable, "-m", "portico_cli"]
PATIENCE_S = 30.0
# What a developer's machine may have set, and what must not get in.
KEPT_ENVIRONMENT = ("PATH", "LANG", "COVERAGE_PROCESS_START", "COVERAGE_FILE")


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
    """Somebody's machine: a home, an environment, settings. `env` is what every command finds."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

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
            **{name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ},
            "HOME": str(self.home),
            "PYTHONPATH": str(SOURCES),
            "PORTICO_CONFIG_DIR": str(self.folder),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            **self.env,
            **more,
        }

    def run(self, *args: str, stdin: str | bytes = "", **env: str) -> Result:
        """Run one command with pipes. Whatever it does, it prints no traceback."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [*COMMAND, *args],
            input=given,
            capture_output=True,
            cwd=self.home,  # what is in the folder of whoever runs the tests is not for the client
            env=self.environment(**env),
            timeout=60,
            check=False,
        )
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in result.out + result.err, result.err
        return result

    def sit_down(self, *args: str, **env: str) -> Terminal:
        """Run one command at a terminal."""
        return Terminal([*COMMAND, *args], self.environment(**{"TERM": "xterm", "COLUMNS": "120", **env}))


class Terminal:
    """A pseudo-terminal with a command in it; what the command prints and the terminal echoes is `screen`."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.pid, self.handle = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, env)  # noqa: S606 - no shell is wanted
        self.screen = ""

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
        _, status = os.waitpid(self.pid, 0)
        os.close(self.handle)
        assert "Traceback" not in self.screen, self.screen
        return os.waitstatus_to_exitcode(status)

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
            return not os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        try:
            chunk = os.read(self.handle, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.screen += chunk.decode(errors="replace")
        return bool(chunk)
