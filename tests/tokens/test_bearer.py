"""The bearer check: who is let in, who is refused and with which code, and what it costs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.deactivation import deactivate, reactivate
from accounts.models import LocalSignIn, SignInPolicy
from accounts.origins import Origin
from tests import factories
from tests.tokens.making import OPERATOR, token_of
from tokens import bearer, secrets, throttle
from tokens.models import ApiToken, RefusedAddress

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.models import User
    from tokens.models import ServiceAccount

pytestmark = pytest.mark.django_db
HERE = Origin(ip="192.0.2.7", user_agent="portico-cli/1.0")


def use(text: str, now: datetime | None = None, origin: Origin = HERE, scheme: str = "Bearer") -> ApiToken:
    return bearer.authenticate(f"{scheme} {text}", now=now or timezone.now(), origin=origin)


def refusal(header: str, now: datetime | None = None, ip: str = "192.0.2.7") -> bearer.BearerRefused:
    with pytest.raises(bearer.BearerRefused) as caught:
        bearer.authenticate(header, now=now or timezone.now(), origin=Origin(ip=ip, user_agent=""))
    return caught.value


def only_passwords_of_break_glass_people() -> None:
    SignInPolicy.objects.create(local_sign_in=LocalSignIn.BREAK_GLASS)


@pytest.fixture
def owner() -> User:
    return factories.user()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "apk", "APK"])
def test_a_token_lets_its_owner_in_by_either_scheme(owner: User, scheme: str) -> None:
    token, text = token_of(owner)
    used = use(text, scheme=scheme)
    assert (used.pk, used.user) == (token.pk, owner)


def test_a_use_within_the_same_minute_costs_one_query_and_a_later_one_two(owner: User) -> None:
    _token, text = token_of(owner)
    now = timezone.now()
    use(text, now)
    with CaptureQueriesContext(connection) as within:
        used = use(text, now + timedelta(seconds=59))
        assert used.user.email == owner.email
    assert len(within) == 1
    with CaptureQueriesContext(connection) as later:
        use(text, now + timedelta(seconds=60))
    assert len(later) == 2


def test_it_writes_down_when_from_where_and_by_what_it_was_used(owner: User) -> None:
    token, text = token_of(owner)
    now = timezone.now()
    assert use(text, now).last_used_at == now
    token.refresh_from_db()
    assert (token.last_used_at, token.last_used_ip, token.last_used_by) == (now, HERE.ip, HERE.user_agent)
    use(text, now + timedelta(seconds=59), Origin(ip=None, user_agent="other"))
    token.refresh_from_db()
    assert (token.last_used_at, token.last_used_by) == (now, HERE.user_agent)


def test_of_two_uses_that_saw_no_earlier_one_the_first_is_written_down(owner: User) -> None:
    token, text = token_of(owner)
    stale = ApiToken.objects.get(pk=token.pk)
    now = timezone.now()
    use(text, now)
    bearer._note_use(stale, now + timedelta(seconds=1), Origin(ip="192.0.2.8", user_agent="slower"))
    token.refresh_from_db()
    assert (token.last_used_at, token.last_used_ip) == (now, HERE.ip)
    assert stale.last_used_at is None


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "Basic dXNlcjpwYXNz", "ptc_abc", "Token ptc_abc"])
def test_it_refuses_a_header_without_a_token(header: str) -> None:
    assert refusal(header).code == "token_missing"


def test_it_refuses_what_cannot_be_a_token_without_a_query(owner: User) -> None:
    _token, text = token_of(owner)
    spoiled = ["ptc_", text[:-1], text + "0", f"{text} {text}", text.replace("ptc_", "PTC_"), "é" * 50, "0" * 100_000]
    swapped = text[:10] + ("a" if text[10] != "a" else "b") + text[11:]
    with CaptureQueriesContext(connection) as queries:
        for bad in [*spoiled, swapped]:
            refused = refusal(f"Bearer {bad}")
            assert refused.code == "token_malformed"
            assert bad not in refused.detail
    assert len(queries) == 0


def test_it_refuses_a_token_that_nobody_was_given() -> None:
    assert refusal(f"Bearer {secrets.mint().reveal()}").code == "token_unknown"


def test_it_refuses_a_revoked_token(owner: User) -> None:
    token, text = token_of(owner)
    ApiToken.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
    assert refusal(f"Bearer {text}").code == "token_revoked"


def test_it_refuses_an_expired_token_from_the_moment_of_its_end_on(owner: User) -> None:
    token, text = token_of(owner)
    use(text, token.expires_at - timedelta(seconds=1))
    assert refusal(f"Bearer {text}", token.expires_at).code == "token_expired"


def test_it_refuses_a_token_whose_owner_was_switched_off_and_reactivation_brings_it_back_in_no_way(owner: User) -> None:
    token, text = token_of(owner)
    ended = deactivate(owner, now=timezone.now(), actor=OPERATOR)
    assert ended["API tokens"] == 1
    assert refusal(f"Bearer {text}").code == "owner_inactive"
    reactivate(owner, now=timezone.now(), actor=OPERATOR)
    assert refusal(f"Bearer {text}").code == "token_revoked"
    token.refresh_from_db()
    assert token.revoked_by == "the account was switched off"


def test_it_refuses_the_owner_who_is_inactive_whatever_became_of_the_token(owner: User) -> None:
    _token, text = token_of(owner)
    type(owner).objects.filter(pk=owner.pk).update(is_active=False)
    assert refusal(f"Bearer {text}").code == "owner_inactive"


def test_it_refuses_while_the_identity_provider_is_disabled_and_names_it(owner: User) -> None:
    _token, text = token_of(owner)
    owner.sso_label, owner.sso_suspended = "Acme Okta", True
    owner.save()
    refused = refusal(f"Bearer {text}")
    assert (refused.code, refused.idp) == ("idp_disabled", "Acme Okta")
    assert "Acme Okta" in refused.detail
    owner.sso_suspended = False
    owner.save()
    assert use(text).user == owner


def test_it_refuses_when_the_identity_provider_has_not_vouched_for_too_long(owner: User) -> None:
    _token, text = token_of(owner)
    now = timezone.now()
    owner.sso_label, owner.sso_valid_until = "Acme Okta", now + timedelta(days=1)
    owner.save()
    use(text, now)
    refused = refusal(f"Bearer {text}", now + timedelta(days=1))
    assert (refused.code, refused.idp) == ("sign_in_needed", "Acme Okta")
    assert refused.detail == "Sign in through Acme Okta to go on."


def test_it_refuses_somebody_who_has_a_password_only_while_passwords_are_switched_off(owner: User) -> None:
    _token, text = token_of(owner)
    only_passwords_of_break_glass_people()
    assert refusal(f"Bearer {text}").code == "password_sign_in_off"
    SignInPolicy.objects.update(local_sign_in=LocalSignIn.EVERYONE)
    assert use(text).user == owner


@pytest.mark.parametrize(
    "facts",
    [
        {"is_break_glass": True, "is_staff": True, "is_superuser": True},
        {"sso_label": "Acme Okta"},
    ],
)
def test_it_lets_in_whom_the_policy_does_not_concern(facts: dict[str, Any]) -> None:
    owner = factories.user(**facts)
    _token, text = token_of(owner)
    only_passwords_of_break_glass_people()
    assert use(text).user == owner


def test_a_service_account_has_no_password_that_could_be_switched_off(robot: ServiceAccount) -> None:
    _token, text = token_of(robot.user)
    only_passwords_of_break_glass_people()
    assert use(text).user == robot.user


def test_staff_who_have_both_ways_in_keep_their_tokens_while_one_is_open() -> None:
    staff = factories.user(password="a long password indeed", is_staff=True, sso_label="Acme Okta", sso_suspended=True)
    _token, text = token_of(staff)
    assert use(text).user == staff
    only_passwords_of_break_glass_people()
    assert refusal(f"Bearer {text}").code == "idp_disabled"
    staff.sso_suspended = False
    staff.save()
    assert use(text).user == staff


def test_too_many_refusals_at_one_address_are_told_to_wait_and_others_are_not(owner: User) -> None:
    _token, text = token_of(owner)
    unknown = f"Bearer {secrets.mint().reveal()}"
    now = timezone.now()
    for _ in range(throttle.MOST):
        assert refusal(unknown, now).code == "token_unknown"
    with pytest.raises(bearer.TooMany) as caught:
        bearer.authenticate(unknown, now=now + timedelta(seconds=20), origin=HERE)
    assert caught.value.retry_after == 40
    assert "knows no such token" in str(caught.value)
    assert use(text, now).user == owner
    assert refusal(unknown, now, ip="192.0.2.8").code == "token_unknown"
    assert refusal(unknown, now + timedelta(minutes=1)).code == "token_unknown"


def test_addresses_of_one_ipv6_network_count_as_one_client_and_unknown_ones_too() -> None:
    now = timezone.now()
    for ip in ("2001:db8::1", "2001:db8::2", None, None):
        throttle.seconds_to_wait(ip, now)
    assert dict(RefusedAddress.objects.values_list("address", "count")) == {"2001:db8::/64": 2, "unknown": 2}


def test_ipv4_clients_of_a_socket_for_both_kinds_are_told_apart() -> None:
    now = timezone.now()
    for address in ("::ffff:192.0.2.1", "::ffff:192.0.2.2"):
        throttle.seconds_to_wait(Origin.of(RequestFactory().get("/", REMOTE_ADDR=address)).ip, now)
    assert set(RefusedAddress.objects.values_list("pk", flat=True)) == {"192.0.2.1", "192.0.2.2"}


def test_a_client_on_the_same_link_is_written_down_without_the_name_of_our_interface(owner: User) -> None:
    token, text = token_of(owner)
    origin = Origin.of(RequestFactory().get("/", REMOTE_ADDR="fe80::1%eth0"))
    use(text, origin=origin)
    token.refresh_from_db()
    assert token.last_used_ip == "fe80::1"
    assert throttle.seconds_to_wait(origin.ip, timezone.now()) is None


def test_addresses_that_have_been_quiet_are_forgotten() -> None:
    now = timezone.now()
    throttle.seconds_to_wait("192.0.2.1", now - timedelta(hours=2))
    throttle.seconds_to_wait("192.0.2.2", now - timedelta(minutes=30))
    throttle.seconds_to_wait("192.0.2.3", now)
    assert set(RefusedAddress.objects.values_list("pk", flat=True)) == {"192.0.2.2", "192.0.2.3"}
