"""An identity provider made of pysaml2's Server: `python -m tests.interop.pysaml2_idp --help`.

Everything that is SAML about it is pysaml2's doing, with Debian's xmlsec1. Here are only the HTTP around it, the two
people it knows, and a list of what happened at /events. It signs with SHA-256, which pysaml2 does not by default.
"""

from __future__ import annotations

import argparse
import html
import http.client
import json
import logging
import secrets
import shutil
import signal
import ssl
import sys
import threading
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.metadata import create_metadata_string
from saml2.saml import NAME_FORMAT_URI, NAMEID_FORMAT_PERSISTENT
from saml2.server import Server
from saml2.sigver import get_pem_wrapped_unwrapped, make_temp, pre_encryption_part, verify_redirect_signature
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from demo import keys

XENC, XENC11 = "http://www.w3.org/2001/04/xmlenc#", "http://www.w3.org/2009/xmlenc11#"
# What an assertion may be encrypted with, and what xmlsec1 calls such a key. pysaml2's own choice is the last.
CIPHERS = {
    "aes128-cbc": (f"{XENC}aes128-cbc", "aes-128"),
    "aes256-cbc": (f"{XENC}aes256-cbc", "aes-256"),
    "aes256-gcm": (f"{XENC11}aes256-gcm", "aes-256"),
    "tripledes-cbc": (f"{XENC}tripledes-cbc", "des-192"),
}
PEOPLE = {"ana": ("Ana", "Lyst"), "zoe": ("Zoë", "Ångström & Søn")}
COOKIE = "pysaml2_idp"
BINDINGS = {"redirect": BINDING_HTTP_REDIRECT, "post": BINDING_HTTP_POST}
FETCH_S = 20


@dataclass
class Session:
    """Who is signed in at this identity provider, in one browser, and where they went from here."""

    person: str
    visits: list[tuple[Any, str]] = field(default_factory=list)  # NameID, SessionIndex


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    body: str = ""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/html; charset=utf-8"),)


class Encrypting(Server):  # type: ignore[misc]  # pysaml2 has no types
    """pysaml2's Server, whose cipher can be chosen: its own choice is 3DES."""

    cipher = "aes256-cbc"

    def _encrypt_assertion(self, encrypt_cert: Any, sp_entity_id: str, response: Any, node_xpath: Any = None) -> Any:
        method, kind = CIPHERS[self.cipher]
        ((name, certificate), *_) = self.metadata.certs(sp_entity_id, "any", "encryption")
        wrapped, unwrapped = get_pem_wrapped_unwrapped(encrypt_cert or certificate)
        file = make_temp(wrapped.encode("ascii"), decode=False)
        template = pre_encryption_part(msg_enc=method, key_name=name, encrypt_cert=unwrapped)
        return self.sec.encrypt_assertion(response, file.name, template, key_type=kind, node_xpath=node_xpath)


class Provider:
    """The identity provider: pages by method and path."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.own_url = f"http://localhost:{options.port}"
        self.service = options.service
        self.trust = options.trust
        self.strict = options.strict
        self.domain = options.domain
        self.slo_binding = BINDINGS[options.slo]
        self.sessions: dict[str, Session] = {}
        self.asked: dict[str, Any] = {}  # AuthnRequests that wait for somebody to say who they are
        self.events: list[dict[str, Any]] = []
        # pysaml2 keeps state in the Server, and our cipher is there too.
        self.lock = threading.RLock()
        self.described = self.config(options.keys)
        # Made when the service provider can be read for the first time; its people and sessions outlive later reading.
        self.server: Any = None

    @property
    def entity_id(self) -> str:
        """How it names itself."""
        return f"{self.own_url}/metadata"

    def config(self, folder: Path) -> dict[str, Any]:
        """pysaml2's own words for what this is."""
        key = keys.kept(folder, "pysaml2")
        (folder / "key.pem").write_bytes(key.private_pem)
        (folder / "certificate.pem").write_bytes(key.certificate_pem)
        sso = [BINDING_HTTP_POST] if self.strict else [BINDING_HTTP_REDIRECT, BINDING_HTTP_POST]
        return {
            "entityid": self.entity_id,
            "xmlsec_binary": shutil.which("xmlsec1"),
            "key_file": str(folder / "key.pem"),
            "cert_file": str(folder / "certificate.pem"),
            "service": {
                "idp": {
                    "endpoints": {
                        "single_sign_on_service": [(f"{self.own_url}/sso", binding) for binding in sso],
                        "single_logout_service": [(f"{self.own_url}/slo", self.slo_binding)],
                    },
                    "signing_algorithm": SIG_RSA_SHA256,
                    "digest_algorithm": DIGEST_SHA256,
                    "want_authn_requests_signed": self.strict,
                    "sign_response": True,
                    "sign_assertion": True,
                    "encrypt_assertion": self.strict,
                    "name_id_format": [NAMEID_FORMAT_PERSISTENT],
                    "policy": {
                        "default": {
                            "lifetime": {"minutes": 5},
                            "nameid_format": NAMEID_FORMAT_PERSISTENT,
                            "name_form": NAME_FORMAT_URI,
                        }
                    },
                }
            },
        }

    def identity(self, person: str) -> dict[str, list[str]]:
        """What it says about somebody."""
        first, last = PEOPLE[person]
        return {"mail": [f"{person}@{self.domain}"], "givenName": [first], "sn": [last]}

    def learn(self) -> str:
        """Read the service provider's metadata, as it is now; returns its entity ID."""
        parts = urlsplit(self.service)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=str(self.trust))
            connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=FETCH_S, context=context)
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=FETCH_S)
        try:
            connection.request("GET", parts.path)
            with connection.getresponse() as response:
                document = response.read()
                if response.status != HTTPStatus.OK:
                    raise RuntimeError(f"{self.service} answers {response.status}")
        finally:
            connection.close()
        known = {"inline": [document.decode()]}
        if self.server is None:
            self.server = Encrypting(config=IdPConfig().load({**self.described, "metadata": known}))
        else:
            self.server.reload_metadata(known)
        (entity_id,) = self.server.metadata.service_providers()
        return str(entity_id)

    # --- pages ------------------------------------------------------------------------------------------------------

    def page(self, method: str, path: str, fields: dict[str, str], session: Session | None) -> Answer:
        """Which page a request gets."""
        pages = {
            ("GET", "/metadata"): self.metadata,
            ("GET", "/events"): lambda _fields, _session: Answer(
                json.dumps(self.events), headers=(("Content-Type", "application/json"),)
            ),
            ("GET", "/start"): self.start,
            ("GET", "/sso"): self.sso,
            ("POST", "/sso"): self.sso,
            ("POST", "/answer"): self.answer_request,
            ("GET", "/sign-out"): self.sign_out,
            ("GET", "/sign-out-framed"): self.sign_out_framed,
            ("GET", "/slo"): self.slo,
            ("POST", "/slo"): self.slo,
        }
        if (page := pages.get((method, path))) is None:
            return shown("Nothing here", status=404)
        with self.lock:
            return page({**fields, "_method": method}, session)

    def metadata(self, _fields: dict[str, str], _session: Session | None) -> Answer:
        """The metadata document, as pysaml2 writes it."""
        document = create_metadata_string(None, config=IdPConfig().load(self.described)).decode()
        return Answer(document, headers=(("Content-Type", "application/samlmetadata+xml"),))

    def start(self, fields: dict[str, str], session: Session | None) -> Answer:
        """IdP-initiated: straight to the service provider, as somebody."""
        entity_id = self.learn()
        binding, destination = self.server.pick_binding(
            "assertion_consumer_service", [BINDING_HTTP_POST], "spsso", entity_id=entity_id
        )
        request = {"in_response_to": None, "destination": destination, "sp_entity_id": entity_id, "binding": binding}
        return self.respond(request, fields, session)

    def sso(self, fields: dict[str, str], session: Session | None) -> Answer:
        """SP-initiated: who is it? Then back with the answer."""
        self.learn()
        binding = BINDING_HTTP_POST if fields["_method"] == "POST" else BINDING_HTTP_REDIRECT
        parsed = self.server.parse_authn_request(
            fields["SAMLRequest"], binding, fields.get("RelayState"), fields.get("SigAlg"), fields.get("Signature")
        )
        signed = bool(fields.get("Signature")) or parsed.message.signature is not None
        again = parsed.message.force_authn == "true"
        self.note("request", id=parsed.message.id, signed=signed, force_authn=again, binding=fields["_method"])
        request = self.server.response_args(parsed.message, [BINDING_HTTP_POST])
        if session is not None and not again:
            return self.respond(request, fields, session)
        self.asked[parsed.message.id] = request
        return shown("Who are you?", ask={"asked": parsed.message.id, "RelayState": fields.get("RelayState", "")})

    def answer_request(self, fields: dict[str, str], session: Session | None) -> Answer:
        """Somebody has said who they are."""
        return self.respond(self.asked.pop(fields["asked"]), fields, session)

    def respond(self, request: dict[str, Any], fields: dict[str, str], session: Session | None) -> Answer:
        """Send somebody to the service provider with a Response."""
        person = fields.get("person") or (session.person if session else "ana")
        self.server.cipher = fields.get("cipher", "aes256-cbc")
        binding = request.pop("binding")
        response = self.server.create_authn_response(
            identity=self.identity(person),
            userid=person,
            authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": self.own_url},
            encrypt_assertion=self.strict or "cipher" in fields,
            **request,
        )
        name_id = self.server.ident.find_nameid(person, sp_name_qualifier=request["sp_entity_id"])[0]
        (statement, *_) = self.server.session_db.get_authn_statements(name_id)[-1]
        if session is None or session.person != person:
            session = Session(person)
        session.visits.append((name_id, statement.session_index))
        key = next((key for key, known in self.sessions.items() if known is session), secrets.token_urlsafe())
        self.sessions[key] = session
        self.note("response", to=request["destination"], encrypted="EncryptedAssertion" in str(response))
        sent = self.server.apply_binding(
            binding, str(response), request["destination"], fields.get("RelayState", ""), response=True
        )
        return carried(sent, ("Set-Cookie", f"{COOKIE}={key}; Path=/; HttpOnly"))

    def sign_out(self, _fields: dict[str, str], session: Session | None) -> Answer:
        """Sign out here, and ask the service provider to do the same for the last visit."""
        if session is None or not session.visits:
            return shown("Nobody is signed in")
        entity_id = self.learn()
        name_id, index = session.visits[-1]
        binding, destination = self.server.pick_binding(
            "single_logout_service", [self.slo_binding], "spsso", entity_id=entity_id
        )
        detached = binding == BINDING_HTTP_REDIRECT
        message = self.server.create_logout_request(
            destination, entity_id, name_id=name_id, session_indexes=[index], sign=not detached,
            expire=f"{datetime.fromtimestamp(datetime.now(UTC).timestamp() + 300, UTC):%Y-%m-%dT%H:%M:%SZ}",
        )[1:]  # fmt: skip
        self.forget(session)
        self.note("asks for logout", session_index=index)
        sent = self.server.apply_binding(binding, str(message[0]), destination, "some state", sign=detached)
        return carried(sent)

    def sign_out_framed(self, _fields: dict[str, str], _session: Session | None) -> Answer:
        """The same, with the service provider in a frame: how those do it who have many to ask."""
        return Answer('<!DOCTYPE html><title>Out</title><h1>Signing out</h1><iframe src="/sign-out"></iframe>')

    def slo(self, fields: dict[str, str], session: Session | None) -> Answer:
        """A logout message of the service provider: its request, or its answer to ours."""
        self.learn()
        redirected = fields["_method"] == "GET"
        binding = BINDING_HTTP_REDIRECT if redirected else BINDING_HTTP_POST
        if "SAMLResponse" in fields:
            answer = self.server.parse_logout_request_response(fields["SAMLResponse"], binding)
            signed = not answer.not_signed
            if redirected:
                signed = self.verify_query("SAMLResponse", fields, answer.issuer())
            ok = bool(answer.verify())
            self.note("logout answered", success=ok, signed=signed, relay_state=fields.get("RelayState"))
            return shown("You are signed out everywhere" if ok and signed else "You are signed out here only")
        parsed = self.server.parse_logout_request(
            fields["SAMLRequest"], binding, fields.get("RelayState"), fields.get("SigAlg"), fields.get("Signature")
        )
        signed = parsed.message.signature is not None
        if redirected and "Signature" in fields:
            signed = self.verify_query("SAMLRequest", fields, parsed.message.issuer.text)
        asked = (parsed.message.name_id.text, [index.text for index in parsed.message.session_index])
        leaving = [
            known for known in self.sessions.values()
            if any((name_id.text, [index]) == asked for name_id, index in known.visits)
        ]  # fmt: skip
        for known in leaving:
            self.forget(known)
        self.note("logout carried out", signed=signed, ended=len(leaving), mine=session in leaving)
        message = self.server.create_logout_response(parsed.message, [self.slo_binding], sign=not redirected)
        destination = (
            message.destination
            if redirected
            else self.server.response_args(parsed.message, [self.slo_binding], "spsso")["destination"]
        )
        sent = self.server.apply_binding(
            self.slo_binding, str(message), destination, fields.get("RelayState", ""), response=True, sign=redirected
        )
        return carried(sent)

    # --- helpers ----------------------------------------------------------------------------------------------------

    def verify_query(self, name: str, fields: dict[str, str], issuer: str) -> bool:
        """Whether the detached signature of a query is the service provider's."""
        message = {key: fields[key] for key in (name, "RelayState", "SigAlg", "Signature") if key in fields}
        certificates = self.server.metadata.certs(issuer, "any", "signing")
        backend = self.server.sec.sec_backend
        return any(verify_redirect_signature(message, backend, certificate) for _name, certificate in certificates)

    def forget(self, session: Session) -> None:
        """End a session of ours."""
        self.sessions = {key: known for key, known in self.sessions.items() if known is not session}

    def note(self, what: str, **facts: Any) -> None:
        """Write down what happened, for whoever reads /events."""
        self.events.append({"event": what, **facts})


def shown(heading: str, *, status: int = 200, ask: dict[str, str] | None = None) -> Answer:
    """A page; `ask` adds a button for each person, which sends these fields along."""
    body = f"<!DOCTYPE html><title>pysaml2</title><h1>{html.escape(heading)}</h1>"
    if ask is not None:
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in ask.items()
        )
        buttons = "".join(f'<button name="person" value="{name}">{name}</button>' for name in PEOPLE)
        body += f'<form method="post" action="/answer">{hidden}{buttons}</form>'
    return Answer(body, status)


def carried(sent: dict[str, Any], *headers: tuple[str, str]) -> Answer:
    """What pysaml2 wants sent, for either binding."""
    body = sent["data"] if isinstance(sent["data"], str) else "".join(sent["data"])
    return Answer(body, int(sent.get("status") or 200), (*tuple(sent["headers"]), *headers))


class Handler(BaseHTTPRequestHandler):
    """One request."""

    provider: Provider

    def do_GET(self) -> None:
        """A page, or a message in the query."""
        self.answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        """A form."""
        self.answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())

    def answer(self, encoded: str) -> None:
        """Find the page, or say what went wrong: this is for tests."""
        fields = {name: values[0] for name, values in parse_qs(encoded, keep_blank_values=True).items()}
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        session = self.provider.sessions.get(morsel.value) if morsel else None
        try:
            answer = self.provider.page(self.command, urlsplit(self.path).path, fields, session)
        except Exception as error:  # noqa: BLE001 - whatever pysaml2 has against a message
            traceback.print_exc()
            self.provider.note("refused", error=f"{type(error).__name__}: {error}")
            answer = shown(f"Refused: {type(error).__name__}", status=400)
        body = answer.body.encode()
        self.send_response(answer.status)
        for name, value in (*answer.headers, ("Content-Length", str(len(body))), ("Cache-Control", "no-store")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Run it until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop.pysaml2_idp", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="on localhost")
    parser.add_argument("--service", required=True, help="the service provider's metadata URL")
    parser.add_argument("--trust", type=Path, help="certificate to trust for that URL, PEM")
    parser.add_argument("--keys", type=Path, required=True, help="a folder for its key")
    parser.add_argument("--domain", default="customer.example", help="of its people's e-mail addresses")
    parser.add_argument("--slo", choices=tuple(BINDINGS), default="redirect", help="the binding for logout")
    parser.add_argument("--strict", action="store_true", help="wants signed requests by POST, and encrypts")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    handler = type("Bound", (Handler,), {"provider": Provider(options)})
    with ThreadingHTTPServer(("127.0.0.1", options.port), handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
