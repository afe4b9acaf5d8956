"""The configuration of identity providers, over HTTP: nobody overwrites what they have not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import parse_etags
from ninja import Query, Router
from ninja.responses import Status
from pydantic import BaseModel, Field

from api import saml_config
from api.access import Bearer, caller_of
from api.paging import Paging, page
from api.payloads import ConfigIn, ConfigOut, ConfigPatch, Listing, Preview
from api.problems import Code, Refused
from tokens.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.saml_config import Outcome

router = Router(tags=["Identity providers"])
SAML = Bearer(Scope.ADMIN_SAML)

Slug = Annotated[str, Field(max_length=50, examples=["acme"])]
_CONDITIONAL = {
    "x-refusals": [Code.NOT_FOUND, Code.CONFLICT, Code.PRECONDITION_FAILED, Code.PRECONDITION_REQUIRED],
    "x-if-match": True,
}


class Wish(BaseModel):
    """How a change is meant."""

    dry_run: Annotated[bool, Field(description="Say what would change, and change nothing.")] = False


@router.get(
    "/saml-config", response=Listing[ConfigOut], auth=SAML, operation_id="list_saml_configs",
    summary="Identity providers",
)  # fmt: skip
def list_saml_configs(request: HttpRequest, paging: Query[Paging]) -> Listing[ConfigOut]:
    """All of them, by slug."""
    rows, following = page(saml_config.whole(), paging, of="saml-config", by=("slug",))
    return Listing(items=[saml_config.document(row) for row in rows], next=following)


@router.get(
    "/saml-config/{slug}", response=ConfigOut, auth=SAML, operation_id="get_saml_config",
    summary="One identity provider", openapi_extra={"x-refusals": [Code.NOT_FOUND], "x-etag": True},
)  # fmt: skip
def get_saml_config(request: HttpRequest, response: HttpResponse, slug: Slug) -> ConfigOut:
    """Its whole configuration, as PUT takes it. `ETag` names this version of it."""
    idp = saml_config.find(slug)
    shown = saml_config.document(idp)
    response.headers["ETag"] = saml_config.etag_of(idp, shown)
    return shown


@router.put(
    "/saml-config/{slug}", response={200: ConfigOut | Preview, 201: ConfigOut}, auth=SAML,
    operation_id="put_saml_config", summary="Set the whole configuration", by_alias=True,
    openapi_extra=_CONDITIONAL | {"x-etag": True},
)  # fmt: skip
def put_saml_config(
    request: HttpRequest, response: HttpResponse, slug: Slug, given: ConfigIn, wish: Query[Wish]
) -> Any:
    """Makes it if there is none; then `If-None-Match: *` is honoured, and `If-Match` is not needed.

    What is left out takes its default, but for `description` and `domains`, which stay as they are. The same twice
    changes nothing the second time. With `metadata`, what that names wins over the members for it.
    """
    outcome = saml_config.put(
        slug, given, caller=caller_of(request), check=conditions(request, may_be_new=True), dry_run=wish.dry_run
    )
    return _answer(response, slug, outcome, dry_run=wish.dry_run)


@router.patch(
    "/saml-config/{slug}", response={200: ConfigOut | Preview}, auth=SAML, operation_id="patch_saml_config",
    summary="Change what is named", by_alias=True, openapi_extra=_CONDITIONAL | {"x-etag": True},
)  # fmt: skip
def patch_saml_config(
    request: HttpRequest, response: HttpResponse, slug: Slug, given: ConfigPatch, wish: Query[Wish]
) -> Any:
    """JSON Merge Patch (RFC 7396): null puts a member back to its default, lists are replaced, objects are merged."""
    outcome = saml_config.patch(
        slug, given.model_extra or {}, caller=caller_of(request), check=conditions(request), dry_run=wish.dry_run
    )
    return _answer(response, slug, outcome, dry_run=wish.dry_run)


@router.delete(
    "/saml-config/{slug}", response={200: Preview, 204: None}, auth=SAML, operation_id="delete_saml_config",
    summary="Delete an identity provider", by_alias=True, openapi_extra=_CONDITIONAL,
)  # fmt: skip
def delete_saml_config(request: HttpRequest, response: HttpResponse, slug: Slug, wish: Query[Wish]) -> Any:
    """One to which no identities belong. Others can be disabled."""
    caller = caller_of(request)
    caller.check(caller.user.has_perm("saml_sp.delete_identityprovider"), "delete identity providers")
    outcome = saml_config.delete(slug, caller=caller, check=conditions(request), dry_run=wish.dry_run)
    return Status(204, None) if not wish.dry_run else _answer(response, slug, outcome, dry_run=True)


def _answer(response: HttpResponse, slug: str, outcome: Outcome, *, dry_run: bool) -> Any:
    if dry_run:
        return Status(200, Preview.model_validate({"changes": outcome.changes(), "notes": outcome.notes}))
    response.headers["ETag"] = outcome.etag
    if outcome.before is not None:
        return Status(200, outcome.after)
    response.headers["Location"] = reverse("api:get_saml_config", args=[slug])
    return Status(201, outcome.after)


def conditions(request: HttpRequest, *, may_be_new: bool = False) -> Callable[[str | None], None]:
    """What If-Match and If-None-Match demand of the version that there is (RFC 9110 13.1): a check that raises Refused.

    Tags are compared strongly. A version that exists is never changed by a call that does not name it.
    """
    wanted, unwanted = request.headers.get("If-Match"), request.headers.get("If-None-Match")

    def check(held: str | None) -> None:
        headers = {"ETag": held} if held else {}
        if unwanted is not None and held is not None and (unwanted.strip() == "*" or held in parse_etags(unwanted)):
            raise Refused(
                Code.PRECONDITION_FAILED, "It exists, and If-None-Match says that it must not.", headers=headers
            )
        if wanted is None:
            if held is None and may_be_new:
                return
            raise Refused(
                Code.PRECONDITION_REQUIRED,
                "Send If-Match with the ETag of the version that you have read, so that nobody's change is lost.",
            )
        if held is None or (wanted.strip() != "*" and held not in parse_etags(wanted)):
            raise Refused(
                Code.PRECONDITION_FAILED,
                "It has changed since you read it. Read it again, then try again.",
                headers=headers,
            )

    return check
