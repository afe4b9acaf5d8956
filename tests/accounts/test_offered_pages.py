"""Which account pages there are: those in our look, and no others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from allauth.account import urls as account_urls
from allauth.mfa import urls as mfa_urls
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import NoReverseMatch, URLPattern, URLResolver, reverse

from pages.account import OFFERED, urlpatterns
from tests.accounts.people import set_up_app, text, try_password
from tests.door import Browser
from tests.pages.test_headers import INLINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.http import HttpResponse

    from accounts.models import User

OUR_FRAME = re.compile(r'<a class="skip" href="#main">.*<header class="top">.*<main id="main"', re.DOTALL)
ARGUMENTS: dict[str, dict[str, object]] = {
    "account_reset_password_from_key": {"uidb36": "abc", "key": "def"},
    "mfa_remove_webauthn": {"pk": 1},
    "mfa_edit_webauthn": {"pk": 1},
    "account_confirm_email_change": {"token": "x:y:z"},
}
# Two give data: a list to keep, and a challenge for a script.
NO_PAGES = {"mfa_download_recovery_codes", "mfa_login_webauthn"}
ENDS_A_SESSION = "account_end_session"


def flat(patterns: Sequence[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for entry in patterns:
        if isinstance(entry, URLResolver):
            yield from flat(entry.url_patterns)
        else:
            yield entry


NAMES = sorted(entry.name for entry in flat(urlpatterns) if entry.name)
THEIRS = sorted(entry.name for module in (account_urls, mfa_urls) for entry in flat(module.urlpatterns) if entry.name)


def path_of(name: str) -> str:
    return reverse(name, kwargs=ARGUMENTS.get(name))


def follow(browser: Browser, path: str) -> HttpResponse:
    answer = browser.get(path)
    for _ in range(5):
        if answer.status_code not in {301, 302, 303}:
            return answer
        answer = browser.get(answer.headers["Location"])
    raise AssertionError(path)


def test_every_page_of_allauths_that_is_not_offered_has_no_address() -> None:
    assert set(OFFERED) <= set(THEIRS)
    for name in set(THEIRS) - set(OFFERED) - {"account_login"}:
        with pytest.raises(NoReverseMatch):
            reverse(name)


@pytest.mark.parametrize(
    "path",
    ["login/", "logout/", "signup/", "inactive/", "confirm-email/", "confirm-email/x/", "login/code/confirm/", "2fa/"],
)
def test_the_addresses_they_would_have_lead_nowhere(path: str, browser: Browser) -> None:
    for visitor in (browser, Browser()):
        assert visitor.get(f"/account/{path}").status_code == 404


def test_its_templates_cannot_be_found() -> None:
    for name in ("account/login.html", "account/signup.html", "allauth/layouts/base.html", "mfa/base_manage.html"):
        with pytest.raises(TemplateDoesNotExist):
            get_template(name)


@pytest.mark.parametrize("name", sorted(set(NAMES) - NO_PAGES - {ENDS_A_SESSION}))
def test_every_page_is_in_our_frame_with_nothing_inline(name: str, lou: User, browser: Browser) -> None:
    secret = set_up_app(browser)
    assert secret
    between = Browser()
    try_password(lou, browser=between)
    for visitor in (browser, Browser(), between):
        page = follow(visitor, path_of(name))
        assert page.status_code in {200, 404}
        body = page.content.decode()
        assert OUR_FRAME.search(body), (name, body)
        assert "allauth" not in re.sub(r"<script.*?</script>|data-allauth-onload", "", body, flags=re.DOTALL)
        assert not INLINE.search(body)
        assert body.count("<h1>") == 1
        assert page.headers["Cache-Control"] == "no-store"


def test_each_template_names_itself_in_words(browser: Browser) -> None:
    set_up_app(browser)
    expected = {
        "/account/password/change/": "Change your password",
        "/account/second-factor/": "Authenticator app is set up.",
        "/account/second-factor/totp/deactivate/": "Remove the authenticator app?",
        "/account/second-factor/recovery-codes/": "Each of them works once",
        "/account/second-factor/recovery-codes/generate/": "The 10 that are left will not work any more.",
        "/account/second-factor/webauthn/": "You have none yet.",
        "/account/second-factor/webauthn/add/": "this one is reached by a number",
        "/account/reauthenticate/": "Is it still you?",
        "/account/second-factor/reauthenticate/": "Type the code that your authenticator app shows",
        "/account/email/": "Change your e-mail",
    }
    for path, words in expected.items():
        page = browser.get(path)
        assert page.status_code == 200
        assert words in text(page)


def test_recovery_codes_are_downloaded_as_text(browser: Browser) -> None:
    set_up_app(browser)
    answer = browser.get("/account/second-factor/recovery-codes/download/")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert len(re.findall(r"^\d{8}$", answer.content.decode(), re.MULTILINE)) == 10


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"account_login", "account_confirm_email_change"}))
def test_who_is_not_signed_in_gets_no_further_than_the_door(name: str, db: None) -> None:
    if OFFERED.get(name) == "anybody":
        return
    visitor = Browser()
    page = visitor.get("/sign-in/?local=1")
    token = re.findall(r'csrfmiddlewaretoken" value="([^"]+)', page.content.decode())[0]
    for answer in (visitor.get(path_of(name)), visitor.post(path_of(name), {"csrfmiddlewaretoken": token})):
        if answer.status_code == 405:
            continue
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/sign-in/?next=/account/")


def test_the_beginning_is_the_profile(browser: Browser) -> None:
    assert browser.get("/account/").headers["Location"] == "/profile/"


def test_no_form_is_taken_without_its_token(browser: Browser) -> None:
    for name in set(NAMES) - {"account_login", "account_reset_password_done", "account_reset_password_from_key_done"}:
        answer = browser.post(path_of(name))
        assert answer.status_code in {403, 405}, name


def test_nobody_is_sent_to_another_site(browser: Browser) -> None:
    for target in ("https://evil.example/", "//evil.example/", "http://localhost/", "/\\evil.example", "javascript:x"):
        for path in ("/account/sign-in/", "/account/second-factor/", "/account/reauthenticate/"):
            page = browser.get(f"{path}?next={target}")
            place = page.headers.get("Location", "")
            assert "evil" not in place
            assert "localhost" not in place
