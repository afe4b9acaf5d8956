"""Too many refused tokens from one address.

Only refusals are counted, and only they are answered with 429: whoever brings a token that opens the door is never kept
waiting for what others at the same address do. What is no token at all never reaches the database, so neither does its
count. One statement per refusal, shared by all processes and nodes.
"""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection

from tokens.models import RefusedAddress

if TYPE_CHECKING:
    from datetime import datetime

WINDOW = timedelta(minutes=1)
MOST = 30
_IPV6_PREFIX = 64  # one customer's network: its addresses are all the same person's
STALE = timedelta(hours=1)
_SWEPT = 1000

_COUNT = """
    INSERT INTO tokens_refusedaddress AS held (address, began_at, count) VALUES (%(address)s, %(now)s, 1)
    ON CONFLICT (address) DO UPDATE SET
        count = CASE WHEN held.began_at <= %(stale)s THEN 1 ELSE held.count + 1 END,
        began_at = CASE WHEN held.began_at <= %(stale)s THEN excluded.began_at ELSE held.began_at END
    RETURNING began_at, count
"""


def seconds_to_wait(ip: str | None, now: datetime) -> int | None:
    """Count one refusal; None, or how long this client should wait when there were too many within a minute."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"address": _counted(ip), "now": now, "stale": now - WINDOW})
        row: tuple[datetime, int] = cursor.fetchone()
    began_at, count = row
    if count == 1:
        _sweep(now)
    if count <= MOST:
        return None
    return max(1, round((began_at + WINDOW - now).total_seconds()))


def _counted(ip: str | None) -> str:
    """What counts as one client; those whose address cannot be told share one count."""
    if ip is None:
        return "unknown"
    address = ipaddress.ip_address(ip)
    return ip if address.version == 4 else str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))  # noqa: PLR2004 - the version


def _sweep(now: datetime) -> None:
    """Forget addresses that have been quiet. Rows that another process holds are left to it."""
    stale = RefusedAddress.objects.filter(began_at__lt=now - STALE).select_for_update(skip_locked=True)
    RefusedAddress.objects.filter(pk__in=stale.values("pk")[:_SWEPT]).delete()
