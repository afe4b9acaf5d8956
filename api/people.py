"""All accounts, for those who administer them; and what happened, for those who read the audit log."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import AwareDatetime, Field

from accounts.deactivation import deactivate
from accounts.models import User
from api.access import Bearer, caller_of
from api.paging import Paging, page
from api.payloads import Deactivation, EventOut, Listing, UserOut
from api.problems import Code, not_found
from api.text import Search, Text
from audit.models import Event
from orgs.directory import PERSON, matching
from tokens.scopes import Scope

router = Router()


class PeopleAsked(Paging):
    """Which people."""

    search: Search = ""
    active: bool | None = None


class EventsAsked(Paging):
    """Which events."""

    kind: Annotated[Text, Field(examples=["admin:idp:enable"])] = ""
    subject_id: Text = ""
    since: Annotated[
        AwareDatetime | None, Field(description="ISO 8601, with an offset or Z.", examples=["2026-01-31T00:00:00Z"])
    ] = None


# --- People ---------------------------------------------------------------------------------------------------------


@router.get(
    "/users", response=Listing[UserOut], auth=Bearer(Scope.ADMIN_USERS), operation_id="list_users", summary="People",
    tags=["People"],
)  # fmt: skip
def list_users(request: HttpRequest, asked: Query[PeopleAsked]) -> Listing[UserOut]:
    """Everybody, by address."""
    people = User.objects.filter(*matching(asked.search, *PERSON))
    if asked.active is not None:
        people = people.filter(is_active=asked.active)
    rows, following = page(people, asked, of="users", by=("email_key",))
    return Listing(items=[_person(row) for row in rows], next=following)


@router.get(
    "/users/{uuid:user_id}", response=UserOut, auth=Bearer(Scope.ADMIN_USERS), operation_id="get_user",
    summary="One person", tags=["People"], openapi_extra={"x-refusals": [Code.NOT_FOUND]},
)  # fmt: skip
def get_user(request: HttpRequest, user_id: UUID) -> UserOut:
    """Their account."""
    return _person(_found(user_id))


@router.post(
    "/users/{uuid:user_id}/deactivate", response=UserOut, auth=Bearer(Scope.ADMIN_USERS),
    operation_id="deactivate_user", summary="Switch an account off", tags=["People"],
    openapi_extra={"x-refusals": [Code.NOT_FOUND]},
)  # fmt: skip
def deactivate_user(request: HttpRequest, user_id: UUID, given: Deactivation) -> UserOut:
    """For superusers, and not with their own account. Sessions and tokens end at once; a second time is the same."""
    caller = caller_of(request)
    caller.check(caller.user.is_superuser, "switch accounts off: superusers do")
    person = _found(user_id)
    caller.check(person.pk != caller.user.pk, "switch their own account off")
    deactivate(person, now=caller.now, actor=caller.actor, because=given.because.strip())
    return _person(person)


def _found(user_id: UUID) -> User:
    person = User.objects.filter(pk=user_id).first()
    if person is None:
        raise not_found()
    return person


def _person(row: User) -> UserOut:
    return UserOut(
        id=row.pk, email=row.email, name=row.get_full_name(), active=row.is_active,
        inactive_because=row.inactive_because, identity_provider=row.sso_label or None,
        service_account=row.is_service_account, staff=row.is_staff, last_login=row.last_login, joined=row.date_joined,
    )  # fmt: skip


# --- What happened --------------------------------------------------------------------------------------------------


@router.get(
    "/audit-events", response=Listing[EventOut], auth=Bearer(Scope.ADMIN_AUDIT), operation_id="list_audit_events",
    summary="Audit events", tags=["Audit"],
)  # fmt: skip
def list_audit_events(request: HttpRequest, asked: Query[EventsAsked]) -> Listing[EventOut]:
    """The newest first."""
    wanted = {"kind": asked.kind, "subject_id": asked.subject_id, "at__gte": asked.since}
    events = Event.objects.filter(**{name: value for name, value in wanted.items() if value})
    rows, following = page(events, asked, of="audit-events", by=("-at", "-id"))
    return Listing(items=[_event(row) for row in rows], next=following)


def _event(row: Event) -> EventOut:
    facts: dict[str, Any] = {name: getattr(row, name) for name in EventOut.model_fields}
    return EventOut(**facts)
