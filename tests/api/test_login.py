"""Signing in by password without a browser, and who is told to go elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import get_hasher
from django.test import override_settings
from django.utils import timezone

from accounts.actors import Actor
from accounts.deactivation import deactivate
from accounts.models import CacheEntry, LocalSignIn, Session, SignInPolicy, User
from audit.kinds import Kind
from audit.models import Event
from saml_sp.models import EmailDomain, IdentityProvider
from tests import factories
from tests.accounts.people import code, recovery_codes, set_up_app
from tests.api.calling import Program, log_in
from tests.pages.forms import PASSWORD, sign_in_by_password
from tokens import service_accounts
from tokens.models import ApiToken

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db

SSO = "SSORequiredError: The user is registered via single sign-on and may only log in through the identity provider"


# --- In -------------------------------------------------------------------------------------------------------------


def test_a_local_user_gets_a_token_and_no_session(lou: User) -> None:
    answer = log_in("lou@portico.example")
    assert answer.status == 201
    token = ApiToken.objects.get()
    assert answer.body["api_token"]["id"] == str(token.pk)
    assert (token.user, token.name, token.scopes) == (lou, "Command line", ["read:self", "write:tokens", "read:org"])
    assert Program(answer.body["token"]).get("/whoami").body["user"]["email"] == lou.email
    assert not Session.objects.exists()
    assert "Set-Cookie" not in answer.headers
    lou.refresh_from_db()
    assert lou.last_login is not None


def test_it_is_on_record(lou: User) -> None:
    log_in(lou.email)
    event = Event.objects.get(kind=Kind.API_SIGN_IN)
    assert (event.actor, event.subject_id, event.ip) == (lou.email, str(lou.pk), "127.0.0.1")
    assert not Event.objects.filter(kind__in=(Kind.LOCAL_SIGN_IN, Kind.API_SIGN_IN_REFUSED)).exists()


def test_name_scopes_and_days_may_be_chosen(lou: User) -> None:
    answer = log_in(lou.email, name="Laptop", scopes=["read:self"], expires_in_days=2)
    assert answer.body["api_token"]["name"] == "Laptop"
    assert answer.body["api_token"]["scopes"] == ["read:self"]
    token = ApiToken.objects.get()
    assert (token.expires_at - token.created_at).days == 2


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"scopes": ["admin:users"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"expires_in_days": 366}, "expires_in_days"),
        ({"name": " "}, "name"),
    ],
)
def test_what_no_token_can_have_is_refused(lou: User, members: dict[str, Any], field: str) -> None:
    assert log_in(lou.email, **members).fields == [field]
    assert not ApiToken.objects.exists()


def test_blanks_of_a_password_count(db: None) -> None:
    factories.user("blank@portico.example", password=f" {PASSWORD} ")
    assert log_in("blank@portico.example").code == "credentials_wrong"
    assert log_in("blank@portico.example", f" {PASSWORD} ").status == 201


# --- Wrong ----------------------------------------------------------------------------------------------------------


def off(lou: User) -> None:
    deactivate(lou, now=timezone.now(), actor=Actor.command("tests"))


def unusable(lou: User) -> None:
    lou.set_unusable_password()
    lou.save()


def nothing(lou: User) -> None:
    pass


@pytest.mark.parametrize(
    ("prepare", "email", "password"),
    [
        (nothing, "lou@portico.example", "wrong"),
        (nothing, "nobody@portico.example", PASSWORD),
        (off, "lou@portico.example", PASSWORD),
        (unusable, "lou@portico.example", PASSWORD),
        (unusable, "lou@portico.example", "!"),
    ],
)
def test_whatever_is_wrong_looks_alike_and_costs_one_hash(
    lou: User, prepare: Callable[[User], None], email: str, password: str, counted: list[int]
) -> None:
    prepare(lou)
    counted.clear()
    answer = log_in(email, password)
    assert (answer.status, answer.code) == (401, "credentials_wrong")
    assert answer.body["detail"] == "E-mail and password do not match an account here."
    assert len(counted) == 1
    event = Event.objects.get(kind=Kind.API_SIGN_IN_REFUSED)
    assert (event.subject, event.data) == (email, {"code": "credentials_wrong"})
    assert not Event.objects.filter(kind=Kind.LOCAL_SIGN_IN_REFUSED).exists()


@pytest.fixture
def counted() -> Any:
    """How often a password was hashed."""
    hasher = type(get_hasher())
    made: list[int] = []

    class Counting(hasher):  # type: ignore[misc, valid-type]  # whichever the tests use
        def encode(self, *args: Any, **kwargs: Any) -> str:
            made.append(1)
            encoded: str = super().encode(*args, **kwargs)
            return encoded

    globals()["Counting"] = Counting
    with override_settings(PASSWORD_HASHERS=["tests.api.test_login.Counting"]):
        yield made


@pytest.mark.parametrize(
    "email", ["", "lou", "Lou <lou@portico.example>", " lou@portico.example", "löu@portico.example"]
)
def test_what_is_no_address_is_a_wrong_value(email: str) -> None:
    assert log_in(email).fields == ["email"]


def test_five_failures_close_an_account_for_a_while(lou: User) -> None:
    assert [log_in(lou.email, "wrong").status for _ in range(5)] == [401] * 5
    late = log_in(lou.email)
    assert (late.status, late.code, late.headers["Retry-After"]) == (429, "too_many", "300")


def test_failures_at_the_page_count_here_too(lou: User) -> None:
    for _ in range(5):
        assert log_in(lou.email, "wrong").status == 401
    with pytest.raises(AssertionError):
        sign_in_by_password(lou)


def test_one_client_is_limited_before_anything_else(db: None) -> None:
    program = Program()
    wrong = {"email": "ana@customer.example", "password": "x"}
    statuses = [program.post("/login", wrong).status for _ in range(31)]
    assert 429 in statuses
    assert statuses[-1] == 429


# --- Through an identity provider ------------------------------------------------------------------------------------


@pytest.fixture
def okta(db: None) -> IdentityProvider:
    """An identity provider that owns a domain."""
    idp = factories.idp("okta")
    EmailDomain.objects.create(idp=idp, domain="customer.example", verified_at=timezone.now(), proof="dns")
    return idp


def must_go_elsewhere(email: str) -> None:
    for password in (PASSWORD, "wrong"):
        answer = log_in(email, password)
        assert (answer.status, answer.code, answer.body["detail"]) == (403, "SSORequiredError", SSO)
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("email", ["known@customer.example", "unknown@customer.example", "KNOWN@Customer.Example"])
def test_every_address_of_a_verified_domain_goes_to_its_identity_provider(
    okta: IdentityProvider, email: str, *, enabled: bool
) -> None:
    factories.user("known@customer.example", password=PASSWORD)
    okta.enabled = enabled
    okta.save()
    must_go_elsewhere(email)


def test_a_claim_that_does_not_count_leads_nobody(okta: IdentityProvider) -> None:
    EmailDomain.objects.update(verified_at=None)
    factories.user("known@customer.example", password=PASSWORD)
    assert log_in("known@customer.example").status == 201


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("make", [factories.identity, factories.pending])
def test_every_sso_account_does_bound_or_awaited_whatever_its_password(
    okta: IdentityProvider, lou: User, make: Callable[..., object], *, enabled: bool
) -> None:
    make(okta, lou)
    okta.enabled = enabled
    okta.save()
    must_go_elsewhere(lou.email)


def test_an_account_that_was_vouched_for_does_though_its_identity_is_gone(lou: User) -> None:
    lou.sso_label = "Acme Okta"
    lou.save()
    must_go_elsewhere(lou.email)


def test_an_address_that_is_awaited_does_before_there_is_such_an_account(okta: IdentityProvider, lou: User) -> None:
    factories.pending(okta, factories.user("other@elsewhere.example"), "asserted@elsewhere.example")
    must_go_elsewhere("asserted@elsewhere.example")
    assert log_in(lou.email).status == 201


def test_staff_with_an_identity_do(okta: IdentityProvider, grace: User) -> None:
    factories.identity(okta, grace)
    must_go_elsewhere(grace.email)


def test_a_break_glass_administrator_gets_in_all_the_same(okta: IdentityProvider) -> None:
    keeper = factories.user(
        "keeper@customer.example", password=PASSWORD, is_staff=True, is_superuser=True, is_break_glass=True
    )
    factories.identity(okta, keeper)
    assert log_in(keeper.email).status == 201
    assert Event.objects.filter(kind=Kind.BREAK_GLASS_SIGN_IN).count() == 1


def test_the_refusal_is_on_record(okta: IdentityProvider) -> None:
    log_in("ana@customer.example")
    event = Event.objects.get(kind=Kind.API_SIGN_IN_REFUSED)
    assert (event.subject, event.data) == ("ana@customer.example", {"code": "SSORequiredError"})


# --- The site's policy ----------------------------------------------------------------------------------------------


def test_passwords_that_are_switched_off_are_so_for_all_but_break_glass_administrators(lou: User, grace: User) -> None:
    SignInPolicy.objects.create(local_sign_in=LocalSignIn.BREAK_GLASS)
    for email, password in ((lou.email, PASSWORD), ("nobody@portico.example", "x"), (grace.email, PASSWORD)):
        answer = log_in(email, password)
        assert (answer.status, answer.code) == (403, "password_sign_in_off")
    grace.is_break_glass = True
    grace.save()
    assert log_in(grace.email, "wrong").code == "password_sign_in_off"
    assert log_in(grace.email).status == 201


def test_a_right_password_that_opens_nothing_is_not_told_from_a_wrong_one_by_trying_on(lou: User) -> None:
    SignInPolicy.objects.create(local_sign_in=LocalSignIn.BREAK_GLASS)
    right = [log_in(lou.email).status for _ in range(7)]
    CacheEntry.objects.all().delete()
    assert right == [log_in(lou.email, "wrong").status for _ in range(7)]


# --- Second factors -------------------------------------------------------------------------------------------------


@pytest.fixture
def app(lou: User) -> str:
    """The secret of Lou's authenticator app."""
    return set_up_app(sign_in_by_password(lou))


def test_a_second_factor_is_asked_for_and_works_once(lou: User, app: str) -> None:
    asked = log_in(lou.email)
    assert (asked.status, asked.code) == (401, "second_factor_required")
    assert asked.body["methods"] == ["totp", "recovery_code"]
    now = code(app)
    done = log_in(lou.email, code=f"{now[:3]} {now[3:]}")
    assert done.status == 201
    again = log_in(lou.email, code=now)
    assert (again.status, again.code) == (401, "second_factor_wrong")
    assert Event.objects.get(kind=Kind.API_SIGN_IN).data["second_factor"] == "totp"
    assert Event.objects.filter(kind=Kind.API_SIGN_IN_REFUSED).count() == 1


def test_a_code_used_at_the_page_is_used_here(lou: User, app: str) -> None:
    # Setting the app up took the code of the step before.
    assert log_in(lou.email, code=code(app, -1)).code == "second_factor_wrong"


@pytest.mark.parametrize("written", ["{}-{}", "{}.{}", "{} {}", "#{}{}"])
def test_a_used_code_stays_used_however_it_is_written(lou: User, app: str, written: str) -> None:
    now = code(app)
    assert log_in(lou.email, code=now).status == 201
    # allauth's own memory of it, which lasts for one step of the three in which the code is valid.
    assert CacheEntry.objects.filter(cache_key__contains="allauth.mfa.totp.used").delete()[0]
    again = log_in(lou.email, code=written.format(now[:3], now[3:]))
    assert again.code == "second_factor_wrong"


def test_a_recovery_code_works_once(lou: User) -> None:
    browser = sign_in_by_password(lou)
    set_up_app(browser)
    one = recovery_codes(browser)[0]
    assert log_in(lou.email, code=one).status == 201
    assert log_in(lou.email, code=one).code == "second_factor_wrong"


def test_no_code_is_looked_at_without_the_password(lou: User, app: str) -> None:
    assert log_in(lou.email, "wrong", code=code(app)).code == "credentials_wrong"
    assert log_in(lou.email, code=code(app)).status == 201


def test_guessing_codes_is_slowed_down(lou: User, app: str) -> None:
    codes = [log_in(lou.email, code=f"00000{number}").code for number in range(6)]
    assert codes == ["second_factor_wrong"] * 5 + ["too_many"]


def test_a_wish_that_cannot_be_granted_uses_no_code_up(lou: User, app: str) -> None:
    now = code(app)
    assert log_in(lou.email, code=now, expires_in_days=3000).fields == ["expires_in_days"]
    assert log_in(lou.email, code=now).status == 201


@override_settings(PORTICO_TOKENS_PER_USER=1)
def test_one_token_too_many_uses_no_recovery_code_up(lou: User) -> None:
    browser = sign_in_by_password(lou)
    set_up_app(browser)
    one, two = recovery_codes(browser)[:2]
    first = log_in(lou.email, code=one)
    assert log_in(lou.email, code=two).code == "conflict"
    assert Program(first.body["token"]).delete("/tokens/current").status == 204
    assert log_in(lou.email, code=two).status == 201


def test_somebody_with_passkeys_only_goes_to_the_browser(lou: User) -> None:
    Authenticator.objects.create(user=lou, type=Authenticator.Type.WEBAUTHN, data={"name": "Phone"})
    answer = log_in(lou.email)
    assert (answer.status, answer.code) == (403, "passkey_only")
    assert log_in(lou.email, "wrong").code == "credentials_wrong"


def test_a_code_that_nobody_asks_for_is_no_fault(lou: User) -> None:
    assert log_in(lou.email, code="123456").status == 201


@override_settings(PORTICO_STAFF_SECOND_FACTOR=True)
def test_staff_administer_nothing_by_a_password_alone(grace: User) -> None:
    answer = log_in(grace.email, scopes=["read:self", "admin:users"])
    assert (answer.status, answer.code) == (403, "not_allowed")
    assert log_in(grace.email).status == 201
    secret = set_up_app(sign_in_by_password(grace))
    assert log_in(grace.email, scopes=["admin:users"], code=code(secret)).status == 201


# --- Service accounts and limits ------------------------------------------------------------------------------------


def test_a_service_account_has_no_password_to_sign_in_by(db: None) -> None:
    robot = service_accounts.create(
        name="Robot", contact="ops@portico.example", now=timezone.now(), actor=Actor.command("tests")
    )
    assert log_in(robot.user.email, "").fields == ["password"]
    assert log_in(robot.user.email, "x").code == "credentials_wrong"


@override_settings(PORTICO_TOKENS_PER_USER=1)
def test_more_tokens_than_anybody_may_have_are_a_conflict(lou: User) -> None:
    assert log_in(lou.email).status == 201
    full = log_in(lou.email)
    assert (full.status, full.code) == (409, "conflict")
    assert Event.objects.filter(kind=Kind.API_SIGN_IN).count() == 1
