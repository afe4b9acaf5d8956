"""The REST door: what every route has in common, and the one place where refusals become answers."""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING, Any

import pydantic
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.errors import ValidationError as NinjaValidationError

from api import identity_providers, login, organizations, own, people
from api.problems import REALM, WRONG_VALUE, Code, Fault, Refused, answer, not_found
from api.reading import StrictParser
from saml_sp.transport import drop_body
from tokens import bearer, issuing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.http import HttpRequest

logger = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
MAX_CONFIG = 3 * 1024 * 1024  # metadata of 1 MiB, in JSON's escapes; Django reads no more than this

api = NinjaAPI(
    title="Portico",
    version="1",
    description="Tokens, people and identity providers, for programs.",
    urls_namespace="api",
    docs_url=None,
    openapi_url=None,
    parser=StrictParser(),
)
ROOMS = (login, own, organizations, people, identity_providers)
for room in ROOMS:
    api.add_router("", room.router)


# --- Refusals -------------------------------------------------------------------------------------------------------


def refusal_of(error: Exception) -> Refused:
    """What an exception means to the client. What nobody has thought of is written to the log, and is a 500."""
    if isinstance(error, HttpError) and isinstance(error.__cause__, Refused):
        return error.__cause__  # ninja's wrapping of what the parser raises
    for kinds, meaning in _WHAT_IT_MEANS:
        if isinstance(error, kinds):
            return meaning(error)
    logger.error("A call of the REST door broke", exc_info=error)
    return Refused(Code.INTERNAL, "Something broke here. It is on record; try again later.")


def _bearer(error: bearer.BearerRefused) -> Refused:
    """RFC 6750 3: without any token, the header says no more than how to send one."""
    header = REALM if error.code == Code.TOKEN_MISSING else f'{REALM}, error="invalid_token"'
    members: dict[str, Any] = {"idp": error.idp} if error.idp else {}
    return Refused(Code(error.code), error.detail, status=401, headers={"WWW-Authenticate": header}, **members)


def _too_many(error: bearer.TooMany) -> Refused:
    return Refused(Code.TOO_MANY, error.detail, headers={"Retry-After": str(error.retry_after)})


def _no_token(error: issuing.IssueRefused) -> Refused:
    if not error.field:
        return Refused(Code.CONFLICT, str(error))
    return Refused(Code.INVALID, WRONG_VALUE, faults=[Fault(error.field, str(error))])


def _in_request(error: NinjaValidationError) -> Refused:
    # The first part is where it came from. A body has one parameter, whose name clients do not see.
    return invalid(error.errors, of=lambda place: place[2:] if place[0] == "body" else place[1:])


def _in_document(error: pydantic.ValidationError) -> Refused:
    return invalid(error.errors(include_url=False, include_input=False, include_context=False), of=tuple)


_WHAT_IT_MEANS: tuple[tuple[Any, Callable[[Any], Refused]], ...] = (
    (Refused, lambda error: error),
    (bearer.BearerRefused, _bearer),
    (bearer.TooMany, _too_many),
    (issuing.IssueRefused, _no_token),
    (NinjaValidationError, _in_request),
    (pydantic.ValidationError, _in_document),
    (RequestDataTooBig, lambda _: Refused(Code.TOO_LARGE, f"The body may have {MAX_CONFIG} bytes.")),
    (
        (HttpError, UnreadablePostError, SuspiciousOperation, BadRequest),
        lambda _: Refused(Code.MALFORMED, "The request cannot be read."),
    ),
    (Http404, lambda _: not_found()),
)


def invalid(errors: Iterable[Any], *, of: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Refused:
    """The refusal of the values that pydantic found wrong; none is repeated."""
    faults = [Fault(".".join(map(str, of(error["loc"]))), _sentence(error["msg"])) for error in errors]
    return Refused(Code.INVALID, WRONG_VALUE, faults=faults)


def _sentence(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return f"{text[:1].upper()}{text[1:]}."


def _refuse(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """Ninja's hook for what is raised behind the door."""
    return refused(request, error if isinstance(error, Exception) else error())


def refused(request: HttpRequest, error: Exception) -> HttpResponse:
    """The answer to an exception. A body that is too large is let go by first, so that its sender reads the answer."""
    refusal = refusal_of(error)
    if refusal.code is Code.TOO_LARGE:
        drop_body(request)
    return answer(refusal)


for kind in (Exception, Http404, HttpError, NinjaValidationError):
    api.add_exception_handler(kind, _refuse)


# --- Around every route ---------------------------------------------------------------------------------------------


def known_parameters_only(run: Any) -> Any:
    """Refuse what a route does not know in the query: a mistyped `dry_run` must not be carried out."""
    models = [model for model in run.__self__.models if model.__ninja_param_source__ == "query"]
    known = {name for model in models for name in model.__ninja_flatten_map__}

    @wraps(run)
    def checked(request: HttpRequest, **values: Any) -> Any:
        if unknown := sorted(set(request.GET) - known):
            text = f"There is no such parameter here. Known: {', '.join(sorted(known)) or 'none'}."
            faults = [Fault(name[:80], text) for name in unknown]
            return answer(Refused(Code.INVALID, "A parameter is wrong: errors says which.", faults=faults))
        return run(request, **values)

    return checked


api.add_decorator(known_parameters_only, mode="view")


def guarded(view: Callable[..., Any]) -> Callable[..., HttpResponse]:
    """What holds at every address: the size of a body, HEAD and OPTIONS, and a problem for whatever goes wrong."""

    @csrf_exempt
    @wraps(view, assigned=())
    def door(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            check_size(request)
            if request.method == "HEAD":
                request.method = "GET"  # the server leaves the body out
            response: HttpResponse = view(request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the door is where all of them end; refusal_of logs what is new
            return refused(request, error)
        return response if response.status_code != 405 else other_method(request, response)  # noqa: PLR2004 - ninja's answer

    return door


def check_size(request: HttpRequest) -> None:
    """Raises Refused for a body that is too large by its own account."""
    most = MAX_CONFIG if request.path.startswith("/api/v1/saml-config/") else MAX_BODY
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or len(length) > 12 or int(length) > most:  # noqa: PLR2004 - no number worth reading
        raise Refused(Code.TOO_LARGE, f"The body may have {most} bytes here.")


def only_get(request: HttpRequest) -> None:
    """Raises Refused for another method than GET (HEAD has become one)."""
    if request.method != "GET":
        raise Refused(
            Code.METHOD_NOT_ALLOWED, "That method is not for this address.", headers={"Allow": "GET, HEAD"}
        )  # fmt: skip


def other_method(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The answer to OPTIONS, or 405 with the methods that there are."""
    methods = {*response.headers["Allow"].split(", "), "OPTIONS"}
    allow = {"Allow": ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))}
    if request.method == "OPTIONS":
        return HttpResponse(status=204, headers=allow)
    return answer(Refused(Code.METHOD_NOT_ALLOWED, "That method is not for this address.", headers=allow))


@csrf_exempt
def nowhere(request: HttpRequest) -> HttpResponse:
    """404 for every address below /api/ that is none of ours; there are no redirects to one that is."""
    detail = "There is nothing at this address."
    if request.path.endswith("/"):
        detail += " Addresses of this door have no slash at their end."
    return answer(Refused(Code.NOT_FOUND, detail))
