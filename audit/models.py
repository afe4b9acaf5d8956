"""Events that outlive what they speak of: ids and labels, no foreign keys, append-only by database trigger."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.fields.json import KT


class Event(models.Model):
    """One thing that happened. The database refuses UPDATE and DELETE; only retention may delete (see migrations)."""

    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=64, db_index=True)
    actor_id = models.CharField(max_length=64, blank=True)
    actor = models.CharField(max_length=254, blank=True, help_text="The person's or command's label at the time.")
    subject_type = models.CharField(max_length=32, blank=True)
    subject_id = models.CharField(max_length=64, blank=True)
    subject = models.CharField(max_length=254, blank=True)
    trace_id = models.CharField(max_length=32, blank=True, db_index=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    data: models.JSONField[Any] = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-at", "-id")
        indexes = (
            models.Index(fields=("subject_type", "subject_id"), name="audit_event_subject"),
            # What happened in one organisation; most events are in none.
            models.Index(
                KT("data__organization_id"), models.F("at").desc(), models.F("id").desc(),
                name="audit_event_organization", condition=models.Q(data__has_key="organization_id"),
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.kind} {self.subject}"
