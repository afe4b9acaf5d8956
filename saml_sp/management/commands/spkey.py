"""Key pairs of ours from the command line: the same functions as the admin pages, for operators and scripts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.actors import Actor
from saml_sp import keys
from saml_sp.models import KeyState, SpKeyPair
from saml_sp.protocol.errors import ConfigurationRefused
from saml_sp.protocol.key_pairs import MAX_BYTES

if TYPE_CHECKING:
    from datetime import datetime


class Command(BaseCommand):
    help = "Generate, import, list, promote and retire the key pairs that we sign and decrypt with."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("generate", help="make the next key pair (the first one is current at once)")
        importing = actions.add_parser("import", help="take over a private key and its certificate as the next pair")
        importing.add_argument("--key", required=True, metavar="FILE", help="private key, PEM; - is standard input")
        importing.add_argument("--certificate", required=True, metavar="FILE", help="its certificate, PEM or DER")
        actions.add_parser("list", help="all of them, with state and certificate")
        actions.add_parser("promote", help="use the next one from now on; the current one becomes old")
        retiring = actions.add_parser("retire", help="delete an old one, or a next one that was never used")
        retiring.add_argument("fingerprint", help="the beginning of its SHA-256 fingerprint, as `spkey list` shows it")

    def handle(self, *, action: str, **options: Any) -> None:
        now = timezone.now()
        try:
            self.act(action, options, now, Actor.command(f"spkey {action}"))
        except ConfigurationRefused as error:
            raise CommandError(f"Nothing was changed. {error}") from error

    def act(self, action: str, options: dict[str, Any], now: datetime, actor: Actor) -> None:
        """One of the actions."""
        if action == "list":
            self.list(now)
        elif action == "generate":
            self.added(keys.generate(now=now, actor=actor))
        elif action == "import":
            pair = _read(options["key"]), _read(options["certificate"])
            self.added(keys.take_over(*pair, now=now, actor=actor))
        elif action == "promote":
            pair_in_use = keys.promote(now=now, actor=actor)
            self.stdout.write(f"{pair_in_use.sha256[:16]} is current.")
        else:
            doomed = _held(options["fingerprint"])
            keys.retire(doomed.pk, now=now, actor=actor)
            self.stdout.write(f"{doomed.sha256[:16]} is gone.")

    def added(self, pair: SpKeyPair) -> None:
        """What follows from a new key pair."""
        self.stdout.write(f"{pair.sha256[:16]} is {pair.state}.")
        if pair.state == KeyState.NEXT:
            self.stdout.write(
                "It stands in our metadata now. Promote it when every identity provider has read that: after a day for "
                "those that fetch it, after you gave them the certificate for the others."
            )

    def list(self, now: datetime) -> None:
        """One a line."""
        pairs = list(SpKeyPair.objects.all())
        if not pairs:
            self.stdout.write("There is no key pair yet. `spkey generate` makes one.")
        for pair in pairs:
            fault = "" if keys.is_usable(pair) else "  cannot be opened with PORTICO_ENCRYPTION_KEYS"
            self.stdout.write(f"{pair.sha256[:16]}  {pair.state:<7}  {pair.validity(now)}{fault}")


def _held(fingerprint: str) -> SpKeyPair:
    found = list(SpKeyPair.objects.filter(sha256__startswith=fingerprint.lower().replace(":", "")))
    if len(found) != 1:
        raise CommandError(f"{fingerprint!r} names {len(found)} key pairs. `spkey list` shows those that there are.")
    return found[0]


def _read(source: str) -> bytes:
    """The file, or one byte more than is accepted of it."""
    if source == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with Path(source).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"The file cannot be read: {error.strerror} ({source}).") from error
