"""Encrypt private keys of ours and secrets of second factors anew, so that old encryption keys can go."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts import second_factor
from accounts.actors import Actor
from saml_sp import keys
from saml_sp.protocol.errors import ConfigurationRefused


class Command(BaseCommand):
    help = "Encrypt private keys of ours and secrets of second factors anew under the first of PORTICO_ENCRYPTION_KEYS."

    def handle(self, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            count = keys.rotate(now=timezone.now(), actor=Actor.command("rotate_encryption_keys"))
        except ConfigurationRefused as error:
            raise CommandError(f"Nothing was changed. {error}") from error
        with transaction.atomic():
            factors = second_factor.encrypt_anew()
        self.stdout.write(
            f"{count} private key(s) and {factors} secret(s) of second factors are encrypted under the first key now. "
            "When every node has it as its first, the others can be removed from PORTICO_ENCRYPTION_KEYS."
        )
