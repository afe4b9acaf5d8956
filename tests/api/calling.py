"""A program before the REST door: Django's test client with a token, JSON in and out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from django.test import Client

from tests.pages.forms import PASSWORD
from tests.tokens.making import token_of
from tokens.scopes import Scope

if TYPE_CHECKING:
    from accounts.models import User
    from tokens.models import ApiToken

BASE = "/api/v1"
PROBLEM = "application/problem+json"
ALL = tuple(Scope)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """The JSON value."""
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """Of a refusal: its code, after a look at whether it is whole."""
        assert self.headers["Content-Type"] == PROBLEM, self.content
        assert self.body["status"] == self.status
        assert self.body["title"]
        assert self.body["detail"]
        assert self.body["type"] == f"http://127.0.0.1:8000/api/docs#{self.body['code']}"
        assert self.headers["Cache-Control"] == "no-store"
        assert ("errors" in self.body) == (self.body["code"] == "invalid")
        code: str = self.body["code"]
        return code

    @property
    def fields(self) -> list[str]:
        """Of a refusal of values: which."""
        assert self.code == "invalid"
        return [error["field"] for error in self.body["errors"]]


@cache
def _client() -> Client:
    return Client(raise_request_exception=False)


def one_for_all() -> Client:
    """A client without cookies. One for all programs: each makes the middleware anew, and that takes a while."""
    _client().cookies.clear()
    return _client()


@dataclass
class Program:
    """Something that calls, with a token or without."""

    secret: str = ""
    token: ApiToken | None = None
    client: Client = field(default_factory=one_for_all)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Call a path below /api/v1. `body` is JSON, or bytes as they are; headers have underscores for hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.secret:
            sent.setdefault("Authorization", f"Bearer {self.secret}")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        kind = sent.pop("Content-Type", "application/json")
        response = self.client.generic(method, BASE + path, data, content_type=kind, headers=sent)
        return Answer(response.status_code, dict(response.headers), response.content)

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        return self.call("DELETE", path, **headers)


def program_of(owner: User, *scopes: Scope, **fields: Any) -> Program:
    """A program with a token of this owner's, with every scope that they may have unless some are named."""
    token, secret = token_of(owner, scopes=scopes or tuple(scope for scope in ALL if _may(owner, scope)), **fields)
    return Program(secret, token)


def _may(owner: User, scope: Scope) -> bool:
    return owner.is_superuser or not scope.startswith("admin:")


def log_in(email: str, password: str = PASSWORD, **members: Any) -> Answer:
    """Sign in by password."""
    return Program().post("/login", {"email": email, "password": password} | members)
