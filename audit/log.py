"""The one way to write audit events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit.models import Event
from audit.statements import insert

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from audit.kinds import Kind


def event(  # noqa: PLR0913 - an event has many facets, all keyword-only
    kind: Kind,
    *,
    now: datetime,
    actor: object = "",
    actor_id: object = "",
    subject_type: str = "",
    subject_id: object = "",
    subject: object = "",
    trace_id: str = "",
    ip: str | None = None,
    data: dict[str, Any] | None = None,
) -> Event:
    """An event that is not written yet; labels are cut to what the columns hold, data must be JSON."""
    return Event(
        at=now,
        kind=kind.value,
        actor=str(actor)[:254],
        actor_id=str(actor_id)[:64],
        subject_type=subject_type,
        subject_id=str(subject_id)[:64],
        subject=str(subject)[:254],
        trace_id=trace_id,
        ip=ip,
        data=data or {},
    )


def record(kind: Kind, *, now: datetime, **facets: Any) -> None:
    """Write one event, with the facets of `event`, in the caller's transaction."""
    insert(event(kind, now=now, **facets))


def record_many(events: Iterable[Event]) -> None:
    """Write events, in the caller's transaction: few statements, however many."""
    Event.objects.bulk_create(events, batch_size=2000)
