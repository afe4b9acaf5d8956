"""pysaml2's Server as the identity provider, through a real HTTP client and, where scripts matter, Chromium."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from tests.system.surfer import Page, Surfer

if TYPE_CHECKING:
    from tests.system.chromium import Chromium
    from tests.system.identity_providers import Pysaml2
    from tests.system.portico import Portico


def signed_in_as(page: Page, email: str) -> None:
    assert page.status == 200, page.text
    assert email in page.text


def signed_out(portico: Portico, surfer: Surfer) -> bool:
    """Whether the landing page sends this browser to sign in."""
    return surfer.get(portico.url("/")).url.endswith("/sign-in/?next=/")


def arrive(surfer: Surfer, idp: Pysaml2, query: str = "person=ana") -> Page:
    """From the identity provider to Portico, unsolicited."""
    return surfer.settle(surfer.get(f"{idp.url}/start?{query}"))


def test_a_person_arrives_from_its_portal(portico: Portico, easy: Pysaml2) -> None:
    page = arrive(Surfer(), easy)
    signed_in_as(page, easy.ana)
    assert "Ana Lyst" in page.text
    assert "Easy IdP" in page.text
    assert easy.last("response") == {
        "event": "response", "to": portico.url("/saml/easy/acs/"), "encrypted": False,
    }  # fmt: skip


def test_a_name_beyond_ascii_arrives_whole(portico: Portico, easy: Pysaml2) -> None:
    assert "Zoë Ångström & Søn" in arrive(Surfer(), easy, "person=zoe").text


def test_a_person_who_returns_is_the_same_person(portico: Portico, easy: Pysaml2) -> None:
    first, second = Surfer(), Surfer()
    signed_in_as(arrive(first, easy), easy.ana)
    signed_in_as(arrive(second, easy), easy.ana)
    assert second.get(portico.url("/profile/")).text.count("Through Easy IdP") >= 2


def test_a_relay_state_leads_to_a_page_of_this_site(portico: Portico, easy: Pysaml2) -> None:
    assert arrive(Surfer(), easy, "person=ana&RelayState=/profile/").url == portico.url("/profile/")


def test_a_request_by_redirect_is_answered_and_leads_where_one_wanted_to_go(portico: Portico, easy: Pysaml2) -> None:
    surfer = Surfer()
    asked = surfer.settle(surfer.get(portico.url("/saml/easy/login/?next=/profile/")))
    assert "Who are you?" in asked.text
    assert easy.last("request")["binding"] == "GET"
    page = surfer.settle(surfer.submit(asked, asked.form("person"), person="ana"))
    assert page.url == portico.url("/profile/")
    signed_in_as(page, easy.ana)


def test_whoever_is_signed_in_there_is_signed_in_here_unasked(portico: Portico, easy: Pysaml2) -> None:
    surfer = Surfer()
    arrive(surfer, easy)
    surfer.jar = {key: morsel for key, morsel in surfer.jar.items() if key[2] != "portico_session"}
    signed_in_as(surfer.settle(surfer.get(portico.url("/saml/easy/login/"))), easy.ana)


def test_a_signed_request_by_post_is_verified_and_answered_encrypted(portico: Portico, strict: Pysaml2) -> None:
    surfer = Surfer()
    asked = surfer.settle(surfer.get(portico.url("/saml/strict/login/?next=/profile/")))
    assert "Who are you?" in asked.text
    assert (strict.last("request")["binding"], strict.last("request")["signed"]) == ("POST", True)
    page = surfer.settle(surfer.submit(asked, asked.form("person"), person="zoe"))
    assert page.url == portico.url("/profile/")
    signed_in_as(page, "zoe@strict.example")
    assert strict.last("response")["encrypted"] is True


def test_that_identity_provider_does_refuse_an_unsigned_request(portico: Portico, strict: Pysaml2) -> None:
    surfer = Surfer()
    sent = surfer.get(portico.url("/saml/strict/login/"))
    form = sent.form("SAMLRequest")
    refused = surfer.submit(sent, form, SAMLRequest=without_signature(form.fields["SAMLRequest"]))
    assert refused.status == 400
    assert "IncorrectlySigned" in refused.text


@pytest.mark.parametrize("cipher", ["aes128-cbc", "aes256-cbc", "aes256-gcm"])
def test_what_pysaml2_encrypts_in_its_own_way_is_read(portico: Portico, easy: Pysaml2, cipher: str) -> None:
    signed_in_as(arrive(Surfer(), easy, f"person=ana&cipher={cipher}"), easy.ana)
    assert easy.last("response")["encrypted"] is True


def test_its_own_choice_of_cipher_is_refused_and_the_record_says_why(portico: Portico, easy: Pysaml2) -> None:
    page = arrive(Surfer(), easy, "person=ana&cipher=tripledes-cbc")
    assert page.status == 403
    assert "Code weak_algorithm" in page.text
    assert "tripledes-cbc" in portico.record()


def test_what_is_encrypted_for_the_former_key_is_still_read(portico: Portico, strict: Pysaml2) -> None:
    signed_in_as(arrive(Surfer(), strict), strict.ana)
    portico.manage("spkey", "generate")
    portico.manage("spkey", "promote")
    signed_in_as(arrive(Surfer(), strict), strict.ana)
    surfer = Surfer()
    asked = surfer.settle(surfer.get(portico.url("/saml/strict/login/")))
    assert strict.last("request")["signed"] is True
    signed_in_as(surfer.settle(surfer.submit(asked, asked.form("person"), person="ana")), strict.ana)


# --- logout -----------------------------------------------------------------------------------------------------------


def sign_out(portico: Portico, surfer: Surfer) -> Page:
    """The button on the landing page, and wherever it leads."""
    page = surfer.get(portico.url("/"))
    return surfer.settle(surfer.submit(page, page.form("/sign-out/")))


@pytest.mark.parametrize("which", ["easy", "strict"])
def test_a_sign_out_here_ends_the_session_there(portico: Portico, which: str, request: pytest.FixtureRequest) -> None:
    idp: Pysaml2 = request.getfixturevalue(which)
    surfer = Surfer()
    arrive(surfer, idp)
    page = sign_out(portico, surfer)
    assert "/signed-out/" in page.url
    assert "has ended its session too" in page.text
    assert idp.last("logout carried out") == {
        "event": "logout carried out", "signed": True, "ended": 1, "mine": which == "easy",
    }  # fmt: skip
    assert signed_out(portico, surfer)
    assert "Nobody is signed in" in surfer.get(f"{idp.url}/sign-out").text


@pytest.mark.parametrize("which", ["easy", "strict"])
def test_a_sign_out_there_ends_the_session_here(portico: Portico, which: str, request: pytest.FixtureRequest) -> None:
    idp: Pysaml2 = request.getfixturevalue(which)
    surfer, elsewhere = Surfer(), Surfer()
    arrive(surfer, idp)
    arrive(elsewhere, idp)
    page = surfer.settle(surfer.get(f"{idp.url}/sign-out"))
    assert "You are signed out everywhere" in page.text
    assert idp.last("logout answered") == {
        "event": "logout answered", "success": True, "signed": True, "relay_state": "some state",
    }  # fmt: skip
    assert signed_out(portico, surfer)
    assert not signed_out(portico, elsewhere)


# --- the same in Chromium ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["easy", "strict"])
def test_chromium_asks_signs_in_and_signs_out(
    portico: Portico, which: str, request: pytest.FixtureRequest, chromium: Chromium
) -> None:
    idp: Pysaml2 = request.getfixturevalue(which)
    with chromium.window() as visitor:
        visitor.forgiven = {idp.url}
        page = visitor.page
        page.goto(portico.url(f"/saml/{which}/login/?next=/profile/"))
        page.get_by_role("button", name="ana").click()
        page.wait_for_url(portico.url("/profile/"))
        assert idp.ana in visitor.words()
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.wait_for_url("**/signed-out/?logout=*")
        assert "has ended its session too" in visitor.words()
        page.goto(portico.url("/"))
        page.wait_for_url("**/sign-in/?next=/")


@pytest.mark.parametrize("which", ["easy", "strict"])
def test_chromium_is_signed_out_by_a_message_in_a_frame(
    portico: Portico, which: str, request: pytest.FixtureRequest, chromium: Chromium
) -> None:
    idp: Pysaml2 = request.getfixturevalue(which)
    with chromium.window() as visitor:
        visitor.forgiven = {idp.url}
        page = visitor.page
        page.goto(f"{idp.url}/start?person=ana")
        page.wait_for_url(portico.url("/"))
        page.goto(f"{idp.url}/sign-out-framed")
        page.frame_locator("iframe").get_by_text("You are signed out everywhere").wait_for()
        page.goto(portico.url("/"))
        page.wait_for_url("**/sign-in/?next=/")


def without_signature(encoded: str) -> str:
    """A message in base64, its Signature element taken out."""
    root = etree.fromstring(base64.b64decode(encoded))
    for signature in root.findall("{http://www.w3.org/2000/09/xmldsig#}Signature"):
        root.remove(signature)
    return base64.b64encode(etree.tostring(root)).decode()
