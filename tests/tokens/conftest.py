"""Owners of tokens, and what is mailed to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from tests.accounts.conftest import browser, lou, outbox, sam
from tests.pages.conftest import acme, admin, ana, grace
from tests.tokens.making import OPERATOR
from tokens import service_accounts

if TYPE_CHECKING:
    from tokens.models import ServiceAccount

__all__ = ["acme", "admin", "ana", "browser", "grace", "lou", "outbox", "sam"]


@pytest.fixture
def robot(db: None) -> ServiceAccount:
    """A service account."""
    return service_accounts.create(
        name="Nightly report", contact="ops@portico.example", now=timezone.now(), actor=OPERATOR
    )
