"""API tokens: what the database keeps of them. The secret itself is not among it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q

from accounts import addresses
from accounts.models import User, validate_address
from accounts.origins import MAX_USER_AGENT

if TYPE_CHECKING:
    from datetime import datetime

    from tokens.scopes import Scope

MAX_NAME = 100
SOON = timedelta(days=7)  # before its end a token is said to run out soon, and its owner is reminded


class State(StrEnum):
    """What has become of a token."""

    LIVE = "live"
    EXPIRING = "expires soon"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """What is asked of many tokens at once."""

    def live(self, now: datetime) -> ApiTokenQuerySet:
        """Those that open the door, as far as it is up to them."""
        return self.filter(revoked_at__isnull=True, expires_at__gt=now)

    def ended(self, now: datetime) -> ApiTokenQuerySet:
        """Those that were revoked or ran out."""
        return self.filter(Q(revoked_at__isnull=False) | Q(expires_at__lte=now))

    def ended_before(self, moment: datetime) -> ApiTokenQuerySet:
        """Those that had been revoked or had run out by then."""
        return self.filter(Q(revoked_at__lt=moment) | Q(expires_at__lt=moment))

    def in_state(self, state: State, now: datetime) -> ApiTokenQuerySet:
        """Those of which `ApiToken.state` says this."""
        if state is State.REVOKED:
            return self.filter(revoked_at__isnull=False)
        if state is State.EXPIRED:
            return self.filter(revoked_at__isnull=True, expires_at__lte=now)
        if state is State.EXPIRING:
            return self.live(now).filter(expires_at__lte=now + SOON)
        return self.live(now).filter(expires_at__gt=now + SOON)


class ApiToken(models.Model):
    """A token by which a program acts for somebody who is not at a browser."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens", verbose_name="owner")
    name = models.CharField(max_length=MAX_NAME)
    prefix = models.CharField("begins with", max_length=16, help_text="To tell it from others; it opens nothing.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes: models.JSONField[list[str]] = models.JSONField(default=list)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_ip = models.GenericIPAddressField("last used from", null=True, blank=True)
    last_used_by = models.CharField(max_length=MAX_USER_AGENT, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=254, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Which form was sent to make it: the same form sent twice makes one token.
    form_key = models.UUIDField(null=True, editable=False)

    objects: ClassVar[ApiTokenQuerySet] = ApiTokenQuerySet.as_manager()  # type: ignore[assignment]  # the manager has its methods

    class Meta:
        verbose_name = "API token"
        ordering = ("-created_at", "id")
        constraints = (models.UniqueConstraint(fields=("user", "form_key"), name="api_token_one_per_form"),)
        indexes = (
            models.Index(fields=("expires_at",), condition=Q(revoked_at__isnull=True), name="api_token_running_out"),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def carries(self, scope: Scope) -> bool:
        """Whether it was given this scope; whether its owner may still do that is `scopes.may_have`."""
        return scope.value in self.scopes

    def state(self, now: datetime) -> State:
        """What has become of it."""
        if self.revoked_at is not None:
            return State.REVOKED
        if self.expires_at <= now:
            return State.EXPIRED
        return State.EXPIRING if self.expires_at <= now + SOON else State.LIVE


class ServiceAccount(models.Model):
    """What is known of an account that is no person's: its name stands on the account itself."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE, related_name="service_account")
    contact = models.EmailField(
        max_length=addresses.MAX_LENGTH, validators=[validate_address],
        help_text="Who looks after it. Told when a token is made for it, and before one expires.",
    )  # fmt: skip
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=254)

    class Meta:
        ordering = ("user__email_key",)

    def __str__(self) -> str:
        return self.user.get_full_name()


class RefusedAddress(models.Model):
    """How many tokens were refused to a client's address within the minute that began then; see tokens/throttle.py."""

    address = models.CharField(max_length=64, primary_key=True)
    began_at = models.DateTimeField(db_index=True)
    count = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.address}: {self.count} since {self.began_at:%Y-%m-%d %H:%M:%S}"
