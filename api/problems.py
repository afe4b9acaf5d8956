"""What the REST door answers when something is wrong: problem details (RFC 9457), each with a code for ever."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTENT_TYPE = "application/problem+json"
MOST_ERRORS = 50
WRONG_VALUE = "A value is wrong: errors says which."
REALM = 'Bearer realm="Portico"'


class Code(StrEnum):
    """Why a call was refused, for programs. Published: a value never changes."""

    MALFORMED = "malformed"
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a code, not a token
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - as above
    TOKEN_UNKNOWN = "token_unknown"  # noqa: S105 - as above
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - as above
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - as above
    OWNER_INACTIVE = "owner_inactive"
    IDP_DISABLED = "idp_disabled"
    SIGN_IN_NEEDED = "sign_in_needed"
    PASSWORD_SIGN_IN_OFF = "password_sign_in_off"  # noqa: S105 - as above
    CREDENTIALS_WRONG = "credentials_wrong"
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    SECOND_FACTOR_WRONG = "second_factor_wrong"
    SSO_REQUIRED = "SSORequiredError"
    PASSKEY_ONLY = "passkey_only"
    SCOPE_MISSING = "scope_missing"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    PRECONDITION_FAILED = "precondition_failed"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID = "invalid"
    PRECONDITION_REQUIRED = "precondition_required"
    TOO_MANY = "too_many"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row of the table in docs/api.md and on the page of the API: a code, the status it comes with, and why."""

    code: Code
    status: int
    title: str
    when: str


MEANINGS = (
    Meaning(Code.MALFORMED, 400, "The request cannot be read", "the body is not JSON, or the cursor is none of ours"),
    Meaning(Code.TOKEN_MISSING, 401, "No token came", "send it as Authorization: Bearer ptc_…"),
    Meaning(Code.TOKEN_MALFORMED, 401, "That is no token of this site", "a character is wrong or missing"),
    Meaning(Code.TOKEN_UNKNOWN, 401, "This site knows no such token", "perhaps it belongs to another site"),
    Meaning(Code.TOKEN_REVOKED, 401, "The token was revoked", "its owner or an administrator has ended it"),
    Meaning(Code.TOKEN_EXPIRED, 401, "The token has expired", "make a new one, or rotate it before its end"),
    Meaning(Code.OWNER_INACTIVE, 401, "The token's owner is switched off", "an administrator can switch them on"),
    Meaning(
        Code.IDP_DISABLED,
        401,
        "The identity provider is disabled",
        "it is named in idp; tokens wait until it is enabled",
    ),
    Meaning(
        Code.SIGN_IN_NEEDED, 401, "A sign-in is needed", "the owner signs in through the identity provider named in idp"
    ),
    Meaning(Code.PASSWORD_SIGN_IN_OFF, 401, "Signing in by password is switched off", "the owner has no other way in"),
    Meaning(
        Code.CREDENTIALS_WRONG,
        401,
        "E-mail and password do not match",
        "or there is no such account, or it is switched off",
    ),
    Meaning(
        Code.SECOND_FACTOR_REQUIRED,
        401,
        "A second factor is needed",
        "send the same again with code; methods says which",
    ),
    Meaning(Code.SECOND_FACTOR_WRONG, 401, "The code is not right", "or it was used before"),
    Meaning(
        Code.SSO_REQUIRED,
        403,
        "Sign in through the identity provider",
        "somebody who signs in through an identity provider used POST /login",
    ),
    Meaning(
        Code.PASSWORD_SIGN_IN_OFF,
        403,
        "Signing in by password is switched off",
        "for all but break-glass administrators",
    ),
    Meaning(
        Code.PASSKEY_ONLY, 403, "Only a passkey opens this account", "sign in in a browser, and make a token there"
    ),
    Meaning(Code.SCOPE_MISSING, 403, "The token lacks a scope", "it is named in scope"),
    Meaning(Code.NOT_ALLOWED, 403, "The token's owner may not do this", "an administrator can give them the right"),
    Meaning(Code.NOT_FOUND, 404, "There is no such thing", "or none that this token's owner may see"),
    Meaning(Code.METHOD_NOT_ALLOWED, 405, "That method is not for this address", "Allow names those that are"),
    Meaning(Code.CONFLICT, 409, "It cannot be done as things are", "detail says why"),
    Meaning(
        Code.PRECONDITION_FAILED,
        412,
        "It has changed meanwhile",
        "If-Match names another version; the answer carries the current ETag",
    ),
    Meaning(Code.TOO_LARGE, 413, "The body is too large", "at most 3 MiB, and 64 KiB where no metadata is sent"),
    Meaning(Code.UNSUPPORTED_MEDIA_TYPE, 415, "The body is not JSON", "send Content-Type: application/json"),
    Meaning(Code.INVALID, 422, "A value is wrong", "each is in errors"),
    Meaning(
        Code.PRECONDITION_REQUIRED,
        428,
        "If-Match is needed",
        "PUT, PATCH or DELETE of a configuration that exists came without it",
    ),
    Meaning(Code.TOO_MANY, 429, "Too many attempts", "Retry-After says for how many seconds to wait"),
    Meaning(Code.INTERNAL, 500, "Something broke here", "it is on record; try again later"),
)
_FIRST = {meaning.code: meaning for meaning in reversed(MEANINGS)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong value: the path of the member (empty for the whole), and a sentence."""

    field: str
    message: str


class Refused(Exception):
    """A call is refused: raised anywhere behind the door, answered at it.

    `detail` is one or two sentences for a person. `status` is the code's own unless it has two. `members` go into the
    problem beside the standard ones.
    """

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        status: int | None = None,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status or _FIRST[code].status
        self.faults = tuple(faults[:MOST_ERRORS])
        self.headers = dict(headers or {})
        self.members = members


def invalid(field: str, message: str) -> Refused:
    """The refusal of one value."""
    return Refused(Code.INVALID, WRONG_VALUE, faults=[Fault(field, message)])


def not_found() -> Refused:
    """The refusal of what is not there, or not for this owner's eyes: the two look alike."""
    return Refused(Code.NOT_FOUND, "There is no such thing here, or none that the owner of this token may see.")


def link(code: Code) -> str:
    """Where a person reads about a code."""
    return f"{settings.PORTICO_BASE_URL}/api/docs#{code}"


def answer(refusal: Refused) -> HttpResponse:
    """The refusal as an HTTP response."""
    body: dict[str, Any] = {
        "type": link(refusal.code),
        "title": _FIRST[refusal.code].title,
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code.value,
    }
    if refusal.faults:
        body["errors"] = [{"field": fault.field, "message": fault.message} for fault in refusal.faults]
    response = HttpResponse(
        json.dumps(body | refusal.members, ensure_ascii=False), status=refusal.status, content_type=CONTENT_TYPE
    )
    if refusal.status == 401:  # noqa: PLR2004 - RFC 9110 15.5.2: a 401 says how to do better
        response.headers["WWW-Authenticate"] = REALM
    for name, value in refusal.headers.items():
        response.headers[name] = value
    return response
