"""Forms of the admin pages: what people enter is read here, with errors at the field that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import addresses
from saml_sp import configuration, keys, logos
from saml_sp.mapping_forms import MappingForm
from saml_sp.models import FederatedIdentity, IdentityProvider, IdpCertificate, LogoPlace
from saml_sp.protocol import certificates, metadata
from saml_sp.protocol.errors import CertificateRefused, MetadataRefused

if TYPE_CHECKING:
    from datetime import datetime

    from django.core.files.uploadedfile import UploadedFile

    from saml_sp.protocol.metadata import IdpMetadata

if TYPE_CHECKING:  # generic for the type checker only
    _CertificateForm = forms.ModelForm[IdpCertificate]
    _IdentityForm = forms.ModelForm[FederatedIdentity]
    _CertificateFormSet = forms.BaseInlineFormSet[IdpCertificate, IdentityProvider, _CertificateForm]
else:
    _CertificateForm = _IdentityForm = forms.ModelForm
    _CertificateFormSet = forms.BaseInlineFormSet

_CODE = {"rows": 6, "cols": 80, "spellcheck": "false", "autocomplete": "off"}
# The admin makes the formset for the form's instance, which is the one thing that both hold.
_FOUND = "metadata_brought_along"
_LOGO_FIELDS = {LogoPlace.HEADER: "header_logo", LogoPlace.SIGN_IN: "sign_in_logo"}
_FROM_METADATA = ("entity_id", "sso_url", "sso_binding", "slo_url", "slo_binding", "slo_response_url")


class IdentityProviderForm(MappingForm):
    """An identity provider, by hand or from its metadata; metadata wins for what it names."""

    metadata_xml = forms.CharField(
        label="Metadata XML",
        required=False,
        widget=forms.Textarea(attrs=_CODE),
        help_text="Paste the identity provider's metadata, at most 1 MiB.",
    )
    metadata_file = forms.FileField(
        label="Metadata file", required=False, help_text="Or choose the file that holds it: UTF-8, at most 1 MiB."
    )

    header_logo = forms.FileField(
        label="Logo for the page header",
        required=False,
        help_text="PNG or WebP, at most 64 KiB, about 32 pixels high. Those see it who signed in through it.",
    )
    sign_in_logo = forms.FileField(
        label="Logo for the sign-in page", required=False, help_text="The same, about 24 pixels high, for the button."
    )

    class Meta:
        model = IdentityProvider
        labels = {"sso_binding": "SSO binding", "slo_binding": "SLO binding"}
        fields = "__all__"  # the admin's fieldsets decide, and editable=False keeps the rest out

    found: IdpMetadata | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What was chosen, by place: a picture, or None to remove the one that is held.
        self.logos: dict[LogoPlace, logos.Picture | None] = {}
        if self.instance.pk:
            for place, sha256 in self.instance.logos.values_list("place", "sha256"):
                self.initial[_LOGO_FIELDS[LogoPlace(place)]] = logos.Held(self.instance.slug, place, sha256)

    def clean_header_logo(self) -> object:
        """A picture that can be one."""
        return self._clean_logo(LogoPlace.HEADER)

    def clean_sign_in_logo(self) -> object:
        """A picture that can be one."""
        return self._clean_logo(LogoPlace.SIGN_IN)

    def _clean_logo(self, place: LogoPlace) -> object:
        chosen = self.cleaned_data[_LOGO_FIELDS[place]]
        if chosen is False:  # Django's word for the box that clears it
            self.logos[place] = None
        elif chosen and not isinstance(chosen, logos.Held):
            try:
                self.logos[place] = logos.read(_bytes(chosen, logos.MAX_BYTES))
            except logos.LogoRefusedError as error:
                raise ValidationError(str(error), code="logo") from error
        return chosen

    def clean_sign_requests(self) -> bool:
        """Only with something to sign with: otherwise everybody's next sign-in would be refused."""
        wanted = bool(self.cleaned_data["sign_requests"])
        if wanted and not self.initial.get("sign_requests") and keys.signer() is None:
            raise ValidationError(keys.NOTHING_TO_SIGN_WITH, code="no_key")
        return wanted

    def clean_sign_metadata(self) -> bool:
        """Only with something to sign with: it would be published unsigned."""
        wanted = bool(self.cleaned_data["sign_metadata"])
        if wanted and not self.initial.get("sign_metadata") and keys.signer() is None:
            raise ValidationError(keys.NOTHING_TO_SIGN_WITH, code="no_key")
        return wanted

    def clean(self) -> dict[str, Any]:
        """Read the metadata; what it names replaces what was entered by hand."""
        cleaned = super().clean() or self.cleaned_data
        now = timezone.now()
        field = "metadata_file" if cleaned.get("metadata_file") else "metadata_xml"
        if cleaned.get("metadata_file") and cleaned.get("metadata_xml"):
            self.add_error("metadata_file", "Paste the metadata or choose a file, not both.")
        elif source := cleaned.get(field):
            try:
                self.found = metadata.read_idp(_bytes(source, metadata.MAX_BYTES), now)
            except MetadataRefused as error:
                self.add_error(field, str(error))
            else:
                self._take(cleaned, self.found)
        if cleaned.get("enabled") and not self.errors:
            self._check_complete(cleaned)
        return cleaned

    def _take(self, cleaned: dict[str, Any], found: IdpMetadata) -> None:
        setattr(self.instance, _FOUND, found)
        configuration.apply_endpoints(self.instance, found)
        for name in _FROM_METADATA:
            if name in self.fields:
                self.errors.pop(name, None)
                cleaned[name] = getattr(self.instance, name)
        if found.wants_signed_requests and "sign_requests" in self.fields:
            cleaned["sign_requests"] = True

    def _check_complete(self, cleaned: dict[str, Any]) -> None:
        """Certificates are looked at by the formset beside this form, which knows what is added and removed."""
        needed = (("entity_id", "its entity ID"), ("sso_url", "its SSO URL"))
        if missing := [what for name, what in needed if not cleaned.get(name)]:
            self.add_error("enabled", configuration.cannot_enable(missing))
            # The error has taken the value away; the formset should say its part at the same time.
            self.instance.enabled = True


class CertificateForm(_CertificateForm):
    """One signing certificate: pasted, or as a file."""

    file = forms.FileField(label="Certificate file", required=False, help_text="PEM or DER (.pem, .crt, .cer, .der).")

    class Meta:
        model = IdpCertificate
        fields = ("pem",)
        widgets = {"pem": forms.Textarea(attrs={**_CODE, "placeholder": "-----BEGIN CERTIFICATE-----"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # On the page of somebody who may only look, the admin leaves the field out.
        if "pem" in self.fields:
            self.fields["pem"].required = False

    def clean(self) -> dict[str, Any]:
        """Exactly one of the two; whatever the form it came in, PEM is kept."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("DELETE"):
            return cleaned
        field = "file" if cleaned.get("file") else "pem"
        if cleaned.get("file") and cleaned.get("pem"):
            self.add_error("file", "Paste the certificate or choose a file, not both.")
        elif source := cleaned.get(field):
            try:
                der = certificates.read_one(_bytes(source, certificates.MAX_BYTES))
                cleaned["pem"] = certificates.describe(der).pem
            except CertificateRefused as error:
                self.add_error(field, str(error))
        elif self.has_changed():
            self.add_error("pem", "Paste the certificate, or choose a file.")
        return cleaned


class CertificateFormSet(_CertificateFormSet):
    """All signing certificates of one identity provider, as they will be after saving."""

    def clean(self) -> None:
        """No certificate twice; and an enabled identity provider keeps one that is valid now."""
        super().clean()
        if any(self.errors):
            return
        kept = [form.instance for form in self.initial_forms if not self._is_doomed(form)]
        added = [form.instance for form in self.extra_forms if form.has_changed() and not self._is_doomed(form)]
        prints = [certificate.sha256 for certificate in (*kept, *added)]
        if len(prints) != len(set(prints)):
            raise ValidationError("This certificate is held already.", code="unique")
        # Metadata brings certificates of its own, of which it is known that one is valid now.
        brought = hasattr(self.instance, _FOUND)
        if self.instance.enabled and not brought and not self._has_current([*kept, *added], timezone.now()):
            raise ValidationError(
                configuration.cannot_enable(["a signing certificate that is valid now"]), code="incomplete"
            )

    def _is_doomed(self, form: _CertificateForm) -> bool:
        return bool(self.can_delete and form.cleaned_data.get("DELETE"))

    @staticmethod
    def _has_current(held: list[IdpCertificate], now: datetime) -> bool:
        return any(certificate.is_current(now) for certificate in held)


class PendingIdentityForm(_IdentityForm):
    """An administrator says who will come: this user, by this address, from that identity provider."""

    class Meta:
        model = FederatedIdentity
        fields = ("idp", "user", "email_key")
        help_texts = {"email_key": "The address that the identity provider will assert. Left empty: the user's own."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Nobody adds a field to the page of an identity that exists: it is read-only.
        if "email_key" in self.fields:
            self.fields["email_key"].required = False

    def clean(self) -> dict[str, Any]:
        """The address defaults to the user's, and is nobody's at that identity provider yet."""
        cleaned = super().clean() or self.cleaned_data
        idp, user = cleaned.get("idp"), cleaned.get("user")
        if idp is None or user is None or "email_key" in self.errors:
            return cleaned
        if user.is_service_account:
            self.add_error("user", f"{user} is a service account: nobody vouches for it, it has API tokens.")
            return cleaned
        email = addresses.key(cleaned.get("email_key") or user.email)
        cleaned["email_key"] = email
        # Locked, so that of two administrators who add the same one the second reads this sentence.
        configuration.locked(idp)
        held = FederatedIdentity.objects.select_related("user").filter(idp=idp, email_key=email).first()
        if held is not None:
            state = "awaits its first sign-in" if held.pending else "is in use"
            self.add_error(
                "email_key",
                f"{email} at {idp} belongs to {held.user.email} already and {state}. Remove that identity first.",
            )
        return cleaned


def _bytes(source: str | UploadedFile[Any], limit: int) -> bytes:
    """A pasted text or an uploaded file as bytes; of a file that is too long only so much that it is seen to be so."""
    if isinstance(source, str):
        return source.encode()
    data: bytes = source.read(limit + 1)
    return data
