"""A hundred thousand people in one organisation: no page gets slower by what it does not show."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from orgs import assigning, history
from orgs.models import Membership, Organization
from tests import factories
from tests.pages.forms import submit, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker

    from accounts.actors import Actor
    from tests.door import Browser

MANY = 100_000
# The rows of one page of the longest list, and a few for Django's own sake.
PAGE = 105


@pytest.fixture(scope="module")
def crowd(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Organization]:
    """The organisation, beside two hundred others: made once, and each test undoes what it did itself."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield make_crowd()
        transaction.set_rollback(True)


def make_crowd() -> Organization:
    acme = factories.organization()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_user (id, password, is_superuser, email, email_key, look_key, first_name, last_name, "
            "display_name, is_staff, is_active, inactive_because, epoch, is_break_glass, date_joined, sso_label, "
            "sso_suspended, is_service_account) SELECT gen_random_uuid(), '', false, 'p' || n || '@many.example', "
            "'p' || n || '@many.example', '', 'First' || n, 'Last' || n, '', false, true, '', 0, false, now(), '', "
            "false, false FROM generate_series(1, %s) n",
            [MANY],
        )
        cursor.execute(
            "INSERT INTO orgs_membership (user_id, organization_id, role, source, source_id, given_by, given_by_id, "
            "given_at, via, attribute, value) SELECT id, %s, CASE WHEN right(email_key, 14) < '5' THEN 1 ELSE 2 END, "
            "'manual', '', 'grace@portico.example', '', now(), '', '', '' FROM accounts_user WHERE email LIKE 'p%%'",
            [acme.pk],
        )
        cursor.execute(
            "INSERT INTO audit_event (at, kind, actor, actor_id, subject_type, subject_id, subject, trace_id, data) "
            "SELECT now(), 'admin:grant:assign', 'grace@portico.example', '', 'user', user_id::text, 'p', '', "
            "jsonb_build_object('what', 'organisation', 'name', 'Acme', 'to', 'member', 'organization_id', %s::text) "
            "FROM orgs_membership",
            [str(acme.pk)],
        )
        cursor.execute(
            "INSERT INTO orgs_organization (external_id, name, created_at) "
            "SELECT 'c-' || n, 'Customer ' || n, now() FROM generate_series(1, 200) n"
        )
        cursor.execute("ANALYZE accounts_user; ANALYZE orgs_membership; ANALYZE orgs_organization; ANALYZE audit_event")
    return acme


@contextmanager
def watched(most_statements: int) -> Iterator[None]:
    """Fails if there are more statements, or if one of them brings more than a page."""
    seen: list[tuple[int, str]] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
        came = execute(sql, params, many, context)
        if sql.startswith("SELECT"):
            seen.append((context["cursor"].rowcount, sql))
        return came

    with connection.execute_wrapper(watch):
        yield
    assert len(seen) <= most_statements, [sql[:150] for _, sql in seen]
    assert max(seen)[0] <= PAGE, max(seen)


def test_no_page_reads_more_than_it_shows(clerk: Browser, crowd: Organization) -> None:
    person = User.objects.get(email="p777@many.example")
    row = Membership.objects.get(user=person)
    pages = {
        "/admin/orgs/organization/": "Acme acme 100000",
        "/admin/orgs/organization/?q=acme": "Acme acme 100000",
        f"/admin/orgs/organization/{crowd.pk}/change/": "People: 100,000, of whom",
        f"/admin/orgs/organization/{crowd.pk}/delete/": "Memberships: 100000",
        f"/admin/orgs/organization/{crowd.pk}/history/": "gave member of Acme",
        "/admin/orgs/membership/": "100000 memberships",
        "/admin/orgs/membership/?p=1999": "100000 memberships",
        f"/admin/orgs/membership/?organization={crowd.pk}": "100000 memberships",
        f"/admin/orgs/membership/?organization={crowd.pk}&role__exact=2&source__exact=manual": "assigned by grace@",
        "/admin/orgs/membership/?q=p777@": "p777@many.example",
        f"/admin/orgs/membership/?q=last777+p777@&organization={crowd.pk}": "p777@many.example",
        f"/admin/orgs/membership/{row.pk}/change/": "p777@many.example",
        f"/admin/orgs/membership/{row.pk}/history/": "gave member of Acme",
        f"/admin/orgs/membership/assign/?organization={crowd.pk}": "People",
        f"/admin/accounts/user/{person.pk}/change/": "Acme",
        f"/admin/accounts/user/{person.pk}/assignments/": "gave member of Acme",
    }
    for path, words in pages.items():
        with watched(45):
            page = clerk.get(path)
        assert words in text(page), path


def test_suggestions_are_a_page_of_them(clerk: Browser, crowd: Organization) -> None:
    for field, term in (("user", "p77"), ("user", ""), ("organization", "customer"), ("organization", "")):
        asked = f"/admin/autocomplete/?app_label=orgs&model_name=membership&field_name={field}&term={term}"
        with watched(12):
            answer = clerk.get(asked)
        assert len(answer.json()["results"]) == 20  # type: ignore[attr-defined]  # the test client's


def test_an_organisations_list_is_read_off_an_index(crowd: Organization) -> None:
    plan = Membership.objects.filter(organization=crowd).order_by("-pk")[:50].explain()
    assert "membership_newest" in plan or "orgs_membership_pkey" in plan, plan
    assert "Sort" not in plan
    told = history.of_organization(crowd).order_by("-at", "-id")[:51].explain()
    assert "audit_event_organization" in told, told
    assert "Sort" not in told


def test_a_whole_organisation_is_withdrawn_from_in_portions(clerk: Browser, crowd: Organization) -> None:
    first = str(Membership.objects.values_list("pk", flat=True)[0])
    chosen = {"action": "withdraw", "select_across": "1", "_selected_action": first}
    answer = submit(clerk, f"/admin/orgs/membership/?organization={crowd.pk}", chosen)
    assert answer.status_code == 302
    assert "These are more than 20,000 at once." in text(clerk.get(answer.headers["Location"]))


def test_removing_it_is_few_statements_and_one_event_each(crowd: Organization, boss: Actor) -> None:
    before = Membership.objects.count()
    with watched(12):
        assert assigning.remove(crowd, now=timezone.now(), actor=boss)
    assert before == MANY
    assert not Membership.objects.exists()
