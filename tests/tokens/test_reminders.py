"""Reminding owners before a token expires."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.actors import Actor
from accounts.deactivation import deactivate
from audit.kinds import Kind
from audit.models import Event
from tests.tokens.making import OPERATOR, token_of
from tokens import issuing, reminders
from tokens.models import ApiToken

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings

    from accounts.models import User
    from tests.accounts.people import Outbox
    from tokens.models import ServiceAccount

pytestmark = pytest.mark.django_db


def remind() -> str:
    out = StringIO()
    call_command("remind_tokens", stdout=out)
    return out.getvalue().strip()


def soon(owner: User, name: str = "soon") -> ApiToken:
    """A token that was made some weeks ago and expires in six days."""
    return token_of(owner, name=name, days=30, now=timezone.now() - timedelta(days=24))[0]


def test_it_reminds_of_a_token_once(lou: User, outbox: Outbox) -> None:
    token = soon(lou)
    assert remind() == "1 reminded."
    mail = outbox.only()
    assert (mail.to, mail.subject) == ([lou.email], "An API token expires soon")
    assert token.prefix in mail.body
    assert "It was never used." in mail.body
    assert Event.objects.get(kind=Kind.TOKEN_REMINDED).data["to"] == lou.email
    assert remind() == "0 reminded."


def test_it_leaves_alone_what_needs_no_reminder(lou: User, grace: User, outbox: Outbox) -> None:
    token_of(lou, name="long", days=8)
    token_of(lou, name="made to be short", days=7, now=timezone.now() - timedelta(days=1))
    token_of(lou, name="past", days=8, now=timezone.now() - timedelta(days=9))
    issuing.revoke(soon(lou, "revoked"), now=timezone.now(), actor=OPERATOR)
    soon(grace, "of somebody switched off")
    type(grace).objects.filter(pk=grace.pk).update(is_active=False)
    deactivate(grace, now=timezone.now(), actor=OPERATOR)
    assert remind() == "0 reminded."
    assert outbox.all() == []


def test_whoever_looks_after_a_service_account_is_told(robot: ServiceAccount, outbox: Outbox) -> None:
    token = soon(robot.user)
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now())
    remind()
    mail = outbox.only()
    assert mail.to == ["ops@portico.example"]
    assert "It was last used on" in mail.body
    assert "let an administrator make another one" in mail.body


def test_where_no_mail_is_sent_nothing_fails_and_nothing_is_marked(lou: User, settings: Settings) -> None:
    settings.PORTICO_SENDS_MAIL = False
    token = soon(lou)
    assert "nobody was reminded" in remind()
    token.refresh_from_db()
    assert token.reminded_at is None


def test_a_mail_that_fails_is_tried_again(
    lou: User, settings: Settings, tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    token = soon(lou)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    with pytest.raises(CommandError, match=r"1 mail\(s\) could not be sent"):
        remind()
    assert str(token.pk) in caplog.text
    token.refresh_from_db()
    assert token.reminded_at is None
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert remind() == "1 reminded."


def test_what_another_run_has_claimed_is_left_to_it(lou: User, outbox: Outbox) -> None:
    now = timezone.now()
    first, second = soon(lou, "first"), soon(lou, "second")
    # The rows are read before the first mail goes out; the other run comes in between.
    due = reminders._due(now)
    assert next(due) == first
    ApiToken.objects.filter(pk=second.pk).update(reminded_at=now)
    assert reminders._claim(next(due), now) is False
    assert reminders.remind(now=now, actor=Actor.command("remind_tokens")) == reminders.Reminded(sent=1, failed=0)
    assert "first" in outbox.only().body
