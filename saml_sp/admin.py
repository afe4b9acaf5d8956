"""The admin pages of identity providers, identities and sign-in attempts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_POST

from accounts.actors import Actor
from accounts.models import User
from audit.admin import ReadOnly
from orgs.desk import TypedFields
from orgs.models import AccessLevel
from saml_sp import configuration, domain_admin, key_admin, mapping_admin, moving  # noqa: F401 - importing registers their pages
from saml_sp.domain_admin import copyable
from saml_sp.forms import CertificateForm, CertificateFormSet, IdentityProviderForm, PendingIdentityForm
from saml_sp.mapping_admin import AttemptReading, GroupRuleInline, MappingPages
from saml_sp.models import FederatedIdentity, IdentityProvider, IdpCertificate, SignInAttempt
from saml_sp.protocol.errors import ConfigurationRefused

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.utils.safestring import SafeString

    _IdpAdmin = admin.ModelAdmin[IdentityProvider]
    _IdentityAdmin = admin.ModelAdmin[FederatedIdentity]
    _AttemptAdmin = admin.ModelAdmin[SignInAttempt]
    _CertificateInline = admin.StackedInline[IdpCertificate, IdentityProvider]
else:  # generic for the type checker only
    _IdpAdmin = _IdentityAdmin = _AttemptAdmin = admin.ModelAdmin
    _CertificateInline = admin.StackedInline


class CertificateInline(_CertificateInline):
    """Signing certificates: those that are held can be removed, new ones are pasted or uploaded."""

    model = IdpCertificate
    form = CertificateForm
    formset = CertificateFormSet
    extra = 1
    fields = ("validity", "sha256", "pem", "file")
    readonly_fields = ("validity", "sha256")
    verbose_name_plural = "By hand: signing certificates"

    def get_fields(self, request: HttpRequest, obj: IdentityProvider | None = None) -> Any:
        """Somebody who may only look sees no field to upload to."""
        may_add = self.has_add_permission(request, obj)
        return self.fields if may_add else ("validity", "sha256", "pem")

    def has_change_permission(self, request: HttpRequest, obj: IdentityProvider | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """A certificate is replaced by adding another and removing this one: so its rollover has no gap."""
        return False

    @admin.display(description="Validity")
    def validity(self, certificate: IdpCertificate) -> str | SafeString:
        """How many days are left, as a warning when there are few."""
        if certificate._state.adding:  # noqa: SLF001 - the empty row below those that are held
            return "a new certificate"
        now = timezone.now()
        return warned(certificate.validity(now), needed=certificate.expires_soon(now))


def warned(text: str, *, needed: bool) -> str | SafeString:
    """The text, marked as a warning where one is needed: by a sign as well, not by colour alone."""
    return format_html('<strong class="warning">⚠ {}</strong>', text) if needed else text


@admin.register(IdentityProvider)
class IdentityProviderAdmin(MappingPages, _IdpAdmin):
    """Add makes a draft with its URLs; the page it leads to takes the rest, in whatever order."""

    form = IdentityProviderForm
    inlines = (CertificateInline, GroupRuleInline)
    actions = None
    list_display = ("description", "slug", "enabled", "certificate_status", "last_sign_in")
    list_filter = ("enabled",)
    search_fields = ("description", "slug", "entity_id")
    ordering = ("description",)

    class Media:
        js = ("copy.js",)
        css: ClassVar[Any] = {"all": ("identity_provider.css",)}

    _ours = ("our_acs_url", "our_entity_id", "our_metadata_url")

    def get_queryset(self, request: HttpRequest) -> QuerySet[IdentityProvider]:
        """With what the list shows."""
        rows = super().get_queryset(request).prefetch_related("certificates")
        return rows.annotate(last_sign_in_at=Max("identities__last_sign_in"))

    def get_fieldsets(self, request: HttpRequest, obj: IdentityProvider | None = None) -> Any:
        """Adding asks for a slug and a name; everything else is on the page that follows."""
        from_metadata = ("metadata_xml", "metadata_file")
        if obj is None:
            acs = reverse("saml:acs", args=["SLUG"])
            own = reverse("saml:metadata", args=["SLUG"])
            base = self._base_url()
            text = format_html(
                "The slug fixes the URLs that you register at the identity provider: the ACS URL will be "
                "<code>{}{}</code>, the entity ID <code>{}{}</code>. They answer as soon as this page is saved; "
                "nothing else needs to be known yet. It stays disabled until you enable it.",
                base, acs, base, own,
            )  # fmt: skip
            return (
                (None, {"fields": ("slug", "description"), "description": text}),
                ("From metadata (now or later)", {"fields": from_metadata}),
            )
        return (
            (None, {"fields": ("description", "slug", "enabled")}),
            (
                "What to enter at the identity provider",
                {
                    "fields": self._ours,
                    "description": "Where its form asks for metadata, the metadata URL is enough. "
                    "The values are compared letter by letter.",
                },
            ),
            (
                "From metadata",
                {
                    "fields": from_metadata,
                    "description": "Metadata replaces entity ID, URLs and all signing certificates below, "
                    "also those entered in the same step.",
                },
            ),
            (
                "By hand",
                {"fields": ("entity_id", "sso_url", "sso_binding", "slo_url", "slo_binding", "slo_response_url")},
            ),
            ("Policy", {"fields": ("jit", "idp_initiated", "sp_initiated", "tolerance_s", "session_hours")}),
            (
                "Who is who",
                {
                    "fields": ("subject_attribute", "email_domains"),
                    "description": format_html(
                        "A person is known by the subject that the identity provider gives them: the NameID, or the "
                        "<strong>stable subject attribute</strong> named here, with exactly one value. It is needed "
                        "where NameIDs are transient, and better where a NameID is an e-mail address, for those change "
                        "hands. An address that comes with another subject than before is refused "
                        "(<code>subject_changed</code>): so everybody will be who signed in before you change the "
                        'attribute, until you <strong>rebind</strong> their identities: the <a href="{}">page of '
                        "an identity</a> does that, and says more.",
                        reverse("admin:saml_sp_federatedidentity_changelist") + f"?idp__id__exact={obj.pk}",
                    ),
                },
            ),
            (
                "Sign-in from this site",
                {
                    "fields": (
                        "is_default",
                        "show_on_sign_in",
                        "sign_requests",
                        "sign_metadata",
                        "name_id_format",
                        "force_authn",
                        "authn_contexts",
                    )
                },
            ),
            *mapping_admin.fieldsets(may_change=self.has_change_permission(request, obj)),
            ("Logos", {"fields": ("header_logo", "sign_in_logo"), "classes": ("collapse",)}),
            ("For its users", {"fields": ("contact", "portal_url"), "classes": ("collapse",)}),
        )

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """A form that knows who fills it in."""
        form: Any = super().get_form(request, *args, **kwargs)
        form.is_superuser = bool(request.user.is_superuser)
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: IdentityProvider | None = None) -> Any:  # noqa: ARG002 - Django's signature
        """The slug never changes."""
        return () if obj is None else ("slug", *self._ours, "email_domains", *mapping_admin.READ_ONLY)

    def get_inlines(self, request: HttpRequest, obj: IdentityProvider | None) -> Any:  # noqa: ARG002 - Django's signature
        """Certificates by hand belong to the page that follows."""
        return () if obj is None else self.inlines

    @staticmethod
    def _base_url() -> str:
        draft = IdentityProvider(slug="SLUG")
        return draft.acs_url.removesuffix(reverse("saml:acs", args=["SLUG"]))

    @admin.display(description="ACS URL")
    def our_acs_url(self, idp: IdentityProvider) -> SafeString:
        """Our assertion consumer service, in the words of various vendors."""
        return self._with_names(idp.acs_url, "Single sign-on URL, Recipient URL, Destination URL, Reply URL")

    @admin.display(description="Entity ID")
    def our_entity_id(self, idp: IdentityProvider) -> SafeString:
        """Our entity ID, in the words of various vendors."""
        return self._with_names(idp.sp_entity_id, "Audience URI, Audience Restriction, Relying party trust identifier")

    @admin.display(description="Metadata URL")
    def our_metadata_url(self, idp: IdentityProvider) -> SafeString:
        """Where our metadata is."""
        return self._with_names(idp.metadata_url, "Federation metadata address, SP metadata")

    @staticmethod
    def _with_names(value: str, names: str) -> SafeString:
        return format_html('{}<span class="also-called">Also called: {}.</span>', copyable(value), names)

    @admin.display(description="E-mail domains")
    def email_domains(self, idp: IdentityProvider) -> SafeString:
        """Its claims, each a link to the page where it is verified, and one to make another."""
        claims = format_html_join(
            "",
            '<li><a href="{}">{}</a></li>',
            ((reverse("admin:saml_sp_emaildomain_change", args=[row.pk]), row) for row in idp.domains.all()),
        )
        another = f"{reverse('admin:saml_sp_emaildomain_add')}?idp={idp.pk}"
        return format_html('<ul>{}<li><a href="{}">Claim a domain</a></li></ul>', claims, another)

    @admin.display(description="Certificate")
    def certificate_status(self, idp: IdentityProvider) -> str | SafeString:
        """How long people can sign in with the certificates that are held."""
        now = timezone.now()
        held = list(idp.certificates.all())
        lasting = any(certificate.is_current(now) and not certificate.expires_soon(now) for certificate in held)
        # A draft without certificates is not in trouble, it is a draft.
        return warned(idp.certificate_status(now), needed=not lasting and bool(held or idp.enabled))

    @admin.display(description="Last sign-in", ordering="last_sign_in_at")
    def last_sign_in(self, idp: IdentityProvider) -> datetime | None:
        """Of anybody, through this identity provider."""
        moment: datetime | None = getattr(idp, "last_sign_in_at", None)
        return moment

    def save_model(self, request: HttpRequest, obj: IdentityProvider, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Everything but the switch, which is thrown last, when the certificates are in place."""
        form.before = configuration.locked_snapshot(obj)
        self._check_ceiling(request, obj, form.before)
        form.wants_enabled = obj.enabled
        obj.enabled = bool(form.initial.get("enabled")) if change else False
        super().save_model(request, obj, form, change)

    @staticmethod
    def _check_ceiling(request: HttpRequest, idp: IdentityProvider, before: dict[str, Any]) -> None:
        """As the form does, but of the row that is locked now: a superuser may have lowered the ceiling meanwhile."""
        allowed = before.get("level_ceiling") == AccessLevel.SUPER_ADMIN or request.user.is_superuser
        if idp.level_ceiling == AccessLevel.SUPER_ADMIN and not allowed:
            raise PermissionDenied("Only a superuser allows super_admin.")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """The certificates and group rules, the audit record, then the switch."""
        super().save_related(request, form, formsets, change)
        idp, now, actor = form.instance, timezone.now(), Actor.at(request)
        if form.found:
            idp.set_certificates(form.found.certificates)
            for note in configuration.notes_on(form.found):
                self.message_user(request, note, messages.WARNING)
        for place, picture in form.logos.items():
            configuration.set_logo(idp, place, picture)
        configuration.record_difference(idp, form.before, now=now, actor=actor)
        if text := form.preset_message():
            self.message_user(request, text, messages.SUCCESS if form.filled else messages.WARNING)
        if form.wants_enabled and not idp.enabled:
            try:
                configuration.enable(idp, now=now, actor=actor)
            except ConfigurationRefused as error:
                self.message_user(request, str(error), messages.ERROR)
        elif idp.enabled and not form.wants_enabled:
            ended = configuration.disable(idp, now=now, actor=actor)
            self.message_user(request, f"{idp} is disabled, and {ended} session(s) that it vouched for have ended.")

    def response_add(
        self,
        request: HttpRequest,
        obj: IdentityProvider,
        post_url_continue: str | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """On to the page with the URLs."""
        self.message_user(
            request,
            f"{obj} was added as a draft. Enter the values below at the identity provider, then complete this page.",
            messages.SUCCESS,
        )
        return HttpResponseRedirect(reverse("admin:saml_sp_identityprovider_change", args=[obj.pk]))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One that people sign in through is disabled, not deleted: their identities hang on it."""
        idp = self.get_object(request, object_id)
        if idp is not None and (count := idp.identities.count()):
            self.message_user(
                request,
                f"{idp} cannot be deleted: {count} {'identity belongs' if count == 1 else 'identities belong'} to it. "
                "Disable it, or remove its identities first.",
                messages.ERROR,
            )
            return HttpResponseRedirect(reverse("admin:saml_sp_identityprovider_change", args=[idp.pk]))
        return super().delete_view(request, object_id, extra_context)

    def delete_model(self, request: HttpRequest, obj: IdentityProvider) -> None:
        """With its sessions, and on record."""
        configuration.remove(obj, now=timezone.now(), actor=Actor.at(request))


class IdentityStateFilter(admin.SimpleListFilter):
    """Bound identities, or those that await their first sign-in."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """The two states."""
        return [("pending", "Awaits its first sign-in"), ("bound", "In use")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[FederatedIdentity]) -> QuerySet[FederatedIdentity]:  # noqa: ARG002 - Django's signature
        """Identities in the chosen state."""
        if self.value() in {"pending", "bound"}:
            return queryset.filter(subject__isnull=self.value() == "pending")
        return queryset


@admin.register(FederatedIdentity)
class FederatedIdentityAdmin(TypedFields, _IdentityAdmin):
    """Who is who at which identity provider: pending ones are added, none is edited, any can be removed or rebound.

    An identity of staff is a way into the administration: those are for superusers alone.
    """

    form = PendingIdentityForm
    change_form_template = "admin/saml_sp/federatedidentity/change_form.html"
    list_display = ("email_key", "idp", "user", "pending", "last_sign_in")
    list_filter = (IdentityStateFilter, "idp")
    list_select_related = ("idp", "user")
    search_fields = ("email_key", "user__email_key", "=subject")
    autocomplete_fields = ("user",)
    show_full_result_count = False

    def get_fieldsets(self, request: HttpRequest, obj: FederatedIdentity | None = None) -> Any:  # noqa: ARG002 - Django's signature
        """Adding makes a pending identity; one that exists is shown whole."""
        if obj is None:
            text = (
                "Whoever this identity provider first vouches for with this e-mail address will be this user, "
                "also where accounts are not created at first sign-in."
            )
            return ((None, {"fields": ("idp", "user", "email_key"), "description": text}),)
        return (
            (None, {"fields": ("idp", "user", "email_key", "pending", "created_at", "last_sign_in")}),
            ("NameID", {"fields": ("subject", "name_id_format", "name_qualifier", "sp_name_qualifier")}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: FederatedIdentity | None = None) -> Any:  # noqa: ARG002 - Django's signature
        """What only a sign-in writes."""
        if obj is None:
            return ()
        name_id = ("subject", "name_id_format", "name_qualifier", "sp_name_qualifier")
        return ("pending", "created_at", "last_sign_in", *name_id)

    def has_change_permission(self, request: HttpRequest, obj: FederatedIdentity | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """To change one, remove it and add another: then the first sign-in proves it anew."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: FederatedIdentity | None = None) -> bool:
        """As for adding one."""
        return super().has_delete_permission(request, obj) and (obj is None or _may_open(request, obj.user))

    def may_rebind(self, request: HttpRequest, identity: FederatedIdentity) -> bool:
        """Whether the button is for this person."""
        return request.user.has_perm("saml_sp.change_federatedidentity") and _may_open(request, identity.user)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Nobody below a superuser makes a way into an account that has rights here."""
        if db_field.name == "user" and not request.user.is_superuser:
            kwargs["queryset"] = User.objects.filter(is_staff=False, is_superuser=False)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_urls(self) -> list[Any]:
        """The button's address."""
        rebind = self.admin_site.admin_view(require_POST(self.rebind))
        return [path("<int:pk>/rebind/", rebind, name="saml_sp_federatedidentity_rebind"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the button, for whoever may use it."""
        row = self.get_object(request, object_id)
        context = {"may_rebind": row is not None and not row.pending and self.may_rebind(request, row)}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def rebind(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let the next sign-in say who this is."""
        identity = FederatedIdentity.objects.select_related("idp", "user").filter(pk=pk).first()
        if identity is None:
            raise Http404
        if not self.may_rebind(request, identity):
            raise PermissionDenied
        try:
            ended = moving.rebind(identity, now=timezone.now(), actor=Actor.at(request))
        except ConfigurationRefused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            text = f"The next sign-in from {identity.idp} as {identity.email_key} is {identity.user}."
            self.message_user(request, f"{text} {ended} session(s) ended.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:saml_sp_federatedidentity_change", args=[pk]))

    @admin.display(boolean=True, description="Pending")
    def pending(self, identity: FederatedIdentity) -> bool:
        """Whether the first sign-in is still awaited."""
        return identity.pending

    def save_model(self, request: HttpRequest, obj: FederatedIdentity, form: Any, change: bool) -> None:  # noqa: FBT001, ARG002 - Django's signature
        """On record."""
        configuration.invite(obj, now=timezone.now(), actor=Actor.at(request))

    def delete_model(self, request: HttpRequest, obj: FederatedIdentity) -> None:
        """With the sessions that began by it, and on record."""
        ended = configuration.unlink(obj, now=timezone.now(), actor=Actor.at(request))
        self.message_user(request, f"{obj.user.email} is no longer known at {obj.idp}; {ended} session(s) ended.")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[FederatedIdentity]) -> None:
        """Each on its own record."""
        rows = list(queryset.select_related("idp", "user"))
        if not all(_may_open(request, identity.user) for identity in rows):
            raise PermissionDenied
        for identity in rows:
            self.delete_model(request, identity)


def _may_open(request: HttpRequest, user: User) -> bool:
    return bool(request.user.is_superuser) or not (user.is_staff or user.is_superuser)


class CodeFilter(admin.SimpleListFilter):
    """Filter by the refusals of the last attempts, not by reading the whole table."""

    title = "code"
    parameter_name = "code"
    recent = 10_000

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """The codes that occur."""
        newest = SignInAttempt.objects.order_by("-at").values("code")[: self.recent]
        codes = {row["code"] for row in newest if row["code"]}
        return [(code, code) for code in sorted(codes)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SignInAttempt]) -> QuerySet[SignInAttempt]:  # noqa: ARG002 - Django's signature
        """Attempts refused with the chosen code."""
        return queryset.filter(code=self.value()) if self.value() else queryset


@admin.register(SignInAttempt)
class SignInAttemptAdmin(AttemptReading, ReadOnly, _AttemptAdmin):
    """What came of each attempt, to be found by the trace ID that somebody quotes."""

    list_display = ("at", "outcome", "code", "email", "idp", "trace_id")
    list_filter = ("outcome", CodeFilter, "idp", "at")
    list_select_related = ("idp",)
    search_fields = ("=trace_id", "email", "=code")
    search_help_text = "Trace ID as the error page shows it, e-mail address, or code."
    show_full_result_count = False

    class Media:
        css: ClassVar[Any] = {"all": ("identity_provider.css",)}

    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("trace_id", "at", "outcome", "idp", "slug")}),
        ("Why", {"fields": ("code", "reason", "expected_text", "received_text", "cure")}),
        ("Who", {"fields": ("user", "email", "name_id", "issuer", "assertion_id", "ip", "user_agent")}),
        ("What the assertion said", {"fields": ("said",)}),
        (
            "The request from here",
            {"fields": ("request_id", "answers", "target", "force_authn", "authn_contexts", "expires_at")},
        ),
    )
    readonly_fields = ("expected_text", "received_text", "said", "answers", *AttemptReading.reading_fields)

    def get_fieldsets(self, request: HttpRequest, obj: SignInAttempt | None = None) -> Any:
        """What was read of an assertion stands before the assertion itself, where something was."""
        first, why, who, *others = super().get_fieldsets(request, obj)
        if obj is None or "read" not in obj.detail:
            return (first, why, who, *others)
        return (first, why, who, ("What was read of it", {"fields": self.reading_fields}), *others)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[SignInAttempt], search_term: str) -> Any:
        """What is copied out of a page or a mail brings blanks along."""
        return super().get_search_results(request, queryset, search_term.strip())

    @admin.display(description="Expected")
    def expected_text(self, attempt: SignInAttempt) -> SafeString | str:
        """The value as it had to be."""
        return format_html("<code>{}</code>", attempt.expected) if attempt.expected else "-"

    @admin.display(description="Received")
    def received_text(self, attempt: SignInAttempt) -> SafeString | str:
        """The value as it came."""
        return format_html("<code>{}</code>", attempt.received) if attempt.received else "-"

    @admin.display(description="Refused answer to", empty_value="-")
    def answers(self, attempt: SignInAttempt) -> str | None:
        """The request that a refused message names; unverified. The request itself has a record of its own."""
        named: str | None = attempt.detail.get("in_response_to")
        return named

    @admin.display(description="Details")
    def said(self, attempt: SignInAttempt) -> SafeString | str:
        """The verified values, one a line."""
        lines = [
            (name, json.dumps(value, indent=2, ensure_ascii=False))
            for name, value in attempt.detail.items()
            # Known before anything was verified, or shown above.
            if name not in {"in_response_to", "from_elsewhere", "read", "rights", "notes"}
        ]
        if not lines:
            return "Nothing was verified."
        return format_html("<dl>{}</dl>", format_html_join("", "<dt>{}</dt><dd><pre>{}</pre></dd>", lines))
