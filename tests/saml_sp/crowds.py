"""Two real gunicorn workers of ten threads each, on a free port of loopback, against the test database."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection

from demo.issuer import encode
from saml_sp.views import HANDOVER_COOKIE
from tests.door import CONTINUE, acs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from saml_sp.models import IdentityProvider

CROWD = 20
ROOT = Path(__file__).parent.parent.parent
START_S = 30


@dataclass(frozen=True)
class Answer:
    """What became of one login: the status of the POST, and the session's key if there is one."""

    status: int
    session_key: str | None


@dataclass(frozen=True)
class Workers:
    """The server under test."""

    port: int

    def post(self, idp: IdentityProvider, xml: bytes, barrier: threading.Barrier) -> Answer:
        """Sign in over both requests, the first at the same moment as everybody else."""
        body = urlencode({"SAMLResponse": encode(xml)})
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        link.connect()
        barrier.wait()
        link.request("POST", acs(idp), body, {"Content-Type": "application/x-www-form-urlencoded"})
        posted = link.getresponse()
        posted.read()
        link.close()
        handed = SimpleCookie(posted.headers.get("Set-Cookie", "")).get(HANDOVER_COOKIE)
        if handed is None:
            return Answer(posted.status, None)
        link.request("GET", CONTINUE, headers={"Cookie": f"{HANDOVER_COOKIE}={handed.value}"})
        adopted = link.getresponse()
        adopted.read()
        link.close()
        cookies = SimpleCookie("\n".join(f"{value}" for value in adopted.headers.get_all("Set-Cookie", [])))
        morsel = cookies.get(settings.SESSION_COOKIE_NAME)
        return Answer(posted.status, morsel.value if morsel else None)

    def crowd(self, idp: IdentityProvider, messages: Sequence[bytes]) -> list[Answer]:
        """Send all of the messages at once."""
        return self.crowds([(idp, xml) for xml in messages])

    def crowds(self, messages: Sequence[tuple[IdentityProvider, bytes]]) -> list[Answer]:
        """Send all of the messages at once, each from its identity provider."""
        barrier = threading.Barrier(len(messages), timeout=30)
        with ThreadPoolExecutor(len(messages)) as pool:
            return list(pool.map(lambda one: self.post(one[0], one[1], barrier), messages))


@pytest.fixture(scope="module")
def workers(django_db_setup: None) -> Iterator[Workers]:
    """Two gunicorn workers, ended with the last of these tests."""
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
            [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"fd://{descriptor}", "--workers", "2",
             "--threads", "10", "--worker-class", "gthread"],
            cwd=ROOT, env=environment, pass_fds=[descriptor], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(port, process)
            yield Workers(port)
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
