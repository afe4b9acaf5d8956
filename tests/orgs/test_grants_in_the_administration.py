"""Who has what, in the administration: the lists, one row, and the page of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from audit.kinds import Kind
from audit.models import Event
from orgs.models import (
    AccessLevel,
    BillingPermission,
    GroupMembership,
    LevelGrant,
    Membership,
    MembershipRole,
    PropertyGrant,
    RoleGrant,
    Source,
)
from tests import factories
from tests.pages.forms import submit, text

if TYPE_CHECKING:
    from django.http import HttpResponse

    from accounts.models import User
    from tests.door import Browser

LIST = "/admin/orgs/membership/"
ADMIN, MEMBER = MembershipRole.ADMIN, MembershipRole.MEMBER


def following(browser: Browser, answer: HttpResponse) -> str:
    """The words of the page that an answer leads to."""
    assert answer.status_code == 302, text(answer)
    return text(browser.get(answer.headers["Location"]))


def of(row: Any, page: str = "change") -> str:
    return f"/admin/orgs/{type(row).__name__.lower()}/{row.pk}/{page}/"


def page_of(person: User) -> str:
    return f"/admin/accounts/user/{person.pk}/change/"


def held(person: User, **rows: str) -> dict[str, str]:
    """What the form of a person's page sends."""
    return {"email": person.email, "is_active": "on"} | {name.replace("__", "-"): value for name, value in rows.items()}


def test_a_membership_is_given_changed_and_withdrawn(clerk: Browser) -> None:
    person, acme = factories.user(), factories.organization()
    factories.membership(factories.user("boss@acme.example"), acme, ADMIN)
    given = {"user": str(person.pk), "organization": str(acme.pk), "role": "1"}
    submit(clerk, f"{LIST}add/", given)
    row = Membership.objects.get(user=person)
    assert (row.source, row.given_by, row.role) == (Source.MANUAL, "desk@portico.example", MEMBER)
    for spoilt in ({"user": "x"}, {"organization": "x"}, {"user": "4711"}, {"organization": "9" * 40}, {"role": "x"}):
        page = submit(clerk, f"{LIST}add/", given | spoilt)
        assert page.status_code == 200, spoilt
        assert "Please correct the error" in text(page) or "valid choice" in text(page), spoilt
    again = submit(clerk, f"{LIST}add/", given | {"role": "2"})
    assert "By hand already" in text(again)
    submit(clerk, of(row), {"role": "2"})
    row.refresh_from_db()
    assert row.role == ADMIN
    told = text(clerk.get(of(row, "history")))
    assert "desk@portico.example gave member of Acme" in told
    assert "desk@portico.example made admin of Acme (was member)" in told
    assert "Withdraw this" in text(clerk.get(of(row, "delete")))
    submit(clerk, of(row, "delete"), {"post": "yes"})
    assert not Membership.objects.filter(user=person).exists()
    assert f"took away admin of Acme {person}" in text(clerk.get(f"/admin/orgs/organization/{acme.pk}/history/"))


def test_what_an_identity_provider_says_is_shown_with_its_reason_and_not_edited(admin: Browser) -> None:
    row = factories.asserted(factories.user(), factories.organization())
    assert "Acme Okta says so since" in text(admin.get(LIST))
    page = admin.get(of(row))
    assert "groups = staff" in text(page)
    assert "An identity provider says so." in text(page)
    assert "_save" not in page.content.decode()
    for path, data in ((of(row), {"role": "2"}), (of(row, "delete"), {"post": "yes"})):
        assert submit(admin, path, data, page=f"{LIST}add/").status_code == 403
    chosen = {"action": "withdraw", "_selected_action": [str(row.pk)], "confirm": "yes", "was": "1"}
    assert "None of these was given by hand" in following(admin, submit(admin, LIST, chosen))
    row.refresh_from_db()
    assert row.role == MEMBER


def test_the_last_administrator_goes_only_after_a_deliberate_tick(clerk: Browser) -> None:
    acme = factories.organization()
    row = factories.membership(factories.user(), acme, ADMIN)
    assert "This is the last administrator of the organisation" in text(clerk.get(of(row)))
    refused = following(clerk, submit(clerk, of(row), {"role": "1"}))
    assert "Acme would have no administrator any more" in refused
    assert "would have no administrator any more" in text(clerk.get(of(row, "delete")))
    assert "no administrator any more" in following(clerk, submit(clerk, of(row, "delete"), {"post": "yes"}))
    row.refresh_from_db()
    assert row.role == ADMIN
    submit(clerk, of(row), {"role": "1", "even_last_admin": "on"})
    row.refresh_from_db()
    assert row.role == MEMBER
    Membership.objects.update(role=ADMIN)
    submit(clerk, of(row, "delete"), {"post": "yes", "even_last_admin": "on"})
    assert not Membership.objects.exists()


def test_many_are_withdrawn_after_a_page_that_counts_them(clerk: Browser) -> None:
    acme = factories.organization()
    people = [factories.user(f"p{number}@acme.example") for number in range(4)]
    rows = [factories.membership(people[0], acme, ADMIN), *[factories.membership(one, acme) for one in people[1:3]]]
    theirs = factories.asserted(people[3], acme)
    chosen = {"action": "withdraw", "_selected_action": [str(row.pk) for row in [*rows, theirs]]}
    page = text(submit(clerk, LIST, chosen))
    assert "3 given by hand are withdrawn. 1 of those chosen stays: an identity provider says so." in page
    assert "Acme would have no administrator any more." in page
    assert Membership.objects.count() == 4
    # Something has changed since the page was shown: it is shown again.
    assert "3 given by hand are withdrawn" in text(submit(clerk, LIST, chosen | {"confirm": "yes", "was": "2"}))
    bare = submit(clerk, LIST, chosen | {"confirm": "yes", "was": "3"})
    assert "would have no administrator" in following(clerk, bare)
    done = submit(clerk, LIST, chosen | {"confirm": "yes", "was": "3", "even_last_admin": "on"})
    assert "3 withdrawn." in following(clerk, done)
    assert Membership.objects.get() == theirs


def test_everything_shown_may_be_withdrawn_across_pages(clerk: Browser) -> None:
    acme, other = factories.organization(), factories.organization("Other")
    person = factories.user()
    factories.membership(person, acme)
    stays = factories.membership(person, other)
    where = f"{LIST}?organization={acme.pk}"
    rows = [str(row.pk) for row in Membership.objects.filter(organization=acme)]
    chosen = {"action": "withdraw", "select_across": "1", "_selected_action": rows, "confirm": "yes", "was": "1"}
    submit(clerk, where, chosen)
    assert Membership.objects.get() == stays


def test_the_list_is_searched_by_person_and_organisation_and_filtered(clerk: Browser) -> None:
    acme, other = factories.organization("Acme Tools", external_id="C-17"), factories.organization("Other")
    ada = factories.user("ada@customer.example", last_name="Lovelace")
    bob = factories.user("bob@customer.example", display_name="Robert Boole")
    factories.membership(ada, acme, ADMIN)
    factories.asserted(bob, other)
    for query, found in (
        ("q=lovel", ada), ("q=ADA@", ada), ("q=tools", ada), ("q=c-17", ada), ("q=boole", bob),
        ("q=lovelace+tools", ada), (f"organization={acme.pk}", ada), ("role__exact=2", ada),
        ("source__exact=idp", bob), ("source__exact=manual", ada),
    ):  # fmt: skip
        page = text(clerk.get(f"{LIST}?{query}"))
        other_one = bob if found is ada else ada
        assert str(found) in page, query
        assert str(other_one) not in page, query
    assert "0 memberships" in text(clerk.get(f"{LIST}?q=lovelace+other"))
    for odd in (
        "organization=abc",
        "organization=" + "9" * 40,
        "organization=١",
        "role__exact=x",
        "q=%00",
        "_facets=True",
    ):
        assert clerk.get(f"{LIST}?{odd}").status_code in {200, 302}, odd


def test_the_organisation_is_chosen_by_typing_not_from_ten_thousand(clerk: Browser) -> None:
    for number in range(30):
        factories.organization(f"Customer {number}")
    page = clerk.get(LIST).content.decode()
    assert "Customer 1" not in page
    assert 'data-ajax--url="/admin/autocomplete/"' in page
    asked = "/admin/autocomplete/?app_label=orgs&model_name=membership&field_name=organization&term=customer+29"
    assert [one["text"] for one in clerk.get(asked).json()["results"]] == ["Customer 29"]  # type: ignore[attr-defined]  # the test client's


def test_a_billing_account_is_offered_with_its_organisation(clerk: Browser) -> None:
    account = factories.billing_account(factories.organization())
    asked = "/admin/autocomplete/?app_label=orgs&model_name=billingpermission&field_name=billing_account&term=main"
    assert [one["text"] for one in clerk.get(asked).json()["results"]] == ["Main (Acme)"]  # type: ignore[attr-defined]  # the test client's
    person = factories.user()
    submit(clerk, "/admin/orgs/billingpermission/add/", {"user": str(person.pk), "billing_account": str(account.pk)})
    assert f"{person} Main Acme assigned by desk@portico.example" in text(clerk.get("/admin/orgs/billingpermission/"))


@pytest.mark.parametrize(
    ("model", "column", "make"),
    [
        (GroupMembership, "group", factories.access_group),
        (RoleGrant, "role", factories.role),
        (PropertyGrant, "property", factories.property_),
    ],
)
def test_groups_roles_and_properties_are_given_and_taken(clerk: Browser, model: Any, column: str, make: Any) -> None:
    person, thing = factories.user(), make()
    where = f"/admin/orgs/{model.__name__.lower()}/"
    submit(clerk, f"{where}add/", {"user": str(person.pk), column: str(thing.pk)})
    row = model.objects.get()
    assert str(thing) in text(clerk.get(where))
    assert "_save" not in clerk.get(of(row)).content.decode()
    assert f"desk@portico.example gave the {thing._meta.verbose_name} {thing}" in text(clerk.get(of(row, "history")))
    submit(clerk, of(row, "delete"), {"post": "yes"})
    assert not model.objects.exists()


def test_only_superusers_are_offered_super_admin(clerk: Browser, admin: Browser) -> None:
    person = factories.user()
    where = "/admin/orgs/levelgrant/"
    assert "super_admin" not in clerk.get(f"{where}add/").content.decode()
    refused = submit(clerk, f"{where}add/", {"user": str(person.pk), "level": "30"})
    assert "is not one of the available choices" in text(refused)
    submit(clerk, f"{where}add/", {"user": str(person.pk), "level": "10"})
    row = LevelGrant.objects.get()
    submit(admin, of(row), {"level": "30"})
    row.refresh_from_db()
    assert row.level == AccessLevel.SUPER_ADMIN
    assert "_save" not in clerk.get(of(row)).content.decode()
    assert submit(clerk, of(row, "delete"), {"post": "yes"}, page=f"{where}add/").status_code == 403
    chosen = {"action": "withdraw", "_selected_action": [str(row.pk)], "confirm": "yes", "was": "1"}
    assert "Only superusers give the access level super_admin" in following(clerk, submit(clerk, where, chosen))
    told = text(admin.get(of(row, "history")))
    assert "set the access level to super_admin (it was analyst)" in told


def test_staff_cannot_raise_their_own_access(clerk: Browser, desk: User) -> None:
    acme = factories.organization()
    row = factories.membership(desk, acme)
    factories.membership(factories.user("boss@acme.example"), acme, ADMIN)
    other = factories.organization("Other")
    given = {"user": str(desk.pk), "organization": str(other.pk), "role": "2"}
    assert "Nobody changes what they have themselves" in following(clerk, submit(clerk, f"{LIST}add/", given))
    assert "This is what you have yourself" in text(clerk.get(of(row)))
    assert submit(clerk, of(row), {"role": "2"}, page=f"{LIST}add/").status_code == 403
    level = {"user": str(desk.pk), "level": "20"}
    assert "Nobody changes" in following(clerk, submit(clerk, "/admin/orgs/levelgrant/add/", level))
    pasted = {"organization": str(other.pk), "role": "2", "people": desk.email}
    page = submit(clerk, f"{LIST}assign/", pasted)
    digest = page.content.decode().partition('name="confirm" value="')[2].partition('"')[0]
    assert "Nobody changes what they have" in text(submit(clerk, f"{LIST}assign/", pasted | {"confirm": digest}))
    row.refresh_from_db()
    assert row.role == MEMBER
    assert Membership.objects.count() == 2
    assert not LevelGrant.objects.exists()


def test_ones_own_page_says_why_nothing_is_to_be_changed_on_it(clerk: Browser, desk: User) -> None:
    factories.membership(desk, factories.organization())
    page = clerk.get(page_of(desk))
    assert "This is what you have yourself: a superuser, or a colleague, changes it." in text(page)
    assert "memberships-0-role" not in page.content.decode()


def test_a_superuser_may_change_their_own(admin: Browser, grace: User) -> None:
    acme = factories.organization()
    submit(admin, f"{LIST}add/", {"user": str(grace.pk), "organization": str(acme.pk), "role": "2"})
    assert Membership.objects.get().user == grace


# --- On the page of a person ---


def test_a_persons_page_says_what_they_have_and_why(clerk: Browser) -> None:
    person, acme = factories.user(), factories.organization()
    factories.membership(person, acme, ADMIN)
    factories.asserted(person, acme)
    LevelGrant.objects.create(
        user=person, level=AccessLevel.ADMIN, source=Source.IDP, source_id="7", given_by="Acme Okta", attribute="p",
        value="admins",
    )  # fmt: skip
    account = factories.billing_account(acme)
    BillingPermission.objects.create(user=person, billing_account=account, given_by="grace@portico.example")
    page = text(clerk.get(page_of(person)))
    assert "Access level that counts: admin" in page
    assert "access level admin (Acme Okta says so since" in page
    assert "member of Acme (Acme Okta says so since" in page
    assert "assigned by grace@portico.example on" in page
    assert "Main (Acme)" in page


def test_everything_is_given_and_taken_on_a_persons_page(clerk: Browser) -> None:
    person, acme = factories.user(), factories.organization()
    account, role = factories.billing_account(acme), factories.role()
    group, house = factories.access_group(), factories.property_()
    rows = held(
        person, memberships__TOTAL_FORMS="1", memberships__0__organization=str(acme.pk), memberships__0__role="1",
        levelgrants__TOTAL_FORMS="1", levelgrants__0__level="10",
        rolegrants__TOTAL_FORMS="1", rolegrants__0__role=str(role.pk),
        groupmemberships__TOTAL_FORMS="1", groupmemberships__0__group=str(group.pk),
        propertygrants__TOTAL_FORMS="1", propertygrants__0__property=str(house.pk),
        billingpermissions__TOTAL_FORMS="1", billingpermissions__0__billing_account=str(account.pk),
    )  # fmt: skip
    assert submit(clerk, page_of(person), rows).status_code == 302
    for model in (Membership, LevelGrant, RoleGrant, GroupMembership, PropertyGrant, BillingPermission):
        assert model.objects.get().given_by == "desk@portico.example"
    assert Event.objects.filter(kind=Kind.GRANT_ASSIGNED, subject_id=str(person.pk)).count() == 6
    page = text(clerk.get(page_of(person)))
    assert "desk@portico.example gave member of Acme" in page
    assert "desk@portico.example gave the role Editor" in page
    factories.membership(factories.user("boss@acme.example"), acme, ADMIN)
    submit(clerk, page_of(person), held(person, memberships__0__role="2", levelgrants__0__level="20"))
    assert Membership.objects.get(user=person).role == ADMIN
    assert LevelGrant.objects.get().level == AccessLevel.ADMIN
    assert PropertyGrant.objects.count() == 1
    gone = {f"{name}__0__DELETE": "on" for name in ("memberships", "levelgrants", "rolegrants", "billingpermissions")}
    submit(clerk, page_of(person), held(person, memberships__0__role="2", levelgrants__0__level="20", **gone))
    assert not Membership.objects.filter(user=person).exists()
    assert not LevelGrant.objects.exists() | RoleGrant.objects.exists() | BillingPermission.objects.exists()
    told = text(clerk.get(f"/admin/accounts/user/{person.pk}/assignments/"))
    assert "took away admin of Acme" in told
    assert "set the access level to none (it was admin)" in told


def test_a_persons_page_refuses_the_same_twice_and_the_last_administrator(clerk: Browser) -> None:
    person, acme, other = factories.user(), factories.organization(), factories.organization("Other")
    factories.membership(person, acme, ADMIN)
    refused = text(submit(clerk, page_of(person), held(person, memberships__0__role="1")))
    assert "Acme would have no administrator any more. If that is meant, do it on the page of the membership" in refused
    gone = submit(clerk, page_of(person), held(person, memberships__0__role="2", memberships__0__DELETE="on"))
    assert "would have no administrator" in text(gone)
    twice = held(
        person, memberships__TOTAL_FORMS="3", memberships__0__role="2",
        memberships__1__organization=str(other.pk), memberships__1__role="1",
        memberships__2__organization=str(other.pk), memberships__2__role="1",
    )  # fmt: skip
    assert "Other is given by hand already." in text(submit(clerk, page_of(person), twice))
    again = held(
        person, memberships__TOTAL_FORMS="2", memberships__0__role="2", memberships__1__organization=str(acme.pk),
        memberships__1__role="1",
    )  # fmt: skip
    assert "Acme is given by hand already." in text(submit(clerk, page_of(person), again))
    assert Membership.objects.get().role == ADMIN
    for odd in ("x", "9" * 40, ""):
        spoilt = held(
            person, memberships__TOTAL_FORMS="2", memberships__0__role="2", memberships__1__organization=odd,
            memberships__1__role="2",
        )  # fmt: skip
        assert submit(clerk, page_of(person), spoilt).status_code == 200, odd
    assert Membership.objects.count() == 1


def test_a_person_with_very_much_has_the_way_to_the_lists(clerk: Browser) -> None:
    person = factories.user()
    for number in range(101):
        factories.membership(person, factories.organization(f"Customer {number}"))
    page = clerk.get(page_of(person))
    assert 'href="/admin/orgs/membership/?q=ana%40customer.example"' in page.content.decode()
    assert "Customer 7" not in text(page)
    assert submit(clerk, page_of(person), held(person)).status_code == 302


def test_a_form_that_stood_open_does_not_bring_back_what_is_withdrawn(clerk: Browser) -> None:
    person, acme = factories.user(), factories.organization()
    factories.membership(factories.user("boss@acme.example"), acme, ADMIN)
    row = factories.membership(person, acme)
    stood = {
        "memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "1", "memberships-0-id": str(row.pk),
        "memberships-0-user": str(person.pk), "memberships-0-role": "2",
    }  # fmt: skip
    row.delete()
    answer = submit(clerk, page_of(person), held(person) | stood)
    assert answer.status_code in {200, 302}
    assert not Membership.objects.filter(user=person).exists()


def test_who_may_not_see_memberships_sees_none_on_a_persons_page(desk: User, clerk: Browser) -> None:
    person = factories.user()
    factories.membership(person, factories.organization())
    desk.user_permissions.remove(*desk.user_permissions.filter(content_type__app_label="orgs"))
    page = text(clerk.get(page_of(person)))
    assert "Acme" not in page
    assert "Access level that counts" not in page
    assert clerk.get(f"/admin/accounts/user/{person.pk}/assignments/").status_code == 403


def test_a_superuser_deletes_an_account_whatever_it_was_given(admin: Browser) -> None:
    person = factories.user()
    factories.asserted(person, factories.organization())
    assert submit(admin, f"/admin/accounts/user/{person.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Membership.objects.exists()


def test_the_history_goes_on_beyond_one_page(clerk: Browser) -> None:
    person, acme = factories.user(), factories.organization()
    given = {"what": "organisation", "id": acme.pk, "name": "Acme", "to": "member", "organization_id": str(acme.pk)}
    about = {"at": person.date_joined, "subject": str(person), "subject_type": "user", "subject_id": str(person.pk)}
    for number in range(60):
        Event.objects.create(kind=Kind.GRANT_ASSIGNED, actor=f"staff{number}@portico.example", data=given, **about)
    page = clerk.get(f"/admin/accounts/user/{person.pk}/assignments/").content.decode()
    assert "staff59@" in page
    assert "staff9@" not in page
    older = page.partition("?before=")[2].partition('"')[0]
    assert "staff9@" in clerk.get(f"/admin/accounts/user/{person.pk}/assignments/?before={older}").content.decode()
    for odd in ("x", "9" * 40, "-1", "%00"):
        assert clerk.get(f"/admin/accounts/user/{person.pk}/assignments/?before={odd}").status_code == 200
    assert clerk.get(f"/admin/orgs/organization/{acme.pk}/history/").status_code == 200
    assert clerk.get("/admin/accounts/user/00000000-0000-4000-8000-000000000000/assignments/").status_code == 404


def test_the_history_tells_what_sign_ins_and_merging_have_brought(clerk: Browser) -> None:
    person = factories.user()
    about = {"at": person.date_joined, "subject": str(person), "subject_type": "user", "subject_id": str(person.pk)}
    brought = {"granted": ["role Editor"], "revoked": ["property House"], "unknown": ["role Pilot"]}
    Event.objects.create(kind=Kind.SSO_RIGHTS_CHANGED, actor="Acme Okta", data=brought, **about)
    Event.objects.create(kind=Kind.USER_MERGED, actor="grace", data={"into": "other@acme.example"}, **about)
    page = text(clerk.get(f"/admin/accounts/user/{person.pk}/assignments/"))
    assert "Acme Okta by a sign-in gave role Editor; took away property House; named, unknown here: role Pilot" in page
    assert "grace merged this account into other@acme.example" in page
