"""Things that can be given, and giving them: rows as an administrator or an identity provider leaves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orgs.models import Organization, Source

if TYPE_CHECKING:
    from accounts.models import User
    from orgs.models import Grant

WHEN = datetime(2026, 5, 11, 8, 52, tzinfo=UTC)
BY = "grace@portico.example"


def organization(name: str = "Northwind", external_id: str = "northwind") -> Organization:
    """An organisation."""
    return Organization.objects.create(name=name, external_id=external_id)


def by_hand(model: type[Grant], user: User | None, **facts: Any) -> Any:
    """What an administrator gave; `user` may be whoever is signed in somewhere."""
    assert user
    return model.objects.create(user=user, **{"given_by": BY, "given_at": WHEN, **facts})


def by_word(model: type[Grant], user: User | None, *, via: str = "groups", value: str = "staff", **facts: Any) -> Any:
    """What an identity provider said."""
    assert user
    said = {
        "source": Source.IDP, "source_id": "1", "given_by": "Acme Okta", "given_at": WHEN, "via": via,
        "attribute": via.title(), "value": value,
    }  # fmt: skip
    return model.objects.create(user=user, **{**said, **facts})
