"""The REST door of one Portico, as docs/api.md describes it: one request, one answer that has been looked at."""

from __future__ import annotations

import json
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from portico_cli import __version__
from portico_cli.errors import ExitCode, Refusal
from portico_cli.faults import fault, strange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portico_cli.hosts import Host
    from portico_cli.tokens import Token

MAX_ANSWER = 16 * 1024 * 1024
MAX_PAGES = 1000
PAGE = 200


@dataclass(frozen=True)
class Answer:
    """What the server said: a status below 300, its JSON (None where it said nothing) and the version in its ETag."""

    status: int
    body: Any
    etag: str

    def record(self) -> dict[str, Any]:
        """The body as an object. Raises Refusal if it is something else."""
        if not isinstance(self.body, dict):
            raise strange("its answer is not an object")
        return self.body


class Door:
    """Calls of the REST door at `host`. Only that host is ever spoken to: redirects are not followed.

    `ca_file` holds the certificates (PEM) to trust in place of the public ones; `timeout` is in seconds, per answer.
    """

    def __init__(self, host: Host, token: Token | None, *, ca_file: str = "", timeout: float) -> None:
        self.host = host
        self.timeout = timeout
        headers = {"Accept": "application/json", "User-Agent": f"portico-cli/{__version__}"}
        if token:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        trusted = trust(host, ca_file)
        try:
            self._client = httpx.Client(
                headers=headers,
                verify=trusted,
                timeout=timeout,
                follow_redirects=False,
                # Without TLS a proxy would read the token.
                trust_env=not host.is_local,
            )
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise Refusal(
                ExitCode.NETWORK,
                f"The proxy that the environment names cannot be used: {error}",
                "Correct HTTPS_PROXY and ALL_PROXY: http:// or https://, a name and a port; or use NO_PROXY.",
            ) from None

    def call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request to `path` below /api/v1 and read its answer. Raises Refusal if it is not a good one."""
        url = f"{self.host.url}/api/v1{path}"
        with self._troubles():
            request = self._client.build_request(method, url, params=query, json=body, headers=headers)
            response = self._client.send(request, stream=True)
            try:
                content = self._content(response)
            finally:
                response.close()
        return self._judge(response, content)

    def items(self, path: str, query: dict[str, str] | None = None) -> list[dict[str, Any]]:
        """All items of a list, page by page. Raises Refusal."""
        found: list[dict[str, Any]] = []
        asked = {**(query or {}), "limit": str(PAGE)}
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            page = self.call("GET", path, query=asked).record()
            items, cursor = page.get("items"), page.get("next")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise strange("its list has no items")
            found.extend(items)
            if cursor is None:
                return found
            if not isinstance(cursor, str) or cursor in seen:
                raise strange("its list goes round in circles")
            seen.add(cursor)
            asked["cursor"] = cursor
        raise strange("its list does not end")

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        """Turn what goes wrong on the way into a Refusal."""
        try:
            yield
        except httpx.TimeoutException:
            raise self._unreachable(
                f"did not answer within {self.timeout:g} seconds", "Try again, or give it longer: --timeout SECONDS."
            ) from None
        except httpx.ProxyError as error:
            raise self._unreachable(
                f"cannot be reached through the proxy: {error}", "Check HTTPS_PROXY, or add the host to NO_PROXY."
            ) from None
        except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
            raise strange(f"{self.host} broke off or does not speak HTTP: {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, UnicodeError) as error:
            if distrust := certificate_error(error):
                raise self._unreachable(
                    f"shows a certificate that is not trusted: {distrust}",
                    "If it is your organisation's own, name its certificate authority: --ca-file FILE.",
                    code="certificate",
                ) from None
            raise self._unreachable(
                f"cannot be reached: {error}", "Check the address (--host), the network, and HTTPS_PROXY."
            ) from None

    def _unreachable(self, what: str, cure: str, *, code: str = "") -> Refusal:
        return Refusal(ExitCode.NETWORK, f"{self.host} {what.rstrip('.')}.", cure, code=code)

    def _content(self, response: httpx.Response) -> bytes:
        """The body, if it is not too large and comes in time."""
        end = time.monotonic() + self.timeout
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > MAX_ANSWER:
                raise strange(f"its answer is larger than {MAX_ANSWER // 1024 // 1024} MiB")
            if time.monotonic() > end:
                raise httpx.ReadTimeout("the answer trickles")
        return bytes(content)

    def _judge(self, response: httpx.Response, content: bytes) -> Answer:
        if response.is_redirect:
            raise Refusal(
                ExitCode.NETWORK,
                f"{self.host} sends us on to {response.headers.get('location', 'another address')}; we did not follow.",
                "If that is the right address, name it yourself: --host.",
                code="redirect",
            )
        try:
            body = json.loads(content.decode("utf-8")) if content else None
        except (ValueError, RecursionError):
            if response.is_success:
                raise strange(f"its answer is {kind_of(response)}, not JSON") from None
            body = None
        if not response.is_success:
            raise fault(self.host, response.status_code, body, response.headers)
        return Answer(response.status_code, body, response.headers.get("etag", ""))


def trust(host: Host, ca_file: str) -> ssl.SSLContext:
    """The certificates to trust: `ca_file`, else SSL_CERT_FILE or SSL_CERT_DIR, else the public and this machine's own.

    Raises Refusal if they cannot be read.
    """
    if host.is_local:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if ca_file:
            return ssl.create_default_context(cafile=ca_file)
        context = httpx.create_ssl_context()
        context.load_default_certs()
    except OSError as error:
        named = ca_file or "what SSL_CERT_FILE or SSL_CERT_DIR names"
        raise Refusal(
            ExitCode.USAGE,
            f"No certificates can be read from {named}: {error.strerror or 'it is not PEM'}.",
            "Name a file of certificates in PEM: --ca-file FILE, PORTICO_CA_FILE or SSL_CERT_FILE.",
            code="bad_ca_file",
        ) from None
    return context


def kind_of(response: httpx.Response) -> str:
    """What the server says its answer is."""
    kind = response.headers.get("content-type", "").split(";")[0].strip()
    return "HTML" if kind == "text/html" else kind or "something"


def certificate_error(error: BaseException | None) -> str:
    """What is wrong with the server's certificate, if `error` comes of that; else empty."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message or "it cannot be verified"
        error = error.__cause__ or error.__context__
    return ""
