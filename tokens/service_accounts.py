"""Accounts that are no person's: only tokens act for them, and only administrators make them.

Each is a row of accounts.User like any other, so that organisations, roles and the audit log need to know nothing of
them. The address is one that never receives mail (`.invalid`, RFC 2606), made of the name and of chance: it is unique,
and no identity provider can show that it owns that domain.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.text import slugify

from accounts.models import User
from audit.kinds import Kind
from audit.log import record
from tokens.models import ServiceAccount

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.actors import Actor

DOMAIN = "service.invalid"
MAX_NAME = 100


def create(*, name: str, contact: str, now: datetime, actor: Actor) -> ServiceAccount:
    """Make one with this name; `contact` is the address of whoever looks after it. One transaction.

    It has no password, no rights and, to begin with, no token.
    """
    address = f"{slugify(name)[:40].strip('-_') or 'account'}-{secrets.token_hex(3)}@{DOMAIN}"
    with transaction.atomic():
        user = User.objects.create_user(address, display_name=name, is_service_account=True)
        account = ServiceAccount.objects.create(user=user, contact=contact, created_at=now, created_by=actor.label)
        _record(Kind.SERVICE_ACCOUNT_CREATED, account, now=now, actor=actor)
    return account


def change(account: ServiceAccount, *, name: str, contact: str, now: datetime, actor: Actor) -> None:
    """Give it another name or another contact; the address stays. One transaction."""
    with transaction.atomic():
        account.user.display_name = name
        account.user.save(update_fields=["display_name"])
        account.contact = contact
        account.save(update_fields=["contact"])
        _record(Kind.SERVICE_ACCOUNT_CHANGED, account, now=now, actor=actor)


def _record(kind: Kind, account: ServiceAccount, *, now: datetime, actor: Actor) -> None:
    record(
        kind, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="user",
        subject_id=account.user_id, subject=account.user,
        data={"name": account.user.display_name, "contact": account.contact},
    )  # fmt: skip
