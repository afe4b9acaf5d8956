"""The one way to write an audit event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit.models import Event
from audit.statements import insert

if TYPE_CHECKING:
    from datetime import datetime

    from audit.kinds import Kind


def record(  # noqa: PLR0913 - an event has many facets, all keyword-only
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
) -> None:
    """Write one event, in the caller's transaction; labels are cut to what the columns hold, data must be JSON."""
    event = Event(
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
    insert(event)
