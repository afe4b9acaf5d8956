"""What goes in and out of the REST door. What goes in is strict: no unknown member, no text for a number."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from accounts import addresses
from saml_sp.mapping import MAX_ATTRIBUTE_NAME, MAX_VALUE, MOST_NAMES
from saml_sp.protocol import metadata
from saml_sp.protocol.certificates import MAX_BYTES as MAX_CERTIFICATE
from tokens.models import MAX_NAME
from tokens.scopes import Scope

Item = TypeVar("Item")

LevelName = Literal["none", "analyst", "admin", "super_admin"]
RoleName = Literal["member", "admin"]
SourceName = Literal["manual", "idp"]
SCOPES_OF_A_LOGIN = [Scope.READ_SELF, Scope.WRITE_TOKENS, Scope.READ_ORG]


class In(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Out(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid")


class Listing(Out, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: Annotated[str | None, Field(description="The cursor of the next page; null on the last one.")]


# --- Problems (RFC 9457) --------------------------------------------------------------------------------------------


class ProblemError(Out):
    """One wrong value."""

    field: Annotated[str, Field(description="The path of the member, empty for the whole.", examples=["email"])]
    message: str


class Problem(BaseModel):
    """What was wrong. Other members may follow."""

    type: Annotated[str, Field(description="Where a person reads about the code.")]
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(description="For programs; it never changes.", examples=["not_found"])]
    errors: list[ProblemError] = []


# --- Tokens ---------------------------------------------------------------------------------------------------------

TokenName = Annotated[str, Field(max_length=MAX_NAME, description="Where it is used.", examples=["Nightly export"])]
Days = Annotated[int | None, Field(ge=1, le=3650, description="From 1 to what this site allows.", examples=[30])]
Scopes = Annotated[
    list[Annotated[Scope, Field(strict=False)]], Field(max_length=len(Scope) * 2, examples=[["read:self", "read:org"]])
]


class Login(In):
    """E-mail and password of a local account."""

    email: Annotated[str, Field(max_length=addresses.MAX_LENGTH, examples=["lou@portico.example"])]
    password: Annotated[SecretStr, Field(min_length=1, max_length=4096, examples=["correct horse battery staple"])]
    code: Annotated[
        SecretStr | None,
        Field(max_length=64, description="Six digits of an app, or a recovery code.", examples=["123456"]),
    ] = None
    name: TokenName = "Command line"
    expires_in_days: Days = None
    scopes: Scopes = SCOPES_OF_A_LOGIN


class NewToken(In):
    """A token to be made."""

    name: TokenName
    scopes: Scopes
    expires_in_days: Days = None


class ApiTokenOut(Out):
    """A token, without its secret."""

    id: UUID
    name: str
    prefix: Annotated[str, Field(description="How it begins, to tell it from others.", examples=["ptc_8FqZ"])]
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    last_used_ip: str | None
    last_used_by: str
    revoked_at: datetime | None
    current: Annotated[bool, Field(description="Whether it is the one in use.")]


class Issued(Out):
    """A token that was made, with its secret, which is never shown again."""

    token: Annotated[str, Field(examples=["ptc_…"])]
    api_token: ApiTokenOut


# --- Who I am -------------------------------------------------------------------------------------------------------


class Me(Out):
    """The token's owner."""

    id: UUID
    email: str
    name: str
    service_account: bool


class OrganizationOut(Out):
    """An organisation, and what the token's owner is in it."""

    id: Annotated[str, Field(examples=["acme"])]
    name: str
    role: Annotated[RoleName | None, Field(description="null: not a member, but may see every organisation.")]


class BillingAccountOut(Out):
    """What the token's owner may bill to."""

    id: str
    name: str
    organization: Annotated[str, Field(description="The ID of the organisation that it belongs to.")]


class PropertyOut(Out):
    """A property that the token's owner has access to."""

    id: str
    name: str


class TokenInUse(Out):
    """The token that was sent."""

    id: UUID
    name: str
    scopes: list[str]
    expires_at: datetime


class Whoami(Out):
    """Who somebody is here, and what they may do."""

    user: Me
    identity_provider: Annotated[str | None, Field(examples=["Acme Okta"])]
    access_level: LevelName
    organizations: list[OrganizationOut]
    billing_accounts: list[BillingAccountOut]
    roles: list[str]
    properties: list[PropertyOut]
    access_groups: list[str]
    permissions: Annotated[list[str], Field(examples=[["platform.view_reports"]])]
    token: TokenInUse


# --- Organisations and people ---------------------------------------------------------------------------------------


class Person(Out):
    """Somebody in a list of members."""

    id: UUID
    email: str
    name: str


class Member(Out):
    """One reason why somebody belongs to an organisation; by hand and by an identity provider are two."""

    user: Person
    role: RoleName
    source: SourceName
    given_by: str
    given_at: datetime


class UserOut(Out):
    """An account."""

    id: UUID
    email: str
    name: str
    active: bool
    inactive_because: str
    identity_provider: str | None
    service_account: bool
    staff: bool
    last_login: datetime | None
    joined: datetime


class Deactivation(In):
    """Why an account is switched off."""

    because: Annotated[str, Field(max_length=300, examples=["left the company"])] = ""


class EventOut(Out):
    """Something that happened."""

    id: int
    at: datetime
    kind: Annotated[str, Field(examples=["admin:idp:enable"])]
    actor: str
    actor_id: str
    subject_type: str
    subject_id: str
    subject: str
    trace_id: str
    ip: str | None
    data: dict[str, Any]


# --- Identity providers ---------------------------------------------------------------------------------------------

AttributeName = Annotated[str, Field(max_length=MAX_ATTRIBUTE_NAME)]
Names = Annotated[list[AttributeName], Field(max_length=MOST_NAMES)]
Url = Annotated[str, Field(max_length=2048)]
EntityId = Annotated[str, Field(max_length=1024)]
Words = Annotated[str, Field(min_length=1, max_length=MAX_VALUE)]
BindingName = Literal["redirect", "post"]
NameIdFormatName = Literal["", "email", "persistent", "transient", "unspecified"]
Xml = Annotated[
    str, Field(max_length=metadata.MAX_BYTES, description="Metadata of the identity provider. Wins over what it names.")
]
Pem = Annotated[str, Field(max_length=MAX_CERTIFICATE, examples=["-----BEGIN CERTIFICATE-----\n…"])]


class Mapping(In):
    """Which attributes mean what; an empty list of e-mail and names is the usual ones."""

    email: Names = []
    first_name: Names = []
    last_name: Names = []
    display_name: Names = []
    groups: Names = []
    permissions: Names = []
    properties: Names = []
    roles: Names = []


class GroupRuleIo(In):
    """What a group value means: an access group, or a place in an organisation."""

    value: Words
    pattern: Annotated[bool, Field(description="Each * in the value stands for any text.")] = False
    access_group: Annotated[str | None, Field(max_length=200, description="By its name.")] = None
    organization: Annotated[str | None, Field(max_length=64, description="By its ID.")] = None
    role: Annotated[RoleName | None, Field(description="In the organisation; member unless given.")] = None

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class Domain(In):
    """An e-mail domain that an identity provider claims."""

    domain: Annotated[str, Field(max_length=253, examples=["acme.example"])]
    verified: Annotated[bool | None, Field(description="Only DNS or an administrator's word verify it.")] = None


def _domain(value: Any) -> Any:
    return {"domain": value} if isinstance(value, str) else value


DomainOrName = Annotated[
    Domain, BeforeValidator(_domain, json_schema_input_type=Annotated[str, Field(max_length=253)] | Domain)
]


class Config(In):
    """The configuration of an identity provider, without what only goes one way."""

    enabled: bool = False
    auto_create_users: bool = True
    entity_id: EntityId = ""
    sso_url: Url = ""
    sso_binding: BindingName = "redirect"
    slo_url: Url = ""
    slo_binding: BindingName = "redirect"
    slo_response_url: Url = ""
    certificates: Annotated[list[Pem], Field(max_length=500)] = []
    idp_initiated: bool = True
    sp_initiated: bool = True
    is_default: bool = False
    show_on_sign_in: bool = False
    name_id_format: NameIdFormatName = ""
    force_authn: bool = False
    authn_contexts: Annotated[list[Annotated[str, Field(min_length=1, max_length=4096)]], Field(max_length=2000)] = []
    sign_requests: bool = False
    sign_metadata: bool = False
    subject_attribute: Annotated[str, Field(max_length=200)] = ""
    portal_url: Url = ""
    contact: Annotated[str, Field(max_length=200)] = ""
    tolerance_s: Annotated[int, Field(ge=0, le=180)] = 120
    session_hours: Annotated[int, Field(ge=1, le=720)] = 24
    no_sign_in_days: Annotated[int | None, Field(ge=1, le=3650)] = None
    mapping: Mapping = Mapping()
    level_ceiling: LevelName = "analyst"
    level_spellings: Annotated[
        dict[Annotated[str, Field(min_length=1)], LevelName], Field(max_length=5000, examples=[{"dxa_admin": "admin"}])
    ] = {}
    keep_when_missing: bool = False
    refuse_unknown: bool = False
    group_rules: Annotated[list[GroupRuleIo], Field(max_length=5000)] = []


class ReadOnly(In):
    """What this site decides: it may come back as it was read, and changes nothing."""

    slug: Annotated[str | None, Field(max_length=50)] = None
    acs_url: str | None = None
    sp_entity_id: str | None = None
    metadata_url: str | None = None
    login_url: str | None = None


class ConfigIn(Config, ReadOnly):
    """A whole configuration. What is left out takes its default, but for `description` and `domains`, which stay."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"metadata": "<md:EntityDescriptor …>", "enabled": True, "auto_create_users": True}]
        }
    )

    description: Annotated[str | None, Field(min_length=1, max_length=200, examples=["Acme Okta"])] = None
    metadata: Xml | None = None
    domains: Annotated[list[DomainOrName] | None, Field(max_length=2000)] = None


class ConfigPatch(In):
    """Members to change (RFC 7396): null puts one back to its default, lists are replaced, objects are merged."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"enabled": False}]})


class _Named(In):
    """First, by what it is known."""

    slug: str
    description: str


class ConfigOut(Config, _Named):
    """The configuration of an identity provider as it is. Private keys are no part of it."""

    domains: list[Domain]
    acs_url: str
    sp_entity_id: str
    metadata_url: str
    login_url: str


class Change(Out):
    """One member that would change."""

    field: str
    from_: Annotated[Any, Field(serialization_alias="from", validation_alias="from")]
    to: Any


class Preview(Out):
    """What would come of the same call without `dry_run`."""

    changes: list[Change]
    notes: list[str]
