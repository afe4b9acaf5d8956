"""Fixtures for all tests."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test import override_settings
from psycopg import sql

from config import launcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker


@pytest.fixture(scope="session", autouse=True)
def fewer_rounds() -> Iterator[None]:
    """Hash passwords with the product's algorithm and fewer rounds."""
    with override_settings(PASSWORD_HASHERS=["tests.hashing.FewerRounds"]):
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The test database, which unlike a real one lets tests truncate the audit log."""
    with django_db_blocker.unblock():
        name = sql.Identifier(str(connection.settings_dict["NAME"]))
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("ALTER DATABASE {} SET portico.audit_truncate = 'on'").format(name))
        # The setting holds for connections that begin from now on.
        connection.close()


@pytest.fixture
def data(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A data folder of the test's own, whose server is stopped and which is deleted in the end."""
    folder = Path(os.environ["PORTICO_DATA"]) / hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    yield folder
    launcher.discard(folder)
