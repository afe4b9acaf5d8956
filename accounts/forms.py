"""Forms of the account pages: allauth's, in our words, and closed where theirs are open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account import forms as account
from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.headless.mfa.inputs import AuthenticateInput
from allauth.mfa.base import forms as codes
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp
from allauth.mfa.webauthn import forms as webauthn
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import invitations, policy, second_factor
from accounts.models import validate_address
from accounts.origins import Origin
from audit.kinds import Kind
from audit.log import record

if TYPE_CHECKING:
    from django.http import HttpRequest

    from accounts.models import User

WRONG_PASSKEY = "This passkey was not accepted. Try again."


class InOurWords:
    """Labels and help of our own, and no placeholders: a label that vanishes when one types is none."""

    labels: dict[str, str] = {}
    helps: dict[str, str] = {}
    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = self.labels.get(name, field.label)
            field.help_text = self.helps.get(name, "")


def whose(request: HttpRequest, address: str, password: str) -> User | None:
    """Who may come in by this address and password, the second factor left aside; None for nobody.

    A wrong password, an address without an account and one that is switched off look alike and take equally long, for
    Django computes a hash for each. allauth counts what fails, per client and per account. Raises ValidationError once
    that is too much, whatever the password.
    """
    adapter = get_adapter()
    user: User | None = adapter.authenticate(request, email=address, password=password)
    return user if user is None or _may_come_in(request, user) else None


def _may_come_in(request: HttpRequest, user: User) -> bool:
    if user.has_local_password and policy.may_sign_in_locally(user):
        return True
    adapter = get_adapter()
    # Counted as a wrong password is: else trying on, and never being slowed down, would tell that it is right.
    adapter.pre_authenticate(request, email=user.email)
    adapter.authentication_failed(request, email=user.email)
    return False


NEW_PASSWORD = {"password1": "New password", "password2": "The same again"}
PASSWORD_HELP = {"password1": "At least 12 characters. Several words are easy to remember and hard to guess."}


class ChangePasswordForm(InOurWords, account.ChangePasswordForm):
    """A new password by the old one."""

    labels = {"oldpassword": "Current password", **NEW_PASSWORD}
    helps = PASSWORD_HELP


class SetPasswordForm(InOurWords, account.SetPasswordForm):
    """A first password."""

    labels = NEW_PASSWORD
    helps = PASSWORD_HELP


class ResetPasswordForm(InOurWords, account.ResetPasswordForm):
    """For a forgotten password. The answer is the same whoever has the address."""

    labels = {"email": "E-mail"}

    def clean_email(self) -> str:
        """The address as it is; nobody is looked for yet."""
        return str(self.cleaned_data["email"])

    def save(self, request: HttpRequest, **kwargs: Any) -> str:  # noqa: ARG002 - allauth's signature
        """Mail the link to whom it may be mailed."""
        address = str(self.cleaned_data["email"])
        invitations.answer_forgotten(address)
        return address


class UserTokenForm(account.UserTokenForm):
    """The link in a mail: void for somebody whom an identity provider has taken over since, or who is switched off.

    A service account never has a password.
    """

    def clean(self) -> dict[str, Any]:
        """Raises ValidationError for a link that does not open an account of ours."""
        cleaned: dict[str, Any] = super().clean()
        user = self.reset_user
        if user is not None and (not user.is_active or user.is_managed or user.is_service_account):
            raise ValidationError("This link is not valid any more.", code="invalid_password_reset")
        return cleaned


class ResetPasswordKeyForm(InOurWords, account.ResetPasswordKeyForm):
    """A password by the link in a mail."""

    labels = NEW_PASSWORD
    helps = PASSWORD_HELP


class ReauthenticateForm(InOurWords, account.ReauthenticateForm):
    """The password once more."""

    labels = {"password": "Password"}


class AddressForm(forms.Form):
    """The address that somebody wants to have from now on."""

    email = forms.EmailField(
        label="New e-mail", max_length=254, validators=[validate_address],
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )  # fmt: skip


# --- Second factors -------------------------------------------------------------------------------------------------


class Once(InOurWords):
    """A code from an app or a list, which works once; each failure is written down."""

    labels = {"code": "Code"}
    user: User

    def clean_code(self) -> str:
        """Raises ValidationError for a code that is wrong or was used."""
        try:
            code: str = super().clean_code()  # type: ignore[misc]  # the form that this is mixed into has it
            used = getattr(self, "authenticator", None)
            recovery = used is not None and used.type == Authenticator.Type.RECOVERY_CODES
            if not recovery and not second_factor.use_up(self.user, code):
                raise second_factor.SecondFactorAdapter().validation_error("incorrect_code")
        except ValidationError:
            _write_down(self.user)
            raise
        return code


class CodeForm(Once, codes.AuthenticateForm):
    """The second step of a sign-in."""


class CodeInput(Once, AuthenticateInput):
    """The same, where a program signs in."""


class ConfirmByCodeForm(Once, codes.ReauthenticateForm):
    """Instead of the password once more."""


class ActivateTotpForm(Once, totp.ActivateTOTPForm):
    """The first code of a new authenticator app, which shows that it was set up."""

    helps = {"code": "The six digits that the app shows now."}


class CredentialField(forms.JSONField):
    """What a browser says about a passkey; Python's parser gives up at JSON that is nested too deeply."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        """Raises ValidationError for what is no JSON."""
        try:
            return super().to_python(value)
        except RecursionError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


class Careful(InOurWords):
    """What a browser sends for a passkey is JSON of any shape: whatever the library makes of that, it is a refusal."""

    user: User | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["credential"] = CredentialField()

    def clean_credential(self) -> Any:
        """Raises ValidationError for anything but a valid answer to our challenge."""
        return self._carefully(super().clean_credential)  # type: ignore[misc]  # the form that this is mixed into has it

    def _carefully(self, check: Any) -> Any:
        try:
            return check()
        except ValidationError as refusal:
            _write_down(self.user)
            if refusal.code == "too_many_login_attempts":
                raise
            raise ValidationError(WRONG_PASSKEY, code="passkey") from refusal
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # fido2 parses with these; which one depends on what was sent.
            _write_down(self.user)
            raise ValidationError(WRONG_PASSKEY, code="passkey") from error


class PasskeyForm(Careful, webauthn.AuthenticateWebAuthnForm):
    """The second step of a sign-in."""


class ConfirmByPasskeyForm(Careful, webauthn.ReauthenticateWebAuthnForm):
    """Instead of the password once more."""


class SignInByPasskeyForm(Careful, webauthn.LoginWebAuthnForm):
    """A sign-in by nothing else."""


class AddPasskeyForm(Careful, webauthn.AddWebAuthnForm):
    """A new passkey."""

    labels = {"name": "Name", "passwordless": "Sign in with it alone, without the password"}
    helps = {
        "name": "So that you know it again: where it is kept, for example.",
        "passwordless": "It must then ask for your finger, face or PIN, as phones and laptops do. Without this, it is "
        "asked for after the password.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs["maxlength"] = "100"
        if "passwordless" in self.fields:
            self.fields["passwordless"].initial = True

    def clean_credential(self) -> Any:
        """Read later, by `clean`."""
        return self.cleaned_data["credential"]

    def clean(self) -> dict[str, Any]:
        """Raises ValidationError for anything but a valid answer to our challenge."""
        cleaned: dict[str, Any] = self._carefully(super().clean)
        return cleaned


def _write_down(user: User | None) -> None:
    record(
        Kind.SECOND_FACTOR_REFUSED, now=timezone.now(), subject_type="user", subject_id=user.pk if user else "",
        subject=user or "", ip=Origin.of(context.request).ip,
    )  # fmt: skip
