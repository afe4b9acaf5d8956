"""Who calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orgs.models import Membership, MembershipRole, Organization
from tests import factories
from tests.api.calling import Program, program_of
from tests.pages.forms import PASSWORD

if TYPE_CHECKING:
    from accounts.models import User


@pytest.fixture
def lou(db: None) -> User:
    """Somebody with a local account and no rights."""
    return factories.user("Lou@Portico.example", password=PASSWORD, first_name="Lou", last_name="Reed")


@pytest.fixture
def grace(db: None) -> User:
    """A superuser with a password."""
    return factories.user("grace@portico.example", password=PASSWORD, is_staff=True, is_superuser=True)


@pytest.fixture
def program(lou: User) -> Program:
    """A program of Lou's."""
    return program_of(lou)


@pytest.fixture
def admin(grace: User) -> Program:
    """A program of the superuser's, with every scope."""
    return program_of(grace)


@pytest.fixture
def acme(lou: User) -> Organization:
    """An organisation that Lou administers."""
    organization = Organization.objects.create(external_id="acme", name="Acme")
    Membership.objects.create(user=lou, organization=organization, role=MembershipRole.ADMIN, given_by="grace")
    return organization
