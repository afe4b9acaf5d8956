"""People with accounts of several kinds, and what is mailed to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accounts import mail
from tests import factories
from tests.accounts.people import Outbox
from tests.pages.conftest import acme, admin, ana, grace
from tests.pages.forms import PASSWORD, sign_in_by_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accounts.models import User
    from saml_sp.models import IdentityProvider
    from tests.door import Browser

__all__ = ["acme", "admin", "ana", "grace"]


@pytest.fixture
def lou(db: None) -> User:
    """Somebody with a local account and no rights."""
    return factories.user("Lou@Portico.example", password=PASSWORD, first_name="Lou")


@pytest.fixture
def browser(lou: User) -> Browser:
    """Lou's browser, signed in."""
    return sign_in_by_password(lou)


@pytest.fixture
def sam(acme: IdentityProvider) -> User:
    """Somebody whom the identity provider manages, and who still has the password of the time before."""
    acme.portal_url = "https://portal.acme.example/"
    acme.save()
    return factories.user("sam@customer.example", password=PASSWORD, sso_label=str(acme))


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    """What was mailed; nothing is left on its way when the test ends."""
    yield Outbox()
    mail.settle()
