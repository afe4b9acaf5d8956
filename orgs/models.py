"""Organisations, what belongs to them, and what people are given.

Each thing that somebody is given is a row that keeps its source: an administrator's hand, or an identity provider's
word. The two never touch each other's rows, so one thing may be held twice, and is lost only when both are gone.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from accounts.models import User
from orgs.permissions import Permission, validate_permissions

if TYPE_CHECKING:
    from collections.abc import Iterable

EXTERNAL_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
# Crockford's base 32 in lower case: nothing that is taken for another letter when it is read out.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def validate_external_id(value: str) -> None:
    """An ID that other systems know a thing by: plain, so that it fits into URLs, CSV files and assertions."""
    if not EXTERNAL_ID.fullmatch(value):
        raise ValidationError(
            "Use 1 to 64 letters, digits, dots, hyphens and underscores, beginning and ending with a letter or digit.",
            code="external_id",
        )


def validate_plain(value: str) -> None:
    """A name that is compared exactly with what identity providers send: no blanks around it, nothing invisible."""
    if value != value.strip() or not value.isprintable():
        raise ValidationError("No blanks at the ends and no invisible characters: it is compared exactly.", code="name")


def new_external_id() -> str:
    """An ID for what came without one: 12 random characters (60 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


class AccessLevel(models.IntegerChoices):
    """The account-wide level, in order; what each may do is the table in `orgs.permissions`."""

    NONE = 0, "none"
    ANALYST = 10, "analyst"
    ADMIN = 20, "admin"
    SUPER_ADMIN = 30, "super_admin"

    @classmethod
    def named(cls, name: str) -> AccessLevel | None:
        """The level of exactly this name."""
        return next((level for level in cls if level.label == name), None)


class MembershipRole(models.IntegerChoices):
    """What somebody is in an organisation, in order."""

    MEMBER = 1, "member"
    ADMIN = 2, "admin"

    @classmethod
    def named(cls, name: str) -> MembershipRole | None:
        """The role of exactly this name."""
        return next((role for role in cls if role.label == name), None)


class Source(models.TextChoices):
    """Where a grant comes from."""

    MANUAL = "manual", "by hand"
    IDP = "idp", "identity provider"


class OrganizationQuerySet(models.QuerySet["Organization"]):
    """What is asked of many organisations at once."""

    def visible_to(self, user: User) -> OrganizationQuerySet:
        """Those that this person may know of: their own, or every one."""
        if user.has_perm(Permission.VIEW_EVERY_ORGANIZATION):
            return self
        return self.filter(models.Exists(Membership.objects.filter(organization=models.OuterRef("pk"), user=user)))


class Organization(models.Model):
    """A customer, or a part of one: what people belong to and bill to."""

    external_id = models.CharField(
        "external ID", max_length=64, unique=True, default=new_external_id, validators=[validate_external_id],
        help_text="What other systems know it by. Stands in URLs and CSV files, so better never changed.",
    )  # fmt: skip
    name = models.CharField(max_length=200, unique=True, validators=[validate_plain])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name = "organisation"

    def __str__(self) -> str:
        return self.name


class BillingAccount(models.Model):
    """What work is billed to; it belongs to one organisation."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="billing_accounts", verbose_name="organisation"
    )
    external_id = models.CharField(
        "external ID", max_length=64, unique=True, default=new_external_id, validators=[validate_external_id]
    )
    name = models.CharField(max_length=200, validators=[validate_plain])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("organization__name", "name")
        constraints = (
            models.UniqueConstraint(
                fields=("organization", "name"), name="billing_account_name",
                violation_error_message="This organisation has a billing account of that name already.",
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return self.name


class AccessGroup(models.Model):
    """A named group of people, for the platform behind this site to act on."""

    name = models.CharField(max_length=200, unique=True, validators=[validate_plain])
    description = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Role(models.Model):
    """A named set of permissions. Identity providers grant it by its name, or by a group of exactly `group_name`."""

    name = models.CharField(max_length=200, unique=True, validators=[validate_plain])
    group_name = models.CharField(
        max_length=300, blank=True, validators=[validate_plain],
        help_text="A group value that identity providers send and that grants this role; empty for none.",
    )  # fmt: skip
    description = models.CharField(max_length=300, blank=True)
    permissions: models.JSONField[Any] = models.JSONField(default=list, blank=True, validators=[validate_permissions])

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("group_name",), condition=~models.Q(group_name=""), name="role_group_name",
                violation_error_message="Another role has this group name.",
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return self.name


class Property(models.Model):
    """Something that people are given access to one by one, known by a stable external ID."""

    external_id = models.CharField(
        "external ID", max_length=64, unique=True, validators=[validate_external_id],
        help_text="What identity providers send to grant it.",
    )  # fmt: skip
    name = models.CharField(max_length=200)

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "properties"

    def __str__(self) -> str:
        return f"{self.name} ({self.external_id})"


class GrantQuerySet(models.QuerySet[Any]):
    """What is asked of many grants at once."""

    def by_hand(self) -> GrantQuerySet:
        """Those that an administrator gave."""
        return self.filter(source=Source.MANUAL)


class Grant(models.Model):
    """What every grant keeps: to whom, and why.

    `source_id` is empty for what was given by hand, and the identity provider's ID (as text) for what it asserted.
    `given_by` is a label: the administrator's address, or the identity provider's description, as it was then.
    `via` (groups, permissions, properties, roles), `attribute` and `value` say what in the assertion gave it.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="%(class)ss")
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.MANUAL, editable=False)
    source_id = models.CharField(max_length=64, blank=True, editable=False)
    given_by = models.CharField(max_length=254, blank=True, editable=False)
    given_by_id = models.CharField(max_length=64, blank=True, editable=False)
    given_at = models.DateTimeField(default=timezone.now, editable=False)
    via = models.CharField(max_length=16, blank=True, editable=False)
    attribute = models.CharField(max_length=200, blank=True, editable=False)
    value = models.CharField(max_length=300, blank=True, editable=False)

    objects = GrantQuerySet.as_manager()

    class Meta:
        abstract = True

    @property
    def by_hand(self) -> bool:
        """Whether an administrator gave it."""
        return self.source == Source.MANUAL

    @property
    def why(self) -> str:
        """In a few words: by whom and when, or by which identity provider, attribute and value."""
        day = f"{self.given_at:%Y-%m-%d}"
        if self.by_hand:
            return f"assigned by {self.given_by or 'an administrator'} on {day}"
        return f"{self.given_by} says so since {day}: {self.attribute} = {self.value}"


def _once(thing: str) -> tuple[models.UniqueConstraint, ...]:
    """Each source gives a thing once (a role: once by name and once by group)."""
    fields = tuple(name for name in ("user", thing, "source", "source_id", "via") if name)
    name = "%(class)s_once_per_source"
    return (models.UniqueConstraint(fields=fields, name=name, violation_error_message="That is given already."),)


class Membership(Grant):
    """Somebody belongs to an organisation."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="memberships", verbose_name="organisation"
    )
    role = models.PositiveSmallIntegerField(choices=MembershipRole.choices, default=MembershipRole.MEMBER)

    class Meta:
        constraints = _once("organization")
        indexes = (
            models.Index(fields=("organization", "role"), name="membership_of_organization"),
            # An organisation's list in the administration, page by page, however many there are.
            models.Index(fields=("organization", "-id"), name="membership_newest"),
        )

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()} of {self.organization}"


class GroupMembership(Grant):
    """Somebody is in an access group."""

    group = models.ForeignKey(AccessGroup, on_delete=models.CASCADE, related_name="memberships")

    class Meta:
        constraints = _once("group")

    def __str__(self) -> str:
        return f"{self.user} in {self.group}"


class RoleGrant(Grant):
    """Somebody has a role."""

    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="grants")

    class Meta:
        constraints = _once("role")

    def __str__(self) -> str:
        return f"{self.user} has {self.role}"


class PropertyGrant(Grant):
    """Somebody has access to a property."""

    property = models.ForeignKey(Property, on_delete=models.CASCADE, related_name="grants")

    class Meta:
        constraints = _once("property")

    def __str__(self) -> str:
        return f"{self.user} has {self.property}"


class LevelGrant(Grant):
    """Somebody's access level, as one source sees it; what counts is the highest."""

    level = models.PositiveSmallIntegerField(choices=AccessLevel.choices, default=AccessLevel.ANALYST)

    class Meta:
        constraints = _once("")
        verbose_name = "access level"

    def __str__(self) -> str:
        return f"{self.user} is {self.get_level_display()}"


class BillingPermission(Grant):
    """Somebody may bill to an account: by hand alone, no identity provider says so."""

    billing_account = models.ForeignKey(BillingAccount, on_delete=models.CASCADE, related_name="permissions")

    class Meta:
        constraints = (
            *_once("billing_account"),
            models.CheckConstraint(condition=models.Q(source=Source.MANUAL), name="billing_permission_by_hand"),
        )

    def __str__(self) -> str:
        return f"{self.user} may bill to {self.billing_account}"


def highest(levels: Iterable[int]) -> AccessLevel:
    """The level that counts, of those that the sources say."""
    return AccessLevel(max(levels, default=AccessLevel.NONE))
