"""SQL that the ORM writes once per process, for the few statements that every sign-in waits for.

Django builds the text of a query anew for each call, which costs several times what PostgreSQL takes to answer it. A
`Select` or an `Update` here is the same queryset with `Given` in the place of its values: it is compiled at its first
use, and from then on a call only binds values. `insert` does the same for a new row. They run through Django's own
cursor, in the caller's transaction, and raise django.db's errors. Models that react to being saved (defaults aside) are
not for `insert`: it does what `Model.save` does to the database, and calls neither `save` nor signals.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Expression, Model
from django.db.models import query as django_query
from django.db.models.sql import UpdateQuery
from psycopg import RawCursor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.backends.utils import CursorWrapper
    from django.db.models import Field, QuerySet

_Row = TypeVar("_Row", bound=Model)
# Its stubs are of a later Django, whose function wants one argument more.
populators_of: Any = django_query.get_related_populators


class Given(Expression):
    """A value that each call of a statement brings along, by this name, as the database takes it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:  # noqa: ARG002 - Django's signature
        """A placeholder, whose parameter is this object until a call replaces it."""
        return "%s", (self,)


def execute(sql: str, values: list[Any]) -> CursorWrapper:
    """Run one statement in Django's wrapping, on a cursor whose statements the server prepares when they come often.

    Its placeholders are PostgreSQL's own: $1, $2.

    Django offers prepared statements for all that it sends or for none, and some of what the ORM sends does not suit
    them. In its log of queries one that is prepared has no text.
    """
    database = cast("Any", connections[DEFAULT_DB_ALIAS])
    database.ensure_connection()
    cursor: CursorWrapper = database._prepare_cursor(RawCursor(database.connection))  # noqa: SLF001 - as said above
    cursor.execute(sql, values)
    return cursor


def _numbered(sql: str) -> str:
    """Django's placeholders as PostgreSQL has them: nothing is left to be read in the text at each call."""
    parts = sql.split("%s")
    return "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], 1)) + parts[-1]


def _bound(parameters: tuple[Any, ...], given: dict[str, Any]) -> list[Any]:
    return [given[parameter.name] if isinstance(parameter, Given) else parameter for parameter in parameters]


class Select(Generic[_Row]):
    """A query for at most one row, with what `select_related` and `annotate` add to it."""

    def __init__(self, build: Callable[[], QuerySet[_Row]]) -> None:
        self._build = build

    @cached_property
    def _compiled(self) -> tuple[str, tuple[Any, ...], Callable[[tuple[Any, ...]], _Row]]:
        compiler = self._build()[:1].query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        info, select = compiler.klass_info, compiler.select
        begin, end = info["select_fields"][0], info["select_fields"][-1] + 1
        names = [column.target.attname for column, _sql, _alias in select[begin:end]]
        populators = populators_of(info, select, connection.alias)
        annotated = tuple(compiler.annotation_col_map.items())
        converters = compiler.get_converters([column for column, _sql, _alias in select])

        def read(row: tuple[Any, ...]) -> _Row:
            if converters:
                row = next(iter(compiler.apply_converters([row], converters)))
            found: _Row = info["model"].from_db(connection.alias, names, row[begin:end])
            for populator in populators:
                populator.populate(row, found)
            for name, position in annotated:
                setattr(found, name, row[position])
            return found

        return _numbered(sql), tuple(parameters), read

    def first(self, **given: Any) -> _Row | None:
        """The row, or None."""
        sql, parameters, read = self._compiled
        with execute(sql, _bound(parameters, given)) as cursor:
            row = cursor.fetchone()
        return None if row is None else read(row)


class Update:
    """An UPDATE of the rows of a queryset."""

    def __init__(self, build: Callable[[], QuerySet[Any]], **values: Expression) -> None:
        self._build = build
        self._values = values

    @cached_property
    def _compiled(self) -> tuple[str, tuple[Any, ...]]:
        query: Any = self._build().query.chain(UpdateQuery)
        query.add_update_values(self._values)
        sql, parameters = query.get_compiler(connection=connection).as_sql()
        return _numbered(sql), tuple(parameters)

    def run(self, **given: Any) -> int:
        """Returns how many rows there were."""
        sql, parameters = self._compiled
        with execute(sql, _bound(parameters, given)) as cursor:
            return int(cursor.rowcount)


@cache
def _insertion(models: tuple[type[Model], ...]) -> tuple[str, tuple[tuple[Field[Any, Any], ...], ...]]:
    """One statement that writes a row of each of these models, and the fields whose values it wants."""
    quote = connection.ops.quote_name
    parts, fields = [], []
    for model in models:
        meta = model._meta  # noqa: SLF001 - Django's public name for it
        written = tuple(field for field in meta.concrete_fields if not getattr(field, "db_returning", False))
        columns = ", ".join(quote(str(field.column)) for field in written)
        marks = ", ".join(["%s"] * len(written))
        parts.append(f"INSERT INTO {quote(meta.db_table)} ({columns}) VALUES ({marks})")  # noqa: S608 - names of ours
        fields.append(written)
    before = ", ".join(f"row_{number} AS ({part})" for number, part in enumerate(parts[:-1]))
    return _numbered(f"WITH {before} {parts[-1]}" if before else parts[-1]), tuple(fields)


_collected: ContextVar[list[Model] | None] = ContextVar("collected", default=None)


def insert(row: Model) -> None:
    """Write a new row, or let it wait for the end of `together`. A key that the database makes is not read back."""
    collected = _collected.get()
    if collected is None:
        _write([row])
    else:
        collected.append(row)


@contextmanager
def together() -> Iterator[None]:
    """Write the rows that are inserted meanwhile in one statement, at the end; none, if the block raises."""
    rows: list[Model] = []
    token = _collected.set(rows)
    try:
        yield
    finally:
        _collected.reset(token)
    if rows:
        _write(rows)


def _write(rows: list[Model]) -> None:
    sql, fields = _insertion(tuple(type(row) for row in rows))
    database = connections[DEFAULT_DB_ALIAS]
    values = [
        field.get_db_prep_save(getattr(row, field.attname), database)
        for row, written in zip(rows, fields, strict=True)
        for field in written
    ]
    execute(sql, values).close()
