"""People who look at pages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from tests import factories
from tests.door import Browser
from tests.idp import Forge
from tests.pages.forms import PASSWORD, sign_in_by_password

if TYPE_CHECKING:
    from accounts.models import User
    from saml_sp.models import IdentityProvider


@pytest.fixture
def acme(db: None) -> IdentityProvider:
    """A customer's identity provider."""
    return factories.idp("acme", description="Acme Okta", contact="help@acme.example")


@pytest.fixture
def ana(acme: IdentityProvider) -> Browser:
    """The browser of somebody who has just come from the identity provider's portal for the first time."""
    browser = Browser()
    browser.sign_in(acme, Forge(acme, timezone.now()).xml())
    return browser


@pytest.fixture
def grace(db: None) -> User:
    """A superuser with a password."""
    return factories.user("grace@portico.example", password=PASSWORD, is_staff=True, is_superuser=True)


@pytest.fixture
def admin(grace: User) -> Browser:
    """The superuser's browser, signed in."""
    return sign_in_by_password(grace)


@pytest.fixture
def day() -> timedelta:
    """How long a session lasts unless something says otherwise."""
    return timedelta(hours=24)
