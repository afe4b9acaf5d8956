"""Addresses of endpoints, and the paths that a login may lead to."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from saml_sp.protocol.errors import UrlRefused

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
MAX_URL = 2048
RELAY_STATE_MAX = 2048  # bytes; Bindings 3.5.3 says 80, and identity providers' deep links exceed it
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")  # a name or IPv4 address, or an IPv6 address
_URL_CHARACTERS = re.compile(r"[!#-;=?-Z\[\]_a-z~%]+")


def check_endpoint(url: str) -> None:
    """Accept an absolute https URL (http on a loopback host) without credentials or fragment.

    Raises UrlRefused with a sentence for the administrator.
    """
    if len(url) > MAX_URL:
        raise UrlRefused(f"The URL has {len(url)} characters; at most {MAX_URL} are accepted.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UrlRefused(f"This is not a URL: {error}.") from None
    if not _URL_CHARACTERS.fullmatch(url) or not host or parts.scheme not in {"https", "http"}:
        raise UrlRefused("Enter a full URL that begins with https://, in ASCII and without blanks.")
    bare = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(host) or parts.netloc.lower().rpartition("@")[2] not in {bare, f"{bare}:{port}"}:
        # It will stand in Content-Security-Policy, where a semicolon begins another directive. urlsplit overlooks what
        # stands between a bracket and the path.
        raise UrlRefused("The host name may hold letters, digits, dots, hyphens and underscores only.")
    if parts.scheme == "http" and host not in LOOPBACK_HOSTS:
        raise UrlRefused("The URL must begin with https://. Plain http is accepted for loopback hosts only.")
    if parts.username is not None or parts.fragment:
        raise UrlRefused("The URL must hold no user name, password or fragment (#…).")


def local_path(relay_state: str) -> str | None:
    """The RelayState if it is a path on this site, else None.

    A path begins with one slash; decoded as often as it changes it holds no backslash, control character, second
    leading slash or anything else that a browser reads as another host (WHATWG URL, “special authority slashes”).
    """
    if not relay_state or len(relay_state.encode("utf-8", "surrogatepass")) > RELAY_STATE_MAX:
        return None
    form = relay_state
    for _ in range(4):
        if not _is_plain_path(form):
            return None
        decoded = unquote(form)
        if decoded == form:
            return relay_state
        form = decoded
    return None  # encoded over and over: nobody's bookmark


def _is_plain_path(text: str) -> bool:
    if not text.startswith("/") or text.startswith("//"):
        return False
    if "\\" in text or any(not character.isprintable() for character in text):
        return False
    path = text.partition("?")[0].partition("#")[0]
    return "//" not in path and "@" not in path and not {"..", "."} & set(path.split("/"))
