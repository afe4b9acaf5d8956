"""Somebody arrives from each vendor's portal, through the HTTP door; and each vendor answers a request."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from accounts.models import User
from demo.issuer import encode
from orgs.models import AccessGroup
from saml_sp.mapping import PRESETS, filled
from saml_sp.models import FederatedIdentity, KeyState, SignInAttempt
from saml_sp.protocol import names as n
from saml_sp.protocol.errors import VerdictRefused
from tests import factories
from tests.differential.ours import expectation, open_and_accept
from tests.door import Browser
from tests.encrypting import Ours
from tests.idp import ANA, Kind, Party, key
from tests.vendors import entra, keycloak, shibboleth
from tests.vendors.scene import Scene
from tests.vendors.shapes import SHAPES

if TYPE_CHECKING:
    from pytest_django import Settings

    from saml_sp.models import IdentityProvider
    from tests.vendors.scene import Builder

pytestmark = pytest.mark.django_db


def scene(idp: IdentityProvider, kind: Kind = Kind.RSA) -> Scene:
    """Ana, now, from this identity provider."""
    return Scene(idp, timezone.now(), key(kind))


@pytest.mark.parametrize(
    ("build", "kind"), [pytest.param(*what, id=f"{vendor}-{shape}") for (vendor, shape), what in SHAPES.items()]
)
def test_it_signs_in_from_every_vendor(build: Builder, kind: Kind) -> None:
    idp = factories.idp("customer", certificates=(Kind.SECOND_RSA, kind))
    for _ in ("the first time", "again"):
        browser = Browser()
        page = browser.sign_in(idp, build(scene(idp, kind)))
        assert page.status_code == 200
        assert browser.user is not None
        assert (browser.user.email, browser.user.first_name, browser.user.last_name) in (
            {(ANA, "", "")} if build is SHAPES["google", "no_attributes"][0] else {(ANA, "Ana", "Lima")}
        )
    assert User.objects.count() == 1


# What each vendor's response says of rights, in words; a link in place of the groups says nothing.
ASSERTED = {
    "okta": {"access level analyst", "property 1001", "property 1002", "property 1003", "role Reader"},
    "entra": {"access group Entra"},
    "adfs": {"access group Researchers"},
    "keycloak": {"role view-profile", "role manage-account"},
}


@pytest.mark.parametrize(
    ("vendor", "shape"), [pytest.param(*key, id="-".join(key)) for key in SHAPES if key[0] in PRESETS]
)
def test_a_vendors_preset_reads_what_the_vendor_sends(vendor: str, shape: str) -> None:
    build, kind = SHAPES[vendor, shape]
    names, _ = filled({}, PRESETS[vendor])
    idp = factories.idp(
        "customer", certificates=(kind,), attribute_mapping=names, level_spellings={"dxa_analyst": "analyst"}
    )
    for role in ("Reader", "view-profile", "manage-account"):
        factories.role(role)
    for external_id in ("1001", "1002", "1003"):
        factories.property_(external_id)
    for name, value in (("Entra", entra.GROUP), ("Researchers", "Researchers")):
        factories.group_rule(idp, value, AccessGroup.objects.create(name=name))
    browser = Browser()
    browser.sign_in(idp, build(scene(idp, kind)))
    assert browser.user is not None
    says_nothing = (vendor, shape) == ("google", "no_attributes")
    assert browser.user.email == ANA
    assert (browser.user.first_name, browser.user.last_name) == (("", "") if says_nothing else ("Ana", "Lima"))
    attempt = SignInAttempt.objects.get()
    overage = (vendor, shape) == ("entra", "name_id_persistent")
    asserted = set() if overage else ASSERTED.get(vendor, set())
    assert set(attempt.detail.get("rights", {}).get("granted", [])) == asserted
    assert any("Entra ID" in note for note in attempt.detail.get("notes", [])) is overage


@pytest.mark.parametrize(
    ("build", "kind"), [pytest.param(*what, id=f"{vendor}-{shape}") for (vendor, shape), what in SHAPES.items()]
)
def test_every_vendor_answers_a_request(build: Builder, kind: Kind) -> None:
    now = timezone.now()
    form_value = encode(build(Scene(Party(), now, key(kind), in_response_to="r-17")))
    assertion = open_and_accept(form_value, expectation(Party(), request_id="r-17"), now)
    assert assertion.in_response_to == "r-17"
    for other in (None, "r-18"):
        with pytest.raises(VerdictRefused):
            open_and_accept(form_value, expectation(Party(), request_id=other), now)


def test_it_signs_in_from_shibboleth_where_the_assertion_is_encrypted(settings: Settings) -> None:
    settings.PORTICO_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    idp = factories.idp("customer")
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    browser = Browser()
    browser.sign_in(idp, shibboleth.encrypted(scene(idp)))
    assert browser.user is not None
    assert (browser.user.email, browser.user.get_full_name()) == (ANA, "Ana Lima")


def test_it_refuses_a_transient_name_id_where_no_attribute_stands_in_for_it() -> None:
    idp = factories.idp("customer")
    response = Browser().send(idp, shibboleth.transient(scene(idp)))
    assert response.status_code == 403
    assert SignInAttempt.objects.get().code == "transient_subject"


def test_an_attribute_names_the_person_where_the_name_id_is_another_one_each_time() -> None:
    idp = factories.idp("customer", subject_attribute="urn:oasis:names:tc:SAML:attribute:subject-id")
    people = []
    for _ in ("the first time", "again"):
        browser = Browser()
        browser.sign_in(idp, shibboleth.transient(scene(idp)))
        people.append(browser.user)
    assert people[0] == people[1] == User.objects.get(email=ANA)


def test_it_keeps_the_qualifiers_of_a_persistent_name_id() -> None:
    idp = factories.idp("customer")
    Browser().sign_in(idp, shibboleth.SHAPES["both_signed"](scene(idp)))
    identity = FederatedIdentity.objects.get()
    assert identity.name_id_format == n.NAMEID_PERSISTENT
    assert (identity.name_qualifier, identity.sp_name_qualifier) == (idp.entity_id, idp.sp_entity_id)


def test_a_session_ends_when_keycloak_says_so() -> None:
    idp = factories.idp("customer", session_hours=24)
    began = scene(idp)
    browser = Browser()
    browser.sign_in(idp, keycloak.SHAPES["document_signed"](began))
    assert browser.user is not None
    ends = browser.user.sessions.get().expire_date - began.now
    assert timedelta(hours=9, minutes=59) < ends <= timedelta(hours=10)
