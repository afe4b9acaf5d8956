"""A sign-in link from the server's shell, for the day that nobody can get in otherwise."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import break_glass
from accounts.actors import Actor


class Command(BaseCommand):
    help = "Print a link that signs an existing administrator in, once, within ten minutes. It is written down."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the address of an active superuser or break-glass administrator")

    def handle(self, *, email: str, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            link = break_glass.make_link(email, now=timezone.now(), actor=Actor.command("breakglass"))
        except break_glass.NotEntitled as error:
            raise CommandError(str(error)) from error
        self.stderr.write("Open this within ten minutes; it works once. Links made before are void.")
        self.stdout.write(link)
