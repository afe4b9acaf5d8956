"""Real gunicorn workers on a free port of loopback, against the test database."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
START_S = 30


@contextmanager
def serving(*, workers: int, threads: int) -> Iterator[int]:
    """So many processes of so many threads each, for the length of a `with` block; gives their port.

    The test database must be there (`django_db_setup`), and what tests make must be committed. Fails in the end if any
    of them printed a traceback.
    """
    url = urlsplit(os.environ["DATABASE_URL"])
    environment = os.environ | {
        "DATABASE_URL": urlunsplit(url._replace(path="/" + quote(str(connection.settings_dict["NAME"])))),
        "PORTICO_BASE_URL": settings.PORTICO_BASE_URL,
        "PORTICO_SECRET_KEY": settings.SECRET_KEY,
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    with socket.socket() as listener, tempfile.TemporaryFile() as log:
        # Bound here and inherited: nobody can take the port in between.
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        descriptor = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"fd://{descriptor}", "--workers", str(workers),
             "--threads", str(threads), "--worker-class", "gthread"],
            cwd=ROOT, env=environment, pass_fds=[descriptor], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        log.seek(0)
        assert b"Traceback" not in (said := log.read()), said.decode(errors="replace")


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "gunicorn ended"
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S)
        try:
            link.request("GET", "/sign-in/")
            if link.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            link.close()
    pytest.fail("gunicorn did not start")
