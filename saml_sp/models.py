"""Identity providers, the identities they vouch for, and what came of each sign-in attempt."""

from __future__ import annotations

import re
import secrets
import uuid
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone

from accounts import addresses
from accounts.models import User, validate_address
from audit.statements import Given, Select
from orgs.models import AccessGroup, AccessLevel, MembershipRole, Organization
from saml_sp.mapping import MAX_VALUE, validate_mapping
from saml_sp.protocol import certificates, urls
from saml_sp.protocol.errors import CertificateRefused, UnknownIdp, UrlRefused
from saml_sp.protocol.types import Binding, Expectation, IdpProfile, NameIdFormat, SpDescription, SpProfile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from saml_sp.protocol.types import VerificationKey

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?")
EXPIRY_WARNING = timedelta(days=60)
MOST_STARS = 5
RESERVED_SLUGS = frozenset({"continue", "login", "logout", "acs", "slo", "metadata", "test"})


def validate_slug(value: str) -> None:
    """A slug stands in URLs that are registered at the identity provider, so it is plain, short and for ever."""
    if not SLUG.fullmatch(value):
        raise ValidationError(
            "Use 1 to 50 lower-case letters, digits and hyphens, beginning and ending with a letter or digit.",
            code="slug",
        )
    if value in RESERVED_SLUGS:
        raise ValidationError("This word is used by Portico's own pages; choose another.", code="reserved")


def validate_sso_url(value: str) -> None:
    """An endpoint of an identity provider: https, or http on a loopback host."""
    try:
        urls.check_endpoint(value)
    except UrlRefused as error:
        raise ValidationError(str(error), code="url") from error


def validate_authn_contexts(value: str) -> None:
    """URIs, one a line."""
    for line in value.split():
        if ":" not in line:
            raise ValidationError(f"Enter one URI a line; “{line[:80]}” is none.", code="uri")


def validate_spellings(value: Any) -> None:
    """What an identity provider calls our access levels: from its words to ours."""
    levels = [level.label for level in AccessLevel]
    if not isinstance(value, dict) or not all(isinstance(word, str) and word.strip() for word in value):
        raise ValidationError("Give an object: from the identity provider's words to access levels.", code="spellings")
    if wrong := [f"{word}: {level}"[:80] for word, level in value.items() if level not in levels]:
        raise ValidationError(
            f"No access level: {', '.join(wrong)}. The levels are {', '.join(levels)}.", code="spellings"
        )


DOMAIN = re.compile(r"(?=.{3,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


def validate_domain(value: str) -> None:
    """A host name with at least one dot, in ASCII."""
    # Before anything is lowered: some letters of other alphabets become ASCII by that.
    if not value.isascii() or not DOMAIN.fullmatch(value.lower()):
        raise ValidationError(
            "Enter a domain such as example.com: ASCII letters, digits, hyphens and dots, without @ or *. "
            "Write an internationalised one in its xn-- form.",
            code="domain",
        )


def new_domain_token() -> str:
    """What the owner of a domain puts into its DNS: random, so that nobody can have put it there before."""
    return secrets.token_hex(16)


@lru_cache(maxsize=4096)
def _url_of(base: str, view: str, slug: str) -> str:
    return base + reverse(view, args=[slug])


class IdentityProviderQuerySet(models.QuerySet["IdentityProvider"]):
    """What is asked of many identity providers at once."""

    def enabled(self) -> IdentityProviderQuerySet:
        """Those whose users may sign in."""
        return self.filter(enabled=True)

    def answering(self, slug: str) -> IdentityProvider:
        """The enabled one of this slug, or UnknownIdp: unknown and disabled look alike from outside."""
        idp = _ANSWERING.first(slug=slug)
        if idp is None:
            raise UnknownIdp(expected="the slug of an enabled identity provider", received=slug[:50])
        return idp

    def default(self) -> IdentityProvider | None:
        """The enabled one to which the sign-in page leads without asking, if there is one."""
        return self.enabled().filter(is_default=True).first()

    def on_sign_in_page(self) -> IdentityProviderQuerySet:
        """Those with a button for everybody to see, each with the digest of its logo (None without one) as `logo`."""
        logo = IdpLogo.objects.filter(idp=models.OuterRef("pk"), place=LogoPlace.SIGN_IN)
        return self.enabled().filter(show_on_sign_in=True).annotate(logo=models.Subquery(logo.values("sha256")[:1]))

    def draft(self, slug: str, description: str = "") -> IdentityProvider:
        """A new identity provider, disabled and empty, whose URLs exist from now on."""
        idp = IdentityProvider(slug=slug, description=description or slug)
        idp.full_clean()
        idp.save(force_insert=True)
        return idp


_ANSWERING = Select(lambda: IdentityProvider.objects.enabled().filter(slug=Given("slug")))


class IdentityProvider(models.Model):
    """One customer's identity provider (IdP), and how we deal with it."""

    slug = models.CharField(
        max_length=50, unique=True, validators=[validate_slug],
        help_text="Stands in the URLs that you register at the identity provider. Never changes.",
    )  # fmt: skip
    description = models.CharField(
        max_length=200, unique=True, help_text="The name by which people know it, for example “Acme Okta”."
    )
    enabled = models.BooleanField(default=False, help_text="Off: nobody can sign in through it.")
    jit = models.BooleanField(
        "create accounts at first sign-in", default=True,
        help_text="Off: an administrator must create the account first.",
    )  # fmt: skip
    idp_initiated = models.BooleanField(
        "sign-in from the IdP's portal", default=True,
        help_text="Accept sign-ins that begin at the identity provider (IdP-initiated, unsolicited responses).",
    )  # fmt: skip
    sp_initiated = models.BooleanField(
        "sign-in from this site", default=True,
        help_text="Let people start here: we send a request to the identity provider (SP-initiated).",
    )  # fmt: skip
    is_default = models.BooleanField(
        "default identity provider", default=False,
        help_text="The sign-in page leads straight to it; ?local=1 still reaches the local form.",
    )  # fmt: skip
    show_on_sign_in = models.BooleanField(
        "show on the sign-in page", default=False,
        help_text="A button for everybody to see. Off, so that customers need not see each other.",
    )  # fmt: skip
    entity_id = models.CharField(
        "entity ID", max_length=1024, blank=True, validators=[RegexValidator(r"\A\S+\Z", "No blanks are allowed.")],
        help_text="How the identity provider names itself: also called Issuer, or IdP Entity ID.",
    )  # fmt: skip
    sso_url = models.CharField("SSO URL", max_length=2048, blank=True, validators=[validate_sso_url])
    sso_binding = models.CharField(max_length=16, choices=Binding.choices(), default=Binding.REDIRECT.value)
    slo_url = models.CharField("SLO URL", max_length=2048, blank=True, validators=[validate_sso_url])
    slo_binding = models.CharField(max_length=16, choices=Binding.choices(), default=Binding.REDIRECT.value)
    slo_response_url = models.CharField(
        "SLO response URL", max_length=2048, blank=True, validators=[validate_sso_url],
        help_text="Where logout responses go, if not to the SLO URL.",
    )  # fmt: skip
    sp_entity_id_override = models.CharField(
        "our entity ID", max_length=1024, blank=True, validators=[RegexValidator(r"\A\S+\Z", "No blanks are allowed.")],
        help_text="Only if the identity provider knows us by another name than the metadata URL.",
    )  # fmt: skip
    name_id_format = models.CharField(
        "NameID format to ask for", max_length=16, blank=True, choices=NameIdFormat.choices(),
        help_text="None is best: the identity provider sends what it has been set up to send.",
    )  # fmt: skip
    force_authn = models.BooleanField(
        "ask for a fresh sign-in (ForceAuthn)", default=False,
        help_text="The identity provider must ask for the password again; an older sign-in is refused.",
    )  # fmt: skip
    authn_contexts = models.TextField(
        "authentication contexts to ask for", blank=True, max_length=4096, validators=[validate_authn_contexts],
        help_text="RequestedAuthnContext, one URI a line; the answer must name one of them. Empty is best: it asks "
        "for none, so that passkeys and other factors are accepted.",
    )  # fmt: skip
    sign_requests = models.BooleanField(
        "sign what we send", default=False, help_text="Sign requests (RSA-SHA256). Needs a key pair of ours."
    )
    sign_metadata = models.BooleanField("sign our metadata", default=False, help_text="Needs a key pair of ours.")
    subject_attribute = models.CharField(
        "stable subject attribute", max_length=200, blank=True,
        help_text="An attribute that names a person for ever, to be used in place of the NameID. Needed where the "
        "NameID is transient. People who signed in before must be rebound when it changes.",
    )  # fmt: skip
    portal_url = models.CharField(
        "portal URL", max_length=2048, blank=True, validators=[validate_sso_url],
        help_text="Where its users find the tile for this site; pages that say “use your portal” link to it.",
    )  # fmt: skip
    contact = models.CharField(
        max_length=200, blank=True, help_text="Whom its users should ask for help: shown to them on error pages."
    )
    tolerance_s = models.PositiveSmallIntegerField(
        "clock tolerance (seconds)", default=120, validators=[MaxValueValidator(180)],
        help_text="How far its clock and ours may differ, at most 180 seconds.",
    )  # fmt: skip
    session_hours = models.PositiveSmallIntegerField(
        "session length (hours)", default=24, validators=[MinValueValidator(1), MaxValueValidator(24 * 30)],
        help_text="A session ends after so many hours, or earlier if the identity provider says so.",
    )  # fmt: skip
    no_sign_in_days = models.PositiveSmallIntegerField(
        "tokens stop without a sign-in (days)", null=True, blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="API tokens of its users stop when they have not signed in for so many days, until they do. "
        "Empty: no limit.",
    )  # fmt: skip
    attribute_mapping: models.JSONField[Any] = models.JSONField(
        default=dict, blank=True, validators=[validate_mapping],
        help_text="Which attributes mean what, by target; each a list of names in order of preference.",
    )  # fmt: skip
    level_ceiling = models.PositiveSmallIntegerField(
        "ceiling of asserted access levels", choices=AccessLevel.choices, default=AccessLevel.ANALYST,
        help_text="It never grants a higher level than this, whatever it asserts. Only a superuser allows super_admin.",
    )  # fmt: skip
    level_spellings: models.JSONField[Any] = models.JSONField(
        "its words for access levels", default=dict, blank=True, validators=[validate_spellings],
        help_text="From a value that it sends to a level of ours, beside super_admin, admin and analyst themselves.",
    )  # fmt: skip
    keep_when_missing = models.BooleanField(
        "keep when missing", default=False,
        help_text="A mapped attribute that is missing or empty takes nothing away. Off, it takes away all that it "
        "gave: many identity providers leave an attribute out when it has no values.",
    )  # fmt: skip
    refuse_unknown = models.BooleanField(
        "refuse unknown values", default=False,
        help_text="Refuse a sign-in that asserts a role, property, permission or group which is not known here. Off, "
        "it is noted on the sign-in attempt.",
    )  # fmt: skip
    # Another one after every change, so that each process knows when the keys it compiled are stale. Random rather
    # than counted: two changes at once must not arrive at the same number.
    revision = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = IdentityProviderQuerySet.as_manager()

    class Meta:
        ordering = ("description",)
        verbose_name = "identity provider"
        constraints = (
            models.UniqueConstraint(
                fields=("is_default",), condition=models.Q(is_default=True), name="idp_one_default",
                violation_error_message="Another identity provider is the default already.",
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return self.description

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Every save is a new revision."""
        self.revision = uuid.uuid4()
        if (fields := kwargs.get("update_fields")) is not None:
            kwargs["update_fields"] = {*fields, "revision"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """The slug is for ever, and only what is complete can be enabled."""
        super().clean()
        if self.pk and not IdentityProvider.objects.filter(pk=self.pk, slug=self.slug).exists():
            raise ValidationError({"slug": "The slug never changes: its URLs are registered at the identity provider."})

    def what_is_missing(self, now: datetime) -> list[str]:
        """What must still be filled in before people can sign in through it, in words; empty when complete."""
        missing = []
        if not self.entity_id:
            missing.append("its entity ID")
        if not self.sso_url:
            missing.append("its SSO URL")
        if not any(certificate.is_current(now) for certificate in self.certificates.all()):
            missing.append("a signing certificate that is valid now")
        return missing

    def valid_until(self, now: datetime) -> datetime | None:
        """Until when a sign-in of this moment lets API tokens work; None for no limit."""
        return None if self.no_sign_in_days is None else now + timedelta(days=self.no_sign_in_days)

    def certificate_status(self, now: datetime) -> str:
        """In a few words: how long people can sign in with the certificates that are held."""
        held = list(self.certificates.all())
        if current := [certificate for certificate in held if certificate.is_current(now)]:
            return max(current, key=lambda certificate: certificate.not_after).validity(now)
        return f"none is valid now, of {len(held)}" if held else "none"

    def profile(self) -> IdpProfile:
        """What the protocol needs to know of it. Its keys are compiled once per revision and process."""
        return IdpProfile(
            entity_id=self.entity_id,
            keys=_keys(self.pk, self.revision),
            tolerance=timedelta(seconds=self.tolerance_s),
            unsolicited=self.idp_initiated,
        )

    def sp_profile(self) -> SpProfile:
        """Our side as this identity provider sees it: every URL from the one configured base URL."""
        return SpProfile(entity_id=self.sp_entity_id, acs_url=self.acs_url, slo_url=self.slo_endpoint)

    def sp_description(self, signing: tuple[str, ...], encryption: tuple[str, ...]) -> SpDescription:
        """What our metadata tells this identity provider, with certificates of ours (PEM) by their use."""
        return SpDescription(
            sp=self.sp_profile(),
            signing_certificates=signing,
            encryption_certificates=encryption,
            name_id_format=NameIdFormat(self.name_id_format).uri if self.name_id_format else "",
            signs_requests=self.sign_requests,
        )

    def _url(self, view: str) -> str:
        return _url_of(settings.PORTICO_BASE_URL, view, self.slug)

    @property
    def sp_entity_id(self) -> str:
        """Our entity ID towards this identity provider: the URL of our metadata, unless set otherwise."""
        return self.sp_entity_id_override or self._url("saml:metadata")

    @property
    def metadata_url(self) -> str:
        """Where our metadata for this identity provider is published."""
        return self._url("saml:metadata")

    @property
    def acs_url(self) -> str:
        """Our assertion consumer service for this identity provider."""
        return self._url("saml:acs")

    @property
    def slo_endpoint(self) -> str:
        """Our single logout service for this identity provider, for both bindings."""
        return self._url("saml:slo")

    @property
    def login_url(self) -> str:
        """Where people start a sign-in from this site."""
        return self._url("saml:login")

    def requested_contexts(self) -> tuple[str, ...]:
        """The authentication contexts to ask for, in order of preference."""
        return tuple(self.authn_contexts.split())

    def set_certificates(self, certificate_ders: Iterable[bytes]) -> None:
        """Hold exactly these signing certificates (DER) and no others; the caller's transaction makes it one step."""
        wanted = {certificates.describe(der).sha256: certificates.describe(der) for der in certificate_ders}
        self.certificates.exclude(sha256__in=wanted).delete()
        held = set(self.certificates.values_list("sha256", flat=True))
        for sha256, facts in wanted.items():
            if sha256 not in held:
                IdpCertificate.from_facts(self, facts).save()
        self.save(update_fields=["revision"])


class GroupRule(models.Model):
    """What a group at an identity provider means here: an access group, or a place in an organisation.

    The value is compared exactly; as a pattern, each `*` in it stands for any text.
    """

    idp = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="group_rules")
    value = models.CharField("group value", max_length=MAX_VALUE)
    is_pattern = models.BooleanField("pattern", default=False, help_text="Each * stands for any text.")
    access_group = models.ForeignKey(
        AccessGroup, null=True, blank=True, on_delete=models.CASCADE, related_name="group_rules"
    )
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="group_rules",
        verbose_name="organisation",
    )  # fmt: skip
    role = models.PositiveSmallIntegerField(
        "role in the organisation", choices=MembershipRole.choices, default=MembershipRole.MEMBER
    )

    class Meta:
        ordering = ("value", "pk")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(access_group__isnull=False) ^ models.Q(organization__isnull=False),
                name="group_rule_one_meaning",
                violation_error_message="Choose an access group, or an organisation: one of the two.",
            ),
            models.UniqueConstraint(
                fields=("idp", "value", "is_pattern", "access_group", "organization"), nulls_distinct=False,
                name="group_rule_once", violation_error_message="There is such a rule already.",
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.value} → {self.meaning}"

    @property
    def meaning(self) -> str:
        """What it gives, in words."""
        if self.access_group is not None:
            return f"access group {self.access_group}"
        return f"{self.get_role_display()} of {self.organization}"

    def clean(self) -> None:
        """A pattern that catches everything, or has more stars than can be read, is a mistake."""
        super().clean()
        if self.value != self.value.strip() or not self.value.isprintable():
            raise ValidationError({"value": "No blanks at the ends and no invisible characters."}, code="value")
        if self.is_pattern and not 1 <= self.value.count("*") <= MOST_STARS:
            raise ValidationError({"value": f"A pattern has one * to {MOST_STARS}."}, code="pattern")
        if self.is_pattern and not self.value.replace("*", ""):
            raise ValidationError({"value": "A pattern of nothing but * would catch every group."}, code="pattern")

    def catches(self, group: str) -> bool:
        """Whether this group value is meant. Case counts."""
        return _matches(self.value, group) if self.is_pattern else self.value == group


def _matches(pattern: str, text: str) -> bool:
    """Whether the pattern covers the whole text: by splitting at its stars, in time that grows with the text alone."""
    first, *middle, last = pattern.split("*")
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


@lru_cache(maxsize=4096)
def _keys(idp_id: int, revision: uuid.UUID) -> tuple[VerificationKey, ...]:  # noqa: ARG001 - the revision is half the key
    return tuple(
        certificates.verification_key(certificate.pem, certificate.not_before, certificate.not_after)
        for certificate in IdpCertificate.objects.filter(idp_id=idp_id)
    )


class IdpCertificate(models.Model):
    """A certificate whose key an identity provider signs with. Several at once make its rollover painless."""

    idp = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="certificates")
    pem = models.TextField("certificate (PEM)")
    sha256 = models.CharField("SHA-256 fingerprint", max_length=64, editable=False)
    subject = models.CharField(max_length=500, editable=False)
    not_before = models.DateTimeField(editable=False)
    not_after = models.DateTimeField(editable=False)

    class Meta:
        ordering = ("-not_after",)
        verbose_name = "signing certificate"
        constraints = (models.UniqueConstraint(fields=("idp", "sha256"), name="idp_certificate_once"),)

    def __str__(self) -> str:
        return f"{self.subject or self.sha256[:16]}, until {self.not_after:%Y-%m-%d}"

    @classmethod
    def from_facts(cls, idp: IdentityProvider, facts: certificates.CertificateFacts) -> IdpCertificate:
        """An unsaved row for a certificate that was read."""
        return cls(
            idp=idp, pem=facts.pem, sha256=facts.sha256, subject=facts.subject[:500],
            not_before=facts.not_before, not_after=facts.not_after,
        )  # fmt: skip

    def clean(self) -> None:
        """Read the pasted text and keep what it says beside it."""
        super().clean()
        try:
            facts = certificates.describe(certificates.read_one(self.pem.encode()))
        except CertificateRefused as error:
            raise ValidationError({"pem": str(error)}) from error
        self.pem, self.sha256, self.subject = facts.pem, facts.sha256, facts.subject[:500]
        self.not_before, self.not_after = facts.not_before, facts.not_after

    def is_current(self, now: datetime) -> bool:
        """Whether it is within its own validity."""
        return self.not_before <= now <= self.not_after

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative once it has."""
        return (self.not_after - now).days

    def expires_soon(self, now: datetime) -> bool:
        """Whether it is time to ask the identity provider for its next one."""
        return self.not_after - now < EXPIRY_WARNING

    def validity(self, now: datetime) -> str:
        """In a few words: expired, not yet valid, or how many days are left."""
        if now < self.not_before:
            return f"not valid before {self.not_before:%Y-%m-%d}"
        if now > self.not_after:
            return f"expired on {self.not_after:%Y-%m-%d}"
        days = self.days_left(now)
        return f"{days} day{'' if days == 1 else 's'} left, until {self.not_after:%Y-%m-%d}"


class LogoPlace(models.TextChoices):
    """Where a logo is shown."""

    HEADER = "header", "page header"
    SIGN_IN = "sign-in", "sign-in page"


class IdpLogo(models.Model):
    """A logo of an identity provider: PNG or WebP, at most 64 KiB, kept here so that every node has it."""

    idp = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="logos")
    place = models.CharField(max_length=8, choices=LogoPlace.choices)
    content_type = models.CharField(max_length=16, editable=False)
    data = models.BinaryField(editable=False)
    sha256 = models.CharField(max_length=64, editable=False)

    class Meta:
        verbose_name = "logo"
        constraints = (models.UniqueConstraint(fields=("idp", "place"), name="idp_logo_once"),)

    def __str__(self) -> str:
        return f"{self.get_place_display()} of {self.idp}"


class KeyState(models.TextChoices):
    """The life of a key pair of ours, in order."""

    NEXT = "next", "next: published, not used yet"
    CURRENT = "current", "current: published, signs and decrypts"
    OLD = "old", "old: no longer published, still decrypts"


class SpKeyPair(models.Model):
    """A key pair of ours: signs what we send and decrypts what is encrypted for us.

    The private key is a Fernet token under PORTICO_ENCRYPTION_KEYS; it is never shown, logged or sent anywhere.
    """

    state = models.CharField(max_length=8, choices=KeyState.choices, default=KeyState.NEXT)
    certificate = models.TextField("certificate (PEM)")
    private_key = models.BinaryField(editable=False)
    sha256 = models.CharField("SHA-256 fingerprint", max_length=64, unique=True, editable=False)
    not_after = models.DateTimeField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-created_at",)
        verbose_name = "key pair of ours"
        verbose_name_plural = "key pairs of ours"
        constraints = (
            models.UniqueConstraint(
                fields=("state",), condition=~models.Q(state="old"), name="sp_key_pair_one_next_one_current"
            ),
        )

    def __str__(self) -> str:
        return f"{self.sha256[:16]} ({self.state})"

    def validity(self, now: datetime) -> str:
        """In a few words: until when its certificate is valid. The key works on, whatever identity providers say."""
        return f"{'valid until' if now < self.not_after else 'expired on'} {self.not_after:%Y-%m-%d}"


class DomainProof(models.TextChoices):
    """How a claim to a domain came to count."""

    DNS = "dns", "a DNS record"
    VOUCHED = "vouched", "an administrator's word"


class EmailDomainQuerySet(models.QuerySet["EmailDomain"]):
    """What is asked of many claims at once."""

    def verified(self) -> EmailDomainQuerySet:
        """Claims that count."""
        return self.filter(verified_at__isnull=False)

    def owner_of(self, address: str) -> IdentityProvider | None:
        """The identity provider to which the domain of this e-mail address belongs. Subdomains are not implied."""
        claim = self.verified().select_related("idp").filter(domain=addresses.domain(address)).first()
        return None if claim is None else claim.idp


class EmailDomain(models.Model):
    """An e-mail domain that an identity provider claims. It counts once verified; one domain, one identity provider."""

    idp = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="domains")
    domain = models.CharField(max_length=253, validators=[validate_domain])
    token = models.CharField(max_length=64, default=new_domain_token, editable=False)
    claimed_at = models.DateTimeField(default=timezone.now, editable=False)
    verified_at = models.DateTimeField(null=True, blank=True, editable=False)
    proof = models.CharField(max_length=8, blank=True, choices=DomainProof.choices, editable=False)
    reason = models.CharField(max_length=300, blank=True, editable=False, help_text="Why an administrator vouched.")

    objects = EmailDomainQuerySet.as_manager()

    class Meta:
        ordering = ("domain",)
        verbose_name = "e-mail domain"
        constraints = (
            models.UniqueConstraint(
                fields=("idp", "domain"), name="email_domain_claimed_once",
                violation_error_message="This identity provider claims the domain already.",
            ),
            models.UniqueConstraint(
                fields=("domain",), condition=models.Q(verified_at__isnull=False), name="email_domain_one_owner"
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.domain} ({'verified' if self.verified_at else 'claimed'})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Domains are compared in lower case."""
        self.domain = self.domain.lower()
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """In lower case before it is looked for among the others."""
        super().clean()
        self.domain = self.domain.lower()

    @property
    def record_name(self) -> str:
        """Where the DNS TXT record is looked for."""
        return f"_portico-challenge.{self.domain}"

    @property
    def record_value(self) -> str:
        """What the DNS TXT record must say."""
        return f"portico-domain-verification={self.token}"


class FederatedIdentity(models.Model):
    """Who a person is at an identity provider: (IdP, subject).

    Without a subject it is pending: an administrator has said that whoever that identity provider first vouches for
    with this e-mail address is this user.
    """

    idp = models.ForeignKey(IdentityProvider, on_delete=models.PROTECT, related_name="identities")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    subject = models.CharField(max_length=1024, null=True, blank=True, editable=False)  # noqa: DJ001 - null is pending
    subject_attribute = models.CharField(
        max_length=200,
        blank=True,
        editable=False,
        help_text="The attribute that the subject comes from; empty: NameID.",
    )
    name_id_format = models.CharField(max_length=1024, blank=True, editable=False)
    name_qualifier = models.CharField(max_length=1024, blank=True, editable=False)
    sp_name_qualifier = models.CharField(max_length=1024, blank=True, editable=False)
    # A digest of subject and qualifiers: they may be longer than an index row.
    subject_key = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001 - null is pending
    email_key = models.CharField(
        "e-mail", max_length=addresses.MAX_LENGTH, validators=[validate_address],
        help_text="The address that the identity provider asserts.",
    )  # fmt: skip
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_sign_in = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "federated identities"
        constraints = (
            models.UniqueConstraint(fields=("idp", "subject_key"), name="federated_identity_subject"),
            models.UniqueConstraint(
                fields=("idp", "email_key"),
                condition=models.Q(subject__isnull=True),
                name="federated_identity_pending_email",
            ),
        )
        indexes = (models.Index(fields=("idp", "email_key"), name="federated_identity_email"),)

    def __str__(self) -> str:
        return f"{self.email_key} at {self.idp}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Addresses are compared in one spelling."""
        self.email_key = addresses.key(self.email_key)
        super().save(*args, **kwargs)

    @property
    def pending(self) -> bool:
        """Whether the first sign-in is still awaited."""
        return self.subject is None


class Outcome(models.TextChoices):
    """What came of an attempt."""

    OUTSTANDING = "outstanding"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class SignInAttempt(models.Model):
    """One attempt to sign in through an identity provider, good or bad, for the administrator to read.

    Labels stand beside the foreign keys, so that the record outlives what it speaks of.
    """

    trace_id = models.CharField("trace ID", max_length=16, unique=True, editable=False)
    idp = models.ForeignKey(IdentityProvider, null=True, blank=True, on_delete=models.SET_NULL, related_name="attempts")
    slug = models.CharField(max_length=50, blank=True)
    at = models.DateTimeField(db_index=True)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    # Only where we asked (SP-initiated): the AuthnRequest's ID, the browser that may bring the answer (digest of its
    # cookie), what was asked for, and until when an answer is taken.
    request_id = models.CharField("request ID", max_length=64, null=True, blank=True, unique=True)
    browser_digest = models.CharField(max_length=64, blank=True, editable=False)
    target = models.CharField(max_length=2048, blank=True, help_text="The page that was asked for.")
    force_authn = models.BooleanField(default=False)
    authn_contexts = models.TextField(blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=64, blank=True, db_index=True)
    reason = models.CharField(max_length=300, blank=True)
    expected = models.TextField(blank=True)
    received = models.TextField(blank=True)
    cure = models.TextField(blank=True)
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="sign_in_attempts")
    email = models.CharField("e-mail", max_length=254, blank=True, help_text="As a verified assertion gave it.")
    name_id = models.CharField("NameID", max_length=1024, blank=True)
    assertion_id = models.CharField("assertion ID", max_length=256, blank=True)
    issuer = models.CharField(max_length=1024, blank=True)
    detail: models.JSONField[Any] = models.JSONField(default=dict, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-at", "-id")
        verbose_name = "sign-in attempt"
        indexes = (
            # Of the outstanding ones only, which are few: a browser's own, and those that are over.
            models.Index(
                fields=("browser_digest", "at"), condition=models.Q(outcome="outstanding"), name="attempt_of_browser"
            ),
            models.Index(fields=("expires_at",), condition=models.Q(outcome="outstanding"), name="attempt_outstanding"),
        )

    def __str__(self) -> str:
        return f"{self.trace_id} {self.outcome} {self.code}".strip()

    def expectation(self, decryption_keys: tuple[RSAPrivateKey, ...] = ()) -> Expectation:
        """What an answer to this attempt is held against, as plain values; unasked, nothing was asked for.

        An encrypted message is read with `decryption_keys` of ours.
        """
        assert self.idp is not None  # noqa: S101 - only an attempt at an identity provider expects anything
        return Expectation(
            idp=self.idp.profile(),
            sp=self.idp.sp_profile(),
            request_id=self.request_id,
            force_authn_since=self.at if self.force_authn else None,
            authn_contexts=tuple(self.authn_contexts.split()),
            decryption_keys=decryption_keys,
        )

    @property
    def solicited(self) -> bool:
        """Whether the person asked for this sign-in here, on a page of this site or by an address they typed in.

        A link on another site starts one too, but then nobody here has asked: over somebody else's session it is
        treated like an unsolicited one.
        """
        return self.request_id is not None and not self.detail.get("from_elsewhere", False)


class SpentAssertion(models.Model):
    """An assertion that has signed somebody in. The unique constraint is what makes a replay fail, on any node."""

    idp = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE)
    assertion_id = models.CharField(max_length=256)
    expires_at = models.DateTimeField(db_index=True, help_text="Afterwards the window check refuses it anyway.")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("idp", "assertion_id"), name="spent_assertion_once"),)

    def __str__(self) -> str:
        return self.assertion_id


class LogoutAttempt(models.Model):
    """A LogoutRequest of ours that an identity provider has yet to answer."""

    request_id = models.CharField("request ID", max_length=64, primary_key=True)
    idp = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="logout_attempts")
    user_label = models.CharField(max_length=254, blank=True)
    at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    partial = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.request_id


class SamlSession(models.Model):
    """Which browser session an identity provider's assertion began: what a LogoutRequest will name."""

    # A plain value, not a foreign key: ending a session deletes one row, and `sweep` collects what is left behind.
    session_key = models.CharField(max_length=40, primary_key=True)
    idp = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="saml_sessions")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saml_sessions")
    name_id = models.CharField(max_length=1024)
    name_id_format = models.CharField(max_length=1024, blank=True)
    name_qualifier = models.CharField(max_length=1024, blank=True)
    sp_name_qualifier = models.CharField(max_length=1024, blank=True)
    name_id_key = models.CharField(max_length=64, help_text="Digest of the NameID and its qualifiers.")
    session_index = models.CharField(max_length=1024, blank=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = (models.Index(fields=("idp", "name_id_key"), name="saml_session_name_id"),)

    def __str__(self) -> str:
        return f"{self.name_id} at {self.idp}"
