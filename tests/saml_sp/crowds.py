"""Two real gunicorn workers of ten threads each, and everybody at once before them."""

from __future__ import annotations

import http.client
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from django.conf import settings

from demo.issuer import encode
from saml_sp.views import HANDOVER_COOKIE
from tests.door import CONTINUE, acs
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from saml_sp.models import IdentityProvider

CROWD = 20


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
    with serving(workers=2, threads=10) as port:
        yield Workers(port)
