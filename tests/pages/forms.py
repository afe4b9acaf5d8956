"""Filling in forms as a browser does: fetch the page, take its token along."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.door import Browser

if TYPE_CHECKING:
    from django.http import HttpResponse

    from accounts.models import User

PASSWORD = "correct horse battery staple"
LOCAL_DOOR = "/sign-in/?local=1"
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
# What a page with rows of a second form carries along unseen: how many there are, and which.
_UNSEEN = re.compile(
    r'<input type="hidden" name="([a-z_]+-(?:(?:TOTAL|INITIAL|MIN_NUM|MAX_NUM)_FORMS|\d+-(?:id|user|organization)))"'
    r'(?: value="([^"]*)")?'
)


def token(page: HttpResponse) -> str:
    """The CSRF token of a page's first form."""
    found = _TOKEN.search(page.content.decode())
    assert found, page.content.decode()
    return found[1]


def submit(browser: Browser, path: str, data: dict[str, Any] | None = None, *, page: str = "") -> HttpResponse:
    """Open the page (the form's own path unless another is named) and send its form."""
    form = browser.get(page or path)
    unseen = dict(_UNSEEN.findall(form.content.decode()))
    return browser.post(
        path, unseen | (data or {}) | {"csrfmiddlewaretoken": token(form)}, HTTP_ORIGIN="http://testserver"
    )


def sign_in_by_password(user: User, **extra: str) -> Browser:
    """A browser in which this person has signed in by password, without a second factor."""
    browser = Browser()
    form = browser.get(LOCAL_DOOR)
    data = {"username": user.email, "password": PASSWORD, "csrfmiddlewaretoken": token(form)} | extra
    answer = browser.post(LOCAL_DOOR, data, HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
    assert answer.status_code == 302, answer.content.decode()
    return browser


def text(page: HttpResponse) -> str:
    """The words of a page, blanks made one, tags left out."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page.content.decode(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())
