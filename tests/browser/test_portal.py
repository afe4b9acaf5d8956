"""From the portal to Portico and out again, and what goes wrong on the way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from demo.people import PEOPLE
from demo.trouble import TROUBLES
from tests.system.chromium import NARROW

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from demo.people import Person
    from tests.browser.demonstration import Demo
    from tests.system.chromium import Chromium, Visitor

# What each thing on the shelf is refused with.
CODES = {
    "expired": "expired",
    "early": "not_yet_valid",
    "audience": "audience_mismatch",
    "tampered": "bad_signature",
    "replayed": "replayed",
    "unsigned": "unsigned",
    "stranger": "bad_signature",
}


def quoted(page: Page) -> dict[str, str]:
    """What an error page gives one to quote."""
    names = page.locator("dl.quote dt").all_inner_texts()
    values = page.locator("dl.quote dd").all_inner_texts()
    return dict(zip(names, values, strict=True))


def check_record(demo: Demo, page: Page, quote: dict[str, str]) -> None:
    """The administrator finds the refusal by its trace ID, with the code and a cure."""
    demo.administer(page, "/admin/saml_sp/signinattempt/")
    page.locator("#searchbar").fill(quote["Trace ID"])
    page.locator("#changelist-search input[type=submit], #changelist-search button[type=submit]").first.click()
    row = page.locator("#result_list tbody tr", has_text=quote["Trace ID"])
    row.locator("a").first.click()
    page.wait_for_url("**/change/**")
    record = " ".join(page.locator("#content").inner_text().split())
    assert quote["Trace ID"] in record
    assert quote["Code"] in record
    assert "refused" in record.lower()


# What each of the portal's people reads on the landing page.
READS = {
    "ana": [
        "Northwind Trading member Kundera & Co. (demo) says so since",
        "(Groups: northwind-staff)",
        "Northwind, research budget of Northwind Trading Assigned by admin@portico.example on",
        "analyst You may see reports and dashboards of the platform.",
        "Report editor Keeps the reports in order.",
        "northwind.example 3868 Assigned by admin@portico.example on",
        "(Properties: 3868)",
        "Harbour port map 40122 Assigned by",
    ],
    "ada": [
        "Northwind Trading admin See its people admin: Kundera & Co. (demo) says so since",
        "member: Assigned by admin@portico.example on",
        "(Permissions: dxa_super_admin)",
        "Kundera & Co. (demo) may give no higher level than this.",
    ],
    "noah": [
        "There is nothing here for you yet Kundera & Co. (demo) told us who you are, but nothing that gives you",
        "Whom to ask: the help desk of Kundera & Co.",
    ],
    "mo": ["Northwind Trading member", "Early access", "(Groups: early-access-eu)"],
    "mo-later": ["Harbour Analytics member", "Data steward", "sent 1 value about you that is not known here."],
}


@pytest.mark.parametrize("person", PEOPLE.values(), ids=PEOPLE.keys())
def test_each_person_arrives_with_one_click_and_signs_out(demo: Demo, visitor: Visitor, person: Person) -> None:
    page = visitor.page
    demo.arrive(page, person.shown_as)
    words = visitor.words()
    assert f"Welcome, {person.first_name}" in words
    assert person.name in words
    assert person.email in words
    assert "Kundera & Co." in words
    assert re.search(r"Signed in until .* \(in 23 hours", words)
    assert [text for text in READS[person.slug] if text not in words] == []
    page.get_by_role("link", name=person.email).click()
    page.wait_for_url(f"{demo.portico}/profile/")
    assert "this browser" in visitor.words()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{demo.portico}/signed-out/**")
    assert "You are signed out." in visitor.words()
    page.goto(f"{demo.portico}/")
    page.wait_for_url(f"{demo.portico}/sign-in/?next=/")


def test_who_comes_with_other_groups_reads_what_was_added_and_taken_away(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    demo.arrive(page, "Mo Vesey")
    assert "Northwind Trading" in visitor.words()
    demo.arrive(page, "Mo Vesey, a month later")
    words = visitor.words()
    assert "Changed at your last sign-in" in words
    assert "Added Organisation Harbour Analytics (member) Role Data steward" in words
    assert "Taken away Organisation Northwind Trading (member) Access group Early access" in words
    assert "Northwind Trading" not in words.partition("Access group Early access")[2]


def test_an_administrator_of_an_organisation_finds_its_people(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    demo.arrive(page, "Ada Minter")
    page.get_by_role("link", name="See its people").click()
    page.wait_for_url(f"{demo.portico}/organizations/northwind/people/")
    page.get_by_label("Search by name or e-mail address").fill("minter ada")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/people/?q=minter+ada")
    assert "Ada Minter admin ada.minter@customer.example" in visitor.words()
    page.get_by_label("Search by name or e-mail address").fill("nobody of that name")
    page.get_by_label("Search by name or e-mail address").press("Enter")
    page.get_by_text("Nobody of Northwind Trading has").wait_for()
    page.goto(f"{demo.portico}/organizations/harbour/people/")
    assert "This page is not open to you." in visitor.words()


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(demo: Demo, visitor: Visitor) -> None:
    demo.arrive(visitor.page)
    cookies = {cookie["name"]: cookie for cookie in visitor.page.context.cookies(demo.portico)}
    session = cookies["portico_session"]
    assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Lax")
    assert "portico_handover" not in cookies
    assert "portico_session" not in str(visitor.page.evaluate("document.cookie"))


def test_the_shelf_is_known_here_as_a_whole() -> None:
    assert set(CODES) == set(TROUBLES)


@pytest.mark.parametrize("kind", CODES)
def test_each_trouble_shows_a_page_whose_trace_id_the_record_knows(
    demo: Demo, visitor: Visitor, chromium: Chromium, kind: str
) -> None:
    page = visitor.page
    if kind == "replayed":
        demo.arrive(page)
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.wait_for_url(f"{demo.portico}/signed-out/**")
    demo.trouble(page, kind)
    quote = quoted(page)
    assert quote["Code"] == CODES[kind]
    assert re.fullmatch(r"[0-9A-Z]{5}-[0-9A-Z]{5}", quote["Trace ID"])
    assert "the help desk of Kundera & Co." in visitor.words()
    if kind == "early":
        assert "before" in visitor.words()
    page.get_by_role("link", name=re.compile("Kundera")).click()
    page.wait_for_url(f"{demo.portal}/")
    with chromium.window() as administrator:
        check_record(demo, administrator.page, quote)


def test_a_replay_in_a_browser_that_is_signed_in_offers_the_way_on(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    demo.arrive(page)
    demo.trouble(page, "replayed")
    page.get_by_role("link", name=re.compile("^Continue")).click()
    page.wait_for_url(f"{demo.portico}/")
    assert "Welcome, Ana" in visitor.words()


def test_the_back_button_after_a_good_sign_in_is_no_dead_end(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    demo.arrive(page)
    page.go_back()
    page.goto(f"{demo.portico}/")
    assert "Welcome, Ana" in visitor.words()


@pytest.mark.parametrize(("answer", "remains"), [("Stay", "Ana"), ("Continue", "Ada")])
def test_a_second_person_over_a_first_is_asked_who_to_be(
    demo: Demo, visitor: Visitor, answer: str, remains: str
) -> None:
    page = visitor.page
    demo.arrive(page, "Ana Lyst")
    demo.open_tile(page, "Ada Minter")
    page.wait_for_url(f"{demo.portico}/saml/continue/")
    assert "ana.lyst@customer.example" in visitor.words()
    assert "ada.minter@customer.example" in visitor.words()
    page.get_by_role("button", name=re.compile(f"^{answer}")).click()
    page.wait_for_url(f"{demo.portico}/")
    assert f"Welcome, {remains}" in visitor.words()


def test_the_same_person_again_is_not_asked_anything(demo: Demo, visitor: Visitor) -> None:
    demo.arrive(visitor.page)
    demo.arrive(visitor.page)
    assert "Welcome, Ana" in visitor.words()


def test_a_sign_out_here_is_told_to_the_portal(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    demo.arrive(page)
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{demo.portico}/signed-out/?logout=*")
    assert "has ended its session too" in visitor.words()


def test_a_sign_out_at_the_portal_ends_the_sessions_of_that_person_in_every_browser(
    demo: Demo, visitor: Visitor, chromium: Chromium
) -> None:
    demo.arrive(visitor.page, "Noah Newman")
    with chromium.window() as second, chromium.window() as other:
        demo.arrive(second.page, "Noah Newman")
        demo.arrive(other.page, "Ada Minter")
        visitor.page.goto(f"{demo.portal}/")
        visitor.page.get_by_text("Noah Newman", exact=True).click()
        visitor.page.locator("#logout").click()
        visitor.page.get_by_text("Signed out everywhere").wait_for()
        for window in (visitor, second):
            window.page.goto(f"{demo.portico}/")
            window.page.wait_for_url("**/sign-in/?next=/")
        other.page.goto(f"{demo.portico}/")
        assert "Welcome, Ada" in other.words()


def test_it_works_without_scripts(demo: Demo, chromium: Chromium) -> None:
    with chromium.window(java_script_enabled=False) as visitor:
        page = visitor.page
        demo.open_tile(page, "Noah Newman")
        page.get_by_role("button", name="Continue to Portico").click()
        page.wait_for_url(f"{demo.portico}/")
        assert "Welcome, Noah" in visitor.words()
        page.get_by_role("button", name="Sign out", exact=True).click()
        # Portico's page leads on by itself, without a script too.
        page.wait_for_url(f"{demo.portal}/slo?**")
        page.get_by_role("button", name="Continue to Portico").click()
        page.wait_for_url(f"{demo.portico}/signed-out/**")


def test_no_page_is_wider_than_a_telephone(demo: Demo, chromium: Chromium) -> None:
    with chromium.window(viewport=NARROW) as visitor:
        page = visitor.page
        page.goto(f"{demo.portal}/")
        check_width(page)
        page.goto(f"{demo.portico}/sign-in/?local=1")
        check_width(page)
        demo.trouble(page, "audience")
        check_width(page)
        demo.arrive(page)
        check_width(page)
        page.goto(f"{demo.portico}/profile/")
        check_width(page)
        page.goto(f"{demo.portico}/organizations/")
        check_width(page)
        demo.open_tile(page, "Ada Minter")
        page.wait_for_url(f"{demo.portico}/saml/continue/")
        check_width(page)
        page.get_by_role("button", name=re.compile("^Continue")).click()
        page.wait_for_url(f"{demo.portico}/")
        check_width(page)
        page.goto(f"{demo.portico}/organizations/northwind/people/")
        check_width(page)


def check_width(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], page.url
