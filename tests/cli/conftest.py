"""A server, somebody's machine with the client on it, and people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.tests.terminal import Machine
from tests import factories
from tests.pages.forms import PASSWORD
from tests.serving import serving
from tests.tokens.making import token_of
from tokens.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from accounts.models import User
    from saml_sp.models import IdentityProvider


@pytest.fixture(scope="package")
def host(django_db_setup: None) -> Iterator[str]:
    """The address of a real Portico on the test database."""
    with serving(workers=1, threads=4) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Where nobody has signed in."""
    return Machine(tmp_path)


@pytest.fixture
def lou(transactional_db: None) -> User:
    """Somebody with a local account and no rights."""
    return factories.user("lou@portico.example", password=PASSWORD, first_name="Lou", last_name="Reed")


@pytest.fixture
def acme(transactional_db: None) -> IdentityProvider:
    """A customer's identity provider."""
    return factories.idp("acme", description="Acme Okta")


@pytest.fixture
def admin(tmp_path: Path, host: str, transactional_db: None) -> Machine:
    """The machine of a superuser, whose token is in the environment."""
    grace = factories.user("grace@portico.example", is_staff=True, is_superuser=True)
    folder = tmp_path / "grace"
    folder.mkdir()
    return Machine(folder, {"PORTICO_HOST": host, "PORTICO_TOKEN": token_of(grace, scopes=tuple(Scope))[1]})
