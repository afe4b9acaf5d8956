"""Identities that an administrator rebinds, and whose identities are whose to touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from saml_sp.models import FederatedIdentity, SignInAttempt
from tests import factories
from tests.door import Browser
from tests.idp import ANA, Forge, email_attribute
from tests.pages.forms import PASSWORD, sign_in_by_password, submit, text

if TYPE_CHECKING:
    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db

IDENTITIES = "/admin/saml_sp/federatedidentity/"


@pytest.fixture
def acme() -> IdentityProvider:
    return factories.idp("acme", description="Acme Okta")


@pytest.fixture
def admin() -> Browser:
    root = factories.user("root@portico.example", password=PASSWORD, is_staff=True, is_superuser=True)
    return sign_in_by_password(root)


@pytest.fixture
def clerk() -> Browser:
    """Somebody of the staff with every permission over identities, who is no superuser."""
    person = factories.user("clerk@portico.example", password=PASSWORD, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label__in=["saml_sp", "accounts"]))
    return sign_in_by_password(person)


def of(identity: FederatedIdentity, page: str) -> str:
    return f"{IDENTITIES}{identity.pk}/{page}/"


def first(idp: IdentityProvider, subject: str) -> bytes:
    return Forge(idp, timezone.now()).xml(name_id=subject, attributes=(email_attribute(ANA),))


def test_what_cannot_be_an_account_is_refused_in_words(admin: Browser, acme: IdentityProvider) -> None:
    for sent in ("abc", "9" * 30):
        assert admin.get(f"{IDENTITIES}add/?user={sent}").status_code == 200
        answer = submit(admin, f"{IDENTITIES}add/", {"idp": acme.pk, "user": sent, "email_key": ""})
        assert answer.status_code == 200
        assert "not a valid UUID" in text(answer)


def test_a_changed_subject_is_refused_until_an_administrator_rebinds_it(admin: Browser, acme: IdentityProvider) -> None:
    before = Browser()
    before.sign_in(acme, first(acme, "subject-1"))
    user = before.user
    assert user
    assert Browser().send(acme, first(acme, "subject-2")).status_code == 403
    assert SignInAttempt.objects.latest("id").code == "subject_changed"
    identity = FederatedIdentity.objects.get()
    page = text(admin.get(of(identity, "change")))
    for word in ("stable subject attribute", "subject_changed", "Rebinding"):
        assert word in page
    answer = submit(admin, of(identity, "rebind"), page=of(identity, "change"))
    assert "1 session(s) ended." in text(admin.get(answer.headers["Location"]))
    assert before.user is None
    event = Event.objects.get(kind=Kind.IDENTITY_REBOUND)
    assert (event.actor, event.subject, event.data["subject"]) == ("root@portico.example", ANA, "subject-1")
    after = Browser()
    after.sign_in(acme, first(acme, "subject-2"))
    assert after.user == user
    assert Browser().send(acme, first(acme, "subject-1")).status_code == 403


def test_rebinding_twice_is_refused_in_words(admin: Browser, acme: IdentityProvider) -> None:
    identity = factories.identity(acme, factories.user())
    page = of(identity, "change")
    submit(admin, of(identity, "rebind"), page=page)
    assert "It awaits its next sign-in now." in text(admin.get(page))
    answer = submit(admin, of(identity, "rebind"), page=page)
    assert "awaits a sign-in already" in text(admin.get(answer.headers["Location"]))
    assert Event.objects.filter(kind=Kind.IDENTITY_REBOUND).count() == 1


def test_rebinding_beside_one_that_awaits_the_same_address_is_refused(admin: Browser, acme: IdentityProvider) -> None:
    identity = factories.identity(acme, factories.user())
    factories.pending(acme, factories.user("other@customer.example"), ANA)
    answer = submit(admin, of(identity, "rebind"), page=of(identity, "change"))
    assert "Another identity with this address awaits" in text(admin.get(answer.headers["Location"]))
    identity.refresh_from_db()
    assert not identity.pending


def test_nobody_rebinds_one_that_does_not_exist_or_by_a_get(admin: Browser, acme: IdentityProvider) -> None:
    identity = factories.identity(acme, factories.user())
    assert admin.get(of(identity, "rebind")).status_code == 405
    identity_page = of(identity, "change")
    assert submit(admin, f"{IDENTITIES}999999/rebind/", page=identity_page).status_code == 404


def test_staff_without_permission_may_not_rebind(acme: IdentityProvider) -> None:
    identity = factories.identity(acme, factories.user())
    person = factories.user("viewer@portico.example", password=PASSWORD, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename="view_federatedidentity"))
    viewer = sign_in_by_password(person)
    assert "Rebind at" not in text(viewer.get(of(identity, "change")))
    assert submit(viewer, of(identity, "rebind"), page="/profile/").status_code == 403


@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_staff": True, "is_superuser": True}])
def test_only_superusers_touch_identities_of_staff(
    clerk: Browser, acme: IdentityProvider, rights: dict[str, bool]
) -> None:
    boss = factories.user("boss@portico.example", **rights)
    identity = factories.identity(acme, boss)
    assert submit(clerk, of(identity, "rebind"), page="/profile/").status_code == 403
    assert clerk.get(of(identity, "delete")).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": identity.pk, "post": "yes"}
    assert submit(clerk, IDENTITIES, chosen, page="/profile/").status_code == 403
    answer = submit(clerk, f"{IDENTITIES}add/", {"idp": acme.pk, "user": str(boss.pk), "email_key": "evil@x.example"})
    assert "Select a valid choice" in text(answer)
    assert FederatedIdentity.objects.get().subject == ANA


def test_a_clerk_looks_after_identities_of_everybody_else(clerk: Browser, acme: IdentityProvider) -> None:
    identity = factories.identity(acme, factories.user())
    submit(clerk, of(identity, "rebind"), page=of(identity, "change"))
    identity.refresh_from_db()
    assert identity.pending
    other = User.objects.create_user("bob@customer.example")
    submit(clerk, f"{IDENTITIES}add/", {"idp": acme.pk, "user": str(other.pk), "email_key": ""})
    assert other.identities.get().pending
