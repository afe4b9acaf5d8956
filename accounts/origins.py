"""Where a request comes from, as far as can be believed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest

MAX_USER_AGENT = 300


@dataclass(frozen=True, slots=True)
class Origin:
    """The client's address (None when it cannot be told) and what its browser calls itself."""

    ip: str | None
    user_agent: str

    @classmethod
    def of(cls, request: HttpRequest) -> Origin:
        """Read both from a request; X-Forwarded-For counts as far as PORTICO_PROXY_HOPS proxies of ours wrote it."""
        address = request.META.get("REMOTE_ADDR", "")
        if hops := settings.PORTICO_PROXY_HOPS:
            forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
            address = forwarded[-hops] if len(forwarded) >= hops else ""
        agent = "".join(character for character in request.headers.get("User-Agent", "") if character.isprintable())
        return cls(ip=_address(address), user_agent=agent[:MAX_USER_AGENT])


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # A socket for both kinds writes IPv4 so (RFC 4291 2.5.5.2); a zone (RFC 4007 11) is our own interface's name.
        return str(address.ipv4_mapped or ipaddress.IPv6Address(int(address)))
    return str(address)
