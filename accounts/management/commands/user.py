"""People's accounts from the command line: the same functions as the admin pages, for operators and scripts."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import addresses
from accounts.actors import Actor
from accounts.deactivation import deactivate, reactivate
from accounts.models import User


class Command(BaseCommand):
    help = "Switch people's accounts off and on."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        off = actions.add_parser("deactivate", help="switch an account off, and end its sessions at once")
        off.add_argument("email")
        off.add_argument("--because", default="", metavar="TEXT", help="why; shown to administrators")
        on = actions.add_parser("reactivate", help="let the person sign in again; nothing that ended comes back")
        on.add_argument("email")

    def handle(self, *, action: str, email: str, because: str = "", **options: Any) -> None:  # noqa: ARG002 - Django's signature
        now, actor = timezone.now(), Actor.command(f"user {action}")
        user = User.objects.filter(email_key=addresses.key(email)).first()
        if user is None:
            raise CommandError(f"There is no account {email}.")
        if action == "deactivate":
            was_active = user.is_active
            ended = deactivate(user, now=now, actor=actor, because=because)
            state = "is deactivated" if was_active else "was deactivated before"
            self.stdout.write(f"{user} {state}; {ended.get('sessions', 0)} session(s) ended.")
        else:
            done = reactivate(user, now=now, actor=actor)
            self.stdout.write(f"{user} {'may sign in again' if done else 'is active already'}.")
