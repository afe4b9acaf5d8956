"""Delete what has served: spent assertions, old sign-in attempts, ended sessions. For a daily timer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.models import CacheEntry, Session
from audit.retention import delete_in_batches
from saml_sp.ledger import FORGOTTEN_AFTER
from saml_sp.models import LogoutAttempt, Outcome, SamlSession, SignInAttempt, SpentAssertion


class Command(BaseCommand):
    help = "Delete spent assertions past their expiry, old sign-in attempts, expired and orphaned sessions."

    def handle(self, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        now = timezone.now()
        keep_from = now - timedelta(days=settings.PORTICO_KEEP_ATTEMPTS_DAYS)
        # A session that ended otherwise (sign-out, deactivation) leaves its SAML row behind: one that no session has.
        orphaned = ~Exists(Session.objects.filter(session_key=OuterRef("session_key")))
        unanswered = SignInAttempt.objects.filter(outcome=Outcome.OUTSTANDING, expires_at__lt=now - FORGOTTEN_AFTER)
        for what, doomed in (
            ("spent assertions", SpentAssertion.objects.filter(expires_at__lt=now)),
            ("requests without an answer", unanswered),
            ("logout requests of ours", LogoutAttempt.objects.filter(expires_at__lt=now - FORGOTTEN_AFTER)),
            ("sign-in attempts", SignInAttempt.objects.filter(at__lt=keep_from)),
            ("expired sessions", Session.objects.filter(expire_date__lt=now)),
            ("counts of rate limits", CacheEntry.objects.filter(expires__lt=now)),
            ("orphaned SAML sessions", SamlSession.objects.filter(orphaned)),
        ):
            self.stdout.write(f"{what}: {delete_in_batches(doomed)} deleted")
