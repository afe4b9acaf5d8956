"""Assigning many people to an organisation at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from orgs.many import addresses_in
from orgs.models import Membership, MembershipRole
from tests import factories
from tests.pages.forms import submit, text

if TYPE_CHECKING:
    from django.http import HttpResponse

    from orgs.models import Organization
    from tests.door import Browser

PAGE = "/admin/orgs/membership/assign/"
ADMIN, MEMBER = MembershipRole.ADMIN, MembershipRole.MEMBER


def digest(page: HttpResponse) -> str:
    return page.content.decode().partition('name="confirm" value="')[2].partition('"')[0]


def pasted(organization: Organization, people: str, role: int = 1) -> dict[str, Any]:
    return {"organization": str(organization.pk), "role": str(role), "people": people}


@pytest.mark.parametrize(
    ("text_", "found"),
    [
        ("a@b.example\nc@d.example", ["a@b.example", "c@d.example"]),
        ("a@b.example, c@d.example; A@B.example\r\n", ["a@b.example", "c@d.example"]),
        ('Ana Lyst <a@b.example>, "Ada" <c@d.example>', ["a@b.example", "c@d.example"]),
        ("  \t\n,;", []),
        ("a@b.example c@d.example", ["a@b.example", "c@d.example"]),
    ],
)  # fmt: skip
def test_addresses_are_found_as_people_paste_them(text_: str, found: list[str]) -> None:
    assert addresses_in(text_) == found


def test_the_page_says_who_is_new_who_changes_who_is_there_and_who_is_unknown(clerk: Browser) -> None:
    acme = factories.organization()
    new, there, changes, said = (factories.user(f"{name}@acme.example") for name in ("new", "there", "changes", "said"))
    factories.membership(there, acme)
    factories.membership(changes, acme, ADMIN)
    factories.membership(factories.user("boss@acme.example"), acme, ADMIN)
    factories.asserted(said, acme)
    people = f"{new} {there} {changes} {said} ghost@acme.example not-an-address"
    page = submit(clerk, PAGE, pasted(acme, people))
    words = text(page)
    assert "2 new 1 changed 1 unchanged 2 without an account" in words
    assert "changes@acme.example changed (was admin)" in words
    assert "said@acme.example new member, as Acme Okta says" in words
    assert "There is no account with these addresses, and none is made: ghost@acme.example not-an-address" in words
    assert Membership.objects.by_hand().count() == 3
    done = submit(clerk, PAGE, pasted(acme, people) | {"confirm": digest(page)})
    assert done.headers["Location"] == f"/admin/orgs/membership/?organization={acme.pk}"
    assert "Acme: 2 new, 1 changed, 1 as they were." in text(clerk.get(done.headers["Location"]))
    assert Membership.objects.by_hand().filter(organization=acme, role=MEMBER).count() == 4
    assert Event.objects.filter(kind=Kind.GRANT_ASSIGNED).count() == 2
    assert not User.objects.filter(email__startswith="ghost").exists()


def test_it_is_shown_again_where_it_is_not_as_it_was_shown(clerk: Browser) -> None:
    acme, person = factories.organization(), factories.user()
    shown = digest(submit(clerk, PAGE, pasted(acme, person.email)))
    factories.membership(person, acme, ADMIN)
    again = submit(clerk, PAGE, pasted(acme, person.email) | {"confirm": shown})
    assert "It is not as it was shown any more." in text(again)
    assert Membership.objects.get().role == ADMIN
    for spoilt in ("", "x", "yes"):
        assert submit(clerk, PAGE, pasted(acme, person.email) | {"confirm": spoilt}).status_code == 200
    assert Membership.objects.get().role == ADMIN


def test_the_last_administrator_is_asked_about(clerk: Browser) -> None:
    acme, person = factories.organization(), factories.user()
    factories.membership(person, acme, ADMIN)
    page = submit(clerk, PAGE, pasted(acme, person.email))
    assert "Acme would have no administrator any more." in text(page)
    refused = submit(clerk, PAGE, pasted(acme, person.email) | {"confirm": digest(page)})
    assert "Confirm that this is meant" in text(refused)
    assert Membership.objects.get().role == ADMIN
    submit(clerk, PAGE, pasted(acme, person.email) | {"confirm": digest(page), "even_last_admin": "on"})
    assert Membership.objects.get().role == MEMBER


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ({"organization": ""}, "This field is required."),
        ({"organization": "4711"}, "not one of the available choices"),
        ({"organization": "x" * 50}, "not one of the available choices"),
        ({"role": "3"}, "is not one of the available choices"),
        ({"people": "  "}, "This field is required."),
        ({"people": "<>,;"}, "There is no address in this."),
        ({"people": "a@b.example\x00"}, "Null characters are not allowed."),
        ({"people": "x" * (1024 * 1024 + 1)}, "at most 1048576 characters"),
        ({"people": "\n".join(f"p{n}@acme.example" for n in range(20_001))}, "20,000 are the most at once"),
    ],
)
def test_a_mistake_gets_a_sentence(clerk: Browser, spoilt: dict[str, str], sentence: str) -> None:
    acme, person = factories.organization(), factories.user()
    page = submit(clerk, PAGE, pasted(acme, person.email) | spoilt)
    assert page.status_code == 200
    assert sentence in text(page)
    assert not Membership.objects.exists()


def test_one_goes_back_with_everything_still_there(clerk: Browser) -> None:
    acme, person = factories.organization(), factories.user()
    page = submit(clerk, PAGE, pasted(acme, person.email) | {"back": "Back"})
    assert person.email in page.content.decode()
    assert "Show what would happen" in page.content.decode()


def test_people_are_chosen_from_their_list(clerk: Browser) -> None:
    people = [factories.user(f"p{number}@acme.example") for number in range(3)]
    chosen = {"action": "assign_to_organization", "_selected_action": [str(person.pk) for person in people[:2]]}
    page = submit(clerk, "/admin/accounts/user/", chosen).content.decode()
    assert "p0@acme.example\np1@acme.example</textarea>" in page
    assert f'action="{PAGE}"' in page


def test_an_organisations_page_leads_there_with_itself_chosen(clerk: Browser) -> None:
    acme = factories.organization()
    page = clerk.get(f"/admin/orgs/organization/{acme.pk}/change/").content.decode()
    assert f'href="{PAGE}?organization={acme.pk}"' in page
    assert (
        f'<option value="{acme.pk}" selected>Acme</option>'
        in clerk.get(f"{PAGE}?organization={acme.pk}").content.decode()
    )
    for odd in ("x", "9" * 40, ""):
        assert clerk.get(f"{PAGE}?organization={odd}").status_code == 200
