"""Mail the owners of API tokens that expire within a week. Run it once a day; a token is reminded of once."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.actors import Actor
from tokens import reminders


class Command(BaseCommand):
    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        if not settings.PORTICO_SENDS_MAIL:
            self.stdout.write("This site sends no mail (PORTICO_EMAIL_URL is not set): nobody was reminded.")
            return
        done = reminders.remind(now=timezone.now(), actor=Actor.command("remind_tokens"))
        self.stdout.write(f"{done.sent} reminded.")
        if done.failed:
            raise CommandError(f"{done.failed} mail(s) could not be sent, see the log. The next run tries again.")
