"""Reading the audit log in the admin; nothing there can be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from audit.kinds import Kind
from audit.models import Event

if TYPE_CHECKING:
    from django.http import HttpRequest


# ModelAdmin is generic for the type checker only.
if TYPE_CHECKING:
    _EventAdmin = admin.ModelAdmin[Event]
else:
    _EventAdmin = admin.ModelAdmin


class ReadOnly:
    """For a ModelAdmin whose rows are records: they are looked at, nothing else."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody writes records by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        """Nobody edits records."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        """Retention deletes, people do not."""
        return False


class KindFilter(admin.SimpleListFilter):
    """Filter by kind from the list in the code, not by reading the whole table."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Every kind there is."""
        return [(kind.value, kind.value) for kind in Kind]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Events of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(ReadOnly, _EventAdmin):
    """The audit log: newest first, found by whom, what about, trace ID."""

    list_display = ("at", "kind", "actor", "subject", "trace_id", "ip")
    list_filter = (KindFilter, "at")
    search_fields = ("actor", "subject", "=trace_id", "=subject_id", "=actor_id")
    show_full_result_count = False
