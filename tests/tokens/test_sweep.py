"""`manage.py sweep_tokens` deletes what ended long ago, and only that."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.utils import timezone

from audit.kinds import Kind
from audit.models import Event
from tests.tokens.making import OPERATOR, token_of
from tokens import issuing
from tokens.models import ApiToken, RefusedAddress

if TYPE_CHECKING:
    from accounts.models import User

pytestmark = pytest.mark.django_db


def sweep() -> list[str]:
    out = io.StringIO()
    call_command("sweep_tokens", stdout=out)
    return out.getvalue().splitlines()


def test_it_deletes_tokens_that_ended_long_ago_and_says_how_many(lou: User) -> None:
    now = timezone.now()
    for name, made, days, revoked in (
        ("works", 80, 90, None),
        ("just expired", 90, 1, None),
        ("expired long ago", 92, 1, None),
        ("just revoked", 100, 365, 89),
        ("revoked long ago", 100, 365, 91),
        ("revoked after its end", 100, 1, 5),
    ):
        token, _text = token_of(lou, name=name, days=days, now=now - timedelta(days=made))
        if revoked is not None:
            issuing.revoke(token, now=now - timedelta(days=revoked), actor=OPERATOR)
    RefusedAddress.objects.create(address="192.0.2.1", began_at=now - timedelta(hours=2), count=1)
    RefusedAddress.objects.create(address="192.0.2.2", began_at=now, count=1)
    assert sweep() == ["ended tokens: 3 deleted", "counts of refused tokens: 1 deleted"]
    assert set(ApiToken.objects.values_list("name", flat=True)) == {"works", "just expired", "just revoked"}
    assert Event.objects.filter(kind=Kind.TOKEN_CREATED).count() == 6
    assert sweep() == ["ended tokens: 0 deleted", "counts of refused tokens: 0 deleted"]
