"""Beginning at Portico: the sign-in page, the request to the identity provider, the password of an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.demonstration import Demo
    from tests.system.chromium import Chromium, Visitor


def test_a_page_that_needs_a_sign_in_leads_there_and_back(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{demo.portico}/profile/")
    page.wait_for_url("**/sign-in/?next=/profile/")
    page.get_by_role("link", name="Sign in with Kundera").click()
    page.wait_for_url(f"{demo.portal}/sso?**")
    demo.answer(page)
    page.wait_for_url(f"{demo.portico}/profile/")
    assert "ana.lyst@customer.example" in visitor.words()


def test_two_tabs_may_ask_at_the_same_time(demo: Demo, visitor: Visitor) -> None:
    first = visitor.page
    second = first.context.new_page()
    first.goto(f"{demo.portico}/saml/demo/login/?next=/profile/")
    second.goto(f"{demo.portico}/saml/demo/login/?next=/")
    demo.answer(first)
    first.wait_for_url(f"{demo.portico}/profile/")
    demo.answer(second)
    second.wait_for_url(f"{demo.portico}/")


def test_whoever_is_signed_in_at_the_portal_is_signed_in_here_by_one_click(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{demo.portico}/saml/demo/login/")
    demo.answer(page, "Ada Minter")
    page.wait_for_url(f"{demo.portico}/")
    page.context.clear_cookies(name="portico_session")
    page.goto(f"{demo.portico}/sign-in/")
    page.get_by_role("link", name="Sign in with Kundera").click()
    page.wait_for_url(f"{demo.portico}/")
    assert "Welcome, Ada" in visitor.words()


def test_it_is_a_form_with_a_button_where_there_are_no_scripts(demo: Demo, chromium: Chromium) -> None:
    with chromium.window(java_script_enabled=False) as visitor:
        page = visitor.page
        page.goto(f"{demo.portico}/sign-in/")
        page.get_by_role("link", name="Sign in with Kundera").click()
        demo.answer(page, "Ada Minter")
        page.get_by_role("button", name="Continue to Portico").click()
        page.wait_for_url(f"{demo.portico}/")
        assert "Welcome, Ada" in visitor.words()


def test_an_address_alone_leads_to_the_identity_provider_of_its_domain(
    demo: Demo, visitor: Visitor, chromium: Chromium
) -> None:
    """The policy for forms would stop a redirect, so this is for a real browser to say; scripts or none."""
    page = visitor.page
    demo.administer(page, "/admin/saml_sp/emaildomain/add/")
    page.get_by_label("Idp").select_option(label="Kundera & Co. (demo)")
    page.get_by_label("Domain").fill("Led.example")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_label("Why you know").fill("their contract")
    page.get_by_role("button", name="Vouch for it").click()
    page.get_by_text("The domain led.example belongs to").wait_for()
    for scripts in (True, False):
        with chromium.window(java_script_enabled=scripts) as somebody:
            page = somebody.page
            page.goto(f"{demo.portico}/sign-in/?next=/profile/")
            page.get_by_label("E-mail").fill("anybody@led.example")
            page.get_by_label("E-mail").press("Enter")
            page.wait_for_url(f"{demo.portal}/sso?**")
            demo.answer(page, "Ada Minter")
            if not scripts:
                page.get_by_role("button", name="Continue to Portico").click()
            page.wait_for_url(f"{demo.portico}/profile/")


def test_an_answer_that_another_browser_asked_for_signs_nobody_in(
    demo: Demo, visitor: Visitor, chromium: Chromium
) -> None:
    visitor.page.goto(f"{demo.portico}/saml/demo/login/")
    with chromium.window() as somebody_else:
        page = somebody_else.page
        page.goto(visitor.page.url)
        demo.answer(page)
        page.wait_for_url(f"{demo.portico}/saml/demo/acs/")
        assert "Trace ID" in somebody_else.words()
        page.goto(f"{demo.portico}/")
        page.wait_for_url("**/sign-in/?next=/")


def test_an_administrator_signs_in_by_password_and_out(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    demo.administer(page)
    assert "Sign-in attempts" in visitor.words()
    page.goto(f"{demo.portico}/")
    assert "Local account" in visitor.words()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{demo.portico}/signed-out/**")
    page.goto(f"{demo.portico}/admin/")
    assert page.locator("input[name=password]").count() == 1


def test_somebody_without_rights_is_told_so_and_not_sent_round_in_a_circle(demo: Demo, visitor: Visitor) -> None:
    page = visitor.page
    demo.arrive(page)
    page.goto(f"{demo.portico}/admin/")
    assert "ana.lyst@customer.example" in visitor.words()
    assert page.locator("input[name=password]").count() == 0
