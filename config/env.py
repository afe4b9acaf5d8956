"""Typed readers of environment variables that fail loudly.

Each reader returns a value of the type it names or raises `django.core.exceptions.ImproperlyConfigured` with what was
expected, what came and which variable it was: a service provider that starts with a misread setting is worse than one
that does not start.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


def text(name: str, default: str | None = None) -> str:
    """The variable as written, stripped; without a default an unset or empty one is an error."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set. It is required here; see docs/operations.md.")
    return default


def integer(name: str, default: int, *, at_least: int, at_most: int) -> int:
    """A whole number within bounds (both included)."""
    raw = text(name, str(default))
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, but is {raw!r}.") from None
    if not at_least <= value <= at_most:
        raise ImproperlyConfigured(f"{name} must lie between {at_least} and {at_most}, but is {value}.")
    return value


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words, exactly."""
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}, but is {value!r}.")
    return value


def flag(name: str, *, default: bool) -> bool:
    """`true`/`false`, `yes`/`no`, `on`/`off`, `1`/`0`, in any case."""
    value = text(name, str(default)).lower()
    if value in {"true", "yes", "on", "1"}:
        return True
    if value in {"false", "no", "off", "0"}:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, but is {value!r}.")


def words(name: str) -> list[str]:
    """A comma-separated list, blanks around the items dropped; unset is empty."""
    return [word.strip() for word in text(name, "").split(",") if word.strip()]


def fernet_keys(name: str) -> list[str]:
    """A comma-separated list of Fernet keys (32 random bytes each, URL-safe base64); unset is empty.

    The error names the faulty one by its position: a secret does not belong in a log, not even a mistyped one.
    """
    keys = words(name)
    for number, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except ValueError:
            raise ImproperlyConfigured(
                f"{name}: key {number} of {len(keys)} is not a Fernet key (32 bytes in URL-safe base64). Make one with "
                '`python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"`.'
            ) from None
    return keys


def addresses(name: str) -> list[tuple[str, int]]:
    """A comma-separated list of `ip:port`, the port 53 when left out; unset is empty."""
    found = []
    for word in words(name):
        host, _, port = word.rpartition(":") if re.fullmatch(r".*[^:]:\d{1,5}", word) else (word, "", "53")
        try:
            found.append((str(ipaddress.ip_address(host.strip("[]"))), int(port)))
        except ValueError:
            raise ImproperlyConfigured(f"{name} must be a list of ip:port, but holds {word!r}.") from None
    return found


def base_url(name: str, default: str) -> str:
    """The public origin: `https://host[:port]`, or plain http on a loopback host; no path, query or credentials.

    Every SAML URL is this value plus a path, compared by equality with what identity providers send, so a trailing
    slash is the one liberty that is taken away silently.
    """
    raw = text(name, default)
    value = raw.rstrip("/")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not a URL ({error}): {raw!r}.") from None
    origin = f"{parts.scheme}://{parts.netloc}"
    if value != origin or not host or "@" in parts.netloc or port == 0:
        raise ImproperlyConfigured(f"{name} must be scheme://host[:port] and nothing more (no path), but is {raw!r}.")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK_HOSTS):
        raise ImproperlyConfigured(f"{name} must begin with https:// (http only on a loopback host), but is {raw!r}.")
    return origin.lower()


def mail(name: str, default: str = "") -> dict[str, Any]:
    """Django's EMAIL_… settings from one URL; an empty dictionary where the variable is unset and has no default.

    `smtp://user:password@host:587` (STARTTLS, always), `smtps://user:password@host:465` (TLS from the start),
    `smtp+plain://host:25` (no TLS: a relay on this machine), `file:///folder` (one file per mail), `console:`. User and
    password are percent-encoded. The error does not repeat the value: it may hold a password.
    """
    raw = text(name, default)
    if not raw:
        return {}
    try:
        parts = urlsplit(raw)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ImproperlyConfigured(f"{name} is not a URL.") from None
    backend = "django.core.mail.backends."
    match parts.scheme:
        case "console":
            return {"EMAIL_BACKEND": f"{backend}console.EmailBackend"}
        case "file" if parts.path.startswith("/") and not host:
            return {"EMAIL_BACKEND": f"{backend}filebased.EmailBackend", "EMAIL_FILE_PATH": unquote(parts.path)}
        case "smtp" | "smtps" | "smtp+plain" if host and parts.path in {"", "/"} and not parts.query:
            return {
                "EMAIL_BACKEND": f"{backend}smtp.EmailBackend",
                "EMAIL_HOST": host,
                "EMAIL_PORT": port or {"smtp": 587, "smtps": 465}.get(parts.scheme, 25),
                "EMAIL_HOST_USER": unquote(parts.username or ""),
                "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
                "EMAIL_USE_TLS": parts.scheme == "smtp",
                "EMAIL_USE_SSL": parts.scheme == "smtps",
            }
    raise ImproperlyConfigured(
        f"{name} must be smtp://user:password@host:587, smtps://…, smtp+plain://host:25, file:///folder or console:."
    )


def kept_secret(path: Path) -> str:
    """A random secret made once and kept in a 0600 file: for development, where nobody sets one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    value = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(value)
    return value
