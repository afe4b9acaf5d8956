"""A small Portico that plays the contract of docs/api.md on loopback, and servers that break every rule."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SSO_SENTENCE = (
    "SSORequiredError: The user is registered via single sign-on and may only log in through the identity provider"
)
PAGE = 2


def minted(seed: str) -> str:
    """A well-formed token, the same for the same seed."""
    number = int.from_bytes(hashlib.sha512(seed.encode()).digest(), "big")
    body = "ptc_" + "".join(DIGITS[number // 62**place % 62] for place in range(40))
    crc = zlib.crc32(body.encode())
    return body + "".join(DIGITS[crc // 62**place % 62] for place in reversed(range(6)))


@dataclass
class Person:
    email: str
    name: str
    password: str = ""
    codes: list[str] = field(default_factory=list)


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Canned:
    """An answer in place of the right one."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Fault(Exception):
    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}
        self.problem = {"type": f"/api/docs#{code}", "title": code, "status": status, "detail": detail, "code": code}
        self.problem |= more


class Portico:
    """The state of the server. What a test sets before a call is what the call finds."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.organizations: list[dict[str, Any]] = []
        self.configs: dict[str, dict[str, Any]] = {}
        self.seen: list[Seen] = []
        self.canned: dict[tuple[str, str], Canned] = {}
        self.url = ""
        self.count = 0

    def person(self, email: str = "ann@acme.example", name: str = "Ann", **more: Any) -> Person:
        self.people[email] = Person(email, name, **more)
        return self.people[email]

    def token(self, email: str = "ann@acme.example", name: str = "laptop", **more: Any) -> str:
        """A token of that person; more sets what the server knows of it."""
        self.count += 1
        text = minted(f"{email} {name} {self.count}")
        self.tokens[text] = {
            "id": f"t{self.count}",
            "name": name,
            "prefix": text[:8],
            "scopes": ["read:self", "write:tokens", "read:org", "admin:saml"],
            "created_at": "2026-01-01T00:00:00Z",
            "expires_at": "2099-01-01T00:00:00Z",
            "last_used_at": None,
            "last_used_ip": None,
            "last_used_by": None,
            "revoked_at": None,
            "owner": email,
            **more,
        }
        return text

    def config(self, slug: str, **values: Any) -> None:
        self.configs[slug] = {"description": slug.title(), "enabled": False, "domains": [], **values}

    def etag(self, slug: str) -> str:
        told = json.dumps(self.configs[slug], sort_keys=True).encode()
        return f'"{hashlib.sha256(told).hexdigest()[:12]}"'

    def answer(self, method: str, path: str, code: str, status: int, detail: str, **more: Any) -> None:
        """Let the next calls of `path` end in that problem."""
        fault = Fault(status, code, detail, **more)
        self.canned[method, path] = Canned(
            status, json.dumps(fault.problem).encode(), {"Content-Type": "application/problem+json", **fault.headers}
        )


class Handler(BaseHTTPRequestHandler):
    portico: ClassVar[Portico]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name for it
        pass

    def serve(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length", "0")))
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        headers = {key.lower(): value for key, value in self.headers.items()}
        seen = Seen(self.command, parts.path.removeprefix("/api/v1"), query, headers, json.loads(raw) if raw else None)
        self.portico.seen.append(seen)
        if canned := self.portico.canned.get((seen.method, seen.path)):
            self.send(canned.status, canned.body, canned.headers)
            return
        try:
            status, told, extra = self.route(seen)
        except Fault as fault:
            status, told = fault.status, fault.problem
            extra = {"Content-Type": "application/problem+json", **fault.headers}
        self.send(status, b"" if told is None else json.dumps(told).encode(), extra)

    do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815 - http.server's names

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def route(self, seen: Seen) -> tuple[int, Any, dict[str, str]]:
        where = [unquote(part) for part in seen.path.strip("/").split("/")]
        match seen.method, where:
            case "POST", ["login"]:
                return self.login(seen.body)
            case "GET", ["whoami"]:
                return 200, self.whoami(seen), {}
            case _, ["tokens", *rest]:
                return self.tokens(seen, rest)
            case "GET", ["organizations"]:
                return 200, self.page(seen, self.portico.organizations), {}
            case _, ["saml-config", *rest]:
                return self.saml(seen, rest)
        raise Fault(404, "not_found", "There is no such thing.")

    def bearer(self, seen: Seen) -> tuple[str, dict[str, Any]]:
        text = seen.headers.get("authorization", "").removeprefix("Bearer ")
        row = self.portico.tokens.get(text)
        if not row:
            raise Fault(401, "token_unknown", "The token is not known here.")
        if row["revoked_at"]:
            raise Fault(401, "token_revoked", "The token was revoked.")
        return text, row

    def page(self, seen: Seen, rows: list[dict[str, Any]]) -> dict[str, Any]:
        self.bearer(seen)
        start = int(seen.query.get("cursor", "0"))
        following = start + PAGE
        return {"items": rows[start:following], "next": str(following) if following < len(rows) else None}

    def login(self, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        person = self.portico.people.get(body["email"])
        if body["email"].endswith("@sso.example"):
            raise Fault(403, "SSORequiredError", SSO_SENTENCE)
        if not person or body["password"] != person.password:
            raise Fault(401, "credentials_wrong", "The address or the password is wrong.")
        if person.codes and "code" not in body:
            raise Fault(401, "second_factor_required", "A second factor is needed.", methods=["totp", "recovery_code"])
        if person.codes and body["code"] not in person.codes:
            raise Fault(401, "second_factor_wrong", "That code is not right.")
        text = self.portico.token(person.email, body.get("name", "login"), scopes=body.get("scopes", ["read:self"]))
        return 201, {"token": text, "api_token": self.told(text)}, {}

    def told(self, text: str) -> dict[str, Any]:
        row = self.portico.tokens[text]
        used = self.headers.get("authorization", "").removeprefix("Bearer ")
        return {**{key: value for key, value in row.items() if key != "owner"}, "current": used == text}

    def whoami(self, seen: Seen) -> dict[str, Any]:
        _, row = self.bearer(seen)
        if "read:self" not in row["scopes"]:
            raise Fault(403, "scope_missing", "The token lacks the scope read:self.", scope="read:self")
        person = self.portico.people[row["owner"]]
        return {
            "user": {"id": "u1", "email": person.email, "name": person.name, "service_account": False},
            "identity_provider": None,
            "access_level": "analyst",
            "organizations": [{"id": "o1", "name": "Acme", "role": "admin"}],
            "billing_accounts": [{"id": "b1", "name": "Main", "organization": {"id": "o1", "name": "Acme"}}],
            "roles": ["auditor"],
            "properties": [{"id": "p1", "name": "shop.example"}],
            "access_groups": [],
            "permissions": ["orgs.view"],
            "token": {key: row[key] for key in ("id", "name", "scopes", "expires_at")},
        }

    def tokens(self, seen: Seen, rest: list[str]) -> tuple[int, Any, dict[str, str]]:
        text, row = self.bearer(seen)
        mine = {each["id"]: key for key, each in self.portico.tokens.items() if each["owner"] == row["owner"]}
        named = text if rest[:1] == ["current"] else mine.get(rest[0]) if rest else None
        if rest and named is None:
            raise Fault(404, "not_found", "There is no such token of yours.")
        match seen.method, rest[1:], named:
            case "GET", [], None:
                return 200, self.page(seen, [self.told(key) for key in mine.values()]), {}
            case "POST", [], None:
                made = self.portico.token(row["owner"], seen.body["name"], scopes=seen.body["scopes"])
                return 201, {"token": made, "api_token": self.told(made)}, {}
            case "GET", [], str():
                return 200, self.told(named), {}
            case "DELETE", [], str():
                self.portico.tokens[named]["revoked_at"] = "2026-01-02T00:00:00Z"
                return 204, None, {}
            case "POST", ["rotate"], str():
                old = self.portico.tokens[named]
                old["revoked_at"] = "2026-01-02T00:00:00Z"
                made = self.portico.token(old["owner"], old["name"], scopes=old["scopes"])
                return 201, {"token": made, "api_token": self.told(made)}, {}
        raise Fault(405, "method_not_allowed", "Not that way.")

    def saml(self, seen: Seen, rest: list[str]) -> tuple[int, Any, dict[str, str]]:
        _, row = self.bearer(seen)
        if "admin:saml" not in row["scopes"]:
            raise Fault(403, "scope_missing", "The token lacks the scope admin:saml.", scope="admin:saml")
        if not rest:
            return 200, self.page(seen, [self.config(slug) for slug in sorted(self.portico.configs)]), {}
        slug = rest[0]
        if seen.method == "PUT":
            return self.put(seen, slug)
        if slug not in self.portico.configs:
            raise Fault(404, "not_found", "There is no such configuration.")
        return 200, self.config(slug), {"ETag": self.portico.etag(slug)}

    def config(self, slug: str) -> dict[str, Any]:
        return {
            "slug": slug,
            **{key: value for key, value in self.portico.configs[slug].items() if key != "metadata"},
            "acs_url": f"https://portico.example/saml/{slug}/acs/",
            "sp_entity_id": f"https://portico.example/saml/{slug}/metadata/",
            "metadata_url": f"https://portico.example/saml/{slug}/metadata/",
            "login_url": f"https://portico.example/saml/{slug}/login/",
        }

    def put(self, seen: Seen, slug: str) -> tuple[int, Any, dict[str, str]]:
        configs, wanted = self.portico.configs, dict(seen.body)
        there = slug in configs
        if there and "if-match" not in seen.headers:
            raise Fault(428, "precondition_required", "Say which version you mean.")
        if (there and seen.headers["if-match"] != self.portico.etag(slug)) or (
            not there and "if-match" in seen.headers
        ):
            raise Fault(412, "precondition_failed", "It is another version now.")
        if unknown := sorted(wanted.keys() - {"description", "enabled", "metadata", "domains", "contact"}):
            errors = [{"field": name, "message": "There is no such field."} for name in unknown]
            raise Fault(422, "invalid", "A value is wrong.", errors=errors)
        wanted["domains"] = [{"domain": name, "verified": False} for name in wanted.get("domains", [])]
        before = configs.get(slug, {})
        changes = [
            {"field": name, "from": before.get(name), "to": wanted.get(name)}
            for name in sorted(before.keys() | wanted.keys())
            if before.get(name) != wanted.get(name)
        ]
        if seen.query.get("dry_run") == "1":
            return 200, {"changes": changes, "notes": ["Nobody can sign in yet."] if not there else []}, {}
        configs[slug] = wanted
        return 200 if there else 201, self.config(slug), {"ETag": self.portico.etag(slug)}


@contextlib.contextmanager
def running(context: ssl.SSLContext | None = None) -> Iterator[Portico]:
    """A Portico on loopback, with TLS if a context is given."""
    portico = Portico()
    handler = type("Bound", (Handler,), {"portico": portico})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    portico.url = f"{'https' if context else 'http'}://{'localhost' if context else '127.0.0.1'}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield portico
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Raw:
    url: str
    asked: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def raw(answer: bytes, *, then_wait: bool = False) -> Iterator[Raw]:
    """A server that sends exactly these bytes for whatever comes, and closes, or says nothing more."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    told = Raw(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def talk() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    told.asked.set()
                    connection.sendall(answer)
                    if then_wait:
                        over.wait(30)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        over.set()
        listener.close()


@dataclass
class Proxy:
    url: str
    asked: list[str] = field(default_factory=list)
    carried: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def proxy(*, refuse: bool = False) -> Iterator[Proxy]:
    """A proxy: carries CONNECT, writes down what it was asked and what it saw."""
    listener = socket.create_server(("127.0.0.1", 0))
    told = Proxy(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                told.carried.append(chunk)
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)

    def carry(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            told.carried.append(head)
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            told.asked.append(f"{method} {target}")
            if refuse or method != "CONNECT":
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            name, port = target.rsplit(":", 1)
            with socket.create_connection((name, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join(5)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=carry, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield told
    finally:
        listener.close()
