"""Links by which somebody chooses a password: the invitation to a new account, and the one for a forgotten password.

Both are Django's password reset token: signed, with a time in it, and void once the password has changed, the person
has signed in, or the account was switched off. Nothing is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse

from accounts import addresses, mail
from accounts.models import User
from audit.kinds import Kind
from audit.log import record

if TYPE_CHECKING:
    from datetime import datetime


class Tokens(PasswordResetTokenGenerator):
    """Django's, and void once the account has been switched off, whatever it is afterwards."""

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}{user.epoch}"


class NotInvited(Exception):
    """Why somebody gets no invitation, in words for an administrator."""


def invite(user: User, *, now: datetime, actor: object, actor_id: object = "", ip: str | None = None) -> None:
    """Mail a new person the link that lets them choose a password; sent before this returns.

    Raises NotInvited for accounts that are switched off, managed by an identity provider, no person's, or have a
    password. Raises what `mail.send_now` raises.
    """
    if user.is_service_account:
        raise NotInvited(f"{user} is a service account: it has API tokens and no password.")
    if not user.is_active:
        raise NotInvited(f"{user} is switched off.")
    if user.sso_label:
        raise NotInvited(f"{user} signs in through {user.sso_label} and needs no password here.")
    if user.has_usable_password():
        raise NotInvited(f"{user} has a password already.")
    mail.send_now(mail.letter("invitation", user.email, {"user": user, "link": password_link(user)}))
    record(
        Kind.INVITED, now=now, actor=actor, actor_id=actor_id, subject_type="user", subject_id=user.pk, subject=user,
        ip=ip,
    )  # fmt: skip


def answer_forgotten(address: str) -> None:
    """Mail the link to whoever has this address, if theirs is an account with a password here.

    What is done, and how long it takes, is the same for everybody: the letter is written in any case, and thrown away
    where nobody may have it.
    """
    user = User.objects.filter(email_key=addresses.key(address)).first()
    entitled = user is not None and user.is_active and user.has_local_password
    to = user or User(email=address, password="!")  # noqa: S106 - a mark, no password
    letter = mail.letter("password_reset", to.email, {"user": to, "link": password_link(to)})
    if entitled:
        mail.send_soon(letter)


def password_link(user: User) -> str:
    """A link that works until the password changes, the person signs in, or PORTICO_LINK_HOURS have passed."""
    return mail.link(
        reverse(
            "account_reset_password_from_key",
            kwargs={"uidb36": user_pk_to_url_str(user), "key": Tokens().make_token(user)},
        )
    )
