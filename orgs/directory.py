"""Finding people of an organisation, and organisations: a page at a time, however many there are.

Nothing is counted: a page asks for one row more than it shows, which tells whether another page follows.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from django.db.models import Exists, Model, OuterRef, Q

from accounts.models import User
from orgs.holdings import whys_of
from orgs.models import Membership, MembershipRole, Organization
from orgs.permissions import BY_MEMBERSHIP

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from orgs.holdings import Why
    from orgs.permissions import Permission

PAGE_SIZE = 50
# So many words of a search count; each costs a comparison for every row that is looked at.
MOST_WORDS = 6
# What a person is found by.
PERSON = ("email_key", "first_name", "last_name", "display_name")

_Item = TypeVar("_Item")
_Row = TypeVar("_Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[_Item]):
    """Some of a long list: its number, from 1 on, and whether more follow."""

    items: tuple[_Item, ...]
    number: int
    has_next: bool


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who belongs to an organisation, with the highest role that any source gives, and why."""

    name: str
    email: str
    active: bool
    role: MembershipRole
    whys: tuple[Why, ...]


@dataclass(frozen=True, slots=True)
class ListedOrganization:
    """An organisation, and what the person who asked is in it (None: nothing)."""

    id: str
    name: str
    role: MembershipRole | None

    @property
    def permissions(self) -> frozenset[Permission]:
        """What that place in it allows there."""
        return BY_MEMBERSHIP[self.role.label] if self.role else frozenset()


def people(organization: Organization, *, search: str = "", number: int = 1) -> Page[Member]:
    """A page of an organisation's people in the order of their addresses, each once. Two queries.

    Every word of `search` (the first six) must be somewhere in the name or the address, in whatever case.
    """
    belong = Exists(Membership.objects.filter(user=OuterRef("pk"), organization=organization))
    found = User.objects.filter(belong, *matching(search, *PERSON))
    page = _page(found.order_by("email_key"), number)
    memberships = defaultdict(list)
    for membership in Membership.objects.filter(organization=organization, user__in=[user.pk for user in page.items]):
        memberships[membership.user_id].append(membership)
    # Somebody may have left between the two queries.
    members = (_member(user, memberships[user.pk]) for user in page.items if user.pk in memberships)
    return Page(tuple(members), page.number, page.has_next)


def organizations(user: User, *, search: str = "", number: int = 1) -> Page[ListedOrganization]:
    """A page of the organisations that somebody may know of, by name. Two queries, and those of the permission.

    Every word of `search` (the first six) must be somewhere in the name or the external ID, in whatever case.
    """
    found = Organization.objects.visible_to(user).filter(*matching(search, "name", "external_id"))
    page = _page(found.order_by("name"), number)
    roles: dict[int, int] = {}
    own = Membership.objects.filter(user=user, organization__in=[row.pk for row in page.items])
    for pk, role in own.values_list("organization_id", "role"):
        roles[pk] = max(role, roles.get(pk, role))
    listed = (
        ListedOrganization(row.external_id, row.name, MembershipRole(roles[row.pk]) if row.pk in roles else None)
        for row in page.items
    )
    return Page(tuple(listed), page.number, page.has_next)


def matching(search: str, *fields: str) -> list[Q]:
    """Conditions: every word of the search (the first six) is somewhere in one of the fields, in whatever case."""
    return [
        Q.create([(f"{name}__icontains", word) for name in fields], connector=Q.OR)
        for word in search.split()[:MOST_WORDS]
    ]


def _page(rows: QuerySet[_Row], number: int) -> Page[_Row]:
    begin = (number - 1) * PAGE_SIZE
    some = tuple(rows[begin : begin + PAGE_SIZE + 1])
    return Page(some[:PAGE_SIZE], number, len(some) > PAGE_SIZE)


def _member(user: User, memberships: list[Membership]) -> Member:
    role = MembershipRole(max(membership.role for membership in memberships))
    return Member(user.get_full_name(), user.email, user.is_active, role, whys_of(memberships))
