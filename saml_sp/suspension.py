"""What the rooms below read of a person's identity provider: whether it can vouch at present, and until when it did.

`User.sso_suspended` and `User.sso_valid_until` stop API tokens; sign-ins write them, and so does what an administrator
changes here. Always in the caller's transaction, which holds the identity provider's row: that one first, then people.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Subquery
from django.db.models.functions import Coalesce

from accounts.models import User
from saml_sp.models import FederatedIdentity

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from saml_sp.models import IdentityProvider


def suspend(idp: IdentityProvider) -> int:
    """The identity provider is disabled: whoever has no other that can vouch is suspended; returns how many."""
    return _people(idp).filter(~Exists(_vouching())).update(sso_suspended=True)


def resume(idp: IdentityProvider) -> int:
    """The identity provider is enabled again, and with it its people; returns how many."""
    return _people(idp).filter(sso_suspended=True).update(sso_suspended=False)


def settle(user: User) -> None:
    """An identity of this person is gone: see whether there is another one that can vouch.

    A local account needs none: what was written down of one that it awaited stops nothing any more.
    """
    rows = User.objects.filter(pk=user.pk)
    rows.exclude(sso_label="").update(sso_suspended=~Exists(_vouching()))
    rows.filter(sso_label="").update(sso_suspended=False, sso_valid_until=None)


def renew_limits(idp: IdentityProvider) -> int:
    """How long tokens work without a sign-in has changed: counted anew from each person's last one.

    Somebody who has never come counts from when the identity was made. Returns how many people.
    """
    if idp.no_sign_in_days is None:
        return _people(idp).filter(sso_valid_until__isnull=False).update(sso_valid_until=None)
    seen = Coalesce("last_sign_in", "created_at")
    theirs = FederatedIdentity.objects.filter(user=OuterRef("pk"), idp=idp)
    last = theirs.order_by(seen.desc()).values_list(seen + timedelta(days=idp.no_sign_in_days))
    return _people(idp).update(sso_valid_until=Subquery(last[:1]))


def _vouching() -> QuerySet[FederatedIdentity]:
    return FederatedIdentity.objects.filter(user=OuterRef("pk"), idp__enabled=True)


def _people(idp: IdentityProvider) -> QuerySet[User]:
    """Whoever has an identity there, locked in the order in which everybody locks several people."""
    locked = User.objects.filter(Exists(FederatedIdentity.objects.filter(user=OuterRef("pk"), idp=idp)))
    keys = list(locked.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    return User.objects.filter(pk__in=keys)
