"""What a login costs in SQL: a fixed number of statements, whatever else there is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Session, User
from demo.issuer import AttributeSpec
from saml_sp.models import SamlSession
from tests import factories
from tests.door import CONTINUE, Browser
from tests.idp import ATTRIBUTES, Forge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saml_sp.models import IdentityProvider

# Not inside the test's own transaction, where BEGIN and COMMIT would count as SAVEPOINT and RELEASE.
pytestmark = pytest.mark.django_db(transaction=True)

BUDGET = 18


def statements(idp: IdentityProvider, browser: Browser, attributes: Sequence[AttributeSpec] = ATTRIBUTES) -> list[str]:
    """The SQL of one login, over both requests, transactions included."""
    xml = Forge(idp, timezone.now()).xml(attributes=attributes)
    with CaptureQueriesContext(connection) as captured:
        posted = browser.send(idp, xml)
        adopted = browser.get(CONTINUE)
    assert (posted.status_code, adopted.status_code) == (303, 303)
    assert browser.user is not None
    return [query["sql"] for query in captured.captured_queries]


def test_a_returning_login_stays_within_its_budget() -> None:
    idp = factories.idp()
    statements(idp, Browser())
    returning = statements(idp, Browser())
    assert {"BEGIN", "COMMIT"} <= set(returning)
    assert len(returning) <= BUDGET, "\n".join(returning)


def test_a_returning_login_over_the_same_persons_session_stays_within_its_budget() -> None:
    idp = factories.idp()
    browser = Browser()
    statements(idp, browser)
    returning = statements(idp, browser)
    assert len(returning) <= BUDGET, "\n".join(returning)


def test_the_number_of_statements_does_not_depend_on_what_else_there_is() -> None:
    idp = factories.idp()
    statements(idp, Browser())
    alone = statements(idp, Browser())
    for _ in range(5):
        other = factories.idp()
        factories.identity(other, factories.user(f"other@{other.slug}.example"))
    user = User.objects.get(identities__idp=idp)
    later = timezone.now() + timedelta(hours=1)
    for number in range(30):
        key = f"{number:032d}"
        Session.objects.create(session_key=key, session_data="", expire_date=later, user=user, adopted_at=later)
        SamlSession.objects.create(
            session_key=key, idp=idp, user=user, name_id="x", name_id_key="x" * 64, expires_at=later
        )
    many = (*ATTRIBUTES, AttributeSpec("groups", [f"g{number}" for number in range(200)]))
    crowded = statements(idp, Browser(), many)
    assert len(crowded) == len(alone), "\n".join([*alone, "", *crowded])
