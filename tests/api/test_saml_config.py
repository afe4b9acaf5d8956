"""The configuration of identity providers by REST: whole, conditional, repeatable."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Session
from audit.kinds import Kind
from audit.models import Event
from orgs.models import AccessGroup, AccessLevel, LevelGrant, MembershipRole, Organization, Source
from saml_sp.models import EmailDomain, GroupRule, IdentityProvider, KeyState
from tests import factories
from tests.api.calling import Answer, Program, program_of
from tests.encrypting import Ours
from tests.idp_metadata import (
    POST,
    certificate,
    der,
    endpoint,
    entity,
    expired,
    key_descriptor,
    pem,
    role,
)
from tokens.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accounts.models import User

pytestmark = pytest.mark.django_db

PATH = "/saml-config/acme"
READ_ONLY = ("slug", "acs_url", "sp_entity_id", "metadata_url", "login_url")
D3 = {"metadata": entity(), "enabled": True, "auto_create_users": True}


def kinds() -> list[str]:
    """What was written down about identity providers and domains."""
    about = Event.objects.filter(kind__regex="idp|domain").order_by("id")
    return list(about.values_list("kind", flat=True))


def etag(program: Program, path: str = PATH) -> str:
    return program.get(path).headers["ETag"]


def put(program: Program, body: Any, path: str = PATH, query: str = "") -> Answer:
    """PUT what exists, naming the version that there is."""
    return program.put(path + query, body, If_Match=etag(program, path))


def patch(program: Program, body: Any, query: str = "") -> Answer:
    return program.patch(PATH + query, body, If_Match=etag(program))


@pytest.fixture
def acme_idp(db: None) -> IdentityProvider:
    """An enabled identity provider."""
    return factories.idp("acme", description="Acme Okta")


@pytest.fixture
def encryption_key() -> Iterator[None]:
    """What key pairs of ours are kept under."""
    with override_settings(PORTICO_ENCRYPTION_KEYS=[Fernet.generate_key().decode()]):
        yield


# --- Made and set ---------------------------------------------------------------------------------------------------


def test_metadata_and_two_switches_make_an_identity_provider(admin: Program) -> None:
    made = admin.put(PATH, D3)
    assert (made.status, made.headers["Location"]) == (201, "/api/v1/saml-config/acme")
    assert made.headers["ETag"] == etag(admin)
    assert made.body == admin.get(PATH).body
    assert "metadata" not in made.body
    assert (made.body["enabled"], made.body["auto_create_users"], made.body["description"]) == (True, True, "acme")
    assert (made.body["entity_id"], made.body["sso_url"]) == (
        "https://idp.example.com/entity",
        "https://idp.example.com/sso",
    )
    assert made.body["certificates"] == [pem(certificate())]
    assert made.body["acs_url"] == "http://127.0.0.1:8000/saml/acme/acs/"
    assert kinds() == [Kind.IDP_CREATED, Kind.IDP_ENABLED]
    assert IdentityProvider.objects.get().enabled


def test_the_same_twice_changes_nothing_the_second_time(admin: Program) -> None:
    first = admin.put(PATH, D3)
    before = Event.objects.count()
    second = put(admin, D3)
    assert (second.status, second.body, second.headers["ETag"]) == (200, first.body, first.headers["ETag"])
    assert Event.objects.count() == before


def test_a_draft_needs_nothing_but_its_name(admin: Program) -> None:
    made = admin.put(PATH, {})
    assert (made.status, made.body["enabled"], made.body["entity_id"]) == (201, False, "")


def test_it_is_on_record_who_did_it(admin: Program) -> None:
    admin.put(PATH, D3)
    event = Event.objects.get(kind=Kind.IDP_CREATED)
    assert (event.actor, event.ip, event.data["slug"]) == ("grace@portico.example", "127.0.0.1", "acme")


def test_every_member_is_kept_as_it_was_sent(admin: Program, encryption_key: None) -> None:
    AccessGroup.objects.create(name="Reporters")
    Organization.objects.create(external_id="acme", name="Acme")
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    wanted = {
        "description": "Acme Okta", "enabled": True, "auto_create_users": False,
        "entity_id": "https://idp.acme.example/e", "sso_url": "https://idp.acme.example/sso", "sso_binding": "post",
        "slo_url": "https://idp.acme.example/slo", "slo_binding": "post",
        "slo_response_url": "https://idp.acme.example/slo2",
        "certificates": [pem(certificate("a")), pem(certificate("b", not_after=timezone.now() + timedelta(days=3)))],
        "idp_initiated": False, "sp_initiated": True, "is_default": True, "show_on_sign_in": True,
        "name_id_format": "persistent", "force_authn": True,
        "authn_contexts": ["urn:oasis:names:tc:SAML:2.0:ac:classes:Password"], "sign_requests": True,
        "sign_metadata": True, "subject_attribute": "objectGUID", "portal_url": "https://portal.acme.example/",
        "contact": "help@acme.example", "tolerance_s": 60, "session_hours": 8, "no_sign_in_days": 30,
        "mapping": {
            "email": ["mail"], "first_name": [], "last_name": [], "display_name": [], "groups": ["memberOf", "groups"],
            "permissions": [], "properties": [], "roles": ["Role"],
        },
        "level_ceiling": "super_admin", "level_spellings": {"dxa_admin": "admin"}, "keep_when_missing": True,
        "refuse_unknown": True,
        "group_rules": [
            {"value": "acme-*", "pattern": True, "organization": "acme", "role": "admin"},
            {"value": "reports", "pattern": False, "access_group": "Reporters"},
        ],
        "domains": [{"domain": "acme.example", "verified": False}],
    }  # fmt: skip
    made = admin.put(PATH, wanted)
    assert made.status == 201, made.content
    assert {name: value for name, value in made.body.items() if name not in READ_ONLY} == wanted
    assert admin.get("/saml-config").body["items"] == [made.body]


def test_metadata_wins_over_what_it_names_and_over_nothing_else(admin: Program) -> None:
    slo = endpoint("SingleLogoutService", POST, "https://idp.example.com/slo")
    body = {
        "metadata": entity(role(slo=slo)), "entity_id": "https://else.example", "sso_url": "https://else.example/sso",
        "slo_url": "", "certificates": [pem(certificate("mine"))], "contact": "help@acme.example",
    }  # fmt: skip
    made = admin.put(PATH, body).body
    assert (made["entity_id"], made["slo_url"], made["slo_binding"]) == (
        "https://idp.example.com/entity", "https://idp.example.com/slo", "post",
    )  # fmt: skip
    assert (made["certificates"], made["contact"]) == ([pem(certificate())], "help@acme.example")


def test_what_is_left_out_takes_its_default_but_description_and_domains_stay(
    admin: Program, acme_idp: IdentityProvider
) -> None:
    EmailDomain.objects.create(idp=acme_idp, domain="acme.example", verified_at=timezone.now(), proof="dns")
    acme_idp.contact = "help@acme.example"
    acme_idp.save()
    after = put(admin, {"enabled": False}).body
    assert (after["description"], after["domains"]) == ("Acme Okta", [{"domain": "acme.example", "verified": True}])
    assert (after["contact"], after["entity_id"], after["certificates"]) == ("", "", [])


def test_disabling_ends_the_sessions_that_it_vouched_for(admin: Program, acme_idp: IdentityProvider) -> None:
    from tests.door import Browser  # noqa: PLC0415 - one sign-in among many calls
    from tests.idp import Forge  # noqa: PLC0415 - as above

    Browser().sign_in(acme_idp, Forge(acme_idp, timezone.now()).xml())
    assert Session.objects.filter(door="sso").count() == 1
    shown = patch(admin, {"enabled": False}, "?dry_run=1").body
    assert shown["notes"] == ["Nobody can sign in through it any more; 1 session(s) that it vouched for end."]
    assert Session.objects.filter(door="sso").count() == 1
    assert patch(admin, {"enabled": False}).status == 200
    assert not Session.objects.filter(door="sso").exists()


# --- There and back -------------------------------------------------------------------------------------------------


def ample(slug: str) -> IdentityProvider:
    """One with everything that a configuration can hold, some of it untidy as rows may be."""
    idp = factories.idp(
        slug, jit=False, authn_contexts="urn:a\n\n urn:b ", level_ceiling=AccessLevel.SUPER_ADMIN,
        attribute_mapping={"email": [], "groups": ["g"]}, level_spellings={"boss": "admin"}, no_sign_in_days=7,
        sp_entity_id_override="https://we.example/sp", sign_requests=True, sign_metadata=True, is_default=True,
        sso_url="https://idp.example/sso?x=1", contact="Zoë – help",
    )  # fmt: skip
    idp.set_certificates([der(certificate()), der(certificate("b")), der(expired())])
    group = AccessGroup.objects.create(name="Réporters")
    place = Organization.objects.create(external_id="o", name="O")
    GroupRule.objects.create(idp=idp, value="x", access_group=group)
    GroupRule.objects.create(idp=idp, value="x*", is_pattern=True, organization=place, role=MembershipRole.ADMIN)
    EmailDomain.objects.create(idp=idp, domain="a.example", verified_at=timezone.now(), proof="dns")
    EmailDomain.objects.create(idp=idp, domain="b.example")
    return idp


@pytest.mark.parametrize("make", [ample, factories.idp, IdentityProvider.objects.draft])
@pytest.mark.parametrize("method", ["put", "patch"])
def test_what_is_read_can_be_sent_back_and_changes_nothing(admin: Program, make: Any, method: str) -> None:
    make("acme")
    read = admin.get(PATH)
    events, revision = Event.objects.count(), IdentityProvider.objects.get().revision
    previewed = getattr(admin, method)(f"{PATH}?dry_run=1", read.body, If_Match=read.headers["ETag"])
    assert previewed.body == {"changes": [], "notes": []}
    sent = getattr(admin, method)(PATH, read.body, If_Match=read.headers["ETag"])
    assert (sent.body, sent.headers["ETag"]) == (read.body, read.headers["ETag"])
    assert Event.objects.count() == events
    assert IdentityProvider.objects.get().revision == revision


TEXT = st.text(alphabet="abc é-", max_size=12)
SOME = st.fixed_dictionaries(
    {},
    optional={
        "auto_create_users": st.booleans(),
        "contact": TEXT,
        "tolerance_s": st.integers(0, 180),
        "session_hours": st.integers(1, 720),
        "no_sign_in_days": st.none() | st.integers(1, 3650),
        "name_id_format": st.sampled_from(["", "email", "persistent"]),
        "level_ceiling": st.sampled_from(["none", "analyst", "admin", "super_admin"]),
        "level_spellings": st.dictionaries(st.sampled_from(["a", "é", "b c"]), st.sampled_from(["none", "admin"])),
        "mapping": st.fixed_dictionaries(
            {}, optional={"groups": st.lists(st.sampled_from("abc"), unique=True), "email": st.just([])}
        ),
        "authn_contexts": st.lists(st.sampled_from(["urn:a", "urn:b"]), unique=True),
        "domains": st.lists(st.sampled_from(["a.example", "B.example"]), unique=True),
        "certificates": st.lists(st.sampled_from([pem(certificate()), pem(certificate("b"))]), unique=True),
    },
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(first=SOME, second=SOME)
def test_any_configuration_can_be_sent_twice_and_read_back(
    admin: Program, first: dict[str, Any], second: dict[str, Any]
) -> None:
    IdentityProvider.objects.all().delete()
    assert admin.put(PATH, first).status == 201
    done = put(admin, second)
    assert done.status == 200
    events = Event.objects.count()
    again = put(admin, second)
    back = put(admin, again.body)
    assert done.body == again.body == back.body == admin.get(PATH).body
    assert done.headers["ETag"] == back.headers["ETag"]
    assert Event.objects.count() == events


# --- Conditions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_what_exists_is_changed_only_by_who_names_its_version(
    admin: Program, acme_idp: IdentityProvider, method: str
) -> None:
    bare = admin.call(method, PATH, {})
    assert (bare.status, bare.code) == (428, "precondition_required")
    for wrong in ('"other"', f"W/{etag(admin)}", "nonsense", ""):
        late = admin.call(method, PATH, {}, If_Match=wrong)
        assert (late.status, late.code, late.headers["ETag"]) == (412, "precondition_failed", etag(admin))
    assert kinds() == []


@pytest.mark.parametrize("tags", ["{}", "*", '"other", {}', " {} "])
def test_the_version_may_be_one_of_several(admin: Program, acme_idp: IdentityProvider, tags: str) -> None:
    answer = admin.patch(PATH, {"contact": "x"}, If_Match=tags.format(etag(admin)))
    assert (answer.status, answer.body["contact"]) == (200, "x")


def test_what_is_to_be_new_is_refused_where_it_exists(admin: Program) -> None:
    assert admin.put(PATH, {}, If_None_Match="*").status == 201
    again = admin.put(PATH, {}, If_None_Match="*")
    assert (again.status, again.code, again.headers["ETag"]) == (412, "precondition_failed", etag(admin))
    assert admin.put(PATH, {}, If_None_Match=etag(admin)).code == "precondition_failed"


def test_a_version_of_what_is_gone_is_none(admin: Program) -> None:
    gone = admin.put(PATH, {}, If_Match='"x"')
    assert (gone.status, gone.code) == (412, "precondition_failed")
    assert "ETag" not in gone.headers
    assert admin.patch(PATH, {}, If_Match="*").code == "not_found"
    assert admin.delete(PATH, If_Match="*").code == "not_found"


def test_a_change_elsewhere_is_another_version(admin: Program, acme_idp: IdentityProvider) -> None:
    read = etag(admin)
    EmailDomain.objects.create(idp=acme_idp, domain="acme.example")
    assert read != etag(admin)
    read = etag(admin)
    acme_idp.save()
    assert read != etag(admin)


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_the_same_moment_exactly_one_wins() -> None:
    grace = factories.user("grace@portico.example", is_staff=True, is_superuser=True)
    factories.idp("acme")
    program = program_of(grace)
    for turn in range(3):
        version, together = etag(program), threading.Barrier(4)

        def change(
            number: int, turn: int = turn, version: str = version, together: threading.Barrier = together
        ) -> int:
            other = Program(program.secret, client=Client())
            together.wait()
            try:
                return other.patch(PATH, {"contact": f"{turn}, {number}"}, If_Match=version).status
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            statuses = sorted(pool.map(change, range(4)))
        assert statuses == [200, 412, 412, 412]


@pytest.mark.django_db(transaction=True)
def test_of_two_that_make_the_same_one_exactly_one_does() -> None:
    program = program_of(factories.user("grace@portico.example", is_staff=True, is_superuser=True))
    together = threading.Barrier(4)

    def make(number: int) -> int:
        other = Program(program.secret, client=Client())
        together.wait()
        try:
            return other.put(PATH, {"contact": f"number {number}"}, If_None_Match="*").status
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(make, range(4)))
    assert statuses[0] == 201
    assert set(statuses[1:]) <= {409, 412}
    assert kinds() == [Kind.IDP_CREATED]


# --- Patches --------------------------------------------------------------------------------------------------------


def test_a_patch_changes_what_it_names(admin: Program, acme_idp: IdentityProvider) -> None:
    before = admin.get(PATH).body
    after = patch(admin, {"contact": "help@acme.example", "mapping": {"groups": ["memberOf"]}}).body
    assert after == before | {
        "contact": "help@acme.example", "mapping": before["mapping"] | {"groups": ["memberOf"]}
    }  # fmt: skip
    assert Event.objects.get(kind=Kind.IDP_CHANGED).data["changed"].keys() == {"contact", "attribute_mapping"}


def test_null_puts_a_member_back_to_its_default(admin: Program, acme_idp: IdentityProvider) -> None:
    patch(admin, {"tolerance_s": 5, "no_sign_in_days": 3, "level_spellings": {"a": "admin", "b": "none"}})
    after = patch(admin, {"tolerance_s": None, "no_sign_in_days": None, "level_spellings": {"a": None}}).body
    assert (after["tolerance_s"], after["no_sign_in_days"], after["level_spellings"]) == (120, None, {"b": "none"})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"description": None}, "description"),
        ({"domains": None}, "domains"),
        ({"slug": None}, "slug"),
        ({"slug": "other"}, "slug"),
        ({"acs_url": "https://evil.example"}, "acs_url"),
        ({"colour": "blue"}, "colour"),
        ({"colour": None}, "colour"),
        ({"mapping": {"colour": ["x"]}}, "mapping.colour"),
        ({"mapping": []}, "mapping"),
        ({"tolerance_s": "5"}, "tolerance_s"),
        ({"enabled": 1}, "enabled"),
    ],
)
def test_a_patch_that_makes_no_configuration_is_refused(
    admin: Program, acme_idp: IdentityProvider, body: dict[str, Any], field: str
) -> None:
    assert patch(admin, body).fields == [field]
    assert kinds() == []


def test_a_patch_may_come_as_what_it_is(admin: Program, acme_idp: IdentityProvider) -> None:
    headers = {"If_Match": etag(admin), "Content_Type": "application/merge-patch+json"}
    assert admin.patch(PATH, {"contact": "x"}, **headers).status == 200
    assert admin.put(PATH, {"contact": "x"}, **headers).code == "unsupported_media_type"


def test_metadata_alone_brings_the_next_certificate(admin: Program) -> None:
    admin.put(PATH, D3)
    after = patch(admin, {"metadata": entity(role(keys=key_descriptor(certificate("next"))))}).body
    assert (after["certificates"], after["enabled"]) == ([pem(certificate("next"))], True)


# --- Dry runs -------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_change_and_changes_nothing(admin: Program, acme_idp: IdentityProvider) -> None:
    before, revision = admin.get(PATH), acme_idp.revision
    shown = patch(admin, {"contact": "x", "domains": ["acme.example"]}, "?dry_run=true")
    assert shown.status == 200
    assert shown.body["changes"] == [
        {"field": "contact", "from": "", "to": "x"},
        {"field": "domains", "from": [], "to": [{"domain": "acme.example", "verified": False}]},
    ]
    assert "_portico-challenge.acme.example" in shown.body["notes"][0]
    assert admin.get(PATH).headers["ETag"] == before.headers["ETag"]
    acme_idp.refresh_from_db()
    assert acme_idp.revision == revision
    assert kinds() == []


def test_a_dry_run_of_what_is_new_or_goes_says_so(admin: Program) -> None:
    shown = admin.put(f"{PATH}?dry_run=1", D3).body
    assert {"field": "slug", "from": None, "to": "acme"} in shown["changes"]
    assert admin.get(PATH).status == 404
    admin.put(PATH, D3)
    gone = admin.delete(f"{PATH}?dry_run=1", If_Match="*")
    assert (gone.status, gone.body["changes"][0]) == (200, {"field": "slug", "from": "acme", "to": None})
    assert admin.get(PATH).status == 200


def test_a_dry_run_is_refused_as_the_call_itself_would_be(admin: Program, acme_idp: IdentityProvider) -> None:
    assert admin.patch(f"{PATH}?dry_run=1", {}).code == "precondition_required"
    assert patch(admin, {"sso_url": "ftp://x"}, "?dry_run=1").fields == ["sso_url"]
    assert patch(admin, {"certificates": []}, "?dry_run=1").code == "conflict"


def test_metadata_that_leaves_something_out_says_what(admin: Program) -> None:
    keys = key_descriptor(certificate()) + key_descriptor(expired())
    shown = admin.put(f"{PATH}?dry_run=1", {"metadata": entity(role(keys=keys))}).body
    assert any("certificate" in note for note in shown["notes"]), shown["notes"]


# --- Refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"enabled": True}, "its entity ID, its SSO URL and a signing certificate"),
        ({"enabled": True, "entity_id": "x", "sso_url": "https://x.example"}, "a signing certificate"),
        (
            {"enabled": True, "entity_id": "x", "sso_url": "https://x.example", "certificates": [pem(expired())]},
            "a signing certificate",
        ),
    ],
)
def test_what_is_not_complete_is_not_enabled(admin: Program, body: dict[str, Any], said: str) -> None:
    answer = admin.put(PATH, body)
    assert (answer.status, answer.code) == (409, "conflict")
    assert said in answer.body["detail"]
    assert not IdentityProvider.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"metadata": "<x/>"}, "metadata"),
        ({"metadata": ""}, "metadata"),
        ({"metadata": "<!DOCTYPE x [<!ENTITY a 'b'>]><x/>"}, "metadata"),
        ({"metadata": "x" * (1024 * 1024 + 1)}, "metadata"),
        ({"metadata": 5}, "metadata"),
        ({"sso_url": "http://x.example"}, "sso_url"),
        ({"sso_binding": "artifact"}, "sso_binding"),
        ({"entity_id": "a b"}, "entity_id"),
        ({"entity_id": "x" * 1025}, "entity_id"),
        ({"certificates": ["nonsense"]}, "certificates.0"),
        ({"certificates": [pem(certificate()), pem(certificate())]}, "certificates.1"),
        ({"authn_contexts": ["a:b c:d"]}, "authn_contexts"),
        ({"authn_contexts": ["plain"]}, "authn_contexts"),
        ({"tolerance_s": 181}, "tolerance_s"),
        ({"tolerance_s": -1}, "tolerance_s"),
        ({"session_hours": 0}, "session_hours"),
        ({"no_sign_in_days": 0}, "no_sign_in_days"),
        ({"mapping": {"email": ["a", "a"]}}, "mapping"),
        ({"mapping": {"email": [" a"]}}, "mapping"),
        ({"mapping": {"email": ["a"] * 13}}, "mapping.email"),
        ({"level_ceiling": "owner"}, "level_ceiling"),
        ({"level_spellings": {"a": "owner"}}, "level_spellings.a"),
        ({"level_spellings": {" ": "admin"}}, "level_spellings"),
        ({"sign_requests": True}, "sign_requests"),
        ({"sign_metadata": True}, "sign_metadata"),
        ({"description": ""}, "description"),
        ({"domains": ["*.acme.example"]}, "domains"),
        ({"domains": ["acme"]}, "domains"),
        ({"domains": [{"domain": "acme.example", "verified": True}]}, "domains.0.verified"),
        ({"domains": [5]}, "domains.0"),
        ({"group_rules": [{"value": "x"}]}, "group_rules.0"),
        ({"group_rules": [{"value": "x", "access_group": "nobody"}]}, "group_rules.0.access_group"),
        ({"group_rules": [{"value": "x", "organization": "nowhere"}]}, "group_rules.0.organization"),
        ({"private_key": "x"}, "private_key"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(admin: Program, body: dict[str, Any], field: str) -> None:
    answer = admin.put(PATH, body)
    assert (answer.status, answer.fields) == (422, [field])
    assert not IdentityProvider.objects.exists()


@pytest.mark.parametrize("slug", ["Acme", "acme_1", "-acme", "login", "continue", "x" * 51, "é"])
def test_a_slug_that_cannot_stand_in_a_url_is_refused(admin: Program, slug: str) -> None:
    assert admin.put(f"/saml-config/{slug}", {}).fields == ["slug"]


def test_another_ones_description_or_place_as_default_is_taken(admin: Program) -> None:
    factories.idp("other", description="Other", is_default=True)
    assert admin.put(PATH, {"description": "Other"}).fields == ["description"]
    assert admin.put(PATH, {"is_default": True}).status == 422


RULES = [
    ({"access_group": "G", "organization": "o"}, "group_rules.0"),
    ({"access_group": "G", "role": "member"}, "group_rules.0.role"),
    ({"access_group": "G", "value": "*", "pattern": True}, "group_rules.0.value"),
    ({"access_group": "G", "value": " x"}, "group_rules.0.value"),
    ({"access_group": "G", "pattern": True}, "group_rules.0.value"),
]


@pytest.mark.parametrize(("rule", "field"), RULES)
def test_a_rule_that_means_nothing_is_refused(admin: Program, rule: dict[str, Any], field: str) -> None:
    AccessGroup.objects.create(name="G")
    Organization.objects.create(external_id="o", name="O")
    assert admin.put(PATH, {"group_rules": [{"value": "x"} | rule]}).fields == [field]


def test_rules_are_replaced_and_each_stands_once(admin: Program) -> None:
    AccessGroup.objects.create(name="G")
    Organization.objects.create(external_id="o", name="O")
    one = {"value": "a", "access_group": "G"}
    two = {"value": "b", "organization": "o"}
    assert admin.put(PATH, {"group_rules": [one, one]}).fields == ["group_rules.1"]
    admin.put(PATH, {"group_rules": [one, two]})
    kept = GroupRule.objects.get(value="a").pk
    after = patch(admin, {"group_rules": [two | {"role": "admin"}, one]}).body["group_rules"]
    assert after == [one | {"pattern": False}, two | {"pattern": False, "role": "admin"}]
    assert GroupRule.objects.get(value="a").pk == kept
    assert Event.objects.get(kind=Kind.IDP_CHANGED).data["changed"].keys() == {"group_rules"}


# --- Domains --------------------------------------------------------------------------------------------------------


def test_domains_are_claimed_and_given_up_but_never_verified_here(admin: Program, acme_idp: IdentityProvider) -> None:
    after = patch(admin, {"domains": ["Acme.example", "b.example"]}).body["domains"]
    assert after == [{"domain": "acme.example", "verified": False}, {"domain": "b.example", "verified": False}]
    after = patch(admin, {"domains": [{"domain": "b.example"}]}).body["domains"]
    assert after == [{"domain": "b.example", "verified": False}]
    assert kinds() == [Kind.DOMAIN_CLAIMED, Kind.DOMAIN_CLAIMED, Kind.DOMAIN_RELEASED]


# --- Levels ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def keeper(db: None) -> Program:
    """A program of somebody who may change identity providers and is no superuser."""
    user = factories.user("keeper@portico.example", is_staff=True)
    names = [f"{what}_identityprovider" for what in ("view", "add", "change")]
    user.user_permissions.add(*Permission.objects.filter(codename__in=names))
    return program_of(user, Scope.ADMIN_SAML)


def test_only_a_superuser_lets_it_grant_super_admin(keeper: Program, admin: Program) -> None:
    refused = keeper.put(PATH, {"level_ceiling": "super_admin"})
    assert (refused.status, refused.code) == (403, "not_allowed")
    assert admin.put(PATH, {"level_ceiling": "super_admin"}).status == 201
    # It may stay, and be taken away.
    assert put(keeper, admin.get(PATH).body | {"contact": "x"}).status == 200
    assert patch(keeper, {"level_ceiling": "admin"}).status == 200
    assert patch(keeper, {"level_ceiling": "super_admin"}).code == "not_allowed"


def test_a_lower_ceiling_lowers_the_levels_that_it_gave(admin: Program, acme_idp: IdentityProvider, lou: User) -> None:
    patch(admin, {"level_ceiling": "admin"})
    LevelGrant.objects.create(user=lou, level=AccessLevel.ADMIN, source=Source.IDP, source_id=str(acme_idp.pk))
    patch(admin, {"level_ceiling": "analyst"}, "?dry_run=1")
    assert LevelGrant.objects.get().level == AccessLevel.ADMIN
    patch(admin, {"level_ceiling": "analyst"})
    assert LevelGrant.objects.get().level == AccessLevel.ANALYST


# --- Rights ---------------------------------------------------------------------------------------------------------


def test_the_scope_is_not_more_than_its_owner_may_do(keeper: Program) -> None:
    assert keeper.put(PATH, {}).status == 201
    assert patch(keeper, {"domains": ["acme.example"]}).code == "not_allowed"
    assert keeper.delete(PATH, If_Match="*").code == "not_allowed"


def test_who_may_change_them_may_not_always_add_one(keeper: Program) -> None:
    keeper_user = keeper.token.user if keeper.token else None
    assert keeper_user
    keeper_user.user_permissions.remove(Permission.objects.get(codename="add_identityprovider"))
    assert keeper.put(PATH, {}).code == "not_allowed"


def test_group_rules_are_for_those_who_may_make_and_remove_them(
    keeper: Program, admin: Program, acme: Organization
) -> None:
    rule = {"value": "crew", "organization": "acme", "role": "admin"}
    assert keeper.put(PATH, {"group_rules": [rule]}).code == "not_allowed"
    assert admin.put(PATH, {"group_rules": [rule]}).status == 201
    # What was read can be sent back.
    assert put(keeper, admin.get(PATH).body | {"contact": "x"}).status == 200
    for wish in ([], [rule | {"role": "member"}], [rule, rule | {"value": "other"}]):
        for query in ("", "?dry_run=1"):
            assert patch(keeper, {"group_rules": wish}, query).code == "not_allowed"
    keeper_user = keeper.token.user if keeper.token else None
    assert keeper_user
    keeper_user.user_permissions.add(Permission.objects.get(codename="add_grouprule"))
    assert patch(keeper, {"group_rules": [rule, rule | {"value": "other"}]}).status == 200
    assert patch(keeper, {"group_rules": []}).code == "not_allowed"
    keeper_user.user_permissions.add(Permission.objects.get(codename="delete_grouprule"))
    assert patch(keeper, {"group_rules": []}).status == 200


# --- Removed --------------------------------------------------------------------------------------------------------


def test_one_without_identities_can_be_deleted(admin: Program, acme_idp: IdentityProvider) -> None:
    gone = admin.delete(PATH, If_Match=etag(admin))
    assert (gone.status, gone.content) == (204, b"")
    assert admin.get(PATH).code == "not_found"
    assert kinds() == [Kind.IDP_DISABLED, Kind.IDP_REMOVED]


def test_one_with_identities_stays_and_says_why(admin: Program, acme_idp: IdentityProvider, lou: User) -> None:
    factories.identity(acme_idp, lou)
    for query in ("", "?dry_run=1"):
        answer = admin.delete(PATH + query, If_Match="*")
        assert (answer.status, answer.code) == (409, "conflict")
        assert "1 identity belongs to it" in answer.body["detail"]
    assert kinds() == []
    assert IdentityProvider.objects.get().enabled


# --- Secrets and cost -----------------------------------------------------------------------------------------------


def test_nothing_private_is_ever_shown(admin: Program, acme_idp: IdentityProvider, encryption_key: None) -> None:
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    for path in (PATH, "/saml-config"):
        assert b"PRIVATE" not in admin.get(path).content
        assert b"token" not in admin.get(path).content


def test_a_list_costs_the_same_however_long(admin: Program) -> None:
    counts = []
    for slug in ("acme", "beta"):
        if slug == "acme":
            ample(slug)
        else:
            for number in range(5):
                factories.idp(f"beta-{number}")
        with CaptureQueriesContext(connection) as asked:
            assert admin.get("/saml-config").status == 200
        counts.append(len(asked))
    assert counts[0] >= counts[1]
    assert counts[1] <= 6
