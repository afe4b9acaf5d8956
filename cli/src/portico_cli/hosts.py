"""Which Portico is meant: its base address, as one spelling; and what may stand in an address below it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from portico_cli.errors import ExitCode, Refusal

CURE = "Give its address as your browser shows it, for example --host https://portico.example."
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?\.?")
LONGEST_SEGMENT = 200  # far beyond any id
PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True)
class Host:
    """The base address of a Portico: https, or http on this very machine; no `/` at its end."""

    url: str

    @classmethod
    def parse(cls, text: str) -> Host:
        """From what a person typed; without a scheme https is meant. Raises Refusal."""
        typed = text.strip()
        try:
            parts = urlsplit(typed if "://" in typed else f"https://{typed}")
            name, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise refused(typed, "it is not an address") from None
        if parts.scheme not in {"https", "http"}:
            raise refused(typed, "it must begin with https://")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise refused(typed, "only scheme, name, port and path may be in it")
        path = parts.path.rstrip("/")
        if not is_name(name) or not PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise refused(typed, "it is not an address")
        if parts.scheme == "http" and not is_loopback(name):
            raise Refusal(
                ExitCode.USAGE,
                f"{typed} is plain http, so everybody on the way could read the token.",
                "Use https; http is for a Portico on this machine only (localhost, 127.0.0.1).",
                code="insecure_host",
            )
        shown = f"[{name}]" if ":" in name else name
        default = {"https": 443, "http": 80}[parts.scheme]
        return cls(f"{parts.scheme}://{shown}{'' if port in {None, default} else f':{port}'}{path}")

    @property
    def is_local(self) -> bool:
        """Whether it is spoken to without TLS, and so must not be spoken to through a proxy."""
        return self.url.startswith("http://")

    @property
    def as_name(self) -> str:
        """A profile's name for it: letters, digits, dots and hyphens."""
        return re.sub(r"[^a-z0-9.]+", "-", self.url.split("://", 1)[1].lower()).strip("-.")[:64]

    @property
    def tokens_page(self) -> str:
        """Where a person makes a token in a browser."""
        return f"{self.url}/profile/tokens/"

    def __str__(self) -> str:
        return self.url


def refused(typed: str, why: str) -> Refusal:
    """`typed` cannot be the address of a Portico."""
    return Refusal(ExitCode.USAGE, f"{typed!r} cannot be used as a host: {why}.", CURE, code="bad_host")


def is_name(name: str) -> bool:
    """Whether `name`, in lower case, is a host name in ASCII (punycode for others) or an IP address."""
    if ":" in name:
        try:
            ipaddress.IPv6Address(name)
        except ValueError:
            return False
        return "%" not in name
    return HOST_NAME.fullmatch(name) is not None


def is_loopback(name: str) -> bool:
    """Whether `name` is this very machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def segment(text: str) -> str:
    """`text` as one segment of a path: nothing in it leads elsewhere. Raises Refusal."""
    # Bytes of an argument that are no UTF-8 are surrogates here.
    if not text or text in {".", ".."} or len(text) > LONGEST_SEGMENT or re.search("[\ud800-\udfff]", text):
        raise Refusal(ExitCode.USAGE, f"{text[:50]!r} cannot be an id.", "Take one from the list.", code="bad_id")
    return quote(text, safe="")
