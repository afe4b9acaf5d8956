"""The form that makes a token, on a person's own page and in the administration."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from accounts import addresses
from accounts.models import validate_address
from tokens import issuing, service_accounts
from tokens.models import MAX_NAME, ServiceAccount
from tokens.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from accounts.actors import Actor
    from accounts.models import User
    from tokens.models import ApiToken
    from tokens.secrets import Secret

    AccountFormBase = forms.ModelForm[ServiceAccount]
else:  # generic for the type checker only
    AccountFormBase = forms.ModelForm

_USUAL_DAYS = (7, 30, 90, 180, 365)


class TokenForm(forms.Form):
    """A new token of this owner. Only scopes that it may have are offered."""

    name = forms.CharField(
        max_length=MAX_NAME, label="Name", help_text="Where it is used, so that you know it again: “nightly report”.",
        error_messages={"required": "Give the token a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    scopes = forms.MultipleChoiceField(
        label="What it may do", widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one thing that the token may do."},
    )  # fmt: skip
    expires_in_days = forms.TypedChoiceField(coerce=int, label="Expires after")
    # Made with the page: the same page sent twice makes one token.
    form_key = forms.UUIDField(initial=uuid.uuid4, widget=forms.HiddenInput)

    def __init__(self, owner: User, scopes: Iterable[Scope], now: datetime, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner
        offered: Any = self.fields
        offered["scopes"].choices = [(scope.value, scope.description) for scope in scopes]
        offered["scopes"].initial = [Scope.READ_SELF.value]
        offered["expires_in_days"].choices = [(days, _span(days, now)) for days in lives()]
        offered["expires_in_days"].initial = settings.PORTICO_TOKEN_DAYS

    def issue(self, *, now: datetime, actor: Actor) -> tuple[ApiToken, Secret] | None:
        """Make it, once the form is valid; None where it cannot be made, which the form then says.

        Raises issuing.MadeAlready for a form that was sent before.
        """
        facts = self.cleaned_data
        try:
            return issuing.create(
                self.owner, name=facts["name"], scopes=facts["scopes"], expires_in_days=facts["expires_in_days"],
                now=now, actor=actor, once=facts["form_key"],
            )  # fmt: skip
        except issuing.IssueRefused as refusal:
            self.add_error(refusal.field or None, ValidationError(str(refusal), code="refused"))
            return None


class ServiceAccountForm(AccountFormBase):
    """Name and contact of a service account."""

    name = forms.CharField(max_length=service_accounts.MAX_NAME, label="Name", help_text="What it does, or for whom.")
    contact = forms.EmailField(
        label="Contact", max_length=addresses.MAX_LENGTH, validators=[validate_address],
        help_text=ServiceAccount._meta.get_field("contact").help_text,  # noqa: SLF001 - Django's public name for it
    )  # fmt: skip

    class Meta:
        model = ServiceAccount
        fields = ("contact",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "name" in self.fields:
            self.fields["name"].initial = self.instance.user.display_name


def lives() -> list[int]:
    """The lives of a token that a page offers, in days."""
    latest = settings.PORTICO_TOKEN_MAX_DAYS
    return sorted({days for days in _USUAL_DAYS if days < latest} | {settings.PORTICO_TOKEN_DAYS, latest})


def _span(days: int, now: datetime) -> str:
    return f"{days} day{'' if days == 1 else 's'}, on {now + timedelta(days=days):%d %B %Y}"
