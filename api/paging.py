"""Lists come in pages.

A cursor is the sort key of the last row shown, signed: what is added or removed meanwhile neither repeats a row nor
hides one.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from django.core import signing
from django.db.models import Q
from pydantic import BaseModel, Field

from api.problems import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model, QuerySet

_Row = TypeVar("_Row", bound="Model")
MAX_CURSOR = 3500  # a name of 200 characters, each of which takes 12 in JSON's escapes and 16 in base 64


class Paging(BaseModel):
    """Which page is wanted."""

    cursor: Annotated[str, Field(max_length=MAX_CURSOR, description="`next` of the page before.")] = ""
    limit: Annotated[int, Field(ge=1, le=200, description="How many items at most.")] = 50


def page(rows: QuerySet[_Row], paging: Paging, *, of: str, by: Sequence[str]) -> tuple[list[_Row], str | None]:
    """The rows of this page, and the cursor of the next one if there is one. One query.

    `of` names the list: a cursor of another one is refused. `by` are the columns of its order, together unique, all
    with a hyphen (descending) or none. Raises Refused.
    """
    names = [name.removeprefix("-") for name in by]
    ordered = rows.order_by(*by)
    if paging.cursor:
        ordered = ordered.filter(_beyond(names, _read(paging.cursor, of, len(by)), descending=by[0].startswith("-")))
    found = list(ordered[: paging.limit + 1])
    if len(found) <= paging.limit:
        return found, None
    last = found[paging.limit - 1]
    return found[: paging.limit], signing.dumps([_plain(last, name) for name in names], salt=_salt(of))


def _salt(of: str) -> str:
    return f"api.paging:{of}"


def _plain(row: Model, name: str) -> Any:
    value: Any = row
    for part in name.split("__"):
        value = getattr(value, part)
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, int) else str(value)


def _read(cursor: str, of: str, length: int) -> list[Any]:
    try:
        values: list[Any] = signing.loads(cursor, salt=_salt(of))
    except signing.BadSignature:
        values = []
    if len(values) != length:
        raise Refused(Code.MALFORMED, "The cursor is none of this list: take `next` of the page before, as it is.")
    return values


def _beyond(names: list[str], values: list[Any], *, descending: bool) -> Q:
    """Behind this row in the order: (a, b) > (x, y) is a > x, or a = x and b > y."""
    beyond, same = Q(), Q()
    for name, value in zip(names, values, strict=True):
        beyond |= same & Q(**{f"{name}__{'lt' if descending else 'gt'}": value})
        same &= Q(**{name: value})
    return beyond
