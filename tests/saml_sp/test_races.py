"""Many logins at the same moment, on several processes: the database decides, not the process.

Two real gunicorn workers of ten threads each, on a free port of loopback, against the test database.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.models import Session, User
from demo.issuer import encode
from saml_sp.models import DomainProof, EmailDomain, FederatedIdentity, Outcome, SignInAttempt, SpentAssertion
from saml_sp.views import HANDOVER_COOKIE
from tests import factories
from tests.door import CONTINUE, acs
from tests.idp import ANA, Forge, email_attribute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from saml_sp.models import IdentityProvider

# What these tests make is committed, so that the workers see it.
pytestmark = pytest.mark.django_db(transaction=True)

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


def test_one_response_sent_twenty_times_at_once_is_one_session(workers: Workers) -> None:
    idp = factories.idp()
    answers = workers.crowd(idp, [Forge(idp, timezone.now()).xml()] * CROWD)
    assert Counter(answer.status for answer in answers) == {303: 1, 403: CROWD - 1}
    assert sum(answer.session_key is not None for answer in answers) == 1
    assert Session.objects.get().user == User.objects.get()
    assert SpentAssertion.objects.count() == 1
    attempts = Counter(SignInAttempt.objects.values_list("outcome", "code"))
    assert attempts == {(Outcome.ACCEPTED, ""): 1, (Outcome.REFUSED, "replayed"): CROWD - 1}


def test_twenty_first_logins_of_one_person_at_once_are_one_account(workers: Workers) -> None:
    idp = factories.idp()
    answers = workers.crowd(idp, [Forge(idp, timezone.now()).xml() for _ in range(CROWD)])
    assert Counter(answer.status for answer in answers) == {303: CROWD}
    assert len({answer.session_key for answer in answers} - {None}) == CROWD
    user = User.objects.get()
    assert FederatedIdentity.objects.get().user == user
    assert Session.objects.filter(user=user, adopted_at__isnull=False).count() == CROWD
    assert SpentAssertion.objects.count() == CROWD


def test_twenty_people_who_claim_one_pending_identity_at_once_are_one_person(workers: Workers) -> None:
    """The administrator has vouched for one; whoever comes second must not take the first one's place."""
    idp = factories.idp()
    user = factories.user(ANA)
    factories.pending(idp, user)
    messages = [
        Forge(idp, timezone.now()).xml(name_id=f"u-{number}", attributes=(email_attribute(ANA),))
        for number in range(CROWD)
    ]
    answers = workers.crowd(idp, messages)
    assert Counter(answer.status for answer in answers) == {303: 1, 403: CROWD - 1}
    accepted = SignInAttempt.objects.get(outcome=Outcome.ACCEPTED)
    assert FederatedIdentity.objects.get().subject == accepted.name_id
    assert set(SignInAttempt.objects.filter(outcome=Outcome.REFUSED).values_list("code", flat=True)) == {
        "subject_changed"
    }
    assert Session.objects.get().user == user


def test_two_identity_providers_that_assert_one_person_at_once_are_one_account_and_one_refusal(
    workers: Workers,
) -> None:
    """In a domain that is nobody's; ten times over, for a race is not run in one."""
    idps = [factories.idp(), factories.idp()]
    for number in range(CROWD // 2):
        email = f"ana-{number}@nobodys.example"
        messages = [
            (idp, Forge(idp, timezone.now()).xml(name_id=f"u-{number}", attributes=(email_attribute(email),)))
            for idp in idps
        ]
        answers = workers.crowds(messages)
        assert Counter(answer.status for answer in answers) == {303: 1, 403: 1}
        assert (
            FederatedIdentity.objects.get(user__email=email).idp
            == idps[[answer.status for answer in answers].index(303)]
        )
        assert SignInAttempt.objects.filter(outcome=Outcome.REFUSED).latest("pk").code == "account_of_another_idp"
    assert User.objects.count() == FederatedIdentity.objects.count() == CROWD // 2


def test_twenty_people_who_are_to_be_linked_to_one_account_at_once_are_one_person(workers: Workers) -> None:
    """No constraint of the database forbids an account several identities: the account's row is what they wait for."""
    idp = factories.idp()
    EmailDomain.objects.create(
        idp=idp, domain="customer.example", verified_at=timezone.now(), proof=DomainProof.VOUCHED
    )
    user = factories.user(ANA)
    messages = [
        Forge(idp, timezone.now()).xml(name_id=f"u-{number}", attributes=(email_attribute(ANA),))
        for number in range(CROWD)
    ]
    answers = workers.crowd(idp, messages)
    assert Counter(answer.status for answer in answers) == {303: 1, 403: CROWD - 1}
    assert FederatedIdentity.objects.get().subject == SignInAttempt.objects.get(outcome=Outcome.ACCEPTED).name_id
    assert Session.objects.get().user == user
    assert set(SignInAttempt.objects.filter(outcome=Outcome.REFUSED).values_list("code", flat=True)) == {
        "subject_changed"
    }


def test_one_person_who_is_linked_twenty_times_at_once_comes_in_every_time(workers: Workers) -> None:
    idp = factories.idp()
    EmailDomain.objects.create(
        idp=idp, domain="customer.example", verified_at=timezone.now(), proof=DomainProof.VOUCHED
    )
    user = factories.user(ANA)
    answers = workers.crowd(idp, [Forge(idp, timezone.now()).xml() for _ in range(CROWD)])
    assert Counter(answer.status for answer in answers) == {303: CROWD}
    assert FederatedIdentity.objects.get().user == user


def test_one_hand_over_taken_up_twenty_times_at_once_is_one_session(workers: Workers) -> None:
    idp = factories.idp()
    barrier = threading.Barrier(CROWD, timeout=30)
    link = http.client.HTTPConnection("127.0.0.1", workers.port, timeout=60)
    body = urlencode({"SAMLResponse": encode(Forge(idp, timezone.now()).xml())})
    link.request("POST", acs(idp), body, {"Content-Type": "application/x-www-form-urlencoded"})
    handed = SimpleCookie(link.getresponse().headers["Set-Cookie"])[HANDOVER_COOKIE].value
    link.close()

    def adopt(_number: int) -> int:
        mine = http.client.HTTPConnection("127.0.0.1", workers.port, timeout=60)
        mine.connect()
        barrier.wait()
        mine.request("GET", CONTINUE, headers={"Cookie": f"{HANDOVER_COOKIE}={handed}"})
        status = mine.getresponse().status
        mine.close()
        return status

    with ThreadPoolExecutor(CROWD) as pool:
        assert Counter(pool.map(adopt, range(CROWD))) == {303: 1, 403: CROWD - 1}
