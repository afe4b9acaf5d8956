"""Delete API tokens that ended long ago, and counts of refused ones. For a daily timer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from audit.retention import delete_in_batches
from tokens.models import ApiToken, RefusedAddress
from tokens.throttle import STALE


class Command(BaseCommand):
    help = __doc__ or ""

    def handle(self, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        now = timezone.now()
        keep_from = now - timedelta(days=settings.PORTICO_KEEP_ENDED_TOKENS_DAYS)
        for what, doomed in (
            ("ended tokens", ApiToken.objects.ended_before(keep_from)),
            ("counts of refused tokens", RefusedAddress.objects.filter(began_at__lt=now - STALE)),
        ):
            self.stdout.write(f"{what}: {delete_in_batches(doomed)} deleted")
