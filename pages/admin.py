"""People, in the administration."""

from __future__ import annotations

from smtplib import SMTPException
from typing import TYPE_CHECKING

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import ImproperlyConfigured
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html_join

from accounts import invitations, sessions
from accounts.models import Session, User
from accounts.origins import Origin
from saml_sp import provisioning

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    NewUserBase = AdminUserCreationForm[User]
    UserFormBase = UserChangeForm[User]
    UserAdminBase = UserAdmin[User]
else:
    # Generic in the type stubs only.
    NewUserBase, UserFormBase, UserAdminBase = AdminUserCreationForm, UserChangeForm, UserAdmin

# allauth's own pages: a table that stays empty, and the secrets of second factors.
admin.site.unregister([EmailAddress, Authenticator])

RIGHTS = ("is_active", "is_staff", "is_superuser", "groups")


class NewPersonForm(NewUserBase):
    """A new account: with a password of its own, or without one for somebody whom an identity provider vouches for."""

    class Meta:
        model = User
        fields = ("email", "first_name", "last_name")


class PersonForm(UserFormBase):
    """An account that exists; its password is changed on a page of its own."""

    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class PersonAdmin(UserAdminBase):
    """Accounts: made, found, switched off. Only superusers hand out rights, and nobody changes their own."""

    form = PersonForm
    add_form = NewPersonForm
    ordering = ("email_key",)
    list_display = ("email", "full_name", "vouched_for_by", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "sso_label")
    search_fields = ("email", "first_name", "last_name")
    filter_horizontal = ("groups",)
    readonly_fields = ("vouched_for_by", "identities", "live_sessions", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "password", "first_name", "last_name")}),
        ("Sign-in", {"fields": ("vouched_for_by", "identities", "live_sessions", "last_login", "date_joined")}),
        ("Rights in this administration", {"fields": RIGHTS}),
    )
    add_fieldsets = (
        (None, {"fields": ("email", "first_name", "last_name", "usable_password", "password1", "password2")}),
    )

    actions = ("invite",)

    @admin.action(description="Mail an invitation to choose a password", permissions=["change"])
    def invite(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Invite those who were chosen and have no way in yet; say of each of the others why not."""
        now, ip = timezone.now(), Origin.of(request).ip
        for person in queryset:
            try:
                if idp := provisioning.manager_of(person.email):
                    raise invitations.NotInvited(f"{person} is to sign in through {idp}.")
                invitations.invite(person, now=now, actor=request.user, actor_id=request.user.pk, ip=ip)
            except (invitations.NotInvited, ImproperlyConfigured) as refusal:
                messages.warning(request, str(refusal))
            except (OSError, SMTPException) as error:
                messages.error(request, f"The mail to {person} could not be sent: {error}")
            else:
                messages.success(request, f"{person} is invited: a link is on its way.")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - Django's signature
        """Somebody else's password. One's own is changed where everybody changes theirs, with the old one."""
        if str(request.user.pk) == id:
            return redirect("account_change_password")
        return super().user_change_password(request, id, form_url)

    @admin.display(description="name", ordering="last_name")
    def full_name(self, person: User) -> str:
        """First and last name, as far as known."""
        return f"{person.first_name} {person.last_name}".strip()

    @admin.display(description="identity provider", ordering="sso_label")
    def vouched_for_by(self, person: User) -> str:
        """Who vouched at the last sign-in, or that the account lives here alone."""
        return person.sso_label or "local account"

    @admin.display(description="identities")
    def identities(self, person: User) -> str:
        """What identity providers call this person."""
        rows = person.identities.select_related("idp").order_by("idp__description", "pk")
        lines = [(row.email_key, row.idp, ", awaiting the first sign-in" if row.pending else "") for row in rows]
        return format_html_join("\n", "<div>{} at {}{}</div>", lines) or "none"

    @admin.display(description="signed in now")
    def live_sessions(self, person: User) -> str:
        """In how many browsers."""
        count = Session.objects.live(timezone.now()).filter(user=person, adopted_at__isnull=False).count()
        return f"in {count} browser{'' if count == 1 else 's'}" if count else "no"

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Rights are a superuser's to give; one's own stay as they are, so that nobody locks themselves out."""
        fixed = tuple(self.readonly_fields)
        own = obj is not None and obj.pk == request.user.pk
        return (*fixed, *RIGHTS) if own or not request.user.is_superuser else fixed

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Who may not hand out rights may not take over the account of somebody who has some, by its password."""
        above = obj is not None and (obj.is_staff or obj.is_superuser) and not request.user.is_superuser
        return super().has_change_permission(request, obj) and not above

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Deleting is for superusers, one account at a time, and not for one's own: switching off is the usual way."""
        return obj is not None and bool(request.user.is_superuser) and obj.pk != request.user.pk

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Switching an account off ends its sessions in the same transaction."""
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            sessions.end_all(obj)
