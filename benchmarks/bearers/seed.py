"""Make people with a token of each library; prints the tokens as JSON: python -m benchmarks.bearers.seed NAME COUNT."""

from __future__ import annotations

import json
import sys

import django

django.setup()

from django.utils import timezone  # noqa: E402 - the settings come first
from knox.models import AuthToken  # noqa: E402 - as above
from rest_framework.authtoken.models import Token  # noqa: E402 - as above

from accounts.actors import Actor  # noqa: E402 - as above
from accounts.models import User  # noqa: E402 - as above
from tokens import issuing  # noqa: E402 - as above


def seed(name: str, count: int) -> list[dict[str, str]]:
    """The people's addresses, and the text of each one's tokens by library."""
    made = []
    for number in range(count):
        user = User.objects.create_user(f"{name}{number}@bench.example")
        _token, secret = issuing.create(
            user, name="bench", scopes=["read:self"], expires_in_days=90, now=timezone.now(), actor=Actor("benchmark")
        )
        _knox, knox = AuthToken.objects.create(user)
        plain = Token.objects.create(user=user)
        made.append({"email": user.email, "portico": secret.reveal(), "authtoken": plain.key, "knox": knox})
    return made


if __name__ == "__main__":
    print(json.dumps(seed(sys.argv[1], int(sys.argv[2]))))
