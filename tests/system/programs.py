"""Programs that a test starts: on free ports, with bounded waits, ended by their process IDs, their logs kept."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CLONE = Path(__file__).parent.parent.parent
START_S = 60
GRACE_S = 15
TAIL = 4000  # characters of a log that a failed test shows

# Those that run at this moment: a failed test shows what they said.
running: list[Program] = []


@dataclass(eq=False)
class Program:
    """A process that we started, with its output in a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    shown: int = field(default=0)

    def said(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text(errors="replace")

    def check_alive(self) -> None:
        """Fails, with its last words, if it has ended."""
        status = self.process.poll()
        assert status is None, f"{self.name} has ended with status {status}:\n{self.said()[-TAIL:]}"

    def wait_for_port(self, port: int) -> None:
        """Return once something on loopback accepts connections on the port."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            self.check_alive()
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"{self.name} does not listen on port {port} after {START_S} s:\n{self.said()[-TAIL:]}")

    def wait_for_words(self, words: str) -> None:
        """Return once it has written this."""
        until = time.monotonic() + START_S
        while words not in self.said():
            self.check_alive()
            assert time.monotonic() < until, f"{self.name} has not said {words!r}:\n{self.said()[-TAIL:]}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Tell it to stop, and kill it and the processes of its group if it does not."""
        self.process.terminate()
        try:
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def free_port() -> int:
    """A port on loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(
    name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None, without: str = ""
) -> Iterator[Program]:
    """The program for the length of a `with` block, in our environment `without` one variable of it, and with `env`.

    Its log is `<folder>/<name>.log`.
    """
    inherited = {name: value for name, value in os.environ.items() if name != without}
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command), cwd=CLONE, env=inherited | dict(env or {}), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    program = Program(name, process, log)
    running.append(program)
    try:
        yield program
    finally:
        running.remove(program)
        program.stop()
