"""Encrypted sign-ins through the HTTP door, and what nobody outside can tell from it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from demo.issuer import Signed
from saml_sp.models import IdentityProvider, KeyState, SignInAttempt, SpKeyPair
from saml_sp.protocol import names
from tests import encrypting, factories
from tests.door import Browser, holds_nothing
from tests.encrypting import (
    AES_CBC,
    AES_GCM,
    FAULTS,
    MGF1P,
    MGF_SHA256,
    OAEP,
    RSA_15,
    SHA256,
    Ours,
    Place,
    lock,
    sealed_xml,
)
from tests.idp import ANA, Forge

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


@pytest.fixture
def idp(settings: Settings) -> IdentityProvider:
    """An identity provider, and a current key pair of ours."""
    settings.PORTICO_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    return factories.idp()


@pytest.fixture
def forge(idp: IdentityProvider) -> Forge:
    return Forge(idp, timezone.now())


def last_attempt() -> SignInAttempt:
    return SignInAttempt.objects.latest("id")


@pytest.mark.parametrize("signed", [Signed.ASSERTION, Signed.RESPONSE, Signed.BOTH])
@pytest.mark.parametrize("algorithm", [*AES_CBC.values(), *AES_GCM.values()])
def test_an_encrypted_assertion_signs_in(idp: IdentityProvider, forge: Forge, algorithm: str, signed: Signed) -> None:
    browser = Browser()
    browser.sign_in(idp, sealed_xml(forge, lock(algorithm=algorithm), signed=signed))
    assert browser.user is not None
    assert browser.user.email == ANA


@pytest.mark.parametrize("place", list(Place))
@pytest.mark.parametrize(("transport", "digest", "mgf"), [(MGF1P, SHA256, None), (OAEP, SHA256, MGF_SHA256)])
def test_the_key_may_come_in_any_accepted_way(
    idp: IdentityProvider, forge: Forge, place: Place, transport: str, digest: str, mgf: str | None
) -> None:
    browser = Browser()
    browser.sign_in(idp, sealed_xml(forge, lock(place=place, transport=transport, digest=digest, mgf=mgf)))
    assert browser.user is not None


@pytest.mark.parametrize("around", ["plain", "encrypted"])
def test_an_encrypted_name_id_signs_in(idp: IdentityProvider, forge: Forge, around: str) -> None:
    person = factories.user("ana@elsewhere.example")
    factories.identity(idp, person, subject="p-4711")
    hidden = encrypting.encrypted_id(lock())
    changes: dict[str, Any] = {"name_id": "p-4711", "name_id_format": names.NAMEID_PERSISTENT, "attributes": ()}
    xml = forge.xml(hidden, **changes) if around == "plain" else sealed_xml(forge, lock(), before=hidden, **changes)
    browser = Browser()
    browser.sign_in(idp, xml)
    assert browser.user == person


def test_every_fault_inside_looks_the_same_from_outside(idp: IdentityProvider, forge: Forge) -> None:
    pages = {}
    for name, build in FAULTS.items():
        answer = Browser().send(idp, build(forge))
        attempt = last_attempt()
        assert holds_nothing(answer), name
        assert attempt.code == "decryption_failed", name
        assert ANA not in attempt.received + attempt.expected + str(attempt.detail), name
        headers = sorted((header, value) for header, value in answer.items() if header != "Content-Length")
        pages[name] = (answer.status_code, headers, answer.content.replace(attempt.trace_id.encode(), b"TRACE"))
    assert len(pages) > 40
    assert len({str(page) for page in pages.values()}) == 1
    assert next(iter(pages.values()))[0] == 403
    # What it was is in the administrator's record.
    assert len(set(SignInAttempt.objects.values_list("received", flat=True))) > 10


@pytest.mark.parametrize("weak", [{"transport": RSA_15}, {"digest": encrypting.SHA512}])
def test_weak_encryption_is_refused(idp: IdentityProvider, forge: Forge, weak: dict[str, Any]) -> None:
    assert holds_nothing(Browser().send(idp, sealed_xml(forge, lock(**weak))))
    assert last_attempt().code == "weak_algorithm"


def test_without_a_key_pair_encryption_is_refused(idp: IdentityProvider, forge: Forge) -> None:
    SpKeyPair.objects.all().delete()
    assert holds_nothing(Browser().send(idp, sealed_xml(forge, lock())))
    assert last_attempt().code == "encryption_unsupported"


def test_without_the_encryption_key_encryption_is_refused(
    idp: IdentityProvider, forge: Forge, settings: Settings
) -> None:
    settings.PORTICO_ENCRYPTION_KEYS = []
    assert holds_nothing(Browser().send(idp, sealed_xml(forge, lock())))
    assert last_attempt().code == "encryption_unsupported"


@pytest.mark.parametrize("which", list(Ours))
def test_next_current_and_old_key_decrypt(idp: IdentityProvider, forge: Forge, which: Ours) -> None:
    factories.key_pair(Ours.SECOND, KeyState.NEXT)
    factories.key_pair(Ours.THIRD, KeyState.OLD)
    browser = Browser()
    browser.sign_in(idp, sealed_xml(forge, lock(which)))
    assert browser.user is not None


def test_a_key_that_is_gone_decrypts_no_longer(idp: IdentityProvider, forge: Forge) -> None:
    old = factories.key_pair(Ours.SECOND, KeyState.OLD)
    Browser().sign_in(idp, sealed_xml(forge, lock(Ours.SECOND)))
    old.delete()
    assert holds_nothing(Browser().send(idp, sealed_xml(forge, lock(Ours.SECOND))))
    assert last_attempt().code == "decryption_failed"


def test_a_verdict_on_what_was_inside_is_as_clear_as_ever(idp: IdentityProvider, forge: Forge) -> None:
    late = Forge(idp, timezone.now() - timedelta(hours=1))
    assert holds_nothing(Browser().send(idp, sealed_xml(late, lock())))
    assert last_attempt().code == "expired"
    xml = sealed_xml(forge, lock())
    Browser().sign_in(idp, xml)
    assert holds_nothing(Browser().send(idp, xml))
    assert last_attempt().code == "replayed"


def test_our_keys_are_asked_for_only_when_something_is_encrypted(idp: IdentityProvider, forge: Forge) -> None:
    def statements(xml: bytes) -> int:
        with CaptureQueriesContext(connection) as captured:
            Browser().sign_in(idp, xml)
        return sum("spkeypair" in str(query["sql"]) for query in captured.captured_queries)

    assert statements(forge.xml()) == 0
    statements(sealed_xml(forge, lock()))
    assert statements(sealed_xml(forge, lock())) == 1
