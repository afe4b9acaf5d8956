"""Organisations and their people, as administrators of an organisation see them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from accounts.models import User
from orgs import directory
from orgs.models import AccessLevel, LevelGrant, Membership, MembershipRole
from tests import factories
from tests.door import Browser
from tests.orgs.giving import by_hand, by_word, organization
from tests.pages.forms import text

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from orgs.models import Organization

PEOPLE = "/organizations/northwind/people/"


@pytest.fixture
def northwind(db: None) -> Organization:
    return organization()


@pytest.fixture
def keeper(ana: Browser, northwind: Organization) -> Browser:
    """An administrator of the organisation, who is not staff."""
    by_hand(Membership, ana.user, organization=northwind, role=MembershipRole.ADMIN)
    return ana


def words(browser: Browser, path: str = PEOPLE) -> str:
    page = browser.get(path)
    assert page.status_code == 200
    return re.sub(r" (?=[:.,)])", "", text(page))


def join(northwind: Organization, email: str, **names: str) -> User:
    user = factories.user(email, **names)
    by_hand(Membership, user, organization=northwind)
    return user


# --- Who may ---


def test_it_is_for_people_who_are_signed_in(northwind: Organization) -> None:
    assert Browser().get(PEOPLE).headers["Location"] == f"/sign-in/?next={PEOPLE}"
    assert Browser().get("/organizations/").headers["Location"] == "/sign-in/?next=/organizations/"


def test_an_administrator_of_the_organisation_sees_its_people(keeper: Browser, northwind: Organization) -> None:
    join(northwind, "lena@customer.example", first_name="Lena", last_name="Hall")
    page = words(keeper)
    assert "People of Northwind" in page
    assert "Lena Hall member lena@customer.example Assigned by grace@portico.example on 11 May 2026" in page
    assert "Ana Lima admin" in page


def test_to_everybody_else_it_is_as_if_the_organisation_were_not_there(ana: Browser, northwind: Organization) -> None:
    by_hand(Membership, ana.user, organization=organization("Other", "other"), role=MembershipRole.ADMIN)
    there, not_there = ana.get(PEOPLE), ana.get("/organizations/nothing/people/")
    assert (there.status_code, not_there.status_code) == (404, 404)
    assert text(there) == text(not_there)


def test_a_plain_member_is_told_that_it_is_not_for_them(ana: Browser, northwind: Organization) -> None:
    by_hand(Membership, ana.user, organization=northwind)
    page = ana.get(PEOPLE)
    assert page.status_code == 403
    assert "This page is not open to you." in text(page)
    assert "People of" not in text(page)


def test_a_super_admin_and_a_superuser_see_the_people_of_every_organisation(
    ana: Browser, admin: Browser, northwind: Organization
) -> None:
    by_hand(LevelGrant, ana.user, level=AccessLevel.SUPER_ADMIN)
    join(northwind, "lena@customer.example")
    assert "lena@customer.example" in words(ana)
    assert "lena@customer.example" in words(admin)


def test_who_loses_the_role_loses_the_page(keeper: Browser) -> None:
    Membership.objects.update(role=MembershipRole.MEMBER)
    assert keeper.get(PEOPLE).status_code == 403
    Membership.objects.all().delete()
    assert keeper.get(PEOPLE).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_nothing_can_be_sent_there(keeper: Browser, method: str) -> None:
    assert keeper.request(method, PEOPLE).status_code in {403, 405}


# --- What they see ---


def test_somebody_with_two_memberships_is_there_once(keeper: Browser, northwind: Organization) -> None:
    lena = join(northwind, "lena@customer.example", first_name="Lena")
    by_word(Membership, lena, organization=northwind, role=MembershipRole.ADMIN, value="admins")
    page = words(keeper)
    assert page.count("lena@customer.example") == 1
    assert "Lena admin lena@customer.example admin: Acme Okta says so since 11 May 2026 (Groups: admins)" in page
    assert "member: Assigned by grace@portico.example on 11 May 2026" in page


def test_memberships_of_other_organisations_are_not_told(keeper: Browser, northwind: Organization) -> None:
    lena = join(northwind, "lena@customer.example")
    elsewhere = {"organization": organization("Harbour", "harbour"), "given_by": "harbour@portico.example"}
    by_hand(Membership, lena, **elsewhere)
    by_hand(Membership, factories.user("zoe@harbour.example"), **elsewhere)
    page = words(keeper)
    assert "arbour" not in page


def test_somebody_switched_off_is_marked(keeper: Browser, northwind: Organization) -> None:
    lena = join(northwind, "lena@customer.example", first_name="Lena")
    User.objects.filter(pk=lena.pk).update(is_active=False)
    assert "Lena member switched off lena@customer.example" in words(keeper)


def test_names_are_written_as_text(keeper: Browser, northwind: Organization) -> None:
    join(northwind, "lena@customer.example", first_name="<b>Lena</b>")
    html = keeper.get(f"{PEOPLE}?q=%3Cb%3E").content.decode()
    assert "&lt;b&gt;Lena" in html
    assert 'value="&lt;b&gt;"' in html
    assert "<b>" not in html


# --- Searching ---


@pytest.mark.parametrize("search", ["lena", "HALL", "lena hall", "hall%20len", "lena@CUST", "%20%20lena%20", "Lena-Ma"])
def test_it_finds_by_name_and_address_in_whatever_case(keeper: Browser, northwind: Organization, search: str) -> None:
    lena = join(northwind, "lena@customer.example", first_name="Lena", last_name="Hall")
    User.objects.filter(pk=lena.pk).update(display_name="Lena-Maria Hall")
    join(northwind, "stan@customer.example", first_name="Stan", last_name="Hallway")
    page = words(keeper, f"{PEOPLE}?q={search}")
    assert "lena@customer.example" in page
    assert "Ana Lima" not in page


def test_it_finds_names_of_every_alphabet_in_whatever_case(keeper: Browser, northwind: Organization) -> None:
    join(northwind, "lukasz@customer.example", first_name="Łukasz", last_name="Özdemir")
    assert "Łukasz Özdemir" in words(keeper, f"{PEOPLE}?q=łukasz+özd")


@pytest.mark.parametrize("search", ["%25", "_", "\\", "nobody", "'", "Ł"])
def test_it_finds_nobody_by_what_only_looks_like_a_pattern(keeper: Browser, search: str) -> None:
    page = words(keeper, f"{PEOPLE}?q={search}")
    assert "Nobody of Northwind has “" in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("q=%00", "Search: Null characters are not allowed."),
        (f"q={'x' * 201}", "Search: Ensure this value has at most 200 characters (it has 201)."),
        ("page=0", "Page: Ensure this value is greater than or equal to 1."),
        ("page=-1", "Page: Ensure this value is greater than or equal to 1."),
        ("page=two", "Page: Enter a whole number."),
        ("page=99999999999999999999", "Page: Ensure this value is less than or equal to 10000."),
    ],
)
def test_a_search_that_makes_no_sense_gets_a_word_about_it(keeper: Browser, query: str, said: str) -> None:
    for path in (PEOPLE, "/organizations/"):
        page = keeper.get(f"{path}?{query}")
        assert page.status_code == 400
        assert said in text(page)


@pytest.mark.parametrize("path", ["/organizations/a%00b/people/", f"/organizations/{'x' * 65}/people/",
                                  "/organizations/-/people/", "/organizations//people/"])  # fmt: skip
def test_what_is_no_external_id_is_not_there(keeper: Browser, path: str) -> None:
    assert keeper.get(path).status_code == 404


def test_many_words_are_no_burden(keeper: Browser) -> None:
    assert "Ana Lima" in words(keeper, f"{PEOPLE}?q={'a%20' * 66}")


# --- Pages ---


NEW_PEOPLE = """
INSERT INTO accounts_user (
    id, email, email_key, look_key, first_name, last_name, display_name, password, is_staff, is_superuser, is_active,
    inactive_because, epoch, is_break_glass, is_service_account, date_joined, sso_label, sso_suspended
)
SELECT gen_random_uuid(), e, e, e, 'Person', n::text, '', '!', false, false, true, '', 0, false, false, now(), '', false
FROM (SELECT n, 'm' || lpad(n::text, 6, '0') || '@many.example' AS e FROM generate_series(1, %s) AS n) AS numbered
"""
NEW_MEMBERSHIPS = """
INSERT INTO orgs_membership (
    user_id, organization_id, role, source, source_id, given_by, given_by_id, given_at, via, attribute, value
)
SELECT id, %s, 1, %s, %s, 'x', '', now(), '', '', '' FROM accounts_user WHERE email_key LIKE '%%@many.example'
"""


def fill(northwind: Organization, count: int) -> None:
    """So many members, each with two memberships, in one go."""
    with connection.cursor() as cursor:
        cursor.execute(NEW_PEOPLE, [count])
        for source, source_id in (("manual", ""), ("idp", "1")):
            cursor.execute(NEW_MEMBERSHIPS, [northwind.pk, source, source_id])
        cursor.execute("ANALYZE accounts_user, orgs_membership")


def addresses_on(browser: Browser, path: str) -> list[str]:
    return re.findall(r"<p>(m\d+@many\.example)</p>", browser.get(path).content.decode())


def test_fifty_are_on_a_page_and_every_one_is_on_one(keeper: Browser, northwind: Organization) -> None:
    fill(northwind, 120)
    pages = [addresses_on(keeper, f"{PEOPLE}?page={number}") for number in (1, 2, 3)]
    assert [len(found) for found in pages] == [49, 50, 21]  # the administrator is on the first
    assert len({address for found in pages for address in found}) == 120
    first, second = (keeper.get(f"{PEOPLE}?q=person&page={number}").content.decode() for number in (1, 2))
    assert '<a href="?q=person&amp;page=2" rel="next">' in first
    assert 'rel="prev"' not in first
    assert '<a href="?q=person" rel="prev">' in second
    assert "There is nobody on page 4." in words(keeper, f"{PEOPLE}?page=4")


def test_one_page_has_no_others(keeper: Browser) -> None:
    assert 'aria-label="Pages"' not in keeper.get(PEOPLE).content.decode()


def test_a_hundred_thousand_members_are_a_page_like_any_other(
    keeper: Browser, northwind: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    fill(northwind, 100_000)
    # The session, the person; their level and roles (with Django's two of its own), whether they belong to it, their
    # role in it; the people, their memberships; the logo.
    for query, queries in (("", 11), ("?q=person%2077", 11), ("?page=2000", 11), ("?q=nobody-has-this-name", 10)):
        with django_assert_num_queries(queries):
            assert keeper.get(PEOPLE + query).status_code == 200, query


# --- Organisations ---


def test_somebody_sees_their_own_organisations_and_the_way_to_people(keeper: Browser) -> None:
    by_hand(Membership, keeper.user, organization=organization("Harbour", "harbour"))
    organization("Secret", "secret")
    page = words(keeper, "/organizations/")
    assert "Your organisations" in page
    assert "Harbour harbour member Northwind northwind admin See its people" in page
    assert page.count("See its people") == 1
    assert "ecret" not in page
    assert "No organisation of yours has “secret” in its name" in words(keeper, "/organizations/?q=secret")


def test_somebody_with_none_reads_that(ana: Browser) -> None:
    assert "You have no organisation yet." in words(ana, "/organizations/")


def test_a_super_admin_finds_every_organisation(ana: Browser, northwind: Organization) -> None:
    by_hand(LevelGrant, ana.user, level=AccessLevel.SUPER_ADMIN)
    organization("Harbour", "hb-7730")
    page = words(ana, "/organizations/")
    assert "All organisations" in page
    assert "Harbour hb-7730 See its people Northwind northwind See its people" in page
    for search in ("HB-77", "harb"):
        assert "Northwind" not in words(ana, f"/organizations/?q={search}")
    assert "No organisation has “x” in its name or its ID." in words(ana, "/organizations/?q=x")
    assert "There is nothing on page 7." in words(ana, "/organizations/?page=7")


def test_a_super_admin_of_an_empty_site_reads_that(admin: Browser) -> None:
    assert "There is no organisation yet." in words(admin, "/organizations/")


def test_organisations_come_fifty_at_a_time(admin: Browser, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for n in range(60):
        organization(f"Org {n:02}", f"org-{n}")
    page = admin.get("/organizations/")
    assert page.content.decode().count("<strong>Org ") == directory.PAGE_SIZE
    assert '<a href="?page=2" rel="next">' in page.content.decode()
    # The session, the person, the organisations, one's own among them, the logo: a superuser's rights are not asked.
    with django_assert_num_queries(5):
        admin.get("/organizations/?page=2")
