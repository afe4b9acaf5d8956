"""What is done to an account beyond filling in a form: each has a page that says what follows, then a button."""

from __future__ import annotations

from smtplib import SMTPException
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone

from accounts import deactivation, invitations, merging
from accounts.actors import Actor
from accounts.models import User
from pages.person_forms import MergeForm, ProviderForm, ReasonForm
from saml_sp import moving, provisioning
from saml_sp.models import EmailDomain, IdentityProvider
from saml_sp.protocol.errors import ConfigurationRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django.contrib.admin import AdminSite
    from django.http import HttpRequest

LOCAL = "local"


def page_of(person: User) -> str:
    """The address of somebody's page in the administration."""
    return reverse("admin:accounts_user_change", args=[person.pk])


def invite(request: HttpRequest, person: User) -> None:
    """Mail somebody the link to choose a password, and say how that went."""
    if idp := provisioning.manager_of(person.email):
        messages.warning(request, f"{person} is to sign in through {idp}.")
        return
    actor = Actor.at(request)
    try:
        invitations.invite(person, now=timezone.now(), actor=actor.label, actor_id=actor.id, ip=actor.ip)
    except (invitations.NotInvited, ImproperlyConfigured) as refusal:
        messages.warning(request, str(refusal))
    except (OSError, SMTPException) as error:
        messages.error(request, f"The mail to {person} could not be sent: {error}")
    else:
        messages.success(request, f"{person} is invited: a link is on its way.")


def hand_over(request: HttpRequest, person: User, idp: IdentityProvider) -> None:
    """Say what to tell somebody who is to sign in through an identity provider: nobody mails them."""
    where = moving.where_to_sign_in(idp)
    how = f"at {where}" if where else f"from the portal of {idp}"
    messages.success(
        request, f"The account {person} signs in through {idp}. No mail was sent; tell them to sign in {how}"
    )


class PersonPages:
    """The pages and their buttons, for the admin of people, which says who may do what."""

    admin_site: AdminSite
    opts: Any
    has_change_permission: Callable[..., bool]

    def get_urls(self) -> list[Any]:
        """The pages, before Django's own."""
        steps = {
            "provider": self.provider,
            "deactivate": self.deactivate,
            "reactivate": self.reactivate,
            "merge": self.merge,
        }
        own = [
            path(f"<uuid:pk>/{name}/", self.admin_site.admin_view(step), name=f"accounts_user_{name}")
            for name, step in steps.items()
        ]
        rest: list[Any] = super().get_urls()  # type: ignore[misc]  # mixed into a ModelAdmin
        return own + rest

    # --- Who may ---

    def may_hand_out_rights(self, request: HttpRequest, person: User) -> bool:
        """Switching on and off, and merging: superusers, and not with their own account."""
        return bool(request.user.is_superuser) and request.user.pk != person.pk

    def may_move(self, request: HttpRequest, person: User) -> bool:
        """Changing who vouches: whoever may change both the account and its identities, and not their own."""
        user = request.user
        identities = user.has_perms(("saml_sp.add_federatedidentity", "saml_sp.delete_federatedidentity"))
        return identities and user.pk != person.pk and self.has_change_permission(request, person)

    def _person(self, request: HttpRequest, pk: UUID, *, rights: bool) -> User:
        person = User.objects.filter(pk=pk).first()
        if person is None:
            raise Http404
        if not (self.may_hand_out_rights if rights else self.may_move)(request, person):
            raise PermissionDenied
        return person

    def _page(self, request: HttpRequest, name: str, title: str, person: User, **context: Any) -> HttpResponse:
        facts = {
            **self.admin_site.each_context(request), "opts": self.opts, "original": person, "title": title, **context,
        }  # fmt: skip
        return render(request, f"admin/accounts/user/{name}.html", facts)

    # --- Authentication provider ---

    def provider(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Choose who vouches; read what follows; then it is done."""
        person = self._person(request, pk, rights=False)
        current = moving.provider_of(person)
        initial = {"provider": current, "email": ""}
        form = ProviderForm(request.POST if request.method == "POST" else None, initial=initial)
        title = f"Authentication provider of {person}"
        if not form.is_bound or not form.is_valid():
            return self._page(request, "provider", title, person, form=form, current=current)
        chosen: IdentityProvider | None = form.cleaned_data["provider"]
        try:
            moving.check(person, chosen, form.cleaned_data["email"])
        except ConfigurationRefused as refusal:
            form.add_error("provider", str(refusal))
            return self._page(request, "provider", title, person, form=form, current=current)
        was = str(current.pk) if current else LOCAL
        # Done only if this page said so about the account as it is now.
        if request.POST.get("confirm") != "yes" or request.POST.get("was") != was:
            context = {
                "form": form, "current": current, "chosen": chosen, "was": was,
                "address": form.cleaned_data["email"] or person.email,
                "where": moving.where_to_sign_in(chosen) if chosen else "",
                "owner": EmailDomain.objects.owner_of(person.email),
            }  # fmt: skip
            return self._page(request, "provider_confirm", title, person, **context)
        try:
            self._move(request, person, chosen, form.cleaned_data["email"])
        except ConfigurationRefused as refusal:
            messages.error(request, str(refusal))
        return HttpResponseRedirect(page_of(person))

    def _move(self, request: HttpRequest, person: User, idp: IdentityProvider | None, email: str) -> None:
        now, actor = timezone.now(), Actor.at(request)
        if idp is None:
            moving.make_local(person, now=now, actor=actor)
            messages.success(request, f"The account {person} is local now.")
            invite(request, person)
        else:
            moving.assign(person, idp, now=now, actor=actor, email=email)
            hand_over(request, person, idp)

    # --- Off and on ---

    def deactivate(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Switch the account off."""
        person = self._person(request, pk, rights=True)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if not form.is_bound or not form.is_valid():
            return self._page(request, "deactivate", f"Switch {person} off", person, form=form)
        because = form.cleaned_data["because"]
        ended = deactivation.deactivate(person, now=timezone.now(), actor=Actor.at(request), because=because)
        messages.success(request, f"The account {person} is switched off; {ended.get('sessions', 0)} session(s) ended.")
        return HttpResponseRedirect(page_of(person))

    def reactivate(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Switch the account on again."""
        person = self._person(request, pk, rights=True)
        if request.method != "POST":
            return self._page(request, "reactivate", f"Switch {person} on", person)
        if deactivation.reactivate(person, now=timezone.now(), actor=Actor.at(request)):
            messages.success(request, f"The account {person} is switched on.")
        else:
            messages.info(request, f"The account {person} was on already.")
        return HttpResponseRedirect(page_of(person))

    # --- Merging ---

    def merge(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Name the account that stays; read what moves; then it is done."""
        gone = self._person(request, pk, rights=True)
        form = MergeForm(request.POST if request.method == "POST" else None)
        title = f"Merge {gone} into another account"
        if not form.is_bound or not form.is_valid():
            return self._page(request, "merge", title, gone, form=form)
        keep: User = form.cleaned_data["into"]
        if keep.pk == request.user.pk:
            form.add_error("into", "That is your own account: another superuser has to do this.")
            return self._page(request, "merge", title, gone, form=form)
        try:
            if request.POST.get("confirm") != "yes":
                found = merging.preview(gone, keep)
                return self._page(request, "merge_confirm", title, gone, keep=keep, found=found)
            merging.merge(gone, keep, now=timezone.now(), actor=Actor.at(request))
        except merging.MergeRefused as refusal:
            form.add_error("into", str(refusal))
            return self._page(request, "merge", title, gone, form=form)
        messages.success(request, f"The account {gone} was merged into {keep}, and is switched off.")
        return HttpResponseRedirect(page_of(keep))
