"""Identity providers from the command line: the same functions as the admin pages, for operators and scripts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.actors import Actor
from orgs.models import AccessLevel
from saml_sp import configuration, domains
from saml_sp.mapping import PRESETS, Target, filled, said, validate_mapping
from saml_sp.models import IdentityProvider
from saml_sp.protocol.errors import ConfigurationRefused
from saml_sp.protocol.metadata import MAX_BYTES

if TYPE_CHECKING:
    from datetime import datetime


class Command(BaseCommand):
    help = "Import, list, show, map, enable and disable identity providers."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        importing = actions.add_parser("import", help="create or update one from its metadata")
        importing.add_argument("slug", help="its name in our URLs: lower-case letters, digits and hyphens")
        importing.add_argument("--metadata", required=True, metavar="FILE", help="metadata XML; - is standard input")
        importing.add_argument("--enable", action="store_true", help="let people sign in through it")
        importing.add_argument("--jit", action=argparse.BooleanOptionalAction, help="create accounts at first sign-in")
        importing.add_argument(
            "--idp-initiated", action=argparse.BooleanOptionalAction, help="accept sign-ins that begin at its portal"
        )
        importing.add_argument("--description", metavar="TEXT", help="the name by which people know it")
        importing.add_argument(
            "--domain", action="append", default=[], metavar="D", help="vouch for this e-mail domain; may be repeated"
        )
        claims = actions.add_parser("domain", help="claim, verify, vouch for and list its e-mail domains")
        claims.add_argument("what", choices=("add", "verify", "vouch", "release", "list"))
        claims.add_argument("slug")
        claims.add_argument("domain", nargs="?", metavar="D")
        claims.add_argument("--reason", default="", metavar="TEXT", help="why you vouch for it")
        mapped = actions.add_parser("mapping", help="say, or show, which attributes of its assertions mean what")
        mapped.add_argument("slug")
        mapped.add_argument("--preset", choices=tuple(PRESETS), help="fill in a vendor's names where there are none")
        mapped.add_argument(
            "--set", action="append", default=[], dest="wanted", metavar="TARGET=NAME,NAME",
            help=f"the attributes of a target, none to clear it; may be repeated. Targets: {', '.join(Target)}",
        )  # fmt: skip
        mapped.add_argument("--show", action="store_true", help="only show it, as without any option")
        actions.add_parser("list", help="all of them, with state and certificate")
        for action, text in (
            ("show", "what to enter at it, and what is known of it"),
            ("enable", "let people sign in through it"),
            ("disable", "let nobody sign in through it, and end the sessions it vouched for"),
        ):
            actions.add_parser(action, help=text).add_argument("slug")

    def handle(self, *, action: str, **options: Any) -> None:
        now = timezone.now()
        actor = Actor.command(f"idp {action}")
        if action == "list":
            self.list(now)
        elif action == "import":
            self.import_metadata(now, actor, **options)
        elif action == "domain":
            self.domain(_held(options["slug"]), now, actor, **options)
        elif action == "mapping":
            self.mapping(_held(options["slug"]), now, actor, **options)
        elif action == "show":
            self.show(_held(options["slug"]), now)
        elif action == "enable":
            self.enable(_held(options["slug"]), now, actor)
        else:
            idp = _held(options["slug"])
            ended = configuration.disable(idp, now=now, actor=actor)
            self.stdout.write(f"{idp.slug} is disabled; {ended} session(s) ended.")

    def import_metadata(  # noqa: PLR0913 - the options of the command line, by their names
        self, now: datetime, actor: Actor, *, slug: str, metadata: str, enable: bool, domain: list[str], **options: Any
    ) -> None:
        xml = _read(metadata)
        idp = IdentityProvider.objects.filter(slug=slug).first() or IdentityProvider(slug=slug)
        made = idp.pk is None
        for name in ("jit", "idp_initiated", "description"):
            if options[name] is not None:
                setattr(idp, name, options[name])
        if not idp.description:
            idp.description = _free_description(slug)
        try:
            with transaction.atomic():
                found = configuration.import_metadata(idp, xml, now=now, actor=actor)
                for name in domain:
                    domains.vouch_once(idp, name, "named at import", now=now, actor=actor)
                if enable:
                    configuration.enable(idp, now=now, actor=actor)
        except ConfigurationRefused as error:
            raise CommandError(f"{slug} was not {'created' if made else 'changed'}. {error}") from error
        except ValidationError as error:
            faults = " ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
            raise CommandError(f"{slug} was not {'created' if made else 'changed'}. {faults}") from error
        except IntegrityError as error:
            raise CommandError(f"{slug} was being changed by somebody else at the same time. Run it again.") from error
        for note in configuration.notes_on(found):
            self.stderr.write(self.style.WARNING(note))
        self.stdout.write(f"{slug} {'was created' if made else 'is up to date'}.")
        self.show(idp, now)

    def domain(  # noqa: PLR0913 - the options of the command line, by their names
        self,
        idp: IdentityProvider,
        now: datetime,
        actor: Actor,
        *,
        what: str,
        domain: str | None,
        reason: str,
        **_: Any,
    ) -> None:
        """Claim, verify, vouch for, release or list e-mail domains."""
        if what == "list":
            for row in idp.domains.all():
                why = f" ({row.reason})" if row.reason else ""
                state = f"verified by {row.get_proof_display()}{why}" if row.verified_at else "claimed, not verified"
                self.stdout.write(f"{row.domain}  {state}")
            return
        if not domain:
            raise CommandError(f"Name the domain: idp domain {what} {idp.slug} example.com")
        try:
            if what == "add":
                row = domains.claim(idp, domain, now=now, actor=actor)
                self.stdout.write(
                    f"{row.domain} is claimed. To verify it, add this DNS record, then: "
                    f"idp domain verify {idp.slug} {row.domain}"
                )
                self.stdout.write(f'{row.record_name}. TXT "{row.record_value}"')
            elif what == "verify":
                row = domains.held(idp, domain)
                domains.verify(row, now=now, actor=actor)
                self.stdout.write(f"{row.domain} belongs to {idp.slug}, verified by {row.get_proof_display()}.")
            elif what == "vouch":
                row = domains.vouch_once(idp, domain, reason, now=now, actor=actor)
                self.stdout.write(f"{row.domain} belongs to {idp.slug}, verified by {row.get_proof_display()}.")
            else:
                row = domains.held(idp, domain)
                domains.release(row, now=now, actor=actor)
                self.stdout.write(f"{row.domain} is released.")
        except ConfigurationRefused as error:
            raise CommandError(str(error)) from error

    def mapping(  # noqa: PLR0913 - the options of the command line, by their names
        self,
        idp: IdentityProvider,
        now: datetime,
        actor: Actor,
        *,
        preset: str | None,
        wanted: list[str],
        show: bool,
        **_: Any,
    ) -> None:
        """What is set comes first, then the vendor's names fill in what has none."""
        if show and (preset or wanted):
            raise CommandError("--show changes nothing: leave out either it, or --preset and --set.")
        if preset or wanted:
            idp = self._map(idp, now, actor, preset, wanted)
        for name, value in _mapping_rows(idp):
            self._row(name, value)

    def _map(
        self, idp: IdentityProvider, now: datetime, actor: Actor, preset: str | None, wanted: list[str]
    ) -> IdentityProvider:
        with configuration.on_record(idp, now=now, actor=actor) as held:
            found = held.attribute_mapping | dict(map(_setting, wanted))
            found = {target: names for target, names in found.items() if names}
            missing: list[Target] = []
            if preset:
                found, missing = filled(found, PRESETS[preset])
            try:
                validate_mapping(found)
            except ValidationError as error:
                raise CommandError(f"{held.slug} was not changed. {' '.join(error.messages)}") from error
            if found == held.attribute_mapping:
                self.stdout.write(f"{held.slug} is up to date.")
                return held
            held.attribute_mapping = found
            held.save()
        self.stdout.write(f"{held.slug} was changed.")
        if missing and preset:
            listed = ", ".join(target.label for target in missing)
            self.stdout.write(f"Filled in for {PRESETS[preset].vendor}: {listed}.")
        return held

    def enable(self, idp: IdentityProvider, now: datetime, actor: Actor) -> None:
        try:
            configuration.enable(idp, now=now, actor=actor)
        except ConfigurationRefused as error:
            raise CommandError(f"{idp.slug} was not changed. {error}") from error
        self.stdout.write(f"{idp.slug} is enabled.")

    def list(self, now: datetime) -> None:
        idps = list(IdentityProvider.objects.prefetch_related("certificates").order_by("slug"))
        if not idps:
            self.stdout.write("There is no identity provider yet. `idp import` makes one from its metadata.")
            return
        width = max(len(idp.slug) for idp in idps)
        for idp in idps:
            state = "enabled" if idp.enabled else "disabled"
            self.stdout.write(f"{idp.slug:<{width}}  {state:<8}  {idp.certificate_status(now):<28}  {idp.description}")

    def show(self, idp: IdentityProvider, now: datetime) -> None:
        missing = idp.what_is_missing(now)
        rows = [
            ("Description", idp.description),
            ("State", "enabled" if idp.enabled else "disabled"),
            ("Missing", ", ".join(missing) or "nothing"),
            ("ACS URL", idp.acs_url),
            ("Entity ID", idp.sp_entity_id),
            ("Metadata URL", idp.metadata_url),
            ("IdP entity ID", idp.entity_id or "none"),
            ("IdP SSO URL", f"{idp.sso_url} ({idp.sso_binding})" if idp.sso_url else "none"),
            ("IdP SLO URL", f"{idp.slo_url} ({idp.slo_binding})" if idp.slo_url else "none"),
            ("Creates accounts", "yes" if idp.jit else "no"),
            ("IdP-initiated", "yes" if idp.idp_initiated else "no"),
        ]
        rows.extend(("E-mail domain", str(row)) for row in idp.domains.all())
        for certificate in idp.certificates.all():
            rows.append(("Certificate", f"{certificate.validity(now)}  {certificate.subject or 'no subject'}"))
            rows.append(("", f"SHA-256 {certificate.sha256}"))
        for name, value in [*rows, *_mapping_rows(idp)]:
            self._row(name, value)

    def _row(self, name: str, value: str) -> None:
        self.stdout.write(f"{name + ':' if name else '':<18}{value}")


def _mapping_rows(idp: IdentityProvider) -> list[tuple[str, str]]:
    """What its assertions mean here: attributes, ceiling and words of the access level, group rules."""
    lines = [f"{target.label}: {said(idp.attribute_mapping, target)}" for target in Target]
    rows = [("" if number else "Attributes", line) for number, line in enumerate(lines)]
    rows.append(("Ceiling", AccessLevel(idp.level_ceiling).label))
    rows.extend(("Its word", f"{word} = {level}") for word, level in sorted(idp.level_spellings.items()))
    rows.append(("When missing", "keeps what was given" if idp.keep_when_missing else "takes away what was given"))
    rows.append(("Unknown values", "refuse the sign-in" if idp.refuse_unknown else "are noted"))
    return rows + [("Group rule", rule) for rule in configuration.group_rules(idp)]


def _setting(text: str) -> tuple[str, list[str]]:
    """A target and its attributes, of what follows --set."""
    target, sign, names = text.partition("=")
    if not sign or target not in set(Target):
        raise CommandError(
            f"--set {text!r}: write TARGET=NAME,NAME with one of the targets {', '.join(Target)}, "
            "for example groups=groups,memberOf."
        )
    return target, [name.strip() for name in names.split(",") if name.strip()]


def _held(slug: str) -> IdentityProvider:
    idp = IdentityProvider.objects.filter(slug=slug).first()
    if idp is None:
        raise CommandError(f"There is no identity provider {slug!r}. `idp list` names those that exist.")
    return idp


def _read(source: str) -> bytes:
    """The document, or one byte more than is accepted of it: what is too long is refused without reading all of it."""
    if source == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with Path(source).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"The metadata file cannot be read: {error.strerror} ({source}).") from error


def _free_description(slug: str) -> str:
    """A name that nobody else has: the slug, unless somebody has taken just that."""
    taken = set(IdentityProvider.objects.filter(description__startswith=slug).values_list("description", flat=True))
    number, name = 1, slug
    while name in taken:
        number += 1
        name = f"{slug} ({number})"
    return name
