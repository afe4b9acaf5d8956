"""Staff who look after organisations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import Permission

from accounts.actors import Actor
from tests import factories
from tests.pages.conftest import acme, admin, ana, grace
from tests.pages.forms import PASSWORD, sign_in_by_password

if TYPE_CHECKING:
    from accounts.models import User
    from tests.door import Browser

__all__ = ["acme", "admin", "ana", "grace"]


@pytest.fixture
def desk(db: None) -> User:
    """A member of staff who may do everything with organisations and look at people, and is no superuser."""
    person = factories.user("desk@portico.example", password=PASSWORD, is_staff=True)
    of_orgs = Permission.objects.filter(content_type__app_label="orgs")
    of_people = Permission.objects.filter(codename__in=["view_user", "change_user"])
    person.user_permissions.set([*of_orgs, *of_people])
    return person


@pytest.fixture
def clerk(desk: User) -> Browser:
    """Their browser, signed in."""
    return sign_in_by_password(desk)


@pytest.fixture
def boss() -> Actor:
    """A superuser, as the functions below the pages know one."""
    return Actor("grace@portico.example", "1", is_superuser=True)


@pytest.fixture
def staff(desk: User) -> Actor:
    """The member of staff, as the functions below the pages know one."""
    return Actor(desk.email, str(desk.pk))
