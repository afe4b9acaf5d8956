"""The form of the local door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.utils import perform_login
from django import forms
from django.contrib.auth.forms import AuthenticationForm, UsernameField

from accounts.forms import whose

if TYPE_CHECKING:
    from django.http import HttpResponse


class SignInForm(AuthenticationForm):
    """E-mail and password of a local account.

    One sentence for every failure: a wrong password, an address without an account and one that is switched off look
    alike.
    """

    username = UsernameField(
        label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username"})
    )
    # An address alone leads to the identity provider of its domain, if that has one.
    password = forms.CharField(
        label="Password", strip=False, required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text="Your company signs you in? Then leave this empty.",
    )  # fmt: skip
    error_messages = {
        "invalid_login": "E-mail and password do not match an account here. Mind capitals in the password."
    }

    def clean(self) -> dict[str, Any]:
        """Ask allauth, which counts what fails, per address and per account. Raises ValidationError."""
        address, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if address and not password:
            self.add_error("password", "Enter your password.")
            self.fields["password"].widget.attrs["autofocus"] = True
        if address and password:
            assert self.request is not None  # noqa: S101 - the form of a page
            user = whose(self.request, address, password)
            if user is None:
                raise self.get_invalid_login_error()
            self.user_cache = user
        return self.cleaned_data

    @property
    def address_alone(self) -> bool:
        """Whether this is a question where to sign in, not an attempt to."""
        return self.is_bound and not self.data.get("password")

    def enter(self, target: str) -> HttpResponse:
        """Go on to the second factor, if there is one, else begin the session and go to the page."""
        answer: HttpResponse = perform_login(self.request, self.get_user(), redirect_url=target)
        return answer
