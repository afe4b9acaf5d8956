"""Many logins at the same moment, on several processes: the database decides, not the process."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from accounts.models import Session, User
from demo.issuer import encode
from saml_sp.models import DomainProof, EmailDomain, FederatedIdentity, Outcome, SignInAttempt, SpentAssertion
from saml_sp.views import HANDOVER_COOKIE
from tests import factories
from tests.door import CONTINUE, acs
from tests.idp import ANA, Forge, email_attribute
from tests.saml_sp.crowds import CROWD

if TYPE_CHECKING:
    from tests.saml_sp.crowds import Workers

# What these tests make is committed, so that the workers see it.
pytestmark = pytest.mark.django_db(transaction=True)


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
