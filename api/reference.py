"""The page's view of the description: calls in groups, each with an example that can be read and tried."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from api.problems import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator

_JSON = "application/json"
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Parameter:
    """What goes into the address or a header."""

    name: str
    place: str
    required: bool
    what: str
    example: str

    @property
    def where(self) -> str:
        """Where it goes, and whether it must, in words."""
        return f"{self.place}, needed" if self.required else self.place


@dataclass(frozen=True, slots=True)
class Answer:
    """One status: the codes that come with it, or an example of the body; neither where there is no body."""

    status: int
    codes: tuple[str, ...]
    example: str


@dataclass(frozen=True, slots=True)
class Call:
    """One operation."""

    id: str
    method: str
    path: str
    group: str
    summary: str
    scope: str
    paragraphs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    body: str
    answers: tuple[Answer, ...]
    needs_token: bool


def groups(document: dict[str, Any]) -> list[tuple[str, list[Call]]]:
    """The calls of an OpenAPI document by their first tag, in the order in which they stand there."""
    calls = [
        _call(document, path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    order = list(dict.fromkeys(call.group for call in calls))
    calls.sort(key=lambda call: order.index(call.group))
    return [(name, list(found)) for name, found in groupby(calls, key=lambda call: call.group)]


def _call(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Call:
    scope, *paragraphs = _paragraphs(operation) if "security" in operation else ["", *_paragraphs(operation)]
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    return Call(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        group=operation["tags"][0],
        summary=operation["summary"],
        scope=scope.removeprefix("Scope: ").strip("`."),
        paragraphs=tuple(paragraphs),
        parameters=tuple(_parameter(item) for item in operation["parameters"]),
        body=_written(example(document, body["schema"], whole=False)) if body else "",
        answers=tuple(_answers(document, operation["responses"])),
        needs_token="security" in operation,
    )


def _paragraphs(operation: dict[str, Any]) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", operation.get("description", ""))]


def _parameter(item: dict[str, Any]) -> Parameter:
    schema = item["schema"]
    examples = schema.get("examples") or [""]
    return Parameter(item["name"], item["in"], item["required"], item.get("description", ""), str(examples[0]))


def _answers(document: dict[str, Any], responses: dict[Any, Any]) -> Iterator[Answer]:
    for status, response in sorted(responses.items()):
        content = response.get("content", {})
        if _JSON in content:
            yield Answer(status, (), _written(example(document, content[_JSON]["schema"], whole=True)))
        else:
            yield Answer(status, tuple(content.get(CONTENT_TYPE, {}).get("examples", ())), "")


def _written(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def example(document: dict[str, Any], schema: dict[str, Any], *, whole: bool, depth: int = 0) -> Any:  # noqa: PLR0911 - JSON Schema has as many kinds
    """A value that fits the schema: its own example where it has one. `whole` adds members that may be left out."""
    if depth > _DEEPEST:
        return None
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("examples"):
        return schema["examples"][0]
    for several in ("anyOf", "allOf"):
        if several in schema:
            chosen = next(part for part in schema[several] if part.get("type") != "null")
            return example(document, chosen, whole=whole, depth=depth + 1)
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            needed = schema.get("required", ())
            return {
                name: example(document, part, whole=whole, depth=depth + 1)
                for name, part in schema.get("properties", {}).items()
                if whole or name in needed
            }
        case "array":
            return [example(document, schema["items"], whole=whole, depth=depth + 1)]
        case kind:
            return _plain(kind, schema.get("format", ""))


def _plain(kind: str | None, form: str) -> Any:
    texts = {"uuid": "4c7f0b1e-3f53-4a86-9d52-3f1a1d1f6c0e", "date-time": "2026-01-31T09:30:00Z"}
    return {"string": texts.get(form, "…"), "integer": 1, "boolean": True}.get(kind or "")
