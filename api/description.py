"""The OpenAPI 3.1 document of the door, and the page that shows it."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render

from api import door, reference
from api.access import Bearer
from api.payloads import Problem
from api.problems import CONTENT_TYPE, MEANINGS, Code, Meaning, link
from api.reading import JSON, MERGE_PATCH
from tokens.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

_REF = "#/components/schemas/{model}"
# What any call can be answered with.
_ALWAYS = (Code.MALFORMED, Code.TOO_LARGE, Code.INVALID, Code.INTERNAL)
_BEARER = tuple(
    meaning.code for meaning in MEANINGS if meaning.status == 401  # noqa: PLR2004 - the bearer check's
    and meaning.code not in {Code.CREDENTIALS_WRONG, Code.SECOND_FACTOR_REQUIRED, Code.SECOND_FACTOR_WRONG}
)  # fmt: skip
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    405: {"Allow": {"schema": {"type": "string"}}},
    412: {"ETag": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"schema": {"type": "integer"}, "description": "In seconds."}},
}
_IF_MATCH = {
    "in": "header", "name": "If-Match", "required": False, "schema": {"type": "string"},
    "description": "The ETag of the version that you have read. Needed where there is one.",
}  # fmt: skip
_IF_NONE_MATCH = {
    "in": "header", "name": "If-None-Match", "required": False, "schema": {"type": "string"},
    "description": "`*`: only if there is none yet.",
}  # fmt: skip


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The description of every route, with every status that it can answer."""
    found: dict[str, Any] = dict(door.api.get_openapi_schema(path_prefix="/api/v1/"))
    found["info"] |= {"version": "1.0.0", "license": {"name": "MIT", "identifier": "MIT"}}
    found["servers"] = [{"url": settings.PORTICO_BASE_URL}]
    scopes = dict(_scopes())
    for path in found["paths"].values():
        for method, operation in path.items():
            _complete(operation, method, scopes.get(operation["operationId"]))
    schemas = found["components"]["schemas"]
    problem = Problem.model_json_schema(ref_template=_REF)
    schemas |= problem.pop("$defs") | {"Problem": problem}
    _describe_patch(schemas)
    return found


def _scopes() -> Iterator[tuple[str, Scope]]:
    """By the operation's ID, the scope that it wants."""
    for room in door.ROOMS:
        for view in room.router.path_operations.values():
            for operation in view.operations:
                if isinstance(operation.auth_param, Bearer) and operation.auth_param.scope is not None:
                    yield str(operation.operation_id), operation.auth_param.scope


def _complete(operation: dict[str, Any], method: str, scope: Scope | None) -> None:
    """What ninja does not know: refusals, conditions, the scope."""
    codes = {*_ALWAYS, *operation.pop("x-refusals", ())}
    if "security" in operation:
        codes |= {*_BEARER, Code.TOO_MANY}
        wanted = f"Scope: `{scope}`." if scope else "Scope: none."
        operation["description"] = f"{wanted}\n\n{operation.get('description', '')}".strip()
    if scope:
        codes |= {Code.SCOPE_MISSING, Code.NOT_ALLOWED}
        operation["security"] = [{"Bearer": [scope.value]}]
    if "requestBody" in operation:
        codes.add(Code.UNSUPPORTED_MEDIA_TYPE)
        content = operation["requestBody"]["content"]
        if method == "patch":
            content[MERGE_PATCH] = content[JSON]
    if operation.pop("x-if-match", False):
        operation["parameters"].append(_IF_MATCH)
        if method == "put":
            operation["parameters"].append(_IF_NONE_MATCH)
    if operation.pop("x-etag", False):
        for status in {200, 201} & operation["responses"].keys():
            operation["responses"][status]["headers"] = {"ETag": {"schema": {"type": "string"}}}
    for status, meanings in by_status(codes, everywhere="security" in operation):
        operation["responses"][status] = _problems(status, meanings)


def by_status(codes: set[Code], *, everywhere: bool) -> Iterator[tuple[int, list[Meaning]]]:
    """The rows of these codes, by status; of a code that has two, the one that is meant here."""
    rows = [
        meaning for meaning in MEANINGS
        if meaning.code in codes
        and (meaning.code != Code.PASSWORD_SIGN_IN_OFF or everywhere == (meaning.status == 401))  # noqa: PLR2004 - the bearer check's
    ]  # fmt: skip
    for status, found in groupby(sorted(rows, key=lambda row: row.status), key=lambda row: row.status):
        yield status, list(found)


def _problems(status: int, meanings: list[Meaning]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": "\n".join(f"`{meaning.code}`: {meaning.title}." for meaning in meanings),
        "content": {
            CONTENT_TYPE: {
                "schema": {"$ref": _REF.format(model="Problem")},
                "examples": {meaning.code.value: {"value": _example(meaning)} for meaning in meanings},
            }
        },
    }
    return response | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


def _example(meaning: Meaning) -> dict[str, Any]:
    errors = {"errors": [{"field": "name", "message": "Field required."}]} if meaning.code is Code.INVALID else {}
    return {
        "type": link(meaning.code),
        "title": meaning.title,
        "status": meaning.status,
        "detail": f"{meaning.when[:1].upper()}{meaning.when[1:]}.",
        "code": meaning.code.value,
    } | errors


def _describe_patch(schemas: dict[str, Any]) -> None:
    """A patch has the members of a whole configuration, each of which may be null, and none of which is needed."""
    patch, whole = schemas["ConfigPatch"], schemas["ConfigIn"]
    patch["additionalProperties"] = False
    kept = {"description", "domains"}
    patch["properties"] = {
        name: _without_default(schema, nullable=name not in kept) for name, schema in whole["properties"].items()
        if not schema.get("readOnly")
    }  # fmt: skip


def _without_default(schema: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    plain = {name: value for name, value in schema.items() if name != "default"}
    if nullable:
        return {"anyOf": [plain, {"type": "null"}]}
    return next((part for part in plain.get("anyOf", ()) if part.get("type") != "null"), plain)


def openapi(request: HttpRequest) -> HttpResponse:
    """The document, for anybody."""
    door.only_get(request)
    return JsonResponse(document())


def docs(request: HttpRequest) -> HttpResponse:
    """The page: every call, to read and to try with a pasted token; every code, to be linked to."""
    door.only_get(request)
    codes = [(code, [row for row in MEANINGS if row.code is code]) for code in Code]
    return render(request, "api/docs.html", {"groups": _groups(), "codes": codes, "scopes": list(Scope)})


@lru_cache(maxsize=1)
def _groups() -> list[tuple[str, list[reference.Call]]]:
    return reference.groups(document())
