"""The demo's identity provider and what it starts with, through their doors."""

from __future__ import annotations

import base64
import io
import re
import stat
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote
from wsgiref.util import setup_testing_defaults

import pytest
from django.conf import settings
from lxml import etree

from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from demo import keys
from demo.idp import IdentityProvider, at_home
from demo.logout import LogoutSpec, build_request, build_response
from demo.people import PEOPLE
from demo.seed import ADMIN, seed
from demo.trouble import TROUBLES
from orgs.holdings import holdings
from orgs.models import AccessGroup, AccessLevel, LevelGrant, MembershipRole, Organization, Property, Role
from saml_sp import models
from saml_sp.protocol import names, toolkit
from tests.door import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from orgs.holdings import Holdings

KEY = keys.make("Kundera")


@pytest.fixture
def provider() -> IdentityProvider:
    return IdentityProvider("http://localhost:8100", settings.PORTICO_BASE_URL, KEY)


def ask(provider: IdentityProvider, method: str, path: str, form: str = "") -> tuple[int, str, dict[str, str]]:
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "CONTENT_LENGTH": str(len(form)),
               "wsgi.input": io.BytesIO(form.encode())}  # fmt: skip
    setup_testing_defaults(environ)
    said: list[tuple[str, list[tuple[str, str]]]] = []
    body = b"".join(provider(environ, lambda status, headers: said.append((status, headers))))  # type: ignore[arg-type]  # nothing here writes
    status, headers = said[0]
    return int(status.split()[0]), body.decode(), dict(headers)


def launched(provider: IdentityProvider, person: str, fault: str = "") -> bytes:
    status, body, _ = ask(provider, "POST", "/launch", f"person={person}&trouble={fault}")
    assert status == 200
    assert f'action="{provider.acs_url}"' in body
    found = re.search(r'name="SAMLResponse" value="([^"]+)"', body)
    assert found is not None
    return base64.b64decode(found[1])


def test_the_portal_offers_everybody_and_every_trouble(provider: IdentityProvider) -> None:
    status, body, headers = ask(provider, "GET", "/")
    assert status == 200
    for slug in (*PEOPLE, *TROUBLES):
        assert f'value="{slug}"' in body
    assert "Kundera &amp; Co." in body
    assert "'unsafe" not in headers["Content-Security-Policy"]
    for name in re.findall(r'(?:href|src)="(/static/[^"]+)"', body):
        assert ask(provider, "GET", name)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "form", "status"),
    [
        ("GET", "/nowhere", "", 404),
        ("GET", "/launch", "", 404),
        ("GET", "/static/../idp.py", "", 404),
        ("POST", "/launch", "person=nobody", 400),
        ("POST", "/launch", "person=ana&trouble=unheard-of", 400),
        ("POST", "/launch", "person=" + "a" * 100_000, 400),
        ("POST", "/launch", "", 400),
        ("HEAD", "/", "", 200),
    ],
)
def test_other_requests_get_a_page_too(
    provider: IdentityProvider, method: str, path: str, form: str, status: int
) -> None:
    assert ask(provider, method, path, form)[0] == status


def test_a_length_that_is_no_number_is_an_empty_form(provider: IdentityProvider) -> None:
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/launch", "CONTENT_LENGTH": "many"}
    setup_testing_defaults(environ)
    assert provider.answer(environ).status == 400


def test_nothing_can_be_replayed_before_something_was_sent(provider: IdentityProvider) -> None:
    _, body, _ = ask(provider, "POST", "/launch", "person=ana&trouble=replayed")
    assert "Nothing has been sent yet" in body


def test_its_metadata_fits_the_schema_and_names_its_key(provider: IdentityProvider) -> None:
    status, body, headers = ask(provider, "GET", "/metadata")
    assert (status, headers["Content-Type"]) == (200, "application/samlmetadata+xml")
    root = etree.fromstring(body.encode())
    toolkit.metadata_schema().assertValid(root)
    assert root.get("entityID") == provider.entity_id
    certificate = root.find(f".//{{{names.DS}}}X509Certificate")
    assert certificate is not None
    assert certificate.text == KEY.certificate_text


def test_its_key_is_made_once_and_kept_from_others(data: Path) -> None:
    first, second = at_home(8100, "http://127.0.0.1:8000", data), at_home(8101, "http://127.0.0.1:8000", data)
    assert first.key == second.key
    assert stat.S_IMODE((data / "idp-key.pem").stat().st_mode) == 0o600


@pytest.mark.django_db
def test_seeding_makes_what_is_missing_and_nothing_twice(provider: IdentityProvider, data: Path) -> None:
    data.mkdir()
    administrator = seed(provider, data, datetime.now(UTC))
    assert administrator.password is not None
    assert stat.S_IMODE((data / "admin_password").stat().st_mode) == 0o600
    user = User.objects.get(email=ADMIN)
    assert user.is_superuser
    assert user.check_password(administrator.password)
    idp = models.IdentityProvider.objects.get(slug="demo")
    assert (idp.enabled, idp.entity_id, idp.portal_url) == (True, provider.entity_id, "http://localhost:8100/")
    assert set(User.objects.values_list("is_active", "is_staff", "sso_label")) == {
        (True, True, ""), (True, False, ""), (True, False, str(idp)), (False, False, "")
    }  # fmt: skip
    before = (User.objects.count(), models.IdentityProvider.objects.count(), Event.objects.count())
    assert seed(provider, data, datetime.now(UTC)) == administrator
    assert (User.objects.count(), models.IdentityProvider.objects.count(), Event.objects.count()) == before


@pytest.mark.django_db
def test_seeding_again_leaves_what_people_changed(provider: IdentityProvider, data: Path) -> None:
    data.mkdir()
    seed(provider, data, datetime.now(UTC))
    user = User.objects.get(email=ADMIN)
    user.set_password("something else entirely")
    user.save()
    idp = models.IdentityProvider.objects.get(slug="demo")
    idp.enabled, idp.description = False, "Renamed"
    idp.save()
    provider.own_url = "http://localhost:8101"
    assert seed(provider, data, datetime.now(UTC)).password is None
    idp.refresh_from_db()
    assert (idp.enabled, idp.description, idp.portal_url) == (False, "Renamed", "http://localhost:8101/")
    assert idp.entity_id == "http://localhost:8101/metadata"


@pytest.mark.django_db
def test_an_administrator_has_assigned_some_things_by_hand(provider: IdentityProvider, data: Path) -> None:
    data.mkdir()
    seed(provider, data, datetime.now(UTC))
    assert Organization.objects.count() == 2
    assert all(organization.billing_accounts.exists() for organization in Organization.objects.all())
    assert set(Property.objects.values_list("external_id", flat=True)) == {"3868", "25541", "40122"}
    idp = models.IdentityProvider.objects.get(slug="demo")
    assert (idp.level_ceiling, idp.group_rules.count()) == (AccessLevel.ADMIN, 4)
    # Nobody has signed in yet.
    held = holdings(User.objects.get(email=PEOPLE["ana"].email))
    assert [account.name for account in held.billing_accounts] == ["Northwind, research budget"]
    assert {why.given_by for thing in held.properties for why in thing.whys} == {ADMIN}
    assert Event.objects.filter(kind=Kind.GRANT_ASSIGNED, actor=ADMIN).count() == 7


@pytest.mark.django_db
def test_a_demo_of_before_gets_what_people_may_do_and_keeps_who_was_there(
    provider: IdentityProvider, data: Path
) -> None:
    data.mkdir()
    seed(provider, data, datetime.now(UTC))
    idp = models.IdentityProvider.objects.get(slug="demo")
    for model in (Organization, AccessGroup, Role, Property, LevelGrant):
        model.objects.all().delete()
    User.objects.get(email=PEOPLE["ada"].email).delete()
    idp.attribute_mapping, idp.level_spellings, idp.description = {}, {}, "Renamed"
    idp.save()
    Browser().sign_in(idp, launched(provider, "ada"))
    before = User.objects.get(email=PEOPLE["ada"].email)
    assert not holdings(before)
    seed(provider, data, datetime.now(UTC))
    assert User.objects.get(email=PEOPLE["ada"].email) == before
    assert [held.name for held in holdings(before).organizations] == ["Harbour Analytics", "Northwind Trading"]
    idp.refresh_from_db()
    assert (idp.description, sorted(idp.attribute_mapping)) == (
        "Renamed", ["groups", "permissions", "properties", "roles"]
    )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("left", ["mapping", "organisation"])
def test_what_people_made_of_rights_is_left_as_it_is(provider: IdentityProvider, data: Path, left: str) -> None:
    data.mkdir()
    seed(provider, data, datetime.now(UTC))
    idp = models.IdentityProvider.objects.get(slug="demo")
    for model in (Organization, AccessGroup, Role, Property, LevelGrant):
        model.objects.all().delete()
    if left == "organisation":
        idp.attribute_mapping = {}
        Organization.objects.create(name="Ours")
    else:
        idp.attribute_mapping = {"roles": ["Role"]}
    idp.save()
    mapping, names = idp.attribute_mapping, list(Organization.objects.values_list("name"))
    seed(provider, data, datetime.now(UTC))
    idp.refresh_from_db()
    assert (idp.attribute_mapping, list(Organization.objects.values_list("name"))) == (mapping, names)
    assert not Role.objects.exists()


@pytest.mark.django_db
def test_a_password_file_that_was_cut_short_is_written_again(provider: IdentityProvider, data: Path) -> None:
    data.mkdir()
    (data / "admin_password").touch()
    password = seed(provider, data, datetime.now(UTC)).password
    assert password
    assert (data / "admin_password").read_text().strip() == password


@pytest.mark.django_db
@pytest.mark.parametrize("person", PEOPLE)
def test_everybody_at_the_portal_can_sign_in(provider: IdentityProvider, data: Path, person: str) -> None:
    data.mkdir()
    seed(provider, data, datetime.now(UTC))
    idp = models.IdentityProvider.objects.get(slug="demo")
    page = Browser().sign_in(idp, launched(provider, person))
    assert PEOPLE[person].email in page.content.decode()


@pytest.fixture
def idp(db: None, provider: IdentityProvider, data: Path) -> models.IdentityProvider:
    """The demo's identity provider as Portico knows it, with all that was seeded."""
    data.mkdir()
    seed(provider, data, datetime.now(UTC))
    return models.IdentityProvider.objects.get(slug="demo")


def holdings_of(provider: IdentityProvider, idp: models.IdentityProvider, person: str) -> Holdings:
    """What somebody holds once they have come from the portal."""
    Browser().sign_in(idp, launched(provider, person))
    return holdings(User.objects.get(email=PEOPLE[person].email))


def test_ana_is_an_analyst_with_a_role_properties_and_an_organisation(
    provider: IdentityProvider, idp: models.IdentityProvider
) -> None:
    held = holdings_of(provider, idp, "ana")
    assert held.level == AccessLevel.ANALYST
    assert [(one.name, one.role) for one in held.organizations] == [("Northwind Trading", MembershipRole.MEMBER)]
    assert [role.name for role in held.roles] == ["Report editor"]
    # By hand, by word, and by both.
    assert {thing.id: [why.by_hand for why in thing.whys] for thing in held.properties} == {
        "40122": [True], "25541": [False], "3868": [True, False],
    }  # fmt: skip
    assert len(held.billing_accounts) == 1


def test_ada_claims_more_than_she_may_be_given(provider: IdentityProvider, idp: models.IdentityProvider) -> None:
    held = holdings_of(provider, idp, "ada")
    assert held.level == AccessLevel.ADMIN
    assert [why.gives for why in held.level_whys] == ["admin", "analyst"]
    assert {one.id: one.role for one in held.organizations} == {
        "northwind": MembershipRole.ADMIN, "harbour": MembershipRole.MEMBER,
    }  # fmt: skip
    attempt = models.SignInAttempt.objects.get()
    assert "It asserted super_admin; its ceiling is admin" in attempt.detail["notes"][0]


def test_noah_has_nothing(provider: IdentityProvider, idp: models.IdentityProvider) -> None:
    assert not holdings_of(provider, idp, "noah")


def test_mo_moves_from_one_organisation_to_the_other(provider: IdentityProvider, idp: models.IdentityProvider) -> None:
    before, after = holdings_of(provider, idp, "mo"), holdings_of(provider, idp, "mo-later")
    assert ([one.id for one in before.organizations], [one.name for one in before.groups]) == (
        ["northwind"], ["Early access"]
    )  # fmt: skip
    assert ([one.id for one in after.organizations], [one.name for one in after.roles]) == (
        ["harbour"], ["Data steward"]
    )  # fmt: skip
    assert not after.groups
    assert User.objects.filter(email=PEOPLE["mo"].email).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("expired", "expired"),
        ("early", "not_yet_valid"),
        ("audience", "audience_mismatch"),
        ("tampered", "bad_signature"),
        ("replayed", "replayed"),
        ("unsigned", "unsigned"),
        ("stranger", "bad_signature"),
    ],
)
def test_every_trouble_is_refused_for_its_own_reason(
    provider: IdentityProvider, data: Path, fault: str, code: str
) -> None:
    data.mkdir()
    seed(provider, data, datetime.now(UTC))
    idp = models.IdentityProvider.objects.get(slug="demo")
    Browser().sign_in(idp, launched(provider, "ana"))
    refused = Browser().send(idp, launched(provider, "ana", fault))
    assert refused.status_code == 403
    attempt = models.SignInAttempt.objects.first()
    assert attempt is not None
    assert attempt.code == code
    assert attempt.trace_id in refused.content.decode()


def sent(body: str) -> tuple[str, str, etree._Element]:
    """The form of a page that sends a logout message: where to, in which field, and the message."""
    found = re.search(r'action="([^"]+)">\s*<input type="hidden" name="(SAML\w+)" value="([^"]+)"', body)
    assert found is not None, body
    return found[1], found[2], etree.fromstring(base64.b64decode(found[3]))


def test_signing_out_everywhere_sends_a_signed_request_about_the_chosen_person(provider: IdentityProvider) -> None:
    status, body, headers = ask(provider, "POST", "/logout", "person=ana")
    assert status == 200
    where, field, message = sent(body)
    assert (where, field) == (provider.slo_url, "SAMLRequest")
    assert message.findtext(names.NAME_ID) == PEOPLE["ana"].email
    assert message.find(names.SIGNATURE) is not None
    assert message.find(names.SESSION_INDEX) is None
    assert "Max-Age=0" in headers["Set-Cookie"]
    toolkit.protocol_schema().assertValid(message)
    assert ask(provider, "POST", "/logout", "person=nobody")[0] == 400


def test_it_answers_our_logout_request_and_reads_our_answer(provider: IdentityProvider) -> None:
    spec = LogoutSpec("https://portico.example", f"{provider.own_url}/slo", datetime.now(UTC), "_1", name_id="x")
    request, response = build_request(spec), build_response(replace(spec, in_response_to="_0"))
    value = quote(base64.b64encode(etree.tostring(request)), safe="")
    status, body, _ = ask(provider, "POST", "/slo", f"SAMLRequest={value}&RelayState=r")
    where, field, answer = sent(body)
    assert (status, where, field, answer.get("InResponseTo")) == (200, provider.slo_url, "SAMLResponse", "_1")
    assert 'name="RelayState" value="r"' in body
    toolkit.protocol_schema().assertValid(answer)
    value = quote(base64.b64encode(etree.tostring(response)), safe="")
    assert "Signed out everywhere." in ask(provider, "POST", "/slo", f"SAMLResponse={value}")[1]
    assert ask(provider, "POST", "/slo", "SAMLResponse=x")[0] == 400
    assert ask(provider, "GET", "/slo")[0] == 400
