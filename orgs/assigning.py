"""What is given and taken by hand: the administration, the REST door and commands all go through here.

Each function is one transaction and leaves its events in the audit log. Rows that an identity provider's word has made
are never touched; they go only where the thing itself is removed. Whoever changes grants of an organisation, group,
role, property or billing account holds its row locked, in an order of keys, so that two at once take turns; a login
does not wait for that, for its foreign keys ask less of the row (FOR KEY SHARE beside FOR NO KEY UPDATE).
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import IntegrityError, OperationalError, connection, transaction

from accounts.models import User
from audit import log
from audit.kinds import Kind
from audit.models import Event
from orgs.grants import What
from orgs.models import (
    AccessGroup,
    AccessLevel,
    BillingAccount,
    BillingPermission,
    Grant,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    Organization,
    Property,
    PropertyGrant,
    Role,
    RoleGrant,
    Source,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from accounts.actors import Actor

Thing = Organization | AccessGroup | Role | Property | BillingAccount
_Result = TypeVar("_Result")

# A removal waits so long for a login that holds what it wants, lets go of everything, and tries again. It is less than
# PostgreSQL's deadlock_timeout, so that of the two it is the removal that gives way.
PATIENCE = "500ms"
ATTEMPTS = 6
_WAITED_TOO_LONG = frozenset({"55P03", "40P01"})  # lock_not_available, deadlock_detected


class Refused(Exception):
    """It was not done, and nothing else was; `str()` is a sentence for whoever asked."""


class LastAdministrator(Refused):
    """An organisation would be left without an administrator, and nobody has said that this is meant."""

    def __init__(self, organizations: Sequence[Organization]) -> None:
        names = ", ".join(map(str, organizations[:5])) + (" and others" if len(organizations) > 5 else "")  # noqa: PLR2004 - enough to know what it is about
        super().__init__(
            f"{names} would have no administrator any more. Confirm that this is meant, or name one first."
        )
        self.organizations = tuple(organizations)


class OwnAccess(Refused):
    """Somebody who is not a superuser wants to change what they have themselves."""

    def __init__(self) -> None:
        super().__init__("Nobody changes what they have themselves: a superuser, or a colleague, has to do this.")


class SuperusersOnly(Refused):
    """What only superusers give and take."""

    def __init__(self) -> None:
        super().__init__("Only superusers give the access level super_admin, or take it away.")


class NotByHand(Refused):
    """What an identity provider asserts is changed there, or in its mapping."""

    def __init__(self, grant: Grant) -> None:
        super().__init__(f"This is not given by hand ({grant.why}). Change it there, or in the provider's mapping.")


class Gone(Refused):
    """What this is about was changed or removed at the same moment."""

    def __init__(self) -> None:
        super().__init__("It was changed or removed by somebody else a moment ago. Nothing was done; look again.")


class Busy(Refused):
    """Logins kept what is to be removed in use all the time."""

    def __init__(self, thing: object) -> None:
        super().__init__(f"{thing} is being given to people who sign in at this moment. Try again in a minute.")


@dataclass(frozen=True, slots=True)
class Assignable:
    """A kind of thing: what it is called, its grants and their column, and the events of its life."""

    what: str
    grant: type[Grant]
    column: str
    created: Kind
    changed: Kind
    removed: Kind


ASSIGNABLE: dict[type[Thing], Assignable] = {
    Organization: Assignable(
        What.ORGANIZATION, Membership, "organization",
        Kind.ORGANIZATION_CREATED, Kind.ORGANIZATION_CHANGED, Kind.ORGANIZATION_REMOVED,
    ),
    AccessGroup: Assignable(
        What.GROUP, GroupMembership, "group",
        Kind.ACCESS_GROUP_CREATED, Kind.ACCESS_GROUP_CHANGED, Kind.ACCESS_GROUP_REMOVED,
    ),
    Role: Assignable(What.ROLE, RoleGrant, "role", Kind.ROLE_CREATED, Kind.ROLE_CHANGED, Kind.ROLE_REMOVED),
    Property: Assignable(
        What.PROPERTY, PropertyGrant, "property",
        Kind.PROPERTY_CREATED, Kind.PROPERTY_CHANGED, Kind.PROPERTY_REMOVED,
    ),
    BillingAccount: Assignable(
        "billing account", BillingPermission, "billing_account",
        Kind.BILLING_ACCOUNT_CREATED, Kind.BILLING_ACCOUNT_CHANGED, Kind.BILLING_ACCOUNT_REMOVED,
    ),
}  # fmt: skip
COLUMN_OF: dict[type[Grant], str] = {kind.grant: kind.column for kind in ASSIGNABLE.values()}


@dataclass(frozen=True, slots=True)
class Wanted:
    """That somebody is to have something; `rank` is the role in an organisation, 0 elsewhere."""

    user: User
    thing: Thing
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What is wanted, held against what was given by hand so far: `was` is None where nothing was."""

    wanted: Wanted
    was: int | None = None
    row: int | None = None

    @property
    def state(self) -> str:
        """New, changed or unchanged."""
        if self.was is None:
            return "new"
        return "unchanged" if self.was == self.wanted.rank else "changed"

    @property
    def demotes(self) -> bool:
        """Whether an administrator is one no more."""
        return self.was == MembershipRole.ADMIN and self.state == "changed"


@dataclass(frozen=True, slots=True)
class Assigned:
    """What came of assigning: how many grants are new, how many have another rank, how many were so already."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


# --- Giving ---


def assign(  # noqa: PLR0913 - who, what and as what; by whom and when
    user: User, thing: Thing, *, rank: int = 0, now: datetime, actor: Actor, even_last_admin: bool = False
) -> Assigned:
    """Give somebody something, or change their role in an organisation; see `assign_all`."""
    return assign_all([Wanted(user, thing, rank)], now=now, actor=actor, even_last_admin=even_last_admin)


def assign_many(  # noqa: PLR0913 - as for assign
    users: Iterable[User], thing: Thing, *, rank: int = 0, now: datetime, actor: Actor, even_last_admin: bool = False
) -> Assigned:
    """Give many people the same; see `assign_all`."""
    wanted = [Wanted(user, thing, rank) for user in users]
    return assign_all(wanted, now=now, actor=actor, even_last_admin=even_last_admin)


def assign_all(wanted: Sequence[Wanted], *, now: datetime, actor: Actor, even_last_admin: bool = False) -> Assigned:
    """Give what is wanted, which is all of one kind (organisations, say): few statements, however many.

    What somebody has by hand already stays as it is; in an organisation another role replaces it. One event for each
    grant that is new or changed. Raises Refused: OwnAccess, LastAdministrator unless that is meant, Gone.
    """
    if not wanted:
        return Assigned()
    with _settled():
        _lock(type(wanted[0].thing), {one.thing.pk for one in wanted})
        steps = plan(wanted)
        todo = [step for step in steps if step.state != "unchanged"]
        _refuse_own(actor, (step.wanted.user.pk for step in todo))
        if not even_last_admin and (bare := without_administrator(steps)):
            raise LastAdministrator(bare)
        _write(todo, now, actor)
        _record_steps(todo, now, actor)
    states = [step.state for step in steps]
    return Assigned(states.count("new"), states.count("changed"), states.count("unchanged"))


def plan(wanted: Sequence[Wanted]) -> list[Step]:
    """What `assign_all` would do, in the same order; of the same wanted twice the last counts. One query."""
    if not wanted:
        return []
    kind = ASSIGNABLE[type(wanted[0].thing)]
    last = {(one.user.pk, one.thing.pk): one for one in wanted}
    things = {f"{kind.column}_id__in": {one.thing.pk for one in wanted}}
    held = kind.grant.objects.by_hand().filter(user_id__in={one.user.pk for one in wanted}, **things)
    rank = ["role"] if kind.grant is Membership else []
    rows = {(row[1], row[2]): row for row in held.values_list("pk", "user_id", f"{kind.column}_id", *rank)}
    return [
        Step(one, was=row[3] if rank else 0, row=row[0]) if (row := rows.get(key)) else Step(one)
        for key, one in last.items()
    ]


def without_administrator(steps: Iterable[Step]) -> list[Organization]:
    """Organisations whose last administrators would be demoted. At most one query."""
    steps = list(steps)
    demoted = {step.row: step for step in steps if step.demotes and step.wanted.user.is_active}
    gaining = {step.wanted.thing.pk for step in steps if step.wanted.rank == MembershipRole.ADMIN}
    losing = {step.wanted.thing.pk: step.wanted.thing for step in demoted.values()}
    return _bare({pk: thing for pk, thing in losing.items() if pk not in gaining}, demoted)


def _bare(losing: dict[Any, Any], rows: Iterable[int | None]) -> list[Organization]:
    """Those of the organisations that have no administrator beside these rows, by whatever source.

    One whose account is switched off does not count.
    """
    if not losing:
        return []
    others = Membership.objects.filter(organization__in=losing, role=MembershipRole.ADMIN, user__is_active=True)
    looked_after = set(others.exclude(pk__in=list(rows)).values_list("organization_id", flat=True).distinct())
    return [thing for pk, thing in losing.items() if pk not in looked_after]


def _write(todo: Sequence[Step], now: datetime, actor: Actor) -> None:
    """New rows and changed ones, in few statements."""
    if not todo:
        return
    kind = ASSIGNABLE[type(todo[0].wanted.thing)]
    by = {"given_by": actor.label[:254], "given_by_id": actor.id, "given_at": now}
    new = [
        kind.grant(
            user=step.wanted.user, **{kind.column: step.wanted.thing}, **by,
            **({"role": step.wanted.rank} if kind.grant is Membership else {}),
        )
        for step in todo if step.was is None
    ]  # fmt: skip
    kind.grant.objects.bulk_create(new, batch_size=2000)
    for role in MembershipRole:
        if rows := [step.row for step in todo if step.row is not None and step.wanted.rank == role]:
            Membership.objects.filter(pk__in=rows).update(role=role, **by)


def _record_steps(todo: Iterable[Step], now: datetime, actor: Actor) -> None:
    log.record_many(
        _told(
            Kind.GRANT_ASSIGNED if step.was is None else Kind.GRANT_CHANGED, step.wanted.user, now, actor,
            facts(step.wanted.thing) | _role("from", step.was) | _role("to", step.wanted.rank),
        )
        for step in todo
    )  # fmt: skip


def set_level(user: User, level: AccessLevel, *, now: datetime, actor: Actor) -> bool:
    """Set the access level that is given by hand; NONE takes it away. Returns whether it was another one before.

    What identity providers say stays: the highest counts. Raises Refused: OwnAccess, SuperusersOnly, Gone.
    """
    with _settled():
        _lock(User, {user.pk})
        row = LevelGrant.objects.by_hand().filter(user=user).first()
        was = AccessLevel(row.level) if row else AccessLevel.NONE
        if was == level and (row is not None or level == AccessLevel.NONE):
            return False
        _refuse_own(actor, [user.pk])
        if AccessLevel.SUPER_ADMIN in {was, level} and not actor.is_superuser:
            raise SuperusersOnly
        if level == AccessLevel.NONE:
            LevelGrant.objects.by_hand().filter(user=user).delete()
        else:
            by = {"given_by": actor.label[:254], "given_by_id": actor.id, "given_at": now}
            LevelGrant.objects.update_or_create(
                user=user, source=Source.MANUAL, source_id="", via="", defaults={"level": level, **by}
            )
        data = {"what": str(What.LEVEL), "from": was.label, "to": level.label}
        log.record_many([_told(_kind_of(row, level), user, now, actor, data)])
    return True


def _kind_of(row: LevelGrant | None, level: AccessLevel) -> Kind:
    if row is None:
        return Kind.GRANT_ASSIGNED
    return Kind.GRANT_WITHDRAWN if level == AccessLevel.NONE else Kind.GRANT_CHANGED


def change_role(
    grant: Membership, role: MembershipRole, *, now: datetime, actor: Actor, even_last_admin: bool = False
) -> Assigned:
    """Make somebody something else in an organisation. Raises Refused: NotByHand, and what `assign_all` raises."""
    if not grant.by_hand:
        raise NotByHand(grant)
    with _settled():
        _lock(Organization, {grant.organization_id})
        if not Membership.objects.filter(pk=grant.pk).exists():
            raise Gone
        wanted = [Wanted(grant.user, grant.organization, role)]
        return assign_all(wanted, now=now, actor=actor, even_last_admin=even_last_admin)


# --- Taking away ---


def withdraw(grant: Grant, *, now: datetime, actor: Actor, even_last_admin: bool = False) -> bool:
    """Take back what was given by hand; returns whether it was still there. See `withdraw_many`."""
    return withdraw_many([grant], now=now, actor=actor, even_last_admin=even_last_admin) == 1


def withdraw_many(grants: Sequence[Grant], *, now: datetime, actor: Actor, even_last_admin: bool = False) -> int:
    """Take back what was given by hand, all of one kind; returns how many there still were. Few statements.

    Raises Refused: NotByHand, OwnAccess, SuperusersOnly, LastAdministrator unless that is meant.
    """
    if not grants:
        return 0
    model, column = type(grants[0]), COLUMN_OF.get(type(grants[0]), "")
    with _settled():
        _lock_of(model, column, grants)
        found: list[Any] = list(
            model.objects.filter(pk__in=[grant.pk for grant in grants])
            .select_related("user", *([column] if column else []))
            .select_for_update(of=("self",))
        )
        for grant in found:
            if not grant.by_hand:
                raise NotByHand(grant)
        _refuse_own(actor, (grant.user_id for grant in found))
        _refuse_levels(actor, found)
        if not even_last_admin and (bare := without_administrator_but(found)):
            raise LastAdministrator(bare)
        model.objects.filter(pk__in=[grant.pk for grant in found]).delete()
        log.record_many(_told(Kind.GRANT_WITHDRAWN, row.user, now, actor, _what_was(row)) for row in found)
    return len(found)


def without_administrator_but(grants: Iterable[Grant]) -> list[Organization]:
    """Organisations that would have no administrator any more without these grants. At most one query."""
    admins = [
        grant
        for grant in grants
        if isinstance(grant, Membership) and grant.role == MembershipRole.ADMIN and grant.user.is_active
    ]
    return _bare({grant.organization_id: grant.organization for grant in admins}, [grant.pk for grant in admins])


def _lock_of(model: type[Grant], column: str, grants: Iterable[Grant]) -> None:
    """Lock what the grants are of: what is gone has taken its grants along."""
    if column:
        kind = next(thing for thing, kind in ASSIGNABLE.items() if kind.grant is model)
        _lock(kind, {getattr(grant, f"{column}_id") for grant in grants}, all_there=False)
    else:
        _lock(User, {grant.user_id for grant in grants}, all_there=False)


def _what_was(grant: Any) -> dict[str, Any]:
    if isinstance(grant, LevelGrant):
        return {"what": str(What.LEVEL), "from": grant.get_level_display(), "to": AccessLevel.NONE.label}
    role = _role("from", grant.role) if isinstance(grant, Membership) else {}
    return facts(getattr(grant, COLUMN_OF[type(grant)])) | role


# --- The things themselves ---


def save(thing: Thing, *, now: datetime, actor: Actor) -> bool:
    """Write a new thing, or what is different about one; returns whether anything was. The caller has validated it.

    Raises Refused: Gone; OwnAccess where somebody would change the permissions of a role of their own.
    """
    kind = ASSIGNABLE[type(thing)]
    with _settled():
        if thing._state.adding:  # noqa: SLF001 - Django's public name for it
            if isinstance(thing, BillingAccount):
                _lock(Organization, {thing.organization_id})
            thing.save(force_insert=True)
            _tell(kind.created, facts(thing), now, actor)
            return True
        old = _lock(type(thing), {thing.pk})[0]
        columns = [column.name for column in thing._meta.concrete_fields]  # noqa: SLF001 - as above
        different = {name: [getattr(old, name), getattr(thing, name)] for name in columns}
        different = {name: pair for name, pair in different.items() if pair[0] != pair[1]}
        if not different:
            return False
        if "permissions" in different:
            holders = RoleGrant.objects.filter(role=thing.pk)
            _refuse_own(actor, holders.filter(user_id=actor.id).values_list("user_id", flat=True) if actor.id else ())
        thing.save(update_fields=different)
        told = {name: [_json(was), _json(now_is)] for name, (was, now_is) in different.items()}
        _tell(kind.changed, facts(thing), now, actor, changed=told)
    return True


def remove(thing: Thing, *, now: datetime, actor: Actor) -> bool:
    """Delete it with everything that was given of it, whoever gave it; returns whether it was still there.

    Its row is locked first (FOR UPDATE): a login that gives it at this moment has either written that down, and is
    seen, or finds at its end that the thing is gone, and plans anew. Raises Refused: Busy.
    """
    return _patiently(thing, lambda: _remove(thing, now, actor))


def _remove(thing: Thing, now: datetime, actor: Actor) -> bool:
    kind = ASSIGNABLE[type(thing)]
    _lock_grants(thing, kind)
    row: Any = type(thing)._base_manager.select_for_update().filter(pk=thing.pk).first()  # noqa: SLF001 - as above
    if row is None:
        return False
    if isinstance(row, Organization):
        for account in row.billing_accounts.order_by("pk"):
            _remove(account, now, actor)
    known = facts(row)
    grants = _record_withdrawals(row, kind, now, actor)
    row.delete()
    _tell(kind.removed, known, now, actor, grants=grants)
    return True


def _lock_grants(thing: Thing, kind: Assignable) -> None:
    """Its grants before itself, as a login takes them: whoever changes one at this moment is let through first."""
    table = connection.ops.quote_name(kind.grant._meta.db_table)  # noqa: SLF001 - Django's public name for it
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM (SELECT FROM {table} WHERE {kind.column}_id = %s ORDER BY id FOR UPDATE) locked",  # noqa: S608 - names of ours
            [thing.pk],
        )


def _record_withdrawals(thing: Thing, kind: Assignable, now: datetime, actor: Actor) -> int:
    """One event for each grant of what is removed, whoever gave it: one statement for a hundred thousand."""
    table, events = (connection.ops.quote_name(model._meta.db_table) for model in (kind.grant, Event))  # noqa: SLF001 - as above
    role = "jsonb_build_object('from', CASE g.role WHEN 2 THEN 'admin' ELSE 'member' END)"
    role = role if kind.grant is Membership else "'{}'::jsonb"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {events} (at, kind, actor, actor_id, ip, subject_type, subject_id, subject, trace_id, data) "  # noqa: S608 - names of ours
            "SELECT %s, %s, %s, %s, %s::inet, 'user', u.id::text, left(u.email, 254), '', "
            f"%s::jsonb || jsonb_build_object('source', g.source, 'by', g.given_by) || {role} "
            f"FROM {table} g JOIN accounts_user u ON u.id = g.user_id WHERE g.{kind.column}_id = %s",
            [
                now, Kind.GRANT_WITHDRAWN.value, actor.label[:254], actor.id, actor.ip,
                json.dumps(facts(thing) | {"removed": True}), thing.pk,
            ],
        )  # fmt: skip
        return int(cursor.rowcount)


# --- In common ---


def facts(thing: Thing) -> dict[str, Any]:
    """What an event keeps of a thing, so that it can be read when the thing is gone."""
    known: dict[str, Any] = {"what": str(ASSIGNABLE[type(thing)].what), "id": thing.pk, "name": str(thing)}
    organization = thing.organization if isinstance(thing, BillingAccount) else thing
    if isinstance(organization, Organization):
        known |= {"organization": organization.external_id, "organization_id": str(organization.pk)}
    return known


def _role(name: str, rank: int | None) -> dict[str, str]:
    return {name: MembershipRole(rank).label} if rank else {}


def _json(value: Any) -> Any:
    return value if isinstance(value, str | int | float | list | dict | None) else str(value)


def _told(kind: Kind, user: User, now: datetime, actor: Actor, data: dict[str, Any]) -> Event:
    return log.event(
        kind, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="user", subject_id=user.pk,
        subject=user, data=data,
    )  # fmt: skip


def _tell(kind: Kind, known: dict[str, Any], now: datetime, actor: Actor, **data: Any) -> None:
    log.record(
        kind, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, data=known | data,
        subject_type=known["what"].replace(" ", "_"), subject_id=known["id"], subject=known["name"],
    )  # fmt: skip


def _refuse_own(actor: Actor, users: Iterable[Any]) -> None:
    if not actor.is_superuser and any(str(pk) == actor.id for pk in users):
        raise OwnAccess


def _refuse_levels(actor: Actor, grants: Iterable[Grant]) -> None:
    if not actor.is_superuser and any(
        isinstance(grant, LevelGrant) and grant.level == AccessLevel.SUPER_ADMIN for grant in grants
    ):
        raise SuperusersOnly


def _lock(model: type[Any], keys: Iterable[Any], *, all_there: bool = True) -> list[Any]:
    """Lock rows until the transaction ends, in the order of their keys: two at once do not wait for one another."""
    keys = list(keys)
    rows = list(model._base_manager.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk"))  # noqa: SLF001 - Django's public name for it
    if all_there and len(rows) < len(set(keys)):
        raise Gone
    return rows


@contextmanager
def _settled() -> Iterator[None]:
    """One transaction, at whose end the foreign keys are looked at now, not at the end of the caller's."""
    try:
        with transaction.atomic():
            yield
            connection.check_constraints()
    except IntegrityError as error:
        raise Gone from error


def _patiently(thing: object, attempt: Callable[[], _Result]) -> _Result:
    """Do it in one transaction, again and again while others hold what it needs. Raises Busy."""
    for _ in range(ATTEMPTS):
        try:
            with _settled(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
                result = attempt()
                cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
                return result
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") not in _WAITED_TOO_LONG:
                raise
    raise Busy(thing)
