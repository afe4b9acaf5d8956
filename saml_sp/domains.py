"""E-mail domains: claiming one for an identity provider, and showing that the claim is good.

A claim counts once its customer has put our token into the domain's DNS, or an administrator has vouched for it with a
reason. Looking into the DNS happens at a button or a command, never during a sign-in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.exception
import dns.nameserver
import dns.resolver
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from audit.kinds import Kind
from audit.log import record
from saml_sp.models import DomainProof, EmailDomain
from saml_sp.protocol.errors import ConfigurationRefused

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.actors import Actor
    from saml_sp.models import IdentityProvider

TIMEOUT = 5.0  # seconds for all tries together: somebody waits for the page


class DomainRefused(ConfigurationRefused):
    """A claim cannot be made or does not count; `str()` is a sentence for the administrator."""

    code = "domain"


def claim(idp: IdentityProvider, domain: str, *, now: datetime, actor: Actor) -> EmailDomain:
    """Note that this identity provider claims the domain; it does not count yet. The same claim twice is one.

    Raises DomainRefused.
    """
    row = EmailDomain(idp=idp, domain=domain, claimed_at=now)
    try:
        row.clean_fields()
    except ValidationError as error:
        raise DomainRefused(f"“{domain[:253]}” cannot be claimed. {' '.join(error.messages)}") from None
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            _record(Kind.DOMAIN_CLAIMED, row, now=now, actor=actor)
    except IntegrityError:
        return held(idp, domain)
    return row


def held(idp: IdentityProvider, domain: str) -> EmailDomain:
    """The claim that exists. Raises DomainRefused."""
    row = EmailDomain.objects.filter(idp=idp, domain=domain.lower()).first()
    if row is None:
        raise DomainRefused(
            f"{idp} does not claim {domain[:253]}. Claim it first: idp domain add {idp.slug} {domain[:253]}"
        )
    return row


def verify(row: EmailDomain, *, now: datetime, actor: Actor) -> None:
    """Look for our token in the domain's DNS; the claim counts from now on if it is there.

    A claim that counts on somebody's word then counts by its record; without one it goes on as it was. Raises
    DomainRefused with what was looked for, what was found, and what to do.
    """
    found = look_up(row.record_name)
    if row.record_value not in found:
        came = "; ".join(_plain(value) for value in found[:5]) or "no TXT record"
        raise DomainRefused(
            f"The DNS does not show that {row.domain} is theirs. Expected a TXT record at {row.record_name} with the "
            f"value {row.record_value}; found {came}. New records can take an hour to be seen."
        )
    _count(row, DomainProof.DNS, "", now=now, actor=actor)


def look_up(name: str) -> list[str]:
    """The TXT records at a name, each with its parts joined. Raises DomainRefused when the DNS does not answer."""
    servers = [dns.nameserver.Do53Nameserver(host, port) for host, port in settings.PORTICO_DNS_SERVERS]
    try:
        resolver = dns.resolver.Resolver(configure=not servers)
        if servers:
            resolver.nameservers = servers
        answer = resolver.resolve(f"{name}.", "TXT", lifetime=TIMEOUT)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.exception.DNSException as error:
        raise DomainRefused(f"The DNS gave no answer for {name} ({type(error).__name__}). Try again later.") from error
    return [b"".join(item.strings).decode("ascii", "replace") for item in answer]


def _plain(value: str) -> str:
    """Somebody else's text for a page or a terminal: no control characters, not too long."""
    return "".join(letter if letter.isprintable() else "�" for letter in value[:100])


def vouch(row: EmailDomain, reason: str, *, now: datetime, actor: Actor) -> None:
    """Let the claim count on an administrator's word, for a reason that stays on record; what counts stays as it is.

    Raises DomainRefused.
    """
    if row.verified_at is not None:
        return
    if not reason.strip():
        raise DomainRefused("Say why you vouch for this domain: the reason stays on record.")
    _count(row, DomainProof.VOUCHED, reason.strip()[:300], now=now, actor=actor)


def vouch_once(idp: IdentityProvider, domain: str, reason: str, *, now: datetime, actor: Actor) -> EmailDomain:
    """Claim and vouch in one step; what counts already stays as it is."""
    with transaction.atomic():
        row = claim(idp, domain, now=now, actor=actor)
        vouch(row, reason, now=now, actor=actor)
    return row


def release(row: EmailDomain, *, now: datetime, actor: Actor) -> None:
    """Give the claim up. Accounts that were linked by it keep their identities."""
    with transaction.atomic():
        _record(Kind.DOMAIN_RELEASED, row, now=now, actor=actor)
        row.delete()


def _count(row: EmailDomain, proof: DomainProof, reason: str, *, now: datetime, actor: Actor) -> None:
    kind = Kind.DOMAIN_VERIFIED if proof is DomainProof.DNS else Kind.DOMAIN_VOUCHED
    facts = {"verified_at": now, "proof": proof, "reason": reason}
    try:
        with transaction.atomic():
            if not EmailDomain.objects.filter(pk=row.pk).update(**facts):
                raise DomainRefused(f"The domain {row.domain} was released a moment ago. Claim it again first.")
            for name, value in facts.items():
                setattr(row, name, value)
            _record(kind, row, now=now, actor=actor)
    except IntegrityError:
        # By name: whoever held it may have released it since.
        owner = EmailDomain.objects.verified().select_related("idp").filter(domain=row.domain).first()
        raise DomainRefused(
            f"The domain {row.domain} belongs to {owner.idp if owner else 'another identity provider'} already. "
            "One domain has one identity provider: release it there first."
        ) from None


def _record(kind: Kind, row: EmailDomain, *, now: datetime, actor: Actor) -> None:
    record(
        kind, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="idp", subject_id=row.idp_id,
        subject=row.idp, data={"slug": row.idp.slug, "domain": row.domain, "reason": row.reason},
    )  # fmt: skip
