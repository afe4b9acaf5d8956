"""Whom this site believes is changed after a sign-in that is young."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Permission

from saml_sp.models import FederatedIdentity, GroupRule
from tests import factories
from tests.accounts.people import grow_older
from tests.pages.forms import PASSWORD, sign_in_by_password, submit

if TYPE_CHECKING:
    from saml_sp.models import IdentityProvider
    from tests.door import Browser

SAML = "/admin/saml_sp/"
OLD = timedelta(hours=9)


def again(path: str) -> str:
    return f"/sign-in/again/?next={quote(path, safe='')}"


def pages(idp: IdentityProvider) -> list[str]:
    return [f"{SAML}identityprovider/{idp.pk}/{action}/" for action in ("change", "delete")] + [
        f"{SAML}{model}/add/" for model in ("identityprovider", "grouprule", "emaildomain", "federatedidentity")
    ]


def test_a_form_that_changes_trust_asks_for_it_before_it_is_filled_in(admin: Browser, acme: IdentityProvider) -> None:
    assert [admin.get(path).status_code for path in pages(acme)] == [200] * 6
    grow_older(admin, OLD)
    for path in pages(acme):
        assert admin.get(path).headers["Location"] == again(path)


def test_nothing_is_changed_by_a_form_that_was_open_for_too_long(admin: Browser, acme: IdentityProvider) -> None:
    identity = factories.identity(acme, factories.user("bob@acme.example"))
    rule = factories.group_rule(acme, "crew", factories.organization())
    lists = {model: f"{SAML}{model}/" for model in ("federatedidentity", "grouprule", "spkeypair")}
    sent = [
        (lists["federatedidentity"], f"{SAML}federatedidentity/{identity.pk}/rebind/", {}),
        (lists["grouprule"], lists["grouprule"], {"action": "delete_selected", "_selected_action": str(rule.pk)}),
        (lists["spkeypair"], f"{SAML}spkeypair/generate/", {}),
    ]
    grow_older(admin, OLD)
    for listed, path, data in sent:
        answer = submit(admin, path, data, page=listed)
        assert answer.headers["Location"] == again(listed), path
    assert not FederatedIdentity.objects.get().pending
    assert GroupRule.objects.exists()


def test_looking_needs_none(admin: Browser, acme: IdentityProvider) -> None:
    clerk = factories.user("clerk@portico.example", password=PASSWORD, is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename="view_identityprovider"))
    browser = sign_in_by_password(clerk)
    for somebody in (admin, browser):
        grow_older(somebody, OLD)
        assert somebody.get(f"{SAML}identityprovider/").status_code == 200
    assert browser.get(f"{SAML}identityprovider/{acme.pk}/change/").status_code == 200
    assert admin.get("/admin/accounts/user/add/").status_code == 200


@pytest.mark.django_db
def test_somebody_without_rights_learns_nothing_new(acme: IdentityProvider) -> None:
    browser = sign_in_by_password(factories.user("lou@portico.example", password=PASSWORD))
    grow_older(browser, OLD)
    for path in pages(acme):
        assert browser.get(path).headers["Location"].startswith("/admin/login/")
