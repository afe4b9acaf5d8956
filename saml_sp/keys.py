"""Key pairs of ours: kept encrypted, handed out opened, moved through their life.

The private part is a Fernet token under PORTICO_ENCRYPTION_KEYS: the first key encrypts, all of them decrypt. A row
alone is of no use to anybody. A process opens each pair once and keeps it in memory.

A pair is first `next` (published, so that identity providers learn it), then `current` (signs, and is what they
encrypt for), then `old` (still decrypts, for those who are late), then gone. The very first one is current at once:
there is nothing to roll over from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import IntegrityError, transaction

from audit.kinds import Kind
from audit.log import record
from saml_sp.models import KeyState, SpKeyPair
from saml_sp.protocol import key_pairs
from saml_sp.protocol.errors import KeyPairRefused
from saml_sp.protocol.types import Signer

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from accounts.actors import Actor
    from saml_sp.protocol.key_pairs import KeyPair

NO_ENCRYPTION_KEY = (
    "PORTICO_ENCRYPTION_KEYS is not set, so private keys cannot be kept here. Set it in the server's environment and "
    "start the server again; docs/operations.md says how to make one."
)
NOTHING_TO_SIGN_WITH = "There is no current key pair of ours to sign with. Make one first."
CANNOT_OPEN = (
    "The private key cannot be opened with PORTICO_ENCRYPTION_KEYS. Put the encryption key back that it was kept "
    "under, behind the others; if that is lost, generate a new key pair, promote it and retire this one."
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A key pair with its private part in clear, in memory only."""

    private: RSAPrivateKey = field(repr=False)
    signer: Signer = field(repr=False)


def signer() -> Signer | None:
    """What to sign with: the current key pair. None where there is none, or none that can be opened."""
    current = SpKeyPair.objects.filter(state=KeyState.CURRENT).values_list("sha256", flat=True).first()
    opened = _opened_if_possible(current) if current else None
    return opened.signer if opened else None


def decryption_keys() -> tuple[RSAPrivateKey, ...]:
    """The private keys to try on what is encrypted for us: the current one first, then the others, newest first.

    One statement; those that cannot be opened are left out. Ask only when a message is encrypted.
    """
    pairs = list(SpKeyPair.objects.values_list("state", "sha256"))
    pairs.sort(key=lambda pair: pair[0] != KeyState.CURRENT)
    found = [_opened_if_possible(sha256) for _state, sha256 in pairs]
    return tuple(opened.private for opened in found if opened)


def published_certificates() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Certificates (PEM) for our metadata: those to verify our signatures with, and those to encrypt for us with.

    The next one is published for signatures only, so that identity providers know it before it is used. To encrypt
    there is one at any time, the current one: an identity provider that is shown two picks either, and one that is
    late goes on with the old one, which still decrypts.
    """
    held = dict(SpKeyPair.objects.exclude(state=KeyState.OLD).values_list("state", "certificate"))
    current = (held[KeyState.CURRENT],) if KeyState.CURRENT in held else ()
    coming = (held[KeyState.NEXT],) if KeyState.NEXT in held else ()
    return current + coming, current


def is_configured() -> bool:
    """Whether private keys can be kept here."""
    return bool(settings.PORTICO_ENCRYPTION_KEYS)


def is_usable(pair: SpKeyPair) -> bool:
    """Whether its private key can be opened."""
    return _opened_if_possible(pair.sha256) is not None


def _opened_if_possible(sha256: str) -> Opened | None:
    try:
        return _opened(sha256, tuple(settings.PORTICO_ENCRYPTION_KEYS))
    except (KeyPairRefused, SpKeyPair.DoesNotExist):  # retired between the question for it and this one
        return None


@lru_cache(maxsize=64)
def _opened(sha256: str, _encryption_keys: tuple[str, ...]) -> Opened:
    """Opened once per process. A certificate has one private key for ever, so that its fingerprint is key enough."""
    pair = SpKeyPair.objects.get(sha256=sha256)
    private_pem = _decrypt(pair)
    return Opened(key_pairs.load(private_pem), Signer(private_pem, pair.certificate.encode()))


def _cipher() -> MultiFernet:
    if not settings.PORTICO_ENCRYPTION_KEYS:
        raise KeyPairRefused(NO_ENCRYPTION_KEY)
    return MultiFernet([Fernet(key) for key in settings.PORTICO_ENCRYPTION_KEYS])


def _decrypt(pair: SpKeyPair) -> bytes:
    cipher = _cipher()
    try:
        return cipher.decrypt(bytes(pair.private_key))
    except InvalidToken:
        raise KeyPairRefused(f"{pair.sha256[:16]}: {CANNOT_OPEN}") from None


# --- The life of a key pair -----------------------------------------------------------------------------------------


def generate(*, now: datetime, actor: Actor) -> SpKeyPair:
    """Make a key pair and keep it. Raises KeyPairRefused."""
    _cipher()  # said before the seconds that making a key can take
    host = urlsplit(settings.PORTICO_BASE_URL).hostname or ""
    return _keep(key_pairs.generate(host, now), Kind.KEY_GENERATED, now=now, actor=actor)


def take_over(private_pem: bytes, certificate: bytes, *, now: datetime, actor: Actor) -> SpKeyPair:
    """Keep a key pair that an administrator brings along. Raises KeyPairRefused or CertificateRefused."""
    _cipher()
    return _keep(key_pairs.read(private_pem, certificate, now), Kind.KEY_IMPORTED, now=now, actor=actor)


def _keep(found: KeyPair, kind: Kind, *, now: datetime, actor: Actor) -> SpKeyPair:
    try:
        with transaction.atomic():
            held = {pair.state: pair for pair in SpKeyPair.objects.select_for_update()}
            if KeyState.NEXT in held:
                raise KeyPairRefused("There is a next key pair already. Promote it or remove it first.")
            pair = sealed(found, KeyState.NEXT if KeyState.CURRENT in held else KeyState.CURRENT, now)
            pair.save(force_insert=True)
            _record(kind, pair, now=now, actor=actor, data={"state": str(pair.state)})
    except IntegrityError:
        raise KeyPairRefused("This certificate is held here already, or somebody else added one just now.") from None
    return pair


def sealed(found: KeyPair, state: KeyState, now: datetime) -> SpKeyPair:
    """The unsaved row of a key pair, its private part encrypted. Raises KeyPairRefused without an encryption key."""
    facts = found.certificate
    return SpKeyPair(
        state=state, certificate=facts.pem, private_key=_cipher().encrypt(found.private_pem), sha256=facts.sha256,
        not_after=facts.not_after, created_at=now, changed_at=now,
    )  # fmt: skip


def promote(*, now: datetime, actor: Actor) -> SpKeyPair:
    """Use the next key pair from now on; the one that was current becomes old. Raises KeyPairRefused."""
    with transaction.atomic():
        held = {pair.state: pair for pair in SpKeyPair.objects.select_for_update().exclude(state=KeyState.OLD)}
        coming, current = held.get(KeyState.NEXT), held.get(KeyState.CURRENT)
        if coming is None:
            raise KeyPairRefused("There is no next key pair. Generate or import one first.")
        _decrypt(coming)  # one that cannot be opened must not become the one that is used
        if current is not None:
            _move(current, KeyState.OLD, now)
        _move(coming, KeyState.CURRENT, now)
        _record(
            Kind.KEY_PROMOTED, coming, now=now, actor=actor, data={"instead_of": current.sha256 if current else ""}
        )  # fmt: skip
    return coming


def _move(pair: SpKeyPair, state: KeyState, now: datetime) -> None:
    pair.state, pair.changed_at = state, now
    pair.save(update_fields=["state", "changed_at"])


def retire(pair_id: int, *, now: datetime, actor: Actor) -> None:
    """Delete a key pair (by its row's key) that is old, or next and never used. Raises KeyPairRefused."""
    with transaction.atomic():
        held = SpKeyPair.objects.select_for_update().filter(pk=pair_id).first()
        if held is None:
            raise KeyPairRefused("This key pair is gone already.")
        if held.state == KeyState.CURRENT:
            raise KeyPairRefused(
                "The current key pair is in use. Generate or import the next one, and promote that first."
            )
        _record(Kind.KEY_RETIRED, held, now=now, actor=actor, data={"state": held.state})
        held.delete()


def rotate(*, now: datetime, actor: Actor) -> int:
    """Encrypt every private key anew under the first of PORTICO_ENCRYPTION_KEYS; returns how many those were.

    All or nothing; again makes no difference. Raises KeyPairRefused.
    """
    with transaction.atomic():
        cipher = _cipher()
        pairs = list(SpKeyPair.objects.select_for_update())
        for pair in pairs:
            pair.private_key = cipher.encrypt(_decrypt(pair))
            pair.save(update_fields=["private_key"])
        if pairs:
            record(
                Kind.KEYS_ROTATED, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="sp_key",
                data={"count": len(pairs)},
            )  # fmt: skip
    return len(pairs)


def _record(kind: Kind, pair: SpKeyPair, *, now: datetime, actor: Actor, data: dict[str, Any]) -> None:
    record(
        kind, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="sp_key",
        subject_id=pair.pk, subject=pair.sha256, data=data,
    )  # fmt: skip
