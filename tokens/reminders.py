"""Telling owners that a token of theirs expires soon."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from smtplib import SMTPException
from typing import TYPE_CHECKING

from django.db.models import F

from accounts import mail
from audit.kinds import Kind
from audit.log import record
from tokens.issuing import addressee
from tokens.models import SOON, ApiToken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from accounts.actors import Actor

logger = logging.getLogger(__name__)
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Reminded:
    """How many mails were sent, and how many could not be."""

    sent: int
    failed: int


def remind(*, now: datetime, actor: Actor) -> Reminded:
    """Mail the owner of every token that runs out within `SOON`, once per token.

    Each is claimed before its mail is sent, so that two runs at once send one; if the mail fails, the next run tries
    again. Left out are tokens that were made to live no longer than that, and those of accounts that are switched off.
    """
    sent = failed = 0
    for token in filter(partial(_claim, now=now), _due(now)):
        try:
            mail.send_now(mail.letter("token_expires", addressee(token.user), {"user": token.user, "token": token}))
        except (OSError, SMTPException):
            logger.exception("The reminder for the token %s could not be sent", token.pk)
            ApiToken.objects.filter(pk=token.pk).update(reminded_at=None)
            failed += 1
        else:
            _record(token, now=now, actor=actor)
            sent += 1
    return Reminded(sent, failed)


def _due(now: datetime) -> Iterator[ApiToken]:
    awaited = ApiToken.objects.live(now).filter(reminded_at__isnull=True, user__is_active=True)
    due = awaited.filter(expires_at__lte=now + SOON, expires_at__gt=F("created_at") + SOON)
    return due.select_related("user", "user__service_account").order_by("expires_at", "pk").iterator(_BATCH)


def _claim(token: ApiToken, now: datetime) -> bool:
    """Whether it is ours to remind of: another run may have been faster."""
    return ApiToken.objects.filter(pk=token.pk, reminded_at__isnull=True).update(reminded_at=now) > 0


def _record(token: ApiToken, *, now: datetime, actor: Actor) -> None:
    record(
        Kind.TOKEN_REMINDED, now=now, actor=actor.label, subject_type="token", subject_id=token.pk, subject=token,
        data={"owner": str(token.user), "owner_id": str(token.user_id), "to": addressee(token.user)},
    )  # fmt: skip
