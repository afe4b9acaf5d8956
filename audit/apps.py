"""The audit log."""

from __future__ import annotations

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The room of the audit log."""

    name = "audit"
    verbose_name = "Audit"
