"""What was given and taken, as people read it: sentences made of audit events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models.fields.json import KT

from audit.kinds import Kind
from audit.models import Event
from orgs.grants import What

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from accounts.models import User
    from orgs.models import Organization

# How many are on one page.
PAGE = 50
GIVEN_AND_TAKEN = (
    Kind.GRANT_ASSIGNED, Kind.GRANT_CHANGED, Kind.GRANT_WITHDRAWN, Kind.SSO_RIGHTS_CHANGED, Kind.USER_MERGED,
)  # fmt: skip
_DONE = {"create": "made", "change": "changed", "remove": "removed"}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: when, by whom, about whom or what, and the rest of the sentence."""

    id: int
    at: datetime
    by: str
    subject: str
    text: str


def of_person(person: User) -> QuerySet[Event]:
    """What somebody was given and lost, newest first."""
    about = Event.objects.filter(subject_type="user", subject_id=str(person.pk))
    return about.filter(kind__in=GIVEN_AND_TAKEN)


def of_organization(organization: Organization) -> QuerySet[Event]:
    """What happened in an organisation and to it, newest first; what identity providers say is told of each person."""
    asked = Event.objects.alias(organization=KT("data__organization_id"))
    return asked.filter(organization=str(organization.pk), data__has_key="organization_id")


def of_membership(person: User, organization: Organization) -> QuerySet[Event]:
    """What somebody was and is in an organisation, by hand; newest first."""
    return of_person(person).filter(data__organization_id=str(organization.pk))


def of_thing(subject_type: str, key: object) -> QuerySet[Event]:
    """What happened to a role, a group, a property or a billing account; newest first."""
    return Event.objects.filter(subject_type=subject_type, subject_id=str(key))


def page(events: QuerySet[Event], before: str = "") -> tuple[list[Line], int | None]:
    """The newest lines, or those older than one; and the ID from which it goes on, if it does."""
    if before.isascii() and before.isdigit() and len(before) <= 18:  # noqa: PLR2004 - a bigint's digits
        events = events.filter(pk__lt=int(before))
    found = list(events.order_by("-at", "-id")[: PAGE + 1])
    return lines(found[:PAGE]), found[PAGE - 1].pk if len(found) > PAGE else None


def lines(events: Iterable[Event]) -> list[Line]:
    """Each as a line."""
    return [Line(event.pk, event.at, event.actor or "somebody", event.subject, sentence(event)) for event in events]


def sentence(event: Event) -> str:
    """What happened, to be read after the name of who did it."""
    data: dict[str, Any] = event.data if isinstance(event.data, dict) else {}
    told = _SENTENCES.get(event.kind)
    if told is not None:
        return told(data)
    done = _DONE.get(event.kind.rpartition(":")[2], event.kind)
    changed = data.get("changed") or {}
    how = "; ".join(f"{name} from “{was}” to “{now}”" for name, (was, now) in changed.items())
    return f"{done} the {data.get('what', 'thing')} {event.subject}{f': {how}' if how else ''}"


def _thing(data: dict[str, Any], rank: str) -> str:
    if data.get("what") == What.ORGANIZATION:
        return f"{data.get(rank, 'member')} of {data.get('name')}"
    return f"the {data.get('what')} {data.get('name')}"


def _level(data: dict[str, Any]) -> str:
    return f"set the access level to {data.get('to')} (it was {data.get('from')})"


def _assigned(data: dict[str, Any]) -> str:
    return _level(data) if data.get("what") == What.LEVEL else f"gave {_thing(data, 'to')}"


def _changed(data: dict[str, Any]) -> str:
    return _level(data) if data.get("what") == What.LEVEL else f"made {_thing(data, 'to')} (was {data.get('from')})"


def _withdrawn(data: dict[str, Any]) -> str:
    if data.get("what") == What.LEVEL:
        return _level(data)
    whose = f", which {data.get('by')} said," if data.get("source") == "idp" else ""
    return f"took away {_thing(data, 'from')}{whose}{' by removing it' if data.get('removed') else ''}"


def _asserted(data: dict[str, Any]) -> str:
    told = [
        f"{word} {', '.join(map(str, data[name]))}"
        for name, word in (("granted", "gave"), ("revoked", "took away"), ("unknown", "named, unknown here:"))
        if data.get(name)
    ]
    return f"by a sign-in {'; '.join(told) or 'changed nothing'}"


def _merged(data: dict[str, Any]) -> str:
    return f"merged this account into {data.get('into')}, with what it had"


_SENTENCES = {
    Kind.GRANT_ASSIGNED.value: _assigned,
    Kind.GRANT_CHANGED.value: _changed,
    Kind.GRANT_WITHDRAWN.value: _withdrawn,
    Kind.SSO_RIGHTS_CHANGED.value: _asserted,
    Kind.USER_MERGED.value: _merged,
}
