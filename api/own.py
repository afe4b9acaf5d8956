"""Who I am, and my own tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status

from api.access import Bearer, Caller, caller_of, check_scope
from api.paging import Paging, page
from api.payloads import (
    ApiTokenOut,
    BillingAccountOut,
    Issued,
    Listing,
    Me,
    NewToken,
    OrganizationOut,
    PropertyOut,
    TokenInUse,
    Whoami,
)
from api.problems import Code, not_found
from orgs.holdings import holdings
from orgs.models import MembershipRole
from orgs.permissions import Permission
from tokens import issuing
from tokens.models import ApiToken
from tokens.scopes import Scope

if TYPE_CHECKING:
    from tokens.secrets import Secret

router = Router()


# --- Who I am -------------------------------------------------------------------------------------------------------


@router.get(
    "/whoami", response=Whoami, auth=Bearer(Scope.READ_SELF), operation_id="whoami", summary="Who I am",
    tags=["Who I am"],
)  # fmt: skip
def whoami(request: HttpRequest) -> Whoami:
    """The token's owner, and all that they may do and see."""
    caller = caller_of(request)
    user, token = caller.user, caller.token
    held = holdings(user)
    allowed = set(Permission) if user.is_superuser else held.permissions
    return Whoami(
        user=Me(id=user.pk, email=user.email, name=user.get_full_name(), service_account=user.is_service_account),
        identity_provider=user.sso_label or None,
        access_level=held.level.label,  # type: ignore[arg-type]  # the labels are the names
        organizations=[
            OrganizationOut(id=thing.id, name=thing.name, role=role_name(thing.role)) for thing in held.organizations
        ],
        billing_accounts=[
            BillingAccountOut(id=thing.id, name=thing.name, organization=thing.organization_id)
            for thing in held.billing_accounts
        ],
        roles=[thing.name for thing in held.roles],
        properties=[PropertyOut(id=thing.id, name=thing.name) for thing in held.properties],
        access_groups=[thing.name for thing in held.groups],
        permissions=[permission.value for permission in Permission if permission in allowed],
        token=TokenInUse(id=token.pk, name=token.name, scopes=token.scopes, expires_at=token.expires_at),
    )


def role_name(rank: int | None) -> Literal["member", "admin"] | None:
    """A role in an organisation by its name; None where there is none."""
    return None if rank is None else MembershipRole(rank).label  # type: ignore[return-value]  # the labels are these two


# --- My tokens ------------------------------------------------------------------------------------------------------


def shown(token: ApiToken, current: ApiToken | None) -> ApiTokenOut:
    """A token as its owner sees it."""
    return ApiTokenOut(
        id=token.pk, name=token.name, prefix=token.prefix, scopes=token.scopes, created_at=token.created_at,
        expires_at=token.expires_at, last_used_at=token.last_used_at, last_used_ip=token.last_used_ip,
        last_used_by=token.last_used_by, revoked_at=token.revoked_at,
        current=current is not None and token.pk == current.pk,
    )  # fmt: skip


def issued(token: ApiToken, secret: Secret, *, current: ApiToken | None) -> Issued:
    """A token that was made, with its secret: the one place where the door says it."""
    return Issued(token=secret.reveal(), api_token=shown(token, current))


TAGS = ["My tokens"]


@router.get(
    "/tokens", response=Listing[ApiTokenOut], auth=Bearer(Scope.WRITE_TOKENS), operation_id="list_tokens",
    summary="My tokens", tags=TAGS,
)  # fmt: skip
def list_tokens(request: HttpRequest, paging: Query[Paging]) -> Listing[ApiTokenOut]:
    """The newest first, those that have ended included."""
    caller = caller_of(request)
    rows, following = page(caller.user.api_tokens.all(), paging, of="tokens", by=("-created_at", "-id"))
    return Listing(items=[shown(row, caller.token) for row in rows], next=following)


@router.post(
    "/tokens", response={201: Issued}, auth=Bearer(Scope.WRITE_TOKENS), operation_id="create_token",
    summary="Make a token", tags=TAGS, openapi_extra={"x-refusals": [Code.CONFLICT]},
)  # fmt: skip
def create_token(request: HttpRequest, given: NewToken) -> Any:
    """The new one never has a scope that the one in use lacks, nor a later end. Its secret is shown this once."""
    caller = caller_of(request)
    token, secret = issuing.create(
        caller.user, name=given.name, scopes=given.scopes, expires_in_days=given.expires_in_days, now=caller.now,
        actor=caller.actor, below=caller.token,
    )  # fmt: skip
    return Status(201, issued(token, secret, current=caller.token))


@router.get(
    "/tokens/current", response=ApiTokenOut, auth=Bearer(None), operation_id="current_token",
    summary="The token in use", tags=TAGS,
)  # fmt: skip
def current_token(request: HttpRequest) -> ApiTokenOut:
    """It needs no scope."""
    caller = caller_of(request)
    return shown(caller.token, caller.token)


@router.delete(
    "/tokens/current", response={204: None}, auth=Bearer(None), operation_id="revoke_current_token",
    summary="Revoke the token in use", tags=TAGS,
)  # fmt: skip
def revoke_current_token(request: HttpRequest) -> Any:
    """It needs no scope. The next call with this token is refused."""
    caller = caller_of(request)
    issuing.revoke(caller.token, now=caller.now, actor=caller.actor)
    return Status(204, None)


@router.post(
    "/tokens/current/rotate", response={201: Issued}, auth=Bearer(None), operation_id="rotate_current_token",
    summary="Rotate the token in use", tags=TAGS, openapi_extra={"x-refusals": [Code.CONFLICT]},
)  # fmt: skip
def rotate_current_token(request: HttpRequest) -> Any:
    """It needs no scope. A new secret in place of this one, which stops at once; name, scopes and end stay."""
    return _rotated(caller_of(request), caller_of(request).token)


@router.post(
    "/tokens/{uuid:token_id}/rotate", response={201: Issued}, auth=Bearer(Scope.WRITE_TOKENS),
    operation_id="rotate_token", summary="Rotate a token", tags=TAGS,
    openapi_extra={"x-refusals": [Code.NOT_FOUND, Code.CONFLICT]},
)  # fmt: skip
def rotate_token(request: HttpRequest, token_id: UUID) -> Any:
    """A new secret in place of that one, which stops at once; name, scopes and end stay.

    The token in use must have all scopes of that one, and live as long: it is handed its secret.
    """
    caller = caller_of(request)
    token = _own(caller, token_id)
    for scope in token.scopes:
        check_scope(caller, Scope(scope))
    caller.check(token.expires_at <= caller.token.expires_at, "rotate a token that outlives the one in use")
    return _rotated(caller, token)


@router.delete(
    "/tokens/{uuid:token_id}", response={204: None}, auth=Bearer(None), operation_id="revoke_token",
    summary="Revoke a token", tags=TAGS,
    openapi_extra={"x-refusals": [Code.NOT_FOUND, Code.SCOPE_MISSING, Code.NOT_ALLOWED]},
)  # fmt: skip
def revoke_token(request: HttpRequest, token_id: UUID) -> Any:
    """For good. It needs the scope `write:tokens`, unless it is the token in use. A second time is the same."""
    caller = caller_of(request)
    if token_id != caller.token.pk:
        check_scope(caller, Scope.WRITE_TOKENS)
    issuing.revoke(_own(caller, token_id), now=caller.now, actor=caller.actor)
    return Status(204, None)


def _own(caller: Caller, token_id: UUID) -> ApiToken:
    token = ApiToken.objects.select_related("user").filter(pk=token_id, user=caller.user).first()
    if token is None:
        raise not_found()
    return token


def _rotated(caller: Caller, token: ApiToken) -> Any:
    new, secret = issuing.rotate(token, now=caller.now, actor=caller.actor)
    was_in_use = token.pk == caller.token.pk
    return Status(201, issued(new, secret, current=new if was_in_use else caller.token))
