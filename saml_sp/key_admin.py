"""The admin page of our key pairs: what there is, and a button for each step of their life."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.actors import Actor
from saml_sp import keys
from saml_sp.models import IdentityProvider, KeyState, SpKeyPair
from saml_sp.protocol import certificates, key_pairs
from saml_sp.protocol.errors import ConfigurationRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.files.uploadedfile import UploadedFile
    from django.http import HttpRequest

    _KeyPairAdmin = admin.ModelAdmin[SpKeyPair]
else:  # generic for the type checker only
    _KeyPairAdmin = admin.ModelAdmin

_PAGE = "admin:saml_sp_spkeypair_changelist"
_BIGINT_DIGITS = 18
_ORDER = (KeyState.CURRENT, KeyState.NEXT, KeyState.OLD)
_PEM = {"rows": 6, "cols": 80, "spellcheck": "false", "autocomplete": "off"}


class KeyPairForm(forms.Form):
    """A private key and its certificate, each pasted or as a file. Nothing of it is ever shown again."""

    private_key = forms.CharField(
        label="Private key (PEM)",
        required=False,
        widget=forms.Textarea(attrs=_PEM),
        help_text="RSA, at least 2048 bits, without a passphrase. It is kept encrypted and never shown.",
    )
    private_key_file = forms.FileField(label="Private key file", required=False)
    certificate = forms.CharField(
        label="Certificate (PEM)", required=False, widget=forms.Textarea(attrs=_PEM), help_text="The one of this key."
    )
    certificate_file = forms.FileField(label="Certificate file", required=False)

    def given(self, name: str, limit: int) -> bytes:
        """The file, of one that is too long only so much that it is seen to be so; or the pasted text."""
        file: UploadedFile[Any] | None = self.cleaned_data.get(f"{name}_file")
        if file is not None:
            data: bytes = file.read(limit + 1)
            return data
        return str(self.cleaned_data.get(name) or "").encode()


@admin.register(SpKeyPair)
class SpKeyPairAdmin(_KeyPairAdmin):
    """One page; no row is edited by hand, and the private part is on none."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """By the page's own buttons."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: SpKeyPair | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """By the page's own buttons."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SpKeyPair | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """By the page's own buttons."""
        return False

    def may_act(self, request: HttpRequest) -> bool:
        """Whether the buttons are for this person."""
        return request.user.has_perm("saml_sp.change_spkeypair")

    def get_urls(self) -> list[Any]:
        """The buttons' addresses, before Django's own, which would take the words for keys."""
        steps = {"generate": self.generate, "import": self.take_over, "promote": self.promote, "retire": self.retire}
        own = [
            path(f"{name}/", self.admin_site.admin_view(require_POST(step)), name=f"saml_sp_spkeypair_{name}")
            for name, step in steps.items()
        ]
        return own + super().get_urls()

    def change_view(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        object_id: str,  # noqa: ARG002 - as above
        form_url: str = "",  # noqa: ARG002 - as above
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - as above
    ) -> HttpResponse:
        """All there is to see of one is on the page of all."""
        return HttpResponseRedirect(reverse(_PAGE))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """The key pairs, the one in use first."""
        if not (self.has_view_permission(request) or self.may_act(request)):
            raise PermissionDenied
        return self.page(request, KeyPairForm())

    def page(self, request: HttpRequest, form: KeyPairForm, status: int = 200) -> HttpResponse:
        """The page, with a form that may have errors."""
        now = timezone.now()
        rows = sorted(SpKeyPair.objects.all(), key=lambda row: _ORDER.index(row.state))
        states = {row.state for row in rows}
        context = {
            **self.admin_site.each_context(request),
            "title": "Key pairs of ours",
            "pairs": [{"row": row, "validity": row.validity(now), "usable": keys.is_usable(row)} for row in rows],
            "form": form,
            "may_act": self.may_act(request),
            "configured": keys.is_configured(),
            "no_encryption_key": keys.NO_ENCRYPTION_KEY,
            "cannot_open": keys.CANNOT_OPEN,
            "has_next": KeyState.NEXT in states,
            "has_current": KeyState.CURRENT in states,
            "signing": IdentityProvider.objects.filter(sign_requests=True).count(),
            "opts": self.opts,
        }
        return render(request, "admin/saml_sp/spkeypair/page.html", context, status=status)

    def generate(self, request: HttpRequest) -> HttpResponse:
        """Make the next key pair."""
        return self.step(request, keys.generate, "The key pair was generated.")

    def promote(self, request: HttpRequest) -> HttpResponse:
        """Use the next key pair."""
        return self.step(request, keys.promote, "The next key pair is current now; the one before still decrypts.")

    def retire(self, request: HttpRequest) -> HttpResponse:
        """Delete one that is old, or was never used."""
        given = request.POST.get("pair", "")
        pair_id = int(given) if given.isdecimal() and len(given) <= _BIGINT_DIGITS else 0
        return self.step(request, partial(keys.retire, pair_id), "The key pair is gone.")

    def step(self, request: HttpRequest, step: Callable[..., object], done: str) -> HttpResponse:
        """Do it, say how it went, and show the page again."""
        if not self.may_act(request):
            raise PermissionDenied
        try:
            step(now=timezone.now(), actor=Actor.at(request))
        except ConfigurationRefused as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(reverse(_PAGE))

    def take_over(self, request: HttpRequest) -> HttpResponse:
        """Keep a key pair that was brought along; what is wrong with it is said above the form, now empty again."""
        if not self.may_act(request):
            raise PermissionDenied
        form = KeyPairForm(request.POST, request.FILES)
        form.full_clean()
        private = form.given("private_key", key_pairs.MAX_BYTES)
        certificate = form.given("certificate", certificates.MAX_BYTES)
        try:
            keys.take_over(private, certificate, now=timezone.now(), actor=Actor.at(request))
        except ConfigurationRefused as error:
            self.message_user(request, str(error), messages.ERROR)
            return self.page(request, KeyPairForm(), status=400)
        self.message_user(request, "The key pair was imported.", messages.SUCCESS)
        return HttpResponseRedirect(reverse(_PAGE))
