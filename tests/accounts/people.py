"""What people do at their accounts: read mail, look at an app, go through the doors."""

from __future__ import annotations

import base64
import hmac
import re
import struct
import time
from typing import TYPE_CHECKING, Any

from django.core import mail as django_mail
from django.utils import timezone

from accounts import mail, sessions
from accounts.models import Session
from tests.door import Browser
from tests.pages.forms import LOCAL_DOOR, PASSWORD, submit, text

if TYPE_CHECKING:
    from datetime import timedelta

    from django.core.mail import EmailMessage
    from django.http import HttpResponse

    from accounts.models import User

LINK = re.compile(r"http://127\.0\.0\.1:8000(/\S+)")
SECRET = re.compile(r'class="secret">([A-Z2-7]+)<')


class Outbox:
    """The mails sent so far, once all are."""

    def all(self) -> list[EmailMessage]:
        """Oldest first."""
        mail.settle()
        return list(django_mail.outbox)

    def only(self) -> EmailMessage:
        """The one that there is; then it is gone."""
        (found,) = self.all()
        django_mail.outbox.clear()
        return found

    def link(self) -> str:
        """The path of the one link in the one mail."""
        found: list[str] = LINK.findall(str(self.only().body))
        (link,) = [path for path in found if path != "/"]
        return link


def code(secret: str, step: int = 0) -> str:
    """What an app shows now, or so many steps of 30 s later: RFC 6238 with SHA-1 and six digits."""
    counter = struct.pack(">Q", int(time.time()) // 30 + step)
    digest = hmac.digest(base64.b32decode(secret), counter, "sha1")
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF) % 10**6:06d}"


def set_up_app(browser: Browser) -> str:
    """Set up an authenticator app with the code of the step before; returns its secret."""
    page = browser.get("/account/second-factor/totp/activate/")
    found = SECRET.search(page.content.decode())
    assert found, text(page)
    data = {"code": code(found[1], -1), "csrfmiddlewaretoken": token_of(page)}
    answer = browser.post("/account/second-factor/totp/activate/", data)
    assert answer.headers.get("Location") == "/account/second-factor/recovery-codes/", text(answer)
    return found[1]


def token_of(page: HttpResponse) -> str:
    """The CSRF token of a page's main form, which is the last one."""
    found: list[str] = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.content.decode())
    assert found, page.content.decode()
    return found[-1]


def recovery_codes(browser: Browser) -> list[str]:
    """The recovery codes on their page."""
    page = browser.get("/account/second-factor/recovery-codes/").content.decode()
    return re.findall(r"<li>(\d{8})</li>", page)


def try_password(
    user: User | str, password: str = PASSWORD, browser: Browser | None = None, **extra: Any
) -> HttpResponse:
    """Fill in the local form, in a fresh browser unless one is given."""
    browser = browser or Browser()
    address = user if isinstance(user, str) else user.email
    page = browser.get(LOCAL_DOOR)
    data = {"username": address, "password": password, "csrfmiddlewaretoken": token_of(page)}
    return browser.post(LOCAL_DOOR, data, **extra)


def grow_older(browser: Browser, by: timedelta) -> None:
    """Let a session have begun that much earlier."""
    store = sessions.SessionStore(browser.session_key)
    store["portico"] = store["portico"] | {"began_at": (timezone.now() - by).isoformat()}
    store.save()


def sessions_of(user: User) -> int:
    """How many sessions there are."""
    return Session.objects.filter(user=user).count()


__all__ = [
    "Outbox", "code", "grow_older", "recovery_codes", "sessions_of", "set_up_app", "submit", "text", "token_of",
    "try_password",
]  # fmt: skip
