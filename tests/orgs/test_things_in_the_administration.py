"""Organisations, billing accounts, groups, roles and properties, in the administration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from audit.kinds import Kind
from audit.models import Event
from orgs import assigning
from orgs.models import (
    AccessGroup,
    BillingAccount,
    Membership,
    MembershipRole,
    Organization,
    Property,
    Role,
    RoleGrant,
)
from saml_sp.models import GroupRule
from tests import factories
from tests.pages.forms import PASSWORD, sign_in_by_password, submit, text

if TYPE_CHECKING:
    from accounts.actors import Actor
    from accounts.models import User
    from saml_sp.models import IdentityProvider
    from tests.door import Browser

ORGANIZATIONS = "/admin/orgs/organization/"
MODELS = (
    "organization", "billingaccount", "accessgroup", "role", "property", "membership", "billingpermission",
    "groupmembership", "rolegrant", "propertygrant", "levelgrant",
)  # fmt: skip
NO_ACCOUNTS = {"billing_accounts-TOTAL_FORMS": "0", "billing_accounts-INITIAL_FORMS": "0"}


def change(thing: object) -> str:
    return f"/admin/orgs/{type(thing).__name__.lower()}/{thing.pk}/change/"  # type: ignore[attr-defined]  # a model's


def test_an_organisation_is_made_and_changed_on_record(clerk: Browser, desk: User) -> None:
    submit(clerk, f"{ORGANIZATIONS}add/", {"name": "Acme", "external_id": "acme"})
    acme = Organization.objects.get()
    page = submit(clerk, change(acme), {"name": "Acme Ltd", "external_id": "acme"})
    assert page.status_code == 302
    made, changed = Event.objects.filter(subject_type="organisation").order_by("pk")
    assert (made.kind, changed.kind) == (Kind.ORGANIZATION_CREATED, Kind.ORGANIZATION_CHANGED)
    assert (changed.actor, changed.data["changed"]) == (str(desk), {"name": ["Acme", "Acme Ltd"]})
    told = text(clerk.get(f"{ORGANIZATIONS}{acme.pk}/history/"))
    assert "desk@portico.example made the organisation Acme" in told
    assert "desk@portico.example changed the organisation Acme Ltd: name from “Acme” to “Acme Ltd”" in told


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ({"external_id": "a b"}, "Use 1 to 64 letters, digits, dots, hyphens and underscores"),
        ({"external_id": "taken"}, "Organisation with this External ID already exists."),
        ({"name": ""}, "This field is required."),
        ({"name": "x" * 201}, "at most 200 characters"),
        ({"name": "A\u200bcme"}, "no invisible characters"),
    ],
)
def test_a_mistake_gets_a_sentence_and_makes_nothing(clerk: Browser, spoilt: dict[str, str], sentence: str) -> None:
    factories.organization("Other", external_id="taken")
    page = submit(clerk, f"{ORGANIZATIONS}add/", {"name": "Acme", "external_id": "acme"} | spoilt)
    assert sentence in text(page)
    assert Organization.objects.count() == 1


def test_billing_accounts_are_made_changed_and_removed_on_the_page_of_their_organisation(clerk: Browser) -> None:
    acme = factories.organization()
    one = {"name": "Acme", "external_id": "acme"}
    row = {"billing_accounts-0-name": "Main", "billing_accounts-0-external_id": "B-1"}
    submit(clerk, change(acme), one | row | {"billing_accounts-TOTAL_FORMS": "1"})
    account = BillingAccount.objects.get()
    assert (account.name, account.organization) == ("Main", acme)
    submit(clerk, change(acme), one | row | {"billing_accounts-0-name": "First"})
    account.refresh_from_db()
    assert account.name == "First"
    again = {"billing_accounts-1-name": "First", "billing_accounts-1-external_id": "B-2"}
    twice = submit(
        clerk,
        change(acme),
        one | row | again | {"billing_accounts-0-name": "First", "billing_accounts-TOTAL_FORMS": "2"},
    )
    assert twice.status_code == 200
    assert "duplicate" in text(twice) or "already" in text(twice)
    submit(clerk, change(acme), one | row | {"billing_accounts-0-DELETE": "on"})
    assert not BillingAccount.objects.exists()
    kinds = Event.objects.filter(subject_type="billing_account").order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == [Kind.BILLING_ACCOUNT_CREATED, Kind.BILLING_ACCOUNT_CHANGED, Kind.BILLING_ACCOUNT_REMOVED]


def test_more_billing_accounts_than_fit_on_a_page_are_a_list_of_their_own(clerk: Browser) -> None:
    acme = factories.organization()
    for number in range(101):
        factories.billing_account(acme, f"Account {number}")
    page = clerk.get(change(acme)).content.decode()
    assert "more than 100" in page
    assert "Account 1" not in page
    assert "101 billing accounts" in text(clerk.get(f"/admin/orgs/billingaccount/?organization={acme.pk}"))


def test_the_list_counts_people_once_and_points_out_who_has_no_administrator(clerk: Browser) -> None:
    acme, other = factories.organization(), factories.organization("Other")
    person = factories.user()
    factories.membership(person, acme, MembershipRole.ADMIN)
    factories.asserted(person, acme)
    factories.membership(person, other)
    page = text(clerk.get(ORGANIZATIONS))
    assert "Acme acme 1 1 " in page
    assert "Other other 1 none ⚠" in page
    shown = text(clerk.get(change(acme)))
    assert "People: 1, of whom 1 administers it" in shown
    assert f"Administrators: {person}" in shown


def test_removing_an_organisation_says_how_much_goes_with_it(
    clerk: Browser, admin: Browser, acme: IdentityProvider
) -> None:
    customer = factories.organization()
    for number in range(3):
        factories.membership(factories.user(f"p{number}@acme.example"), customer)
    GroupRule.objects.create(idp=acme, value="staff", organization=customer)
    page = f"{ORGANIZATIONS}{customer.pk}/delete/"
    # The rule is an identity provider's: who may not touch those may not remove what it names.
    assert "group rule" in text(clerk.get(page))
    assert submit(clerk, page, {"post": "yes"}, page=change(customer)).status_code == 403
    shown = text(admin.get(page))
    assert "Memberships: 3" in shown
    assert "Group rules: 1" in shown
    assert submit(admin, page, {"post": "yes"}).status_code == 302
    assert not Organization.objects.exists()
    assert Event.objects.filter(kind=Kind.GRANT_WITHDRAWN).count() == 3
    assert Event.objects.get(kind=Kind.ORGANIZATION_REMOVED).data["grants"] == 3


def test_several_are_removed_by_the_lists_action(clerk: Browser) -> None:
    roles = [factories.role(f"Role {number}") for number in range(2)]
    chosen = {"action": "delete_selected", "_selected_action": [str(role.pk) for role in roles], "post": "yes"}
    answer = submit(clerk, "/admin/orgs/role/", chosen)
    assert answer.status_code == 302
    assert not Role.objects.exists()
    assert Event.objects.filter(kind=Kind.ROLE_REMOVED).count() == 2


def test_a_role_has_its_permissions_ticked(clerk: Browser) -> None:
    page = text(clerk.get("/admin/orgs/role/add/"))
    assert "May export data from the platform (platform.export_data)" in page
    assert "orgs.bill" not in page
    given = {"name": "Editor", "permissions": ["platform.export_data", "platform.edit_projects"]}
    submit(clerk, "/admin/orgs/role/add/", given)
    role = Role.objects.get()
    assert role.permissions == ["platform.export_data", "platform.edit_projects"]
    refused = submit(clerk, change(role), given | {"permissions": ["orgs.view_every_organization"]})
    assert "is not one of the available choices" in text(refused)
    submit(clerk, change(role), {"name": "Editor"})
    role.refresh_from_db()
    assert role.permissions == []


def test_nobody_gives_a_role_of_their_own_more_permissions(clerk: Browser, desk: User) -> None:
    role = factories.role(permissions=[])
    RoleGrant.objects.create(user=desk, role=role)
    answer = submit(clerk, change(role), {"name": role.name, "permissions": ["platform.export_data"]})
    assert "Nobody changes what they have themselves" in text(clerk.get(answer.headers["Location"]))
    role.refresh_from_db()
    assert role.permissions == []


def test_groups_properties_and_accounts_have_pages(clerk: Browser) -> None:
    acme = factories.organization()
    submit(clerk, "/admin/orgs/accessgroup/add/", {"name": "Pilots"})
    submit(clerk, "/admin/orgs/property/add/", {"name": "House", "external_id": "P-1"})
    submit(clerk, "/admin/orgs/billingaccount/add/", {"organization": acme.pk, "name": "Main", "external_id": "B-1"})
    for thing in (AccessGroup.objects.get(), Property.objects.get(), BillingAccount.objects.get()):
        assert clerk.get(change(thing)).status_code == 200
        told = text(clerk.get(change(thing).replace("/change/", "/history/")))
        assert f"desk@portico.example made the {thing._meta.verbose_name} {thing}" in told
        assert submit(clerk, change(thing).replace("/change/", "/delete/"), {"post": "yes"}).status_code == 302
    assert not BillingAccount.objects.exists()


def test_what_is_gone_leads_back_with_a_word(clerk: Browser) -> None:
    for model in MODELS:
        for page in ("change", "delete", "history"):
            answer = clerk.get(f"/admin/orgs/{model}/4711/{page}/")
            assert answer.status_code in {302, 404}, (model, page)
            assert clerk.get(f"/admin/orgs/{model}/{'9' * 30}/{page}/").status_code in {302, 404}


@pytest.mark.parametrize("model", MODELS)
def test_staff_without_the_permission_and_others_see_nothing(db: None, model: str) -> None:
    staff = sign_in_by_password(factories.user("new@portico.example", password=PASSWORD, is_staff=True))
    nobody = sign_in_by_password(factories.user("nobody@acme.example", password=PASSWORD))
    for page in ("", "add/", "1/change/", "1/delete/", "1/history/"):
        assert staff.get(f"/admin/orgs/{model}/{page}").status_code in {302, 403}
        assert nobody.get(f"/admin/orgs/{model}/{page}").status_code in {302, 403}
    assert "orgs" not in text(staff.get("/admin/"))


def test_who_may_only_look_has_nothing_to_press(db: None) -> None:
    person = factories.user("viewer@portico.example", password=PASSWORD, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="orgs", codename__startswith="view"))
    viewer, acme = sign_in_by_password(person), factories.organization()
    factories.membership(factories.user(), acme)
    page = viewer.get(change(acme)).content.decode()
    assert "_save" not in page
    assert "Assign people" not in page
    for path in ("membership/assign/", "membership/import/", "organization/add/"):
        assert viewer.get(f"/admin/orgs/{path}").status_code == 403
    assert viewer.get("/admin/orgs/membership/export/").status_code == 200
    token = viewer.get("/profile/")
    assert token.status_code == 200
    assert Membership.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("permission", "where"), [("view_organization", "organization"), ("view_rolegrant", "rolegrant")]
)
def test_who_is_where_is_told_to_nobody_who_may_not_see_memberships(boss: Actor, permission: str, where: str) -> None:
    person, acme, role = factories.user("secret@acme.example"), factories.organization("Secret"), factories.role()
    assigning.assign(person, acme, rank=MembershipRole.ADMIN, now=timezone.now(), actor=boss)
    assigning.assign(person, role, now=timezone.now(), actor=boss)
    reader = factories.user("reader@portico.example", password=PASSWORD, is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename=permission))
    browser = sign_in_by_password(reader)
    thing = acme if where == "organization" else RoleGrant.objects.get()
    shown = browser.get(change(thing))
    assert shown.status_code == 200
    assert ("secret@" if where == "organization" else "Secret") not in text(shown)
    history = f"/admin/orgs/{where}/{thing.pk}/history/"
    assert browser.get(history).status_code == 403
    reader.user_permissions.add(Permission.objects.get(codename="view_membership"))
    assert "Secret" in text(browser.get(history))
