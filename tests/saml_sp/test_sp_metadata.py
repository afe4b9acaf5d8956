"""Our metadata at its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from django.test import Client

from saml_sp.models import IdentityProvider, KeyState
from saml_sp.protocol import gate, names, toolkit
from saml_sp.protocol.types import Binding
from tests import factories
from tests.encrypting import Ours, our_key

if TYPE_CHECKING:
    from lxml import etree
    from pytest_django import Settings

pytestmark = pytest.mark.django_db

CERTIFICATE = f"{names.KEY_INFO}/{{{names.DS}}}X509Data/{{{names.DS}}}X509Certificate"


def published(idp: IdentityProvider) -> etree._Element:
    answer = Client().get(f"/saml/{idp.slug}/metadata/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/samlmetadata+xml"
    root = gate.parse(answer.content, strict=True)
    toolkit.metadata_schema().assertValid(root)
    return root


def certificates(root: etree._Element, use: str) -> list[str]:
    return [
        element.text or ""
        for descriptor in root.iter(f"{{{names.MD}}}KeyDescriptor")
        if descriptor.get("use") == use
        for element in descriptor.iterfind(CERTIFICATE)
    ]


def test_it_names_our_urls_from_the_first_moment_on() -> None:
    root = published(IdentityProvider.objects.draft("acme"))
    assert root.get("entityID") == "http://127.0.0.1:8000/saml/acme/metadata/"
    slo = [dict(element.items()) for element in root.iter(f"{{{names.MD}}}SingleLogoutService")]
    location = "http://127.0.0.1:8000/saml/acme/slo/"
    assert slo == [{"Binding": binding.uri, "Location": location} for binding in (Binding.REDIRECT, Binding.POST)]


def test_it_says_what_is_configured() -> None:
    root = published(factories.idp(sign_requests=True, name_id_format="persistent"))
    assert root[0].get("AuthnRequestsSigned") == "true"
    assert [element.text for element in root.iter(f"{{{names.MD}}}NameIDFormat")] == [names.NAMEID_PERSISTENT]


def test_during_a_rollover_the_next_key_is_published_before_it_is_used(settings: Settings) -> None:
    settings.PORTICO_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    idp = factories.idp()
    assert certificates(published(idp), "signing") == []
    first, second = our_key(Ours.FIRST).certificate_text, our_key(Ours.SECOND).certificate_text
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    factories.key_pair(Ours.SECOND, KeyState.NEXT)
    factories.key_pair(Ours.THIRD, KeyState.OLD)
    root = published(idp)
    assert certificates(root, "signing") == [first, second]
    assert certificates(root, "encryption") == [first]


def test_it_is_signed_on_request(settings: Settings) -> None:
    settings.PORTICO_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    idp = factories.idp(sign_metadata=True)
    assert published(idp).find(names.SIGNATURE) is None
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    assert published(idp)[0].tag == names.SIGNATURE


def test_an_unknown_slug_has_none() -> None:
    assert Client().get("/saml/nobody/metadata/").status_code == 404
