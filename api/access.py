"""Who calls: the bearer check at every route, and the scope that the route wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.utils import timezone
from ninja.security.base import AuthBase

from accounts.actors import Actor
from accounts.origins import Origin
from api.problems import REALM, Code, Refused
from tokens import bearer
from tokens.scopes import Scope, may_have

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from accounts.models import User
    from tokens.models import ApiToken


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by which token, when and from where."""

    token: ApiToken
    now: datetime
    origin: Origin

    @property
    def user(self) -> User:
        """The token's owner."""
        return self.token.user

    @property
    def actor(self) -> Actor:
        """The owner, as the audit log will name them."""
        user = self.user
        return Actor(label=str(user), id=str(user.pk), ip=self.origin.ip, is_superuser=user.is_superuser)

    def check(self, allowed: bool, what: str) -> None:  # noqa: FBT001 - `check(user.may(…), "do it")` reads well
        """Raises Refused unless the owner is allowed to: `what` goes on after “may not”."""
        if not allowed:
            raise Refused(Code.NOT_ALLOWED, f"{self.user} may not {what}.")


class Bearer(AuthBase):
    """Ninja's hook: the Authorization header and nothing else. A browser's session cookie is never looked at."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = "An API token: `ptc_…`. Make one in your profile, by `POST /api/v1/login` or `portico login`."

    def __init__(self, scope: Scope | None) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> Caller:
        """Raises BearerRefused, TooMany or Refused."""
        now, origin = timezone.now(), Origin.of(request)
        caller = Caller(
            bearer.authenticate(request.headers.get("Authorization", ""), now=now, origin=origin), now, origin
        )
        if self.scope is not None:
            check_scope(caller, self.scope)
        return caller


def check_scope(caller: Caller, scope: Scope) -> None:
    """Raises Refused unless the token has the scope (RFC 6750 3.1), and its owner may still do what that stands for."""
    if not caller.token.carries(scope):
        raise Refused(
            Code.SCOPE_MISSING,
            f"This token lacks the scope {scope}. Make one that has it.",
            headers={"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scope}"'},
            scope=scope.value,
        )
    caller.check(may_have(caller.user, scope), f"do what the scope {scope} stands for (any more)")


def caller_of(request: HttpRequest) -> Caller:
    """Who was let in to this route."""
    return cast("Caller", cast("Any", request).auth)
