"""Browser sessions: the store that Django's middleware uses, and opening, adopting and ending them.

A login by SAML arrives as a cross-site POST, where the browser's own Lax cookie is invisible. So `open_session` makes
the new session without touching the browser, its key travels in a one-minute hand-over cookie, and the GET that
follows (where the browser's cookie can be seen) adopts it.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.middleware.csrf import rotate_token
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.models import Session
from audit.statements import Given, Select, Update, insert

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from accounts.models import User
    from accounts.origins import Origin

HANDOVER = timedelta(seconds=60)
HANDOVER_WHILE_ASKING = timedelta(minutes=5)
_BACKEND = "django.contrib.auth.backends.ModelBackend"
_KEY = re.compile(r"[a-z0-9]{32}")  # VALID_KEY_CHARS, at the length that Django gives a key
_TO_KEY_CHARACTER = bytes(ord(VALID_KEY_CHARS[byte % 32]) for byte in range(256))  # 32 of the 36: all equally often
_FACTS = "portico"  # the key under which a session's own facts are kept in its data


_WAITING = Select(
    lambda: Session.objects.select_related("user").filter(
        session_key=Given("key"), adopted_at__isnull=True, expire_date__gt=Given("now"), user__is_active=True
    )
)
_ADOPT = Update(
    lambda: Session.objects.filter(session_key=Given("key"), adopted_at__isnull=True, expire_date__gt=Given("now")),
    adopted_at=Given("now"),
    expire_date=Given("expires"),
)


# Called with the old and the new key when a session gets another one: who keeps a key as a plain value registers here.
followers: list[Callable[[str, str], None]] = []


class SessionStore(DatabaseStore):
    """Django's database store over our Session row, whose columns it fills from the session's data."""

    def _validate_session_key(self, key: str | None) -> bool:
        """Django's hook for what a cookie may hold; its own lets a NUL through, at which PostgreSQL fails."""
        return _KEY.fullmatch(key or "") is not None

    def _get_session_from_db(self) -> Session | None:
        """Django's hook for reading a row: one that waits to be adopted is nobody's yet, whoever brings its key."""
        row: Session | None = super()._get_session_from_db()  # type: ignore[misc]  # its types leave it out
        if row is not None and row.adopted_at is None:
            self._session_key = None
            return None
        return row

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """The row that this store writes."""
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """The row for this data; Django calls it for every save."""
        row: Session = super().create_model_instance(data)  # type: ignore[assignment]  # typed for Django's own model
        row.user_id = data.get(SESSION_KEY)
        facts = data.get(_FACTS, {})
        now = timezone.now()
        row.began_at = datetime.fromisoformat(facts["began_at"]) if "began_at" in facts else now
        row.adopted_at = datetime.fromisoformat(facts["began_at"]) if "began_at" in facts else now
        row.door = facts.get("door", "local" if row.user_id else "")
        row.label = facts.get("label", "")
        row.ip = facts.get("ip")
        row.user_agent = facts.get("user_agent", "")
        return row

    def cycle_key(self) -> None:
        """Another key for the same session, as after a change of password; the followers hear of it."""
        before = self.session_key
        super().cycle_key()
        after = self.session_key
        if before and after:
            for follow in followers:
                follow(before, after)


def open_session(  # noqa: PLR0913 - what a login knows, all keyword-only
    user: User, *, now: datetime, expires: datetime, label: str, origin: Origin, target: str, solicited: bool
) -> str:
    """Make a session for the user with a fresh key that no browser holds yet, and return the key.

    `label` names the identity provider that vouched. It runs out after `HANDOVER` unless a browser adopts it, and then
    at `expires`. `target` is a path on this site to go to afterwards; `solicited` says whether this browser asked for
    the login. One INSERT, in the caller's transaction.
    """
    store = SessionStore()
    # 160 random bits: the primary key would catch a collision, nobody needs to look for one first.
    key = secrets.token_bytes(32).translate(_TO_KEY_CHARACTER).decode()
    data = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: _BACKEND,
        HASH_SESSION_KEY: user.get_session_auth_hash(),
        "_session_expiry": expires.isoformat(),
        _FACTS: {
            "began_at": now.isoformat(),
            "door": "sso",
            "label": label,
            "ip": origin.ip,
            "user_agent": origin.user_agent,
            "target": target,
            "solicited": solicited,
        },
    }
    row = Session(
        session_key=key,
        session_data=store.encode(data),
        expire_date=min(now + HANDOVER, expires),
        user=user,
        began_at=now,
        door="sso",
        label=label,
        ip=origin.ip,
        user_agent=origin.user_agent,
    )
    insert(row)
    return key


@dataclass(frozen=True, slots=True)
class Waiting:
    """A session that was opened and waits for its browser."""

    key: str
    user: User
    label: str
    expires: datetime
    target: str
    solicited: bool


def waiting_session(key: str, now: datetime) -> Waiting | None:
    """The session behind a hand-over key, unless it was adopted, ended or came too late. One query."""
    if not _KEY.fullmatch(key):
        return None
    row = _WAITING.first(key=key, now=now)
    if row is None or row.user is None:
        return None
    data = SessionStore().decode(row.session_data)
    facts = data.get(_FACTS, {})
    return Waiting(
        key=key,
        user=row.user,
        label=row.label,
        expires=datetime.fromisoformat(data["_session_expiry"]),
        target=facts.get("target", ""),
        solicited=facts.get("solicited", False),
    )


def keep_waiting(key: str, now: datetime) -> None:
    """Give somebody time to answer a question about the session before it is adopted."""
    Session.objects.filter(session_key=key, adopted_at__isnull=True).update(expire_date=now + HANDOVER_WHILE_ASKING)


def adopt(request: HttpRequest, waiting: Waiting, now: datetime) -> bool:
    """Make the waiting session this browser's own and end the one it had; False if another request was faster.

    The caller then sends the key with `set_cookie`. Two statements: one UPDATE that only one request can win, one
    DELETE of the session that is replaced.
    """
    if not _ADOPT.run(key=waiting.key, now=now, expires=waiting.expires):
        return False
    if request.session.session_key:
        # By the row, not by a query, which would put a transaction of its own around the one statement.
        Session(pk=request.session.session_key).delete()
    # The middleware must neither save the replaced session again nor delete the cookie that `set_cookie` sets.
    request.session = SessionStore(waiting.key)
    request.user = waiting.user
    rotate_token(request)
    return True


def discard(key: str) -> None:
    """End a session that waits and is not wanted."""
    Session.objects.filter(session_key=key, adopted_at__isnull=True).delete()


def set_cookie(response: HttpResponse, waiting: Waiting, now: datetime) -> None:
    """Send the adopted session's key, with the attributes that Django's middleware would give it."""
    response.set_cookie(
        settings.SESSION_COOKIE_NAME,
        waiting.key,
        max_age=max(int((waiting.expires - now).total_seconds()), 0),
        path=settings.SESSION_COOKIE_PATH,
        domain=settings.SESSION_COOKIE_DOMAIN,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=settings.SESSION_COOKIE_HTTPONLY,
        samesite="Lax",
    )


class Door(StrEnum):
    """How a session began."""

    SSO = "sso"
    LOCAL = "local"
    GLASS = "glass"


def door(request: HttpRequest) -> str:
    """How this browser's session began: a Door, or empty while nobody is signed in."""
    return str(request.session.get(_FACTS, {}).get("door", ""))


def began_within(request: HttpRequest, past: timedelta, now: datetime) -> bool:
    """Whether somebody signed in by this browser as recently as that."""
    began = request.session.get(_FACTS, {}).get("began_at")
    return began is not None and now - datetime.fromisoformat(began) < past


def handle(session_key: str) -> str:
    """A name for a session in a page: the key itself is a password, and has no business there."""
    return salted_hmac("accounts.sessions", session_key).hexdigest()[:32]


def end_others(user: User, *, keep: str | None) -> int:
    """End every session of this user but the one with this key; returns how many there were."""
    return Session.objects.filter(user=user).exclude(session_key=keep or "").delete()[0]


def end_one(user: User, named: str) -> bool:
    """End the session of this user that has this handle; False if there is none (any more)."""
    keys = Session.objects.filter(user=user).values_list("session_key", flat=True)
    found = next((key for key in keys if constant_time_compare(handle(key), named)), None)
    return found is not None and Session.objects.filter(session_key=found).delete()[0] > 0


def end_all(user: User) -> int:
    """End every session of this user, on every node; returns how many there were."""
    return Session.objects.filter(user=user).delete()[0]


def begin_local(request: HttpRequest, origin: Origin, now: datetime, door: Door = Door.LOCAL) -> None:
    """Write down in a session that has just begun here when that was and where from, and let it end on time."""
    request.session[_FACTS] = {
        "began_at": now.isoformat(),
        "door": door.value,
        "ip": origin.ip,
        "user_agent": origin.user_agent,
    }
    # A fixed end: Django's default moves it with every save.
    request.session.set_expiry(now + timedelta(seconds=settings.SESSION_COOKIE_AGE))
