"""Organisations that somebody may see, and the people of those that they administer."""

from __future__ import annotations

from typing import Annotated, Any

from django.db.models import Max, Q
from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from api.access import Bearer, caller_of
from api.own import role_name
from api.paging import Paging, page
from api.payloads import Listing, Member, OrganizationOut, Person
from api.problems import Code, not_found
from api.text import Search
from orgs.directory import PERSON, matching
from orgs.models import EXTERNAL_ID, Membership, Organization
from orgs.permissions import Permission
from tokens.scopes import Scope

router = Router(tags=["Organisations"])


class MembersAsked(Paging):
    """Which members."""

    search: Search = ""


@router.get(
    "/organizations", response=Listing[OrganizationOut], auth=Bearer(Scope.READ_ORG),
    operation_id="list_organizations", summary="Organisations",
)  # fmt: skip
def list_organizations(request: HttpRequest, paging: Query[Paging]) -> Listing[OrganizationOut]:
    """Those that the token's owner may see, by name."""
    user = caller_of(request).user
    own = Max("memberships__role", filter=Q(memberships__user=user))
    rows, following = page(
        Organization.objects.visible_to(user).annotate(role=own), paging, of="organizations", by=("name",)
    )
    return Listing(items=[shown(row) for row in rows], next=following)


def shown(row: Any) -> OrganizationOut:
    """An organisation with the asker's own `role`."""
    return OrganizationOut(id=row.external_id, name=row.name, role=role_name(row.role))


@router.get(
    "/organizations/{organization_id}/members", response=Listing[Member], auth=Bearer(Scope.READ_ORG),
    operation_id="list_members", summary="People of an organisation", openapi_extra={"x-refusals": [Code.NOT_FOUND]},
)  # fmt: skip
def list_members(
    request: HttpRequest,
    organization_id: Annotated[str, Field(max_length=64)],
    asked: Query[MembersAsked],
) -> Listing[Member]:
    """For its administrators: by address. Somebody who belongs to it for two reasons stands here twice."""
    caller = caller_of(request)
    visible = Organization.objects.visible_to(caller.user)
    known = EXTERNAL_ID.fullmatch(organization_id) is not None
    organization = visible.filter(external_id=organization_id).first() if known else None
    if organization is None:
        raise not_found()
    caller.check(caller.user.has_perm(Permission.VIEW_PEOPLE, organization), f"see the people of {organization}")
    fields = [f"user__{name}" for name in PERSON]
    rows = Membership.objects.filter(*matching(asked.search, *fields), organization=organization).select_related("user")
    found, following = page(rows, asked, of=f"members:{organization.pk}", by=("user__email_key", "pk"))
    return Listing(items=[_member(row) for row in found], next=following)


def _member(row: Membership) -> Member:
    user = row.user
    return Member(
        user=Person(id=user.pk, email=user.email, name=user.get_full_name()),
        role=role_name(row.role) or "member",
        source=row.source,  # type: ignore[arg-type]  # the two that there are
        given_by=row.given_by,
        given_at=row.given_at,
    )
