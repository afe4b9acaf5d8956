"""What holds for every call: who is let in, what is read, and how refusals look."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Session
from audit.models import Event
from orgs.models import Organization
from tests.api.calling import PROBLEM, Program, program_of
from tests.pages.forms import sign_in_by_password
from tests.tokens.making import token_of
from tokens import secrets
from tokens.scopes import Scope

if TYPE_CHECKING:
    from accounts.models import User

pytestmark = pytest.mark.django_db

ROUTES = [
    ("GET", "/whoami", "read:self"),
    ("GET", "/tokens", "write:tokens"),
    ("POST", "/tokens", "write:tokens"),
    ("GET", "/organizations", "read:org"),
    ("GET", "/organizations/acme/members", "read:org"),
    ("GET", "/users", "admin:users"),
    ("GET", "/users/4c7f0b1e-3f53-4a86-9d52-3f1a1d1f6c0e", "admin:users"),
    ("POST", "/users/4c7f0b1e-3f53-4a86-9d52-3f1a1d1f6c0e/deactivate", "admin:users"),
    ("POST", "/tokens/4c7f0b1e-3f53-4a86-9d52-3f1a1d1f6c0e/rotate", "write:tokens"),
    ("DELETE", "/tokens/4c7f0b1e-3f53-4a86-9d52-3f1a1d1f6c0e", "write:tokens"),
    ("GET", "/audit-events", "admin:audit"),
    ("GET", "/saml-config", "admin:saml"),
    ("GET", "/saml-config/acme", "admin:saml"),
    ("PUT", "/saml-config/acme", "admin:saml"),
    ("PATCH", "/saml-config/acme", "admin:saml"),
    ("DELETE", "/saml-config/acme", "admin:saml"),
]
NO_SCOPE = [("GET", "/tokens/current"), ("DELETE", "/tokens/current"), ("POST", "/tokens/current/rotate")]


# --- Who is let in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [route[:2] for route in ROUTES] + NO_SCOPE)
def test_no_route_opens_without_a_token(method: str, path: str) -> None:
    answer = Program().call(method, path, {})
    assert (answer.status, answer.code) == (401, "token_missing")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Portico"'


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_a_token_without_the_scope_is_told_which(grace: User, method: str, path: str, scope: str) -> None:
    others = [other for other in Scope if other != scope]
    answer = program_of(grace, *others).call(method, path, {})
    assert (answer.status, answer.code, answer.body["scope"]) == (403, "scope_missing", scope)
    assert answer.headers["WWW-Authenticate"] == f'Bearer realm="Portico", error="insufficient_scope", scope="{scope}"'


@pytest.mark.parametrize(("method", "path", "scope"), [route for route in ROUTES if route[2].startswith("admin:")])
def test_a_scope_stops_with_the_right_of_its_owner(grace: User, method: str, path: str, scope: str) -> None:
    program = program_of(grace)
    grace.is_superuser = False
    grace.save()
    answer = program.call(method, path, {})
    assert (answer.status, answer.code) == (403, "not_allowed")


def test_a_session_cookie_is_never_looked_at(grace: User) -> None:
    browser = sign_in_by_password(grace)
    program = Program()
    program.client.cookies["portico_session"] = browser.session_key or ""
    assert program.get("/whoami").code == "token_missing"
    assert program.client.get("/profile/").status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "apk", "APK"])
def test_the_token_comes_as_bearer_or_apk(program: Program, scheme: str) -> None:
    assert Program().get("/whoami", Authorization=f"{scheme} {program.secret}").status == 200


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "token_missing"),
        ("Bearer", "token_missing"),
        ("Basic bG91OnB3", "token_missing"),
        ("Bearer ptc_x", "token_malformed"),
        ("Bearer ptc_\xe9", "token_malformed"),
        ("Bearer " + "x" * 5000, "token_malformed"),
        ("Bearer ptc_0000000000000000000000000000000000000000000000", "token_malformed"),
    ],
)
def test_what_is_no_token_is_refused_in_words(header: str, code: str) -> None:
    answer = Program().get("/whoami", Authorization=header)
    assert (answer.status, answer.code) == (401, code)
    expected = "" if code == "token_missing" else ', error="invalid_token"'
    assert answer.headers["WWW-Authenticate"] == f'Bearer realm="Portico"{expected}'


def test_a_token_that_has_ended_says_how(lou: User) -> None:
    revoked, expired = program_of(lou), program_of(lou, now=timezone.now() - timedelta(days=200))
    assert revoked.delete("/tokens/current").status == 204
    assert revoked.get("/whoami").code == "token_revoked"
    assert expired.get("/whoami").code == "token_expired"


def test_an_owner_who_is_switched_off_is_named_as_the_reason(lou: User, program: Program) -> None:
    lou.is_active = False
    lou.save()
    assert program.get("/whoami").code == "owner_inactive"


def test_the_identity_provider_that_is_needed_is_named(lou: User, program: Program) -> None:
    lou.sso_label, lou.sso_valid_until = "Acme “Okta”", timezone.now() - timedelta(days=1)
    lou.set_unusable_password()
    lou.save()
    needed = program.get("/whoami")
    assert (needed.code, needed.body["idp"]) == ("sign_in_needed", "Acme “Okta”")
    assert "Acme “Okta”" in needed.body["detail"]
    lou.sso_suspended = True
    lou.save()
    assert program.get("/whoami").code == "idp_disabled"


def test_guessing_tokens_is_slowed_down() -> None:
    stranger = Program()
    answers = [stranger.get("/whoami", Authorization=f"Bearer {secrets.mint().reveal()}") for _ in range(31)]
    assert {answer.code for answer in answers[:30]} == {"token_unknown"}
    assert [answer.status for answer in answers] == [401] * 30 + [429]
    assert answers[-1].code == "too_many"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


# --- Addresses and methods ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/api/", "/api/v1", "/api/v1/", "/api/v2/whoami", "/api/nope", "/api/v1/whoami/", "/api/v1/users/me",
        "/api/v1/users/%00", "/api/v1/users/4C7F0B1E-3F53-4A86-9D52-3F1A1D1F6C0E/", "/api/docs/", "/api/%ff%fe",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_address_is_a_problem_and_no_redirect(admin: Program, path: str, method: str) -> None:
    response = admin.client.generic(method, path, headers={"Authorization": f"Bearer {admin.secret}"})
    assert response.status_code == 404
    assert response.headers["Content-Type"] == PROBLEM
    assert response.json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["/saml-config/%00", "/saml-config/a%2Fb", "/organizations/%00/members"])
def test_an_id_that_nothing_can_have_is_not_found(admin: Program, path: str) -> None:
    assert admin.get(path).code == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/whoami", "GET, HEAD, OPTIONS"),
        ("GET", "/login", "OPTIONS, POST"),
        ("DELETE", "/tokens", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/saml-config/acme", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("TRACE", "/users", "GET, HEAD, OPTIONS"),
        ("BREW", "/users", "GET, HEAD, OPTIONS"),
    ],
)
def test_another_method_is_told_which_there_are(method: str, path: str, allow: str) -> None:
    answer = Program().call(method, path)
    assert (answer.status, answer.code, answer.headers["Allow"]) == (405, "method_not_allowed", allow)


def test_options_names_the_methods_and_head_answers_like_get(program: Program) -> None:
    asked = Program().call("OPTIONS", "/login")
    assert (asked.status, asked.headers["Allow"], asked.content) == (204, "OPTIONS, POST", b"")
    head = program.call("HEAD", "/whoami")
    assert (head.status, head.headers["Content-Type"]) == (200, "application/json; charset=utf-8")


def test_a_host_that_is_not_ours_is_a_problem_too(program: Program) -> None:
    answer = program.get("/whoami", Host="evil.example")
    assert (answer.status, answer.code) == (400, "malformed")


def test_a_parameter_that_is_not_known_is_refused_before_anything_is_done(admin: Program) -> None:
    assert admin.put("/saml-config/acme?dryrun=1", {}).fields == ["dryrun"]
    assert admin.get("/saml-config/acme").code == "not_found"
    assert admin.get("/whoami?limit=1").fields == ["limit"]


def test_no_answer_needs_a_session_or_leaves_one(program: Program) -> None:
    for path in ("/whoami", "/tokens", "/nowhere"):
        assert "Set-Cookie" not in program.get(path).headers
    assert not Session.objects.exists()


# --- Bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"nonsense", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"name": NaN}', b'{"name": Infinity}', b"{'name': 1}",
        b'{"name": "a", "name": "b"}', b"[" * 1000, b"[" * 60_000,
        b'{"a":' * 20 + b"1" + b"}" * 20, b'{"name": ' + b"9" * 5000 + b"}",
        b'{"name": "\\ud800"}', b'{"\\udfff": 1}', b'{"name": "a"} {}', b"\x00",
    ],
)  # fmt: skip
def test_what_is_not_json_is_malformed(program: Program, body: bytes) -> None:
    answer = program.call("POST", "/tokens", body)
    assert (answer.status, answer.code) == (400, "malformed")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
def test_another_media_type_is_refused(program: Program, kind: str) -> None:
    answer = program.call("POST", "/tokens", b"{}", Content_Type=kind)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (None, [""]),
        ([], [""]),
        ("text", [""]),
        ({}, ["name", "scopes"]),
        ({"name": 5, "scopes": ["read:self"]}, ["name"]),
        ({"name": "x" * 101, "scopes": ["read:self"]}, ["name"]),
        ({"name": "a\0b", "scopes": ["read:self"]}, ["name"]),
        ({"name": "ci", "scopes": ["everything"]}, ["scopes.0"]),
        ({"name": "ci", "scopes": [], "expires_in_days": 1}, ["scopes"]),
        ({"name": "ci", "scopes": ["read:self"], "expires_in_days": "1"}, ["expires_in_days"]),
        ({"name": "ci", "scopes": ["read:self"], "expires_in_days": True}, ["expires_in_days"]),
        ({"name": "ci", "scopes": ["read:self"], "expires_in_days": 10**40}, ["expires_in_days"]),
        ({"name": "ci", "scopes": ["read:self"], "expires_in_days": 1.5}, ["expires_in_days"]),
        ({"name": "ci", "scopes": ["read:self"], "admin": True}, ["admin"]),
        ({"name": "ci\n", "scopes": ["read:self"], "user": "x"}, ["user"]),
    ],
)
def test_a_wrong_value_is_named_by_its_path(program: Program, body: Any, fields: list[str]) -> None:
    answer = program.post("/tokens", body)
    assert (answer.status, answer.fields) == (422, fields)


def test_a_refusal_repeats_nothing_of_what_was_sent() -> None:
    answer = Program().post("/login", {"email": "lou@portico.example", "password": {"hunter2": "hunter2"}})
    assert answer.fields == ["password"]
    assert b"hunter2" not in answer.content


@pytest.mark.parametrize(("path", "most"), [("/tokens", 64 * 1024), ("/saml-config/acme", 3 * 1024 * 1024)])
def test_a_body_that_is_too_large_is_refused(admin: Program, path: str, most: int) -> None:
    method = "POST" if path == "/tokens" else "PUT"
    answer = admin.call(method, path, b" " * (most + 1))
    assert (answer.status, answer.code) == (413, "too_large")
    assert admin.call(method, path, b" " * most).code == "malformed"


def test_a_thousand_wrong_values_are_not_all_told(admin: Program) -> None:
    answer = admin.put("/saml-config/acme", {f"member {number}": 1 for number in range(1000)})
    assert len(answer.fields) == 50


# --- What breaks ----------------------------------------------------------------------------------------------------


def test_what_breaks_here_is_logged_and_says_nothing(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orgs_organization RENAME TO elsewhere")
    with caplog.at_level(logging.ERROR):
        answer = program.get("/organizations")
    assert (answer.status, answer.code) == (500, "internal")
    assert b"elsewhere" not in answer.content
    assert b"Traceback" not in answer.content
    assert "orgs_organization" in caplog.text


# --- Pages of a list ------------------------------------------------------------------------------------------------


def test_pages_show_everything_once_though_rows_come_and_go(admin: Program) -> None:
    for number in range(7):
        Organization.objects.create(external_id=f"o-{number}", name=f"Org {number}")
    first = admin.get("/organizations?limit=3").body
    assert [item["id"] for item in first["items"]] == ["o-0", "o-1", "o-2"]
    Organization.objects.get(external_id="o-2").delete()
    Organization.objects.create(external_id="early", name="Org 00")
    second = admin.get(f"/organizations?limit=3&cursor={first['next']}").body
    assert [item["id"] for item in second["items"]] == ["o-3", "o-4", "o-5"]
    last = admin.get(f"/organizations?limit=3&cursor={second['next']}").body
    assert ([item["id"] for item in last["items"]], last["next"]) == (["o-6"], None)


def test_events_of_one_moment_come_in_pages_without_a_gap(admin: Program) -> None:
    now = timezone.now() + timedelta(hours=1)
    for number in range(5):
        Event.objects.create(at=now, kind="t", subject=str(number))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = admin.get(f"/audit-events?kind=t&limit=2&cursor={cursor}").body
        seen += [item["subject"] for item in page["items"]]
        cursor = page["next"]
    assert seen == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize("spoil", ["x", "W10:1abc:def", "é", "[]"])
def test_a_cursor_that_is_none_of_ours_is_malformed(admin: Program, spoil: str) -> None:
    assert admin.get(f"/organizations?cursor={spoil}").code == "malformed"


def test_a_cursor_of_another_list_is_none_of_this_one(admin: Program, lou: User) -> None:
    cursor = admin.get("/users?limit=1").body["next"]
    assert cursor
    assert admin.get(f"/organizations?cursor={cursor}").code == "malformed"


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=1e3", "limit=", "cursor=" + "x" * 4000])
def test_a_page_has_bounds(admin: Program, query: str) -> None:
    assert admin.get(f"/organizations?{query}").status == 422


@pytest.mark.parametrize("query", ["search=%00", "search=" + "x" * 201, "active=perhaps"])
def test_a_search_that_cannot_be_asked_is_a_wrong_value(admin: Program, query: str) -> None:
    assert admin.get(f"/users?{query}").fields == [query.partition("=")[0]]


@pytest.mark.parametrize("since", ["yesterday", "2026-01-31T00:00:00", "2026-13-01T00:00:00Z", "9" * 30])
def test_a_moment_without_an_offset_is_a_wrong_value(admin: Program, since: str) -> None:
    assert admin.get(f"/audit-events?since={since}").fields == ["since"]


def test_too_many_parameters_are_a_problem(admin: Program) -> None:
    query = "&".join(f"a{number}=1" for number in range(2100))
    assert admin.get(f"/users?{query}").code == "malformed"


def test_the_description_is_public_and_only_read() -> None:
    client = Client()
    assert client.get("/api/openapi.json").json()["openapi"] == "3.1.0"
    assert client.head("/api/docs").status_code == 200
    refused = client.post("/api/openapi.json")
    assert (refused.status_code, json.loads(refused.content)["code"]) == (405, "method_not_allowed")


def test_times_are_in_utc_with_z(lou: User) -> None:
    token, secret = token_of(lou)
    shown = Program(secret).get("/tokens/current").body
    assert shown["created_at"] == f"{token.created_at:%Y-%m-%dT%H:%M:%S}.{token.created_at.microsecond // 1000:03d}Z"
