"""Deleting rows that have had their time, however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.models import QuerySet

BATCH = 1000


def delete_in_batches(doomed: QuerySet[Any], batch: int = BATCH) -> int:
    """Delete in transactions of `batch` rows, so that no sign-in waits for long; returns how many rows there were."""
    total = 0
    while keys := list(doomed.order_by("pk").values_list("pk", flat=True)[:batch]):
        # The condition once more: a row may have changed since its key was read.
        total += doomed.filter(pk__in=keys).delete()[0]
    return total
