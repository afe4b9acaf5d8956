"""People, and the browser sessions they hold."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.sessions.base_session import AbstractBaseSession
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts import addresses, lookalikes

if TYPE_CHECKING:
    from datetime import datetime


def validate_address(value: str) -> None:
    """Model and form validator: the strict form that identity providers' addresses are held to as well."""
    if not addresses.is_address(value):
        raise ValidationError(
            "Enter a plain e-mail address (ASCII letters, no blanks): name@example.com.", code="email"
        )


class UserManager(BaseUserManager["User"]):
    """Finds people by e-mail without regard to case, and makes them."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make a person; without a password the account has none that works."""
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make a member of staff with every right, for `createsuperuser`."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        """Whoever has this address, in whatever case it is written."""
        return self.get(email_key=addresses.key(username or ""))


class User(AbstractBaseUser, PermissionsMixin):
    """A person with an account.

    `sso_label` and `sso_valid_until` are written by the room above that knows identity providers: the name of the one
    that vouches for this person (empty: nobody, the account is local), and until when its last word holds.
    `sso_suspended` says that it has been disabled since. A service account is no person: only tokens act for it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Unique for Django's sake, which wants it of a USERNAME_FIELD; the key below is what decides.
    email = models.EmailField("e-mail", max_length=addresses.MAX_LENGTH, unique=True, validators=[validate_address])
    # An index on a derived column, not a collation: every PostgreSQL build has it, and it says what equal means.
    email_key = models.CharField(max_length=addresses.MAX_LENGTH, unique=True, editable=False)
    # What this address has in common with those that a reader takes for it: to be pointed out, never to decide.
    look_key = models.CharField(max_length=addresses.MAX_LENGTH, db_index=True, editable=False)
    first_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    display_name = models.CharField(
        max_length=200, blank=True, editable=False, help_text="The whole name, where an identity provider gives one."
    )
    is_staff = models.BooleanField("staff", default=False, help_text="May sign in to the administration.")
    is_active = models.BooleanField("active", default=True, help_text="Off: may not sign in by any door.")
    inactive_because = models.CharField(max_length=300, blank=True, editable=False)
    # Part of what sessions and links in mails are signed with: each switching off makes all older ones void for good.
    epoch = models.PositiveIntegerField(default=0, editable=False)
    is_break_glass = models.BooleanField(
        "break-glass administrator", default=False,
        help_text="May sign in by password also while that is switched off for everybody else.",
    )  # fmt: skip
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    sso_label = models.CharField("identity provider", max_length=200, blank=True, editable=False)
    sso_valid_until = models.DateTimeField(null=True, blank=True, editable=False)
    # The identity provider that vouches is disabled: nobody can say at present whether this person may come in.
    sso_suspended = models.BooleanField(default=False, editable=False)
    is_service_account = models.BooleanField(
        "service account", default=False, editable=False,
        help_text="Not a person: no password, no identity provider, nothing but API tokens.",
    )  # fmt: skip

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ("email_key",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(is_service_account=False)
                | models.Q(is_staff=False, is_superuser=False, is_break_glass=False, sso_label=""),
                name="service_account_has_tokens_only",
            ),
        )

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        """Refuse an address that another account has in another spelling of case, before the index does."""
        super().clean()
        if self.is_service_account and (self.is_staff or self.is_superuser or self.is_break_glass or self.sso_label):
            raise ValidationError(
                "A service account has no rights in this administration, and nobody vouches for it.", code="service"
            )
        if self.is_break_glass and not (self.is_staff and self.is_superuser):
            raise ValidationError(
                {"is_break_glass": "A break-glass administrator is a superuser and a member of staff."}, code="rights"
            )
        self.email_key = addresses.key(self.email)
        if User.objects.filter(email_key=self.email_key).exclude(pk=self.pk).exists():
            raise ValidationError({"email": "Another account has this e-mail address."}, code="unique")

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the keys for comparison in step with the address."""
        self.email_key = addresses.key(self.email)
        self.look_key = lookalikes.look(self.email)
        if (fields := kwargs.get("update_fields")) is not None and "email" in fields:
            kwargs["update_fields"] = {*fields, "email_key", "look_key"}
        super().save(*args, **kwargs)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Django's value for what a session is bound to: its own is the password alone."""
        bound_to = f"{self.password}:{self.epoch}"
        return salted_hmac("accounts.models.User.session", bound_to, secret=secret, algorithm="sha256").hexdigest()

    @property
    def has_local_password(self) -> bool:
        """Whether the password form lets this person in.

        A local account, or a member of staff who has a password for the day that the identity provider is down.
        """
        return self.has_usable_password() and not self.is_service_account and (self.is_staff or not self.sso_label)

    @property
    def is_managed(self) -> bool:
        """Whether an identity provider looks after this person's password and second factor, and nobody does here."""
        return bool(self.sso_label) and not self.has_local_password

    def get_full_name(self) -> str:
        """The name as the identity provider writes it, else first and last as far as known, else the address."""
        return self.display_name or f"{self.first_name} {self.last_name}".strip() or self.email

    def get_short_name(self) -> str:
        """The first name, else the name as it is written, else the address."""
        return self.first_name or self.display_name or self.email


class SessionQuerySet(models.QuerySet["Session"]):
    """What is asked of many sessions at once."""

    def live(self, now: datetime) -> SessionQuerySet:
        """Those that a browser holds (or is about to be handed) and that have not run out."""
        return self.filter(expire_date__gt=now, user__isnull=False)


class Session(AbstractBaseSession):
    """One row per browser session, whoever began it: Django's own session row, with who holds it.

    Deleting the row ends the session at once, on every node.
    """

    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="sessions")
    began_at = models.DateTimeField(default=timezone.now)
    door = models.CharField(max_length=8, blank=True, help_text="sso, local or glass; empty while nobody is signed in.")
    label = models.CharField(max_length=200, blank=True, help_text="The identity provider that vouched.")
    ip = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    # A session opened by an identity provider's POST waits, for seconds, until the browser comes to take it.
    adopted_at = models.DateTimeField(null=True, blank=True)

    objects = SessionQuerySet.as_manager()  # type: ignore[misc, assignment]  # AbstractBaseSession declares its own

    class Meta:
        ordering = ("-began_at",)

    def __str__(self) -> str:
        return f"{self.user or 'nobody'}, since {self.began_at:%Y-%m-%d %H:%M}"

    @classmethod
    def get_session_store_class(cls) -> Any:
        """Django's hook from the row to its store."""
        from accounts.sessions import SessionStore  # noqa: PLC0415 - the store imports this model

        return SessionStore


class LocalSignIn(models.TextChoices):
    """Who may sign in by password (or passkey), without an identity provider."""

    EVERYONE = "everyone", "everyone who has a password"
    BREAK_GLASS = "break-glass", "break-glass administrators only"


class SignInPolicy(models.Model):
    """The one row of what holds for every sign-in on this site; without a row, the defaults do."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    local_sign_in = models.CharField(max_length=12, choices=LocalSignIn.choices, default=LocalSignIn.EVERYONE)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = verbose_name_plural = "sign-in policy"
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="sign_in_policy_one_row"),)

    def __str__(self) -> str:
        return f"Sign-in by password: {self.get_local_sign_in_display()}"

    @classmethod
    def current(cls) -> SignInPolicy:
        """The row, or the defaults while there is none."""
        return cls.objects.first() or cls()


class BreakGlassLink(models.Model):
    """A link made on the server's shell that signs one administrator in, once. The token itself is not kept."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="break_glass_links")
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"for {self.user}, until {self.expires_at:%Y-%m-%d %H:%M}"


class CacheEntry(models.Model):
    """The table of Django's database cache, which rate limits count in: made by a migration like every other one."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.cache_key
