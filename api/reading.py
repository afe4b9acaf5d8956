"""Reading a JSON body: strictly, so that whatever two parsers could understand differently is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from ninja.parser import Parser

from api.problems import Code, Refused, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

MAX_DEPTH = 12
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"  # RFC 7396


class StrictParser(Parser):
    """Ninja's hook for bodies."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The JSON value of the body. Raises Refused, with a sentence on what was expected."""
        check_media_type(request)
        try:
            text = request.body.decode()
        except UnicodeDecodeError:
            raise Refused(Code.MALFORMED, "The body is not UTF-8.") from None
        value = parse(text)
        check_texts(value)
        return value


def check_media_type(request: HttpRequest) -> None:
    """Raises Refused for a body that does not say that it is JSON in UTF-8."""
    accepted = (JSON, MERGE_PATCH) if request.method == "PATCH" else (JSON,)
    charset = (request.content_params or {}).get("charset", "utf-8")
    if request.content_type not in accepted or charset.lower() not in {"utf-8", "utf8"}:
        came = request.content_type[:80] if request.content_type else "no Content-Type"
        raise Refused(
            Code.UNSUPPORTED_MEDIA_TYPE, f"Send JSON in UTF-8, as {' or '.join(accepted)}. It came as {came}."
        )


def parse(text: str) -> Any:
    """The value of a JSON text (RFC 8259): no member twice, no NaN, no number that nobody can hold. Raises Refused."""
    try:
        return json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_constant)
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        # The parser's own words and the place; the text is not repeated.
        raise Refused(
            Code.MALFORMED, f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except ValueError as error:  # Python's limit on digits
        raise Refused(Code.MALFORMED, "The body holds a number with too many digits.") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Refused(Code.MALFORMED, "A member stands twice in one object of the body.")
    return members


def _no_constant(_text: str) -> NoReturn:
    raise Refused(Code.MALFORMED, "The body is not JSON: NaN and Infinity are no numbers.")


def check_texts(value: Any) -> None:
    """Raises Refused for a text that the database cannot hold, or for nesting that no configuration needs."""
    for path, text in _texts(value, (), 0):
        if "\0" in text:
            raise invalid(".".join(path), "It holds a NUL character.")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise Refused(Code.MALFORMED, "The body holds half of a surrogate pair, which is no character.")


def _texts(value: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], str]]:
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, str(index)), depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield path, name
            yield from _texts(item, (*path, name), depth + 1)


def _too_deep() -> Refused:
    return Refused(Code.MALFORMED, f"The body is nested more than {MAX_DEPTH} deep.")
