"""Configuring identity providers: what the admin pages and the commands have in common, each a whole transaction."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import transaction

from accounts.models import Session, User
from audit.kinds import Kind
from audit.log import record
from orgs import grants
from orgs.models import AccessLevel
from saml_sp import keys, suspension
from saml_sp.models import FederatedIdentity, IdentityProvider, SamlSession
from saml_sp.protocol import metadata
from saml_sp.protocol.errors import ConfigurationRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from accounts.actors import Actor
    from saml_sp.logos import Picture
    from saml_sp.protocol.metadata import IdpMetadata

# What an audit event about a change compares: every column that somebody can set. The slug never changes, and `enabled`
# has events of its own.
_NOT_AUDITED = frozenset({"id", "slug", "enabled"})
AUDITED_FIELDS = tuple(
    column.attname
    for column in IdentityProvider._meta.concrete_fields  # noqa: SLF001 - Django's public name for it
    if column.editable and column.attname not in _NOT_AUDITED
)


def import_metadata(idp: IdentityProvider, xml: bytes, *, now: datetime, actor: Actor) -> IdpMetadata:
    """Take entity ID, endpoints and signing certificates from metadata; save the identity provider with them, once.

    `idp` may be unsaved, and other fields of it may have been set. What is in place already is not written again.
    Returns what was read. Raises MetadataRefused or django's ValidationError; then nothing is saved.
    """
    found = metadata.read_idp(xml, now)
    with transaction.atomic():
        before = locked_snapshot(idp)
        apply_endpoints(idp, found)
        if snapshot(idp) != before or certificates_differ(idp, found):
            idp.full_clean()
            idp.save()
            idp.set_certificates(found.certificates)
            record_difference(idp, before, now=now, actor=actor)
    return found


def apply_endpoints(idp: IdentityProvider, found: IdpMetadata) -> None:
    """Set the columns that metadata names, without saving."""
    idp.entity_id = found.entity_id
    idp.sso_url = found.sso_url
    idp.sso_binding = found.sso_binding.value
    idp.slo_url = found.slo_url
    idp.slo_binding = found.slo_binding.value
    idp.slo_response_url = found.slo_response_url
    # One that wants requests signed gets them; that another does not ask for it is no reason to stop.
    idp.sign_requests = idp.sign_requests or found.wants_signed_requests


def notes_on(found: IdpMetadata) -> tuple[str, ...]:
    """What the administrator should know of metadata that was taken: sentences."""
    if not found.wants_signed_requests or keys.signer() is not None:
        return found.notes
    return (*found.notes, "It wants signed requests, but there is no key pair of ours to sign with: generate one.")


def certificates_differ(idp: IdentityProvider, found: IdpMetadata) -> bool:
    """Whether metadata brings other certificates than those that are held."""
    return fingerprints(idp) != sorted(metadata.fingerprints(found))


def fingerprints(idp: IdentityProvider) -> list[str]:
    """SHA-256 of the certificates that are held, sorted."""
    return sorted(idp.certificates.values_list("sha256", flat=True)) if idp.pk else []


def snapshot(idp: IdentityProvider) -> dict[str, Any]:
    """What an audit event compares, as it stands in memory; certificates as they stand in the database."""
    logos = dict(idp.logos.values_list("place", "sha256")) if idp.pk else {}
    facts = {name: getattr(idp, name) for name in AUDITED_FIELDS}
    return facts | {"certificates": fingerprints(idp), "group_rules": group_rules(idp), "logos": logos}


def group_rules(idp: IdentityProvider) -> list[str]:
    """What its groups mean here, in words, sorted."""
    if not idp.pk:
        return []
    rows = idp.group_rules.select_related("access_group", "organization")
    return sorted(f"{'pattern ' if rule.is_pattern else ''}{rule}" for rule in rows)


def locked(idp: IdentityProvider) -> IdentityProvider:
    """The row as the database holds it, locked until the transaction ends.

    Not against new rows that refer to it: a sign-in, which holds its person's row, adds some, and whoever holds this
    row may be waiting for that person's.
    """
    return IdentityProvider.objects.select_for_update(no_key=True).get(pk=idp.pk)


def locked_snapshot(idp: IdentityProvider) -> dict[str, Any]:
    """What the database holds, its row locked until the transaction ends; empty when it holds none yet."""
    if idp._state.adding:  # noqa: SLF001 - Django's public name for it
        return {}
    return snapshot(locked(idp))


@contextmanager
def on_record(idp: IdentityProvider, *, now: datetime, actor: Actor) -> Iterator[IdentityProvider]:
    """Whatever is changed of this identity provider inside is one transaction, and written down at its end.

    Yields the row as the database holds it, locked: that one is to be changed, and saved, not the one given.
    """
    with transaction.atomic():
        held = locked(idp)
        before = snapshot(held)
        yield held
        record_difference(held, before, now=now, actor=actor)


def record_difference(idp: IdentityProvider, before: dict[str, Any], *, now: datetime, actor: Actor) -> None:
    """Write down what was made or changed since `before`, a snapshot (empty: it was made); nothing for no change.

    What people hold follows at once: a lower ceiling lowers the levels that it gave, another limit of days without a
    sign-in counts for those who are here already.
    """
    after = snapshot(idp)
    changed = {name: {"from": before.get(name), "to": after[name]} for name in after if before.get(name) != after[name]}
    if before and (rules := changed.get("group_rules")):
        # There may be hundreds of them: those that went, and those that came.
        went, came = set(rules["from"]) - set(rules["to"]), set(rules["to"]) - set(rules["from"])
        changed["group_rules"] = {"from": sorted(went), "to": sorted(came)}
    if before and "level_ceiling" in changed:
        grants.cap(idp.pk, AccessLevel(idp.level_ceiling))
    if before and "no_sign_in_days" in changed:
        suspension.settle_people(idp)
    if changed:
        _record(Kind.IDP_CHANGED if before else Kind.IDP_CREATED, idp, now=now, actor=actor, data={"changed": changed})


def set_logo(idp: IdentityProvider, place: str, picture: Picture | None) -> None:
    """Hold this picture in this place, or none."""
    if picture is None:
        idp.logos.filter(place=place).delete()
        return
    facts = {"content_type": picture.content_type, "data": picture.data, "sha256": picture.sha256}
    idp.logos.update_or_create(place=place, defaults=facts)


def enable(idp: IdentityProvider, *, now: datetime, actor: Actor) -> bool:
    """Let people sign in through it; False if they could already.

    Raises ConfigurationRefused with a sentence that names what is missing.
    """
    with transaction.atomic():
        held = locked(idp)
        if missing := held.what_is_missing(now):
            raise ConfigurationRefused(cannot_enable(missing))
        idp.enabled = True
        if held.enabled:
            return False
        idp.save(update_fields=["enabled"])
        suspension.settle_people(idp)
        _record(Kind.IDP_ENABLED, idp, now=now, actor=actor)
    return True


def cannot_enable(missing: list[str]) -> str:
    """The sentence for an identity provider that is not complete."""
    listed = " and ".join([", ".join(missing[:-1]), missing[-1]]) if len(missing) > 1 else missing[0]
    return f"It cannot be enabled without {listed}. Import its metadata, or fill in by hand what is missing."


def disable(idp: IdentityProvider, *, now: datetime, actor: Actor) -> int:
    """Let nobody sign in through it any more, and end the sessions that it vouched for; returns how many those were.

    API tokens of its people are suspended until it is enabled again.
    """
    with transaction.atomic():
        held = locked(idp)
        idp.enabled = False
        if held.enabled:
            idp.save(update_fields=["enabled"])
        suspension.settle_people(idp)
        ended = end_sessions(SamlSession.objects.filter(idp=idp))
        if held.enabled:
            _record(Kind.IDP_DISABLED, idp, now=now, actor=actor, data={"sessions_ended": ended})
    return ended


def remove(idp: IdentityProvider, *, now: datetime, actor: Actor) -> None:
    """Delete an identity provider that has no identities. Raises django's ProtectedError for one that has."""
    with transaction.atomic():
        disable(idp, now=now, actor=actor)
        grants.forget(idp.pk)
        _record(Kind.IDP_REMOVED, idp, now=now, actor=actor)
        idp.delete()


def invite(identity: FederatedIdentity, *, now: datetime, actor: Actor) -> None:
    """Save a pending identity: an administrator vouches for who will come."""
    with transaction.atomic():
        identity.save()
        suspension.settle(identity.user)
        record_identity(Kind.IDENTITY_PENDING, identity, now=now, actor=actor)


def unlink(identity: FederatedIdentity, *, now: datetime, actor: Actor) -> int:
    """Remove an identity, and end the sessions of its user that began by it; returns how many those were.

    What the identity provider gave goes as well, for it does not say so any more. Where the person has another identity
    there (after a merge, say), nobody knows which of them gave what: the next sign-in gives that one's anew. One that
    is gone already is left at that.
    """
    with transaction.atomic():
        held = locked_identity(identity)
        if held is None:
            return 0
        ended = end_sessions(SamlSession.objects.filter(idp=held.idp_id, user=held.user_id))
        record_identity(Kind.IDENTITY_REMOVED, held, now=now, actor=actor, data={"sessions_ended": ended})
        held.delete()
        grants.forget(held.idp_id, held.user)
        suspension.settle(held.user)
    return ended


def locked_identity(identity: FederatedIdentity) -> FederatedIdentity | None:
    """The identity as the database holds it, locked until the transaction ends; None when it is gone.

    Its person's row is locked first, as everywhere: sign-ins lock nobody the other way round. A merge may have given
    it to another person since it was read.
    """
    rows = FederatedIdentity.objects.filter(pk=identity.pk)
    owner: UUID | None = identity.user_id
    locked_one = None
    while owner is not None and owner != locked_one:
        locked_one = owner
        User.objects.select_for_update().filter(pk=owner).first()
        owner = rows.values_list("user_id", flat=True).first()
    return rows.select_related("idp", "user").select_for_update(of=("self",)).first()


def end_sessions(vouched_for: QuerySet[SamlSession]) -> int:
    """End the browser sessions behind these rows, and forget the rows."""
    # Locked in the order in which a logout locks them, so that the two cannot wait for each other.
    keys = list(vouched_for.select_for_update().order_by("pk").values_list("pk", flat=True))
    ended, _ = Session.objects.filter(session_key__in=keys).delete()
    SamlSession.objects.filter(pk__in=keys).delete()
    return ended


def _record(
    kind: Kind, idp: IdentityProvider, *, now: datetime, actor: Actor, data: dict[str, Any] | None = None
) -> None:
    record(
        kind, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="idp", subject_id=idp.pk,
        subject=idp, data={"slug": idp.slug} | (data or {}),
    )  # fmt: skip


def record_identity(
    kind: Kind, identity: FederatedIdentity, *, now: datetime, actor: Actor, data: dict[str, Any] | None = None
) -> None:
    """Write down what was done to an identity, in the caller's transaction."""
    facts = {"idp": identity.idp.slug, "email": identity.email_key, "subject": identity.subject}
    record(
        kind, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="user",
        subject_id=identity.user_id, subject=identity.user, data=facts | (data or {}),
    )  # fmt: skip
