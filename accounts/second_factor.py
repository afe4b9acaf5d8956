"""Second factors: authenticator apps, passkeys and recovery codes, as django-allauth keeps them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.cache import cache

from accounts import sessions
from accounts.sessions import Door

if TYPE_CHECKING:
    from django.http import HttpRequest

    from accounts.models import User

logger = logging.getLogger(__name__)

# A code is valid in its own step and, with the tolerance, in those around it.
_CODE_LIFE_S = 30 * (2 * settings.MFA_TOTP_TOLERANCE + 1)


def has_one(user: User) -> bool:
    """Whether this person has a second factor that a sign-in by password asks for."""
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return bool(Authenticator.objects.filter(user_id=user.pk, type__in=kinds).exists())


def remove_all(user: User) -> int:
    """Take every second factor away, recovery codes included; returns how many there were."""
    return int(Authenticator.objects.filter(user_id=user.pk).delete()[0])


def is_owed(request: HttpRequest) -> bool:
    """Whether a member of staff has come in by password alone where that is not enough."""
    return request.user.is_authenticated and sessions.door(request) == Door.LOCAL and owes_one(request.user)


def owes_one(user: User) -> bool:
    """Whether this person is staff who may administer nothing by a password alone, and has no more than that."""
    return settings.PORTICO_STAFF_SECOND_FACTOR and user.is_staff and not has_one(user)


def methods_of(user: User) -> list[str]:
    """The kinds of second factors that this person has set up, recovery codes included, as allauth calls them."""
    return list(
        Authenticator.objects.filter(user_id=user.pk).order_by("type").values_list("type", flat=True).distinct()
    )


def use_up(user: User, code: str) -> bool:
    """Whether this code of an authenticator app was not used before, on any node; from now on it was.

    allauth remembers a code for one step of 30 s, which with a tolerance is less than it is valid for. It takes a code
    with any blanks and punctuation in it, so those make no other code here either.
    """
    digits = "".join(filter(str.isalnum, code))
    digest = hashlib.sha256(f"{user.pk}:{digits}".encode()).hexdigest()
    return cache.add(f"portico:totp:{digest}", 1, timeout=_CODE_LIFE_S)


class SecondFactorAdapter(DefaultMFAAdapter):
    """Where the answer is ours: secrets are encrypted at rest, and nothing comes from the Host header."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "That code is not right, or was used before.",
        "cannot_generate_recovery_codes": "Recovery codes stand in for an app or a passkey: set up one of those first.",
    }

    def encrypt(self, text: str) -> str:
        """A Fernet token of the secret."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The secret again. If its key is gone: one that nobody knows, so that no code matches and pages still open."""
        try:
            return _cipher().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            logger.exception("A second factor cannot be opened: a key is missing in PORTICO_ENCRYPTION_KEYS")
            return base64.b32encode(secrets.token_bytes(20)).decode()

    def generate_authenticator_name(self, user: User, type: str) -> str:  # noqa: A002 - allauth's signature
        """What a new passkey is called if its owner does not say."""
        return f"Passkey {Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1}"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """The relying party of passkeys (WebAuthn 5.4.2): the host name of the base URL."""
        return {"id": passkey_host(), "name": settings.MFA_TOTP_ISSUER}


def passkey_host() -> str:
    """The name that passkeys are bound to."""
    return urlsplit(settings.PORTICO_BASE_URL).hostname or ""


def passkeys_work() -> bool:
    """Whether browsers make passkeys for this site: they do for names, not for addresses (WebAuthn 5.1.3, step 9)."""
    host = passkey_host()
    return not (host.replace(".", "").isdigit() or ":" in host)


def encrypt_anew() -> int:
    """Encrypt every secret under the first of the keys, in the caller's transaction; returns how many there are.

    Those that no key opens are left as they are.
    """
    cipher, changed = _cipher(), 0
    for authenticator in Authenticator.objects.select_for_update().exclude(type=Authenticator.Type.WEBAUTHN):
        for name in {"secret", "seed"} & authenticator.data.keys():
            with contextlib.suppress(InvalidToken):
                authenticator.data[name] = cipher.rotate(authenticator.data[name].encode()).decode()
                authenticator.save(update_fields=["data"])
                changed += 1
    return changed


def _cipher() -> MultiFernet:
    """PORTICO_ENCRYPTION_KEYS, then one made of the secret key: there is always one, and adding one loses nothing."""
    of_secret_key = hashlib.sha256(b"portico.second_factor:" + settings.SECRET_KEY.encode()).digest()
    keys = [Fernet(key) for key in settings.PORTICO_ENCRYPTION_KEYS]
    return MultiFernet([*keys, Fernet(base64.urlsafe_b64encode(of_secret_key))])
