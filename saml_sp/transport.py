"""The HTTP side of what identity providers send: one form or one query string, one message (Bindings 3.4, 3.5)."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import UnreadablePostError
from django.http.multipartparser import MultiPartParserError

from saml_sp.protocol.errors import LogoutFormRefused, MessageTooLarge, MethodNotAllowed, TransportRefused

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any

    from django.core.files.uploadedfile import UploadedFile
    from django.http import HttpRequest, HttpResponse, QueryDict
    from django.utils.datastructures import MultiValueDict

DROPPED_AT_ONCE = 64 * 1024
MOST_DROPPED = 64 * 1024 * 1024
MAX_BODY = 512 * 1024  # 256 KiB in base64, percent-encoded, beside a RelayState
LOGOUT_FIELDS: Final = ("SAMLRequest", "SAMLResponse")
_LENGTH = re.compile(r"[0-9]{1,9}")


ATTEMPT_COOKIE: Final = "portico_attempt"
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def browser_of(request: HttpRequest) -> str:
    """The secret of this browser, by which it may answer what it asked; empty if it has none, or nothing of ours."""
    value = request.COOKIES.get(ATTEMPT_COOKIE, "")
    return value if _BROWSER.fullmatch(value) else ""


def new_browser() -> str:
    """A secret for a browser that has none: 256 random bits."""
    return secrets.token_urlsafe(32)


def keep_browser(response: HttpResponse, browser: str, lifetime: timedelta) -> None:
    """Let the browser keep its secret until its last answer is due.

    SameSite=None, as the answer is a POST from the identity provider's site, where a Lax cookie does not come along.
    """
    response.set_cookie(
        ATTEMPT_COOKIE,
        browser,
        max_age=int(lifetime.total_seconds()),
        path="/saml/",
        secure=True,
        httponly=True,
        samesite="None",
    )


@dataclass(frozen=True, slots=True)
class Form:
    """The two fields of the HTTP-POST binding, as they came."""

    saml_response: str
    relay_state: str


def check_method_and_size(request: HttpRequest) -> None:
    """Only POST, and nothing that is too large by its own account: before anything is read or looked up."""
    if request.method != "POST":
        raise MethodNotAllowed(expected="POST", received=str(request.method)[:20])
    check_size(request)


def check_size(request: HttpRequest) -> None:
    """Nothing that is too large by its own account."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY:
        drop_body(request)
        raise MessageTooLarge(expected=f"a body of at most {MAX_BODY} bytes", received=f"{length[:20]} bytes")


def drop_body(request: HttpRequest) -> None:
    """Let the rest of a body come and go, up to a bound: a browser that is still sending shows no answer."""
    with suppress(UnreadablePostError):
        for _ in range(MOST_DROPPED // DROPPED_AT_ONCE):
            if not request.read(DROPPED_AT_ONCE):
                break


def read_form(request: HttpRequest) -> Form:
    """The form's fields. Raises TransportRefused unless it is a form with exactly one SAMLResponse."""
    fields, files = read_fields(request)
    responses = fields.getlist("SAMLResponse")
    if len(responses) != 1 or "SAMLResponse" in request.GET or "SAMLResponse" in files:
        raise TransportRefused(
            expected="one form field SAMLResponse, and none in the query", received=f"{len(responses)} in the form"
        )
    relay_states = fields.getlist("RelayState")
    return Form(saml_response=responses[0], relay_state=relay_states[0] if len(relay_states) == 1 else "")


@dataclass(frozen=True, slots=True)
class LogoutForm:
    """A posted logout message: which of the two fields it came in, and what else the form holds."""

    field: str
    value: str
    relay_state: str


def check_logout_request(request: HttpRequest) -> None:
    """GET for HTTP-Redirect, POST for HTTP-POST, nothing that is too large: before anything is read or looked up."""
    if request.method not in {"GET", "POST"}:
        raise MethodNotAllowed(expected="GET or POST", received=str(request.method)[:20])
    check_size(request)


def read_logout_form(request: HttpRequest) -> LogoutForm:
    """The form's fields. Raises LogoutFormRefused unless it is a form with exactly one SAMLRequest or SAMLResponse."""
    fields, files = read_fields(request)
    found = [(name, value) for name in LOGOUT_FIELDS for value in fields.getlist(name)]
    elsewhere = [name for name in LOGOUT_FIELDS if name in request.GET or name in files]
    if len(found) != 1 or elsewhere:
        raise LogoutFormRefused(
            expected="one form field SAMLRequest or SAMLResponse, and none in the query",
            received=f"{len(found)} in the form, {len(elsewhere)} elsewhere",
        )
    relay_states = fields.getlist("RelayState")
    field, value = found[0]
    return LogoutForm(field=field, value=value, relay_state=relay_states[0] if len(relay_states) == 1 else "")


def read_fields(request: HttpRequest) -> tuple[QueryDict, MultiValueDict[str, UploadedFile[Any]]]:
    """The fields and files of a form. Raises TransportRefused when the body is no form, or one that cannot be read."""
    if request.content_type not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        raise TransportRefused(expected="a form", received=(request.content_type or "no content type")[:100])
    # It is read as UTF-8; what says that it is something else would be misread.
    if (charset := (request.content_params or {}).get("charset", "utf-8")).lower() not in {"utf-8", "utf8"}:
        raise TransportRefused(expected="a form in UTF-8", received=charset[:40])
    try:
        fields, files = request.POST, request.FILES
    except (
        BadRequest, MultiPartParserError, RequestDataTooBig, SuspiciousOperation, UnicodeError, UnreadablePostError,
    ) as error:  # fmt: skip
        raise TransportRefused(expected="a form that can be read", received=type(error).__name__) from None
    return fields, files
