"""What somebody holds by one identity provider's word, and bringing that up to date: few statements, however much.

The tables are several and the statements are one: one SELECT reads all grants of one source, one statement removes,
adds and changes whatever is to be. Rows of another source, an administrator's above all, are not in any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Q

from audit.statements import execute
from orgs.models import (
    AccessLevel,
    BillingPermission,
    Grant,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    PropertyGrant,
    RoleGrant,
    Source,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from accounts.models import User


class What(StrEnum):
    """The kinds of things that an identity provider can give."""

    LEVEL = "access level"
    ORGANIZATION = "organisation"
    GROUP = "access group"
    ROLE = "role"
    PROPERTY = "property"


@dataclass(frozen=True, slots=True)
class _Table:
    """Where grants of a kind are: the column that names the thing, the one that ranks it, and the thing's label."""

    model: type[Grant]
    thing: str = ""
    rank: str = ""
    label: str = ""


TABLES = {
    What.LEVEL: _Table(LevelGrant, rank="level"),
    What.ORGANIZATION: _Table(Membership, "organization", "role", "name"),
    What.GROUP: _Table(GroupMembership, "group", label="name"),
    What.ROLE: _Table(RoleGrant, "role", label="name"),
    What.PROPERTY: _Table(PropertyGrant, "property", label="external_id"),
}
# Everything that somebody can be given, by whatever source.
ALL: tuple[type[Grant], ...] = (*(table.model for table in TABLES.values()), BillingPermission)


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that a source gives: of what kind, which (its primary key; 0 for the level), and why.

    `rank` is the level, or the role in the organisation; 0 elsewhere. `via`, `attribute` and `value` say what in the
    assertion gave it; `label` is its name for people.
    """

    what: What
    id: int
    label: str
    via: str
    rank: int = 0
    attribute: str = field(default="", compare=False)
    value: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[What, int, str]:
        """What a source gives once."""
        return (self.what, self.id, self.via)

    def __str__(self) -> str:
        if self.what is What.LEVEL:
            return f"{self.what} {AccessLevel(self.rank).label}"
        if self.what is What.ORGANIZATION:
            return f"{self.what} {self.label} ({MembershipRole(self.rank).label})"
        return f"{self.what} {self.label}"


@dataclass(frozen=True, slots=True)
class Held:
    """A thing that is held, and the primary key of its row."""

    row: int
    thing: Thing


@dataclass(frozen=True, slots=True)
class Change:
    """From what a source gave to what it gives now.

    `granted` is new or of another rank, `kept` is as it was, `revoked` goes; `rewritten` are those of the kept whose
    reason is another one now. Rows to be deleted are `gone`.
    """

    granted: tuple[Thing, ...] = ()
    kept: tuple[Thing, ...] = ()
    revoked: tuple[Thing, ...] = ()
    rewritten: tuple[Thing, ...] = ()
    gone: tuple[Held, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.granted or self.revoked or self.rewritten)


def held(user: User, source_id: object) -> list[Held]:
    """What the person has by this identity provider's word. One query."""
    with execute(_held_sql(), [user.pk, str(source_id)]) as cursor:
        return [
            Held(row, Thing(What(what), thing, label, via, rank, attribute, value))
            for what, row, thing, label, via, rank, attribute, value in cursor.fetchall()
        ]


@cache
def _held_sql() -> str:
    parts = []
    for what, table in TABLES.items():
        grants = _quoted(table.model)
        thing, label, join = "0", "''", ""
        if table.thing:
            thing, label = f"g.{table.thing}_id", f"t.{table.label}"
            join = f" JOIN {_quoted(_model_of(table))} t ON t.id = g.{table.thing}_id"
        parts.append(
            f"SELECT '{what.value}', g.id, {thing}, {label}, g.via, {f'g.{table.rank}' if table.rank else '0'}, "  # noqa: S608 - names of ours
            f"g.attribute, g.value FROM {grants} g{join} "
            f"WHERE g.user_id = $1 AND g.source = '{Source.IDP}' AND g.source_id = $2"
        )
    return " UNION ALL ".join(parts)


def compare(wanted: Iterable[Thing], holding: Iterable[Held]) -> Change:
    """What is to change for the person to hold what is wanted, of this one source."""
    by_key = {one.thing.key: one for one in holding}
    things = {thing.key: thing for thing in wanted}
    granted, kept, rewritten, revoked = [], [], [], []
    for key, thing in things.items():
        old = by_key.get(key)
        if old is None or old.thing.rank != thing.rank:
            granted.append(thing)
        else:
            kept.append(thing)
            if (old.thing.attribute, old.thing.value) != (thing.attribute, thing.value):
                rewritten.append(thing)
    gone = tuple(one for key, one in by_key.items() if key not in things)
    # Something of another rank is given and taken in one: what is lost of it is on record as well.
    revoked = [one.thing for key, one in by_key.items() if key not in things or one.thing.rank > things[key].rank]
    return Change(tuple(granted), tuple(kept), tuple(revoked), tuple(rewritten), gone)


def apply(change: Change, user: User, *, source_id: object, label: str, now: datetime) -> None:
    """Write a change down, in the caller's transaction: one statement, whatever there is to write.

    The caller holds the person's row locked, so that nobody else changes what this source gave meanwhile. Raises
    django.db.IntegrityError at commit where a thing was deleted a moment ago: plan again.
    """
    parts: list[str] = []
    values: list[Any] = []
    writing = (*change.granted, *change.rewritten)
    for what, table in TABLES.items():
        gone = [one.row for one in change.gone if one.thing.what is what]
        if gone:
            parts.append(f"DELETE FROM {_quoted(table.model)} WHERE id = ANY(%s)")  # noqa: S608 - names of ours
            values.append(gone)
        if things := [thing for thing in writing if thing.what is what]:
            parts.append(_upsert_sql(what))
            values += [user.pk, Source.IDP.value, str(source_id), label[:254], str(source_id), now]
            values += [[getattr(thing, name) for thing in things] for name in ("via", "attribute", "value")]
            values += [[thing.id for thing in things], [thing.rank for thing in things]]
    if not parts:
        return
    steps = ", ".join(f"step_{number} AS ({part})" for number, part in enumerate(parts))
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {steps} SELECT 1", values)


@cache
def _upsert_sql(what: What) -> str:
    table = TABLES[what]
    own = [f"{table.thing}_id"] if table.thing else []
    ranked = [table.rank] if table.rank else []
    columns = [
        "user_id", "source", "source_id", "given_by", "given_by_id", "given_at", "via", "attribute", "value", *own,
        *ranked,
    ]  # fmt: skip
    chosen = [
        "given.via",
        "given.attribute",
        "given.value",
        *(["given.thing"] if own else []),
        *(["given.rank"] if ranked else []),
    ]
    changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in ("given_by", "attribute", "value", *ranked))
    for rank in ranked:
        # Another reason for the same says nothing about since when; another rank is given only now.
        changed += f", given_at = CASE WHEN mine.{rank} = EXCLUDED.{rank} THEN mine.given_at ELSE EXCLUDED.given_at END"
    return (
        f"INSERT INTO {_quoted(table.model)} AS mine ({', '.join(columns)}) "  # noqa: S608 - names of ours
        f"SELECT %s, %s, %s, %s, %s, %s, {', '.join(chosen)} "
        "FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::smallint[]) "
        "AS given (via, attribute, value, thing, rank) "
        f"ON CONFLICT ({', '.join(['user_id', *own, 'source', 'source_id', 'via'])}) DO UPDATE SET {changed}"
    )


def _model_of(table: _Table) -> Any:
    return table.model._meta.get_field(table.thing).related_model  # noqa: SLF001 - Django's public name for it


def _quoted(model: Any) -> str:
    return connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001 - Django's public name for it


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Roles and properties that exist, of those that were asked for: each with its primary key and its name."""

    roles_by_name: dict[str, tuple[int, str]]
    roles_by_group: dict[str, tuple[int, str]]
    properties: dict[str, tuple[int, str]]


def find(*, role_names: Sequence[str], group_values: Sequence[str], property_ids: Sequence[str]) -> Catalogue:
    """Look up what an assertion names, exactly. One query, none if it names nothing."""
    found = Catalogue({}, {}, {})
    if not (role_names or group_values or property_ids):
        return found
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 'role', id, name, group_name FROM orgs_role "
            "WHERE name = ANY(%s) OR (group_name = ANY(%s) AND group_name <> '') "
            "UNION ALL SELECT 'property', id, external_id, name FROM orgs_property WHERE external_id = ANY(%s)",
            [list(role_names), list(group_values), list(property_ids)],
        )
        wanted_names, wanted_groups = set(role_names), set(group_values)
        for kind, key, name, other in cursor.fetchall():
            if kind == "property":
                found.properties[name] = (key, name)
                continue
            if name in wanted_names:
                found.roles_by_name[name] = (key, name)
            if other in wanted_groups:
                found.roles_by_group[other] = (key, name)
    return found


def forget(source_id: object, user: User | None = None) -> int:
    """Take away what this identity provider gave: to one person, or to all; returns how many grants there were.

    For when it does not vouch any more: the identity is removed, or the identity provider is.
    """
    gone = 0
    for table in TABLES.values():
        rows = table.model.objects.filter(source=Source.IDP, source_id=str(source_id))
        gone += (rows.filter(user=user) if user else rows).delete()[0]
    return gone


def cap(source_id: object, ceiling: AccessLevel) -> int:
    """Lower the levels that this identity provider gave to a ceiling that is lower now; returns how many."""
    above = LevelGrant.objects.filter(source=Source.IDP, source_id=str(source_id), level__gt=ceiling)
    return above.delete()[0] if ceiling == AccessLevel.NONE else above.update(level=ceiling)


def described(gone: User) -> list[str]:
    """What `merge` moves, in words. One query for each kind."""
    found: list[str] = []
    for model in ALL:
        named = ["user", *(name for name in [_thing_of(model)] if name)]
        rows = model.objects.filter(user=gone).select_related(*named).order_by("pk")
        found += [f"{grant} ({grant.why})" for grant in rows]
    return found


def take_over(gone: User, keep: User) -> int:
    """Move what one account was given to the other, which may have it already; returns how many moved."""
    moved = 0
    for model in ALL:
        for grant in model.objects.filter(user=gone).order_by("pk"):
            moved += _move(model, grant, keep)
    return moved


_REASON = ("given_by", "given_by_id", "given_at", "attribute", "value")


def _move(model: type[Grant], grant: Grant, keep: User) -> int:
    """Move one grant; of two of the same thing by the same source the higher rank stays, with who gave it and why."""
    thing = _thing_of(model)
    rank = next((table.rank for table in TABLES.values() if table.model is model), "")
    same = Q(source=grant.source, source_id=grant.source_id, via=grant.via)
    if thing:
        same &= Q(**{f"{thing}_id": getattr(grant, f"{thing}_id")})
    other = model.objects.filter(same, user=keep).first()
    if other is not None:
        if rank and getattr(grant, rank) > getattr(other, rank):
            model.objects.filter(pk=other.pk).update(**{name: getattr(grant, name) for name in (rank, *_REASON)})
        grant.delete()
        return 0
    return int(model.objects.filter(pk=grant.pk).update(user=keep))


def _thing_of(model: type[Grant]) -> str:
    """The column that names what is given; the level has none."""
    return next((table.thing for table in TABLES.values() if table.model is model), "billing_account")
