"""Problem details of the REST door as refusals: an exit code, one line that says what, one that says the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portico_cli.errors import ExitCode, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portico_cli.hosts import Host

EXIT_CODES = {
    400: ExitCode.INVALID,
    401: ExitCode.NOT_SIGNED_IN,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    413: ExitCode.INVALID,
    415: ExitCode.INVALID,
    422: ExitCode.INVALID,
    428: ExitCode.CONFLICT,
    429: ExitCode.TOO_MANY,
}
SSO_REQUIRED = "SSORequiredError"
SHOWN_ERRORS = 5

# {tokens} is the page where tokens are made, {host} the address; the rest is what the problem says.
SIGN_IN = "Sign in again: portico login. If PORTICO_TOKEN is set, put a token there that works."
GO_AND_MAKE_ONE = "Open {tokens} in your browser, make a token there, then: portico login --host {host} --with-token"
CURES = {
    "owner_inactive": "Ask an administrator to reactivate the account.",
    "idp_disabled": "Ask an administrator: your identity provider is switched off there.",
    "sign_in_needed": "Sign in once in your browser, through your identity provider ({idp}): {host}/ - then try again.",
    "credentials_wrong": "Check the address and the password; they are the ones you sign in with at {host}/.",
    "second_factor_wrong": "Take a fresh code from your app, or a recovery code that has not been used.",
    SSO_REQUIRED: GO_AND_MAKE_ONE,
    "passkey_only": GO_AND_MAKE_ONE,
    "password_sign_in_off": GO_AND_MAKE_ONE,
    "scope_missing": "Make a token that has the scope {scope} too ({tokens}), then: portico login --with-token",
    "precondition_failed": "Look at what it is now (portico saml diff FILE), then apply again.",
    "too_many": "Wait {retry_after} seconds, then try again.",
}
NO_FIT = "This client and the server may not fit together: see portico --version."
CURES_BY_STATUS = {
    400: NO_FIT,
    401: SIGN_IN,
    403: "Ask an administrator of the server for that right.",
    404: "Check the name or id; what you may not see is not found either.",
    405: NO_FIT,
    409: "Look at how things are now, and try again.",
    412: "Look at how things are now, and try again.",
    413: "Send less at once.",
    415: NO_FIT,
    422: "Correct that, and try again.",
    428: "Try again.",
    429: "Wait a minute, then try again.",
}
LATER = "Try again later; if it stays so, tell whoever runs {host}."


def fault(host: Host, status: int, body: Any, headers: Mapping[str, str]) -> Refusal:
    """The refusal for an answer of `status` (300 or more), whatever its body is."""
    problem = body if isinstance(body, dict) else {}
    code = problem.get("code")
    if not isinstance(code, str) or not code:
        return unexplained(host, status)
    told = {
        "host": host.url,
        "tokens": host.tokens_page,
        "idp": str(problem.get("idp") or "it is named above"),
        "scope": str(problem.get("scope") or "that is named above"),
        "retry_after": headers.get("retry-after", "60"),
    }
    exit_code = ExitCode.SSO_REQUIRED if code == SSO_REQUIRED else EXIT_CODES.get(status, ExitCode.SERVER)
    cure = CURES.get(code) or CURES_BY_STATUS.get(status) or LATER
    # `detail` may hold braces; `cure` is ours.
    facts = {
        "status": status,
        **{name: problem[name] for name in ("errors", "scope", "idp", "methods") if name in problem},
    }
    return Refusal(exit_code, sentence(problem, code), cure.format_map(told), code=code, **facts)


def sentence(problem: dict[str, Any], code: str) -> str:
    """What the server says happened; what is wrong with each value, where it says that."""
    said = str(problem.get("detail") or problem.get("title") or code)
    errors = problem.get("errors")
    if not isinstance(errors, list) or not errors:
        return said
    wrong = [f"{error.get('field', '?')}: {error.get('message', '?')}" for error in errors if isinstance(error, dict)]
    more = f"; and {len(wrong) - SHOWN_ERRORS} more" if len(wrong) > SHOWN_ERRORS else ""
    return f"{said} {'; '.join(wrong[:SHOWN_ERRORS])}{more}"


def unexplained(host: Host, status: int) -> Refusal:
    """An answer that is no problem detail: not from a Portico, or from one that is in trouble."""
    if status >= 500:  # noqa: PLR2004 - HTTP's own line between our faults and theirs
        return Refusal(
            ExitCode.SERVER, f"{host} has a fault of its own (HTTP {status}).", LATER.format(host=host), status=status
        )
    return Refusal(
        ExitCode.SERVER,
        f"{host} answers HTTP {status} without a reason that a Portico would give.",
        "Check the address (--host), and whether a proxy stands in between.",
        code="strange_answer",
        status=status,
    )


def strange(what: str) -> Refusal:
    """The server answers in a way that a Portico does not."""
    return Refusal(
        ExitCode.SERVER,
        f"The server does not answer as a Portico does: {what}.",
        "Check the address (--host), and whether a proxy or a sign-in page stands in between.",
        code="strange_answer",
    )
