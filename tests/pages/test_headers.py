"""What every answer carries, and what no page holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.test import Client

from tests.door import Browser

if TYPE_CHECKING:
    from accounts.models import User

PUBLIC = ["/sign-in/", "/signed-out/", "/nowhere/", "/admin/login/", "/", "/saml/unknown/acs/"]
SIGNED_IN = [
    "/",
    "/profile/",
    "/sign-in/",
    "/sign-out/",
    "/admin/",
    "/admin/accounts/user/",
    "/admin/accounts/user/add/",
]
INLINE = re.compile(
    r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\bsrc=)(?![^>]*application/json)", re.IGNORECASE
)


@pytest.mark.django_db
@pytest.mark.parametrize("path", PUBLIC)
def test_no_answer_may_be_kept_framed_or_guessed_at(path: str) -> None:
    answer = Browser().get(path)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.django_db
@pytest.mark.parametrize("path", PUBLIC)
def test_every_answer_forbids_inline_script_and_foreign_sources(path: str) -> None:
    policy = {
        name: sources
        for name, *sources in map(str.split, Browser().get(path).headers["Content-Security-Policy"].split(";"))
    }
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]


@pytest.mark.parametrize("path", SIGNED_IN)
def test_no_page_holds_what_the_policy_forbids(path: str, admin: Browser) -> None:
    page = admin.get(path)
    assert page.status_code == 200
    assert not INLINE.search(page.content.decode())


def test_the_administrations_pages_for_one_person_hold_nothing_inline_either(admin: Browser, grace: User) -> None:
    for page in ("change", "password", "history"):
        assert not INLINE.search(admin.get(f"/admin/accounts/user/{grace.pk}/{page}/").content.decode())


def test_a_style_sheet_may_be_kept() -> None:
    answer = Client().get("/static/tokens.css")
    assert answer.status_code == 200
    assert "no-store" not in answer.headers.get("Cache-Control", "")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(admin: Browser) -> None:
    morsel = admin.jar["portico_session"]
    assert (morsel["httponly"], morsel["secure"], morsel["samesite"], morsel["path"]) == (True, True, "Lax", "/")


def test_a_page_declares_its_language_and_landmarks(admin: Browser) -> None:
    for path in ("/", "/profile/", "/admin/"):
        page = admin.get(path).content.decode()
        assert '<html lang="en"' in page
        assert page.count("<main ") == 1
        assert page.count("<h1>") == 1
        assert "<header" in page
        assert re.search(r'<a [^>]*href="#(main|content-start)"', page)
