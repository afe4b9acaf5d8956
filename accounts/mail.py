"""Mail that a page sends: after the answer, so that the answer takes no longer for people who exist."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

logger = logging.getLogger(__name__)

# One after the other, in one thread per process; the interpreter waits for it when it ends.
_sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")


def letter(template: str, to: str, context: dict[str, Any]) -> EmailMessage:
    """The mail of `templates/account/email/<template>.txt`: the subject is its first line, a blank one follows."""
    facts = {"base_url": settings.PORTICO_BASE_URL, "contact": settings.PORTICO_CONTACT, **context}
    subject, _, body = render_to_string(f"account/email/{template}.txt", facts).strip().partition("\n")
    return EmailMessage(subject.strip(), body.strip() + "\n", to=[to])


def send_now(message: EmailMessage) -> None:
    """Send it and wait. Raises ImproperlyConfigured where no mail is sent, OSError or SMTPException where it fails."""
    if not settings.PORTICO_SENDS_MAIL:
        raise ImproperlyConfigured("This site sends no mail: PORTICO_EMAIL_URL is not set.")
    message.send()


def send_soon(message: EmailMessage) -> None:
    """Send it in the background; a failure is logged. Nothing happens where no mail is sent."""
    if settings.PORTICO_SENDS_MAIL:
        _sender.submit(_send, message)


def settle() -> None:
    """Wait until everything that `send_soon` was given is sent."""
    _sender.submit(lambda: None).result()


def link(path: str) -> str:
    """The address of a page, for a mail: from the configured base URL, never from a request."""
    return f"{settings.PORTICO_BASE_URL}{path}"


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except (OSError, SMTPException):
        logger.exception("A mail could not be sent")
