"""All accounts, for those who administer them; and the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Session
from audit.kinds import Kind
from audit.models import Event
from tests import factories
from tests.api.calling import Program, log_in, program_of
from tests.pages.forms import sign_in_by_password

if TYPE_CHECKING:
    from accounts.models import User

pytestmark = pytest.mark.django_db


def test_people_are_listed_by_address(admin: Program, grace: User, lou: User) -> None:
    lou.sso_label = "Acme Okta"
    lou.save()
    items = admin.get("/users").body["items"]
    assert [item["email"] for item in items] == ["grace@portico.example", "Lou@Portico.example"]
    assert items[1] == {
        "id": str(lou.pk), "email": "Lou@Portico.example", "name": "Lou Reed", "active": True, "inactive_because": "",
        "identity_provider": "Acme Okta", "service_account": False, "staff": False, "last_login": None,
        "joined": items[1]["joined"],
    }  # fmt: skip
    assert admin.get(f"/users/{lou.pk}").body == items[1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=lou", 1),
        ("search=reed+lou", 1),
        ("search=zz", 0),
        ("active=false", 1),
        ("active=true", 2),
        ("active=1", 2),
    ],
)
def test_people_are_searched(admin: Program, lou: User, query: str, found: int) -> None:
    factories.user("off@portico.example", is_active=False)
    assert len(admin.get(f"/users?{query}").body["items"]) == found


def test_somebody_who_may_see_people_may_use_the_scope(lou: User) -> None:
    lou.is_staff = True
    lou.save()
    lou.user_permissions.add(Permission.objects.get(codename="view_user"))
    program = program_of(lou, *("admin:users",))  # type: ignore[arg-type]  # a scope is its text
    assert program.get("/users").status == 200
    assert program.post(f"/users/{lou.pk}/deactivate", {}).code == "not_allowed"


@pytest.mark.parametrize("is_superuser", [True, False])
def test_whom_the_administration_does_not_open_to_administers_nothing_here(lou: User, *, is_superuser: bool) -> None:
    lou.is_staff, lou.is_superuser = True, is_superuser
    lou.save()
    lou.user_permissions.add(Permission.objects.get(codename="view_user"))
    program = program_of(lou, *("admin:users",))  # type: ignore[arg-type]  # a scope is its text
    assert program.get("/users").status == 200
    lou.is_staff = False
    lou.save()
    assert program.get("/users").code == "not_allowed"
    assert log_in(lou.email, scopes=["admin:users"]).fields == ["scopes"]


def test_switching_off_ends_everything_at_once_and_twice_is_the_same(admin: Program, lou: User) -> None:
    sign_in_by_password(lou)
    theirs = program_of(lou)
    answers = [admin.post(f"/users/{lou.pk}/deactivate", {"because": "left"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert (answers[0].body["active"], answers[0].body["inactive_because"]) == (False, "left")
    assert theirs.get("/whoami").status == 401
    assert not Session.objects.filter(user=lou).exists()
    event = Event.objects.get(kind=Kind.USER_DEACTIVATED)
    assert (event.actor, event.data["because"]) == ("grace@portico.example", "left")


def test_nobody_switches_themselves_off(admin: Program, grace: User) -> None:
    answer = admin.post(f"/users/{grace.pk}/deactivate", {})
    assert (answer.status, answer.code) == (403, "not_allowed")
    grace.refresh_from_db()
    assert grace.is_active


def test_somebody_who_is_not_there_is_not_found(admin: Program) -> None:
    nobody = "/users/4c7f0b1e-3f53-4a86-9d52-3f1a1d1f6c0e"
    assert admin.get(nobody).code == admin.post(f"{nobody}/deactivate", {}).code == "not_found"


def test_a_list_of_people_costs_the_same_however_long(admin: Program) -> None:
    admin.get("/users")
    with CaptureQueriesContext(connection) as few:
        admin.get("/users")
    for number in range(10):
        factories.user(f"p{number}@customer.example")
    with CaptureQueriesContext(connection) as many:
        admin.get("/users")
    assert len(few) == len(many) == 2


def test_events_are_read_newest_first_by_kind_subject_and_time(admin: Program, lou: User) -> None:
    now = timezone.now() + timedelta(days=1)
    Event.objects.create(at=now, kind="t:one", subject_id="1", subject="first", data={"a": [1]}, ip="192.0.2.1")
    Event.objects.create(at=now + timedelta(hours=1), kind="t:two", subject_id="1", subject="second")
    newest, before = admin.get("/audit-events?subject_id=1").body["items"]
    assert (newest["subject"], before["subject"]) == ("second", "first")
    assert (before["kind"], before["data"], before["ip"], before["actor"]) == ("t:one", {"a": [1]}, "192.0.2.1", "")
    assert [item["subject"] for item in admin.get("/audit-events?kind=t:one").body["items"]] == ["first"]
    since = f"{now + timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}"
    assert [item["subject"] for item in admin.get(f"/audit-events?since={since}").body["items"]] == ["second"]
