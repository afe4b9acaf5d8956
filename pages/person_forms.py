"""Forms of the administration of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm

from accounts import addresses
from accounts.models import User, validate_address
from saml_sp.models import EmailDomain, FederatedIdentity, IdentityProvider

if TYPE_CHECKING:
    NewUserBase = AdminUserCreationForm[User]
    UserFormBase = UserChangeForm[User]
    ProviderField = forms.ModelChoiceField[IdentityProvider]
else:
    # Generic in the type stubs only.
    NewUserBase, UserFormBase, ProviderField = AdminUserCreationForm, UserChangeForm, forms.ModelChoiceField


def provider_field(help_text: str) -> ProviderField:
    """The choice between a local account and one of the identity providers."""
    return ProviderField(
        IdentityProvider.objects.all(), required=False, empty_label="Local account", label="Authentication provider",
        help_text=help_text,
    )  # fmt: skip


class NewPersonForm(NewUserBase):
    """A new account: local, with a password or an invitation to choose one, or of an identity provider."""

    provider = provider_field(
        "Local account: the address of a domain that is verified for an identity provider becomes an account of that "
        "one all the same, except for a break-glass administrator. An identity provider: its next sign-in with this "
        "address is this person, and no password or mail is needed."
    )
    usable_password = forms.ChoiceField(
        label="Password of a local account", required=False, initial="true", widget=forms.RadioSelect,
        choices={"true": "Set it now", "false": "Mail the person a link to choose it"},
    )  # fmt: skip

    class Meta:
        model = User
        fields = ("email", "first_name", "last_name", "is_break_glass")

    # Whose domain has decided against the choice that was made.
    owner: IdentityProvider | None = None

    def validate_passwords(self, *args: Any, **kwargs: Any) -> None:
        """An account of an identity provider has none, whatever was entered."""
        self._settle_provider()
        if self.cleaned_data.get("provider") is None:
            super().validate_passwords(*args, **kwargs)
        else:
            self.cleaned_data.pop("usable_password", None)
            self.cleaned_data["set_usable_password"] = False

    def _settle_provider(self) -> None:
        if self.cleaned_data.get("is_break_glass"):
            self.instance.is_staff = self.instance.is_superuser = True
            if self.cleaned_data.get("provider") is not None:
                self.add_error("provider", "A break-glass administrator begins as a local account, with a password.")
            return
        email = self.cleaned_data.get("email", "")
        if self.cleaned_data.get("provider") is None and "provider" not in self.errors:
            self.owner = self.cleaned_data["provider"] = EmailDomain.objects.owner_of(email)
        idp = self.cleaned_data.get("provider")
        if idp is not None and (held := taken_by(idp, email)):
            self.add_error("provider", f"{email} at {idp} belongs to {held.user} already. Remove that identity first.")


def taken_by(idp: IdentityProvider, email: str) -> FederatedIdentity | None:
    """The identity that has this address at this identity provider."""
    held = FederatedIdentity.objects.select_related("user")
    return held.filter(idp=idp, email_key=addresses.key(email)).first()


class PersonForm(UserFormBase):
    """An account that exists; its password is changed on a page of its own."""

    class Meta:
        model = User
        fields = "__all__"


class ProviderForm(forms.Form):
    """Who vouches for a person from now on."""

    provider = provider_field("What follows from it is said on the next page, before anything is done.")
    email = forms.EmailField(
        label="Address there", required=False, max_length=addresses.MAX_LENGTH, validators=[validate_address],
        help_text="The address that the identity provider will assert. Left empty: the one of the account.",
    )  # fmt: skip


class ReasonForm(forms.Form):
    """Why an account is switched off."""

    because = forms.CharField(
        label="Why", required=False, max_length=300, help_text="Shown to administrators on the page of the account."
    )


class MergeForm(forms.Form):
    """Which account stays."""

    into = forms.EmailField(label="Address of the account that stays", max_length=addresses.MAX_LENGTH)

    def clean_into(self) -> User:
        """The account. Raises ValidationError where there is none."""
        user = User.objects.filter(email_key=addresses.key(self.cleaned_data["into"])).first()
        if user is None:
            raise forms.ValidationError("There is no account with this address.", code="unknown")
        return user
