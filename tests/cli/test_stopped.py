"""A token stops with its owner's right to sign in, and the client says why."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from accounts.deactivation import deactivate, reactivate
from accounts.models import User
from saml_sp.models import FederatedIdentity
from tests.door import Browser
from tests.idp import Forge
from tests.tokens.making import OPERATOR, token_of

if TYPE_CHECKING:
    from cli.tests.terminal import Machine
    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ana(machine: Machine, host: str, acme: IdentityProvider) -> Machine:
    """The machine of somebody who came through the identity provider and made a token."""
    Browser().sign_in(acme, Forge(acme, timezone.now()).xml())
    machine.env = {"PORTICO_HOST": host, "PORTICO_TOKEN": token_of(User.objects.get())[1]}
    return machine


def test_an_account_that_is_switched_off_stops_its_token_for_good(ana: Machine) -> None:
    user = User.objects.get()
    deactivate(user, now=timezone.now(), actor=OPERATOR)
    done = ana.run("whoami")
    assert done.code == 4
    assert "The account of this token's owner is switched off. Ask your administrator." in done.err
    reactivate(user, now=timezone.now(), actor=OPERATOR)
    done = ana.run("whoami")
    assert done.code == 4
    assert "This token was revoked on" in done.err


def test_a_disabled_identity_provider_stops_the_tokens_of_its_people_until_it_is_enabled(
    ana: Machine, admin: Machine
) -> None:
    shown = admin.run("saml", "show", "acme").out
    off = admin.run("saml", "apply", "--yes", "-", stdin=shown.replace("enabled: true", "enabled: false"))
    assert off.code == 0, off.err
    assert "enabled: true -> false" in off.out
    assert "Note: Nobody can sign in through it any more; 1 session(s) that it vouched for end." in off.out
    done = ana.run("whoami", "--json")
    assert (done.code, done.error["code"], done.error["idp"]) == (4, "idp_disabled", "Acme Okta")
    assert "Acme Okta is switched off here for the moment." in done.error["message"]
    assert admin.run("saml", "apply", "--yes", "-", stdin=shown).code == 0
    assert ana.run("whoami", "--json").told["identity_provider"] == "Acme Okta"


def test_somebody_who_has_not_signed_in_for_long_is_sent_to_do_so(ana: Machine, admin: Machine) -> None:
    FederatedIdentity.objects.update(last_sign_in=timezone.now() - timedelta(days=31))
    shown = admin.run("saml", "show", "acme").out
    limited = shown.replace("no_sign_in_days: null", "no_sign_in_days: 30")
    assert admin.run("saml", "apply", "--yes", "-", stdin=limited).code == 0
    done = ana.run("whoami")
    assert done.code == 4
    assert "Sign in through Acme Okta to go on." in done.err
    assert f"Sign in once in your browser, through your identity provider (Acme Okta): {ana.env['PORTICO_HOST']}/" in (
        done.err
    )
