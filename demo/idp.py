"""The demo's identity provider: a portal page whose one application is Portico. `python -m demo.idp --help`."""

from __future__ import annotations

import argparse
import base64
import signal
import socketserver
import sys
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.template import Context, Engine
from lxml import etree

from demo import issuer, keys, trouble
from demo.logout import LogoutSpec, build_request, build_response
from demo.people import PEOPLE, Person
from saml_sp.protocol import names
from saml_sp.protocol.types import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

NAME = "Kundera & Co."
SLUG = "demo"
MAX_FORM = 64 * 1024
_COOKIE = "demo_person"

_HERE = Path(__file__).parent
_STATIC = {"portal.css": "text/css; charset=utf-8", "send.js": "text/javascript; charset=utf-8"}
_ENGINE = Engine(dirs=[str(_HERE / "templates")])
# Pages send forms to the service provider, whose origin is added; all else stays here.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action"
)


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    body: bytes
    content_type: str = "text/html; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    cookie: str = ""


@dataclass
class IdentityProvider:
    """The identity provider: its name, its key and the service provider it knows. Itself a WSGI application."""

    own_url: str
    service_url: str
    key: keys.SigningKey
    last_good: bytes | None = field(default=None, repr=False)

    @property
    def entity_id(self) -> str:
        """How it names itself."""
        return f"{self.own_url}/metadata"

    @property
    def acs_url(self) -> str:
        """Where Portico takes this identity provider's responses."""
        return f"{self.service_url}/saml/{SLUG}/acs/"

    @property
    def slo_url(self) -> str:
        """Where Portico takes this identity provider's logout messages."""
        return f"{self.service_url}/saml/{SLUG}/slo/"

    @property
    def audience(self) -> str:
        """Portico's entity ID."""
        return f"{self.service_url}/saml/{SLUG}/metadata/"

    @cached_property
    def strangers_key(self) -> keys.SigningKey:
        """A key that Portico was never told about, with a certificate of the right name."""
        return keys.make(NAME)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        answer = self.answer(environ)
        start_response(
            f"{answer.status.value} {answer.status.phrase}",
            [
                ("Content-Type", answer.content_type),
                ("Content-Length", str(len(answer.body))),
                ("Cache-Control", "no-store"),
                ("Content-Security-Policy", f"{_POLICY} 'self' {self.service_url}"),
                ("X-Content-Type-Options", "nosniff"),
                *([("Set-Cookie", answer.cookie)] if answer.cookie else []),
            ],
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def answer(self, environ: WSGIEnvironment) -> Answer:
        """Which page a request gets."""
        method = environ["REQUEST_METHOD"].replace("HEAD", "GET")
        path = environ.get("PATH_INFO", "/") or "/"
        pages: dict[tuple[str, str], Callable[[WSGIEnvironment], Answer]] = {
            ("GET", "/"): self.portal,
            ("GET", "/metadata"): self.metadata,
            ("POST", "/launch"): self.launch,
            ("GET", "/sso"): self.sso,
            ("POST", "/sso"): self.sso,
            ("POST", "/sso/answer"): self.sso_answer,
            ("POST", "/logout"): self.logout,
            ("GET", "/slo"): self.slo,
            ("POST", "/slo"): self.slo,
        }
        if (page := pages.get((method, path))) is not None:
            return page(environ)
        name = path.removeprefix("/static/")
        if method == "GET" and name in _STATIC:
            return Answer((_HERE / "static" / name).read_bytes(), _STATIC[name])
        return self.page("nothing.html", HTTPStatus.NOT_FOUND, sentence="There is no such page here.")

    def portal(self, _environ: WSGIEnvironment) -> Answer:
        """People to be, the Portico tile, and the trouble shelf."""
        return self.page("portal.html", people=list(PEOPLE.values()), troubles=list(trouble.TROUBLES.values()))

    def metadata(self, _environ: WSGIEnvironment) -> Answer:
        """The metadata document."""
        return Answer(self.metadata_xml(), "application/samlmetadata+xml")

    def launch(self, environ: WSGIEnvironment) -> Answer:
        """Send somebody to Portico, with a good response or one that has the chosen fault."""
        form = _form(environ)
        person, fault = PEOPLE.get(form.get("person", "")), form.get("trouble", "")
        if person is None or (fault and fault not in trouble.TROUBLES):
            return self.page("nothing.html", HTTPStatus.BAD_REQUEST, sentence="Choose somebody on the portal page.")
        xml = self.respond(person, fault, datetime.now(UTC))
        if xml is None:
            sentence = "Nothing has been sent yet that could be sent again. Open Portico first, then come back."
            return self.page("nothing.html", sentence=sentence)
        return self.page("send.html", acs_url=self.acs_url, response=issuer.encode(xml), person=person)

    def sso(self, environ: WSGIEnvironment) -> Answer:
        """Portico asks who this is. Whoever signed in here before is not asked again, unless it says so."""
        redirect = environ["REQUEST_METHOD"] != "POST"
        form = _fields(environ.get("QUERY_STRING", "")) if redirect else _form(environ)
        asked = _read_request(form.get("SAMLRequest", ""), deflated=redirect)
        if asked is None:
            return self.page("nothing.html", HTTPStatus.BAD_REQUEST, sentence="This is no sign-in request.")
        known = PEOPLE.get(_cookie(environ, _COOKIE))
        relay_state = form.get("RelayState", "")
        if known is not None and asked.get("ForceAuthn") != "true":
            return self.answer_request(known, asked.get("ID", ""), relay_state)
        people = list(PEOPLE.values())
        return self.page("choose.html", people=people, request_id=asked.get("ID"), relay_state=relay_state)

    def sso_answer(self, environ: WSGIEnvironment) -> Answer:
        """Somebody said who they are: remember it, and answer Portico."""
        form = _form(environ)
        person = PEOPLE.get(form.get("person", ""))
        if person is None:
            return self.page("nothing.html", HTTPStatus.BAD_REQUEST, sentence="Choose somebody.")
        answer = self.answer_request(person, form.get("request_id", ""), form.get("RelayState", ""))
        return replace(answer, cookie=f"{_COOKIE}={person.slug}; Path=/sso; HttpOnly; SameSite=Lax")

    def answer_request(self, person: Person, request_id: str, relay_state: str) -> Answer:
        """The page that sends the response to a request."""
        xml = issuer.issue(self.sign_in(person, datetime.now(UTC), in_response_to=request_id), self.key)
        return self.page(
            "send.html", acs_url=self.acs_url, response=issuer.encode(xml), person=person, relay_state=relay_state
        )

    def logout(self, environ: WSGIEnvironment) -> Answer:
        """Sign somebody out everywhere: forget them here, and ask Portico to end all of their sessions."""
        person = PEOPLE.get(_form(environ).get("person", ""))
        if person is None:
            return self.page("nothing.html", HTTPStatus.BAD_REQUEST, sentence="Choose somebody on the portal page.")
        return self.send_logout("SAMLRequest", build_request(self._logout_spec(name_id=person.email)))

    def slo(self, environ: WSGIEnvironment) -> Answer:
        """Single logout: Portico asks that the session here be ended too, or answers that its own have ended."""
        redirect = environ["REQUEST_METHOD"] != "POST"
        form = _fields(environ.get("QUERY_STRING", "")) if redirect else _form(environ)
        asked = _read_request(form.get("SAMLRequest", ""), deflated=redirect, tag=names.LOGOUT_REQUEST)
        if asked is not None:
            answer = build_response(self._logout_spec(in_response_to=asked.get("ID")))
            return self.send_logout("SAMLResponse", answer, form.get("RelayState", ""))
        answered = _read_request(form.get("SAMLResponse", ""), deflated=redirect, tag=names.LOGOUT_RESPONSE)
        if answered is None:
            return self.page("nothing.html", HTTPStatus.BAD_REQUEST, sentence="This is no logout message.")
        code = answered.find(f"{names.STATUS}/{names.STATUS_CODE}")
        return self.page("logged_out.html", complete=code is not None and code.get("Value") == names.STATUS_SUCCESS)

    def send_logout(self, field: str, message: etree._Element, relay_state: str = "") -> Answer:
        """The page that sends a signed logout message by HTTP-POST; nobody is signed in here afterwards."""
        issuer.sign(message, self.key)
        value = issuer.encode(issuer.serialise(message))
        page = self.page("log_out.html", slo_url=self.slo_url, field=field, value=value, relay_state=relay_state)
        return replace(page, cookie=f"{_COOKIE}=; Path=/sso; Max-Age=0; HttpOnly; SameSite=Lax")

    def _logout_spec(self, **facts: Any) -> LogoutSpec:
        return LogoutSpec(self.entity_id, self.slo_url, datetime.now(UTC), **facts)

    def respond(self, person: Person, fault: str, now: datetime) -> bytes | None:
        """The response to send; None when the last good one is to be sent again and there is none."""
        if fault == "replayed":
            return self.last_good
        spec = self.sign_in(person, now)
        if fault:
            return trouble.spoiled(trouble.TROUBLES[fault], spec, self.key, self.strangers_key)
        self.last_good = issuer.issue(spec, self.key)
        return self.last_good

    def sign_in(self, person: Person, now: datetime, **changes: Any) -> issuer.Spec:
        """What to say of a person who has just signed in here; `in_response_to` and others as `changes`."""
        return issuer.Spec.fresh(
            issuer=self.entity_id, acs_url=self.acs_url, audience=self.audience, name_id=person.email, now=now,
            attributes=person.attributes, **changes,
        )  # fmt: skip

    def metadata_xml(self) -> bytes:
        """The EntityDescriptor (Metadata 2.3.2, 2.4.3)."""
        root = etree.Element(
            f"{{{names.MD}}}EntityDescriptor", {"entityID": self.entity_id}, nsmap={"md": names.MD, "ds": names.DS}
        )
        role = etree.SubElement(
            root, f"{{{names.MD}}}IDPSSODescriptor", {"protocolSupportEnumeration": names.PROTOCOL_SAML2}
        )
        descriptor = etree.SubElement(role, f"{{{names.MD}}}KeyDescriptor", {"use": "signing"})
        info = etree.SubElement(descriptor, names.KEY_INFO)
        x509 = etree.SubElement(info, f"{{{names.DS}}}X509Data")
        etree.SubElement(x509, f"{{{names.DS}}}X509Certificate").text = self.key.certificate_text
        for element, path in (("SingleLogoutService", "/slo"), ("SingleSignOnService", "/sso")):
            if path == "/sso":
                etree.SubElement(role, f"{{{names.MD}}}NameIDFormat").text = names.NAMEID_UNSPECIFIED
            for binding in (Binding.REDIRECT, Binding.POST):
                where = {"Binding": binding.uri, "Location": self.own_url + path}
                etree.SubElement(role, f"{{{names.MD}}}{element}", where)
        return issuer.serialise(root)

    def page(self, template: str, status: HTTPStatus = HTTPStatus.OK, **context: Any) -> Answer:
        """A page of the portal. The template engine escapes every value."""
        known = {"company": NAME, "entity_id": self.entity_id, "service_url": self.service_url}
        service_host = urlsplit(self.service_url).netloc
        html = _ENGINE.get_template(template).render(Context({**known, "service_host": service_host, **context}))
        return Answer(html.encode(), status=status)


def _form(environ: WSGIEnvironment) -> dict[str, str]:
    """The fields of a posted form, the first value of each; a form that is too long is empty."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return {}
    if not 0 <= length <= MAX_FORM:
        return {}
    return _fields(environ["wsgi.input"].read(length).decode("utf-8", "replace"))


def _fields(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


def _cookie(environ: WSGIEnvironment, name: str) -> str:
    try:
        morsel = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _read_request(value: str, *, deflated: bool, tag: str = f"{{{names.SAMLP}}}AuthnRequest") -> etree._Element | None:
    """The message in a form or a query (Bindings 3.4, 3.5), unverified: this demo trusts whoever asks."""
    try:
        xml = base64.b64decode(value, validate=True)
        if deflated:
            xml = zlib.decompressobj(-15).decompress(xml, MAX_FORM)
        root = etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))
    except (ValueError, zlib.error, etree.XMLSyntaxError):
        return None
    return root if root.tag == tag else None


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # Not HTTPServer's: that one asks the resolver for the host's full name, which may take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
        """Say nothing: the terminal belongs to the supervisor."""


def serve(provider: IdentityProvider, port: int) -> None:
    """Serve on loopback until the process is told to stop."""
    with make_server("127.0.0.1", port, provider, _Server, _QuietHandler) as server:
        server.serve_forever()


def main(arguments: list[str] | None = None) -> None:
    """Run the identity provider by itself."""
    parser = argparse.ArgumentParser(prog="python -m demo.idp", description="The demo's identity provider.")
    parser.add_argument("--port", type=int, default=8100, help="on localhost (8100)")
    parser.add_argument("--service", required=True, help="Portico's base URL")
    parser.add_argument("--keys", type=Path, required=True, help="the folder that keeps its key")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serve(at_home(options.port, options.service, options.keys), options.port)


def at_home(port: int, service_url: str, folder: Path) -> IdentityProvider:
    """The demo's identity provider with the key that `folder` keeps."""
    return IdentityProvider(f"http://localhost:{port}", service_url, keys.kept(folder, NAME))


if __name__ == "__main__":
    main()
