"""Changing one's address: a link goes to the new one, and only who opens it has it.

The link carries, signed, the account, the address it had and the one it gets: once the address has changed, or the
account was switched off, it is void.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts import addresses, mail
from accounts.models import User
from audit.kinds import Kind
from audit.log import record

if TYPE_CHECKING:
    from datetime import datetime

_SALT = "accounts.email_change"


def ask(user: User, address: str) -> None:
    """Mail a link to the new address, unless somebody has it already: the page says the same, whoever asks."""
    token = signing.dumps([str(user.pk), user.epoch, user.email_key, address], salt=_SALT, compress=True)
    link = mail.link(reverse("account_confirm_email_change", args=[token]))
    letter = mail.letter("email_change", address, {"user": user, "link": link, "address": address})
    if not User.objects.filter(email_key=addresses.key(address)).exclude(pk=user.pk).exists():
        mail.send_soon(letter)


def read(token: str) -> tuple[User, str] | None:
    """Whose address a link changes, and to which; None for one that is forged, too old, used, or not allowed now."""
    try:
        pk, epoch, was, address = signing.loads(token, salt=_SALT, max_age=settings.PORTICO_LINK_HOURS * 3600)
    except signing.BadSignature:
        return None
    user = User.objects.filter(pk=pk, epoch=epoch, email_key=was, is_active=True, sso_label="").first()
    return (user, address) if user else None


def carry_out(token: str, *, now: datetime, ip: str | None) -> User | None:
    """Give the account its new address and tell the old one. None where the link is void or the address is taken."""
    found = read(token)
    if found is None:
        return None
    user, address = found
    before = user.email
    user.email = address
    try:
        with transaction.atomic():
            user.full_clean(exclude=["password"])
            user.save(update_fields=["email"])
            record(
                Kind.EMAIL_CHANGED, now=now, actor=before, actor_id=user.pk, subject_type="user", subject_id=user.pk,
                subject=address, ip=ip, data={"from": before, "to": address},
            )  # fmt: skip
    except (ValidationError, IntegrityError):
        return None
    what = f"The address of your account is now {address}."
    mail.send_soon(mail.letter("notice", before, {"user": user, "what": what}))
    return user
