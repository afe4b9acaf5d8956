"""What the rooms below read of a person's identity provider: whether it can vouch at present, and until when it did.

`User.sso_suspended` and `User.sso_valid_until` stop API tokens; sign-ins write them, and so does what an administrator
changes here. Of several identity providers the one of the last sign-in counts, among those that are enabled. Always in
the caller's transaction, which holds the identity provider's row: that one first, then people.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Case, DurationField, Exists, ExpressionWrapper, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Coalesce

from accounts.models import User
from saml_sp.models import FederatedIdentity

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from saml_sp.models import IdentityProvider


def settle_people(idp: IdentityProvider) -> None:
    """The identity provider was enabled or disabled, or its limit changed: look anew at its people."""
    _settle(_people(idp))


def settle(user: User) -> None:
    """An identity of this person came or went: find out who can vouch now.

    A local account needs nobody: what was written down of one that it awaited stops nothing any more.
    """
    rows = User.objects.filter(pk=user.pk)
    _settle(rows.exclude(sso_label=""))
    rows.filter(sso_label="").update(sso_suspended=False, sso_valid_until=None)


def _settle(people: QuerySet[User]) -> None:
    """Who can vouch, and for how long since the last sign-in; suspended are those for whom nobody can.

    Whoever has never come counts from when the identity was made.
    """
    vouching = FederatedIdentity.objects.filter(user=OuterRef("pk"), idp__enabled=True)
    latest = vouching.order_by(F("last_sign_in").desc(nulls_last=True), "-created_at", "-pk")
    limit = ExpressionWrapper(F("idp__no_sign_in_days") * timedelta(days=1), DurationField())
    ends = latest.values_list(Coalesce("last_sign_in", "created_at") + limit)
    label = Coalesce(Subquery(latest.values("idp__description")[:1]), F("sso_label"))
    people.update(
        sso_suspended=~Exists(vouching),
        sso_valid_until=Subquery(ends[:1]),
        sso_label=Case(When(sso_label="", then=Value("")), default=label),
    )


def _people(idp: IdentityProvider) -> QuerySet[User]:
    """Whoever has an identity there, locked in the order in which everybody locks several people."""
    locked = User.objects.filter(Exists(FederatedIdentity.objects.filter(user=OuterRef("pk"), idp=idp)))
    keys = list(locked.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    return User.objects.filter(pk__in=keys)
