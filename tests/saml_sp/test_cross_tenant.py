"""One customer's identity provider must not sign in as somebody who is not theirs: through the HTTP door, case by case.

Acme's identity provider speaks; Globex's has customers of its own. Whoever may come in is here as well, for a door that
refuses everybody would pass the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import Session, User
from audit.kinds import Kind
from audit.models import Event
from demo.issuer import AttributeSpec, encode
from saml_sp import moving, provisioning
from saml_sp.models import (
    DomainProof,
    EmailDomain,
    FederatedIdentity,
    Outcome,
    SamlSession,
    SignInAttempt,
    SpentAssertion,
)
from saml_sp.protocol import gate, signature
from saml_sp.protocol import names as n
from saml_sp.protocol.assertion import accept
from saml_sp.protocol.errors import AccountIsStaff, AccountRefused
from saml_sp.provisioning import Step
from tests import factories
from tests.door import Browser, holds_nothing
from tests.idp import Forge, email_attribute
from tests.pages.forms import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from saml_sp.models import IdentityProvider
    from saml_sp.protocol.types import Assertion

pytestmark = pytest.mark.django_db


def verified(idp: IdentityProvider, domain: str) -> EmailDomain:
    return EmailDomain.objects.create(
        idp=idp, domain=domain, verified_at=timezone.now(), proof=DomainProof.VOUCHED, reason="x"
    )


@pytest.fixture
def acme(db: None) -> IdentityProvider:
    idp = factories.idp("acme", description="Acme Okta", portal_url="https://portal.acme.example/")
    verified(idp, "acme.example")
    return idp


@pytest.fixture
def globex(db: None) -> IdentityProvider:
    idp = factories.idp("globex", description="Globex Entra")
    verified(idp, "globex.example")
    return idp


@pytest.fixture(params=[True, False], ids=["jit", "no_jit"])
def jit(acme: IdentityProvider, request: pytest.FixtureRequest) -> None:
    """Whether accounts are made by signing in: it decides about those that nobody has, and about no other."""
    acme.jit = request.param
    acme.save()


def says(idp: IdentityProvider, email: str | None, subject: str = "u-1", **changes: Any) -> bytes:
    """What the identity provider asserts of somebody whom it knows by an opaque NameID."""
    attributes = (() if email is None else (email_attribute(email),)) + tuple(changes.pop("more", ()))
    return Forge(idp, timezone.now()).xml(name_id=subject, attributes=attributes, **changes)


def world() -> dict[str, list[Any]]:
    """Everything that a sign-in may write, but for the record of the attempt."""
    tables = (User, FederatedIdentity, Session, SamlSession, SpentAssertion, Event, EmailDomain)
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in tables}


def refused(idp: IdentityProvider, xml: bytes) -> str:
    """Send it, see that it leaves nothing behind but a record; returns the code."""
    before, browser = world(), Browser()
    answer = browser.send(idp, xml)
    assert answer.status_code == 403, answer.headers
    assert holds_nothing(answer)
    assert browser.user is None
    assert world() == before
    attempt = SignInAttempt.objects.latest("pk")
    assert (attempt.outcome, attempt.user, attempt.idp) == (Outcome.REFUSED, None, idp)
    assert attempt.code in text(answer)
    return attempt.code


def comes_in(idp: IdentityProvider, xml: bytes) -> User:
    browser = Browser()
    browser.sign_in(idp, xml)
    assert browser.user is not None
    return browser.user


def notes() -> list[str]:
    """What the last attempt has to tell the administrator."""
    found: list[str] = SignInAttempt.objects.latest("pk").detail.get("notes", [])
    return found


# --- Who must not be reached ------------------------------------------------------------------------------------------


def of_globex(globex: IdentityProvider, email: str) -> User:
    user = factories.user(email)
    factories.identity(globex, user, subject="g-1")
    return user


def awaited_by_globex(globex: IdentityProvider, email: str) -> User:
    user = factories.user(email)
    factories.pending(globex, user)
    return user


def plain(**fields: Any) -> Callable[[IdentityProvider, str], User]:
    return lambda _globex, email: factories.user(email, **fields)


STAFF = {"is_staff": True}
SUPERUSER = {"is_staff": True, "is_superuser": True}
PASSWORD = {"password": "correct horse battery staple"}
OFF = {"is_active": False}
SERVICE = {"is_service_account": True}

PEOPLE: dict[str, tuple[Callable[[IdentityProvider, str], User], str]] = {
    "a local user": (plain(**PASSWORD), "account_is_local"),
    "a member of staff": (plain(**STAFF), "account_is_staff"),
    "a member of staff with a password": (plain(**STAFF, **PASSWORD), "account_is_staff"),
    "a superuser": (plain(**SUPERUSER), "account_is_superuser"),
    "a superuser with a password": (plain(**SUPERUSER, **PASSWORD), "account_is_superuser"),
    "a superuser who is no staff": (plain(is_superuser=True), "account_is_superuser"),
    "a break-glass administrator": (plain(is_break_glass=True, **SUPERUSER, **PASSWORD), "account_is_superuser"),
    "a service account": (plain(**SERVICE), "account_is_service"),
    "somebody who is switched off": (plain(**OFF), "account_deactivated"),
    "a superuser who is switched off": (plain(**SUPERUSER, **OFF), "account_deactivated"),
    "somebody of another identity provider": (of_globex, "account_of_another_idp"),
    "somebody whom another identity provider awaits": (awaited_by_globex, "account_of_another_idp"),
}


@pytest.mark.usefixtures("jit")
@pytest.mark.parametrize("domain", ["acme.example", "nobodys.example"])
@pytest.mark.parametrize("spelling", [str, str.title], ids=["same_case", "other_case"])
@pytest.mark.parametrize("who", PEOPLE)
def test_it_does_not_sign_in_as(
    who: str, spelling: Callable[[str], str], domain: str, acme: IdentityProvider, globex: IdentityProvider
) -> None:
    """Not even by an address in a domain of its own."""
    make, code = PEOPLE[who]
    make(globex, f"Pat@{domain}")
    assert refused(acme, says(acme, spelling(f"pat@{domain}"))) == code
    # An address in the NameID is an address as any other.
    assert refused(acme, says(acme, None, spelling(f"pat@{domain}"))) == code


@pytest.mark.usefixtures("jit")
@pytest.mark.parametrize("who", [None, *PEOPLE])
@pytest.mark.parametrize("local", ["pat", "Pat+tag"])
def test_it_names_nobody_in_a_domain_of_another_identity_provider(
    local: str, who: str | None, acme: IdentityProvider, globex: IdentityProvider
) -> None:
    if who is not None:
        PEOPLE[who][0](globex, "pat@globex.example")
    for domain in ("globex.example", "GLOBEX.Example"):
        assert refused(acme, says(acme, f"{local}@{domain}")) == "foreign_domain"


def test_a_domain_stays_its_owners_while_that_one_is_disabled(acme: IdentityProvider, globex: IdentityProvider) -> None:
    globex.enabled = False
    globex.save()
    assert refused(acme, says(acme, "pat@globex.example")) == "foreign_domain"


def test_whoever_is_refused_for_the_domain_hears_where_to_go_but_not_whose_it_is(
    acme: IdentityProvider, globex: IdentityProvider
) -> None:
    page = Browser().send(acme, says(acme, "pat@globex.example"))
    assert "Your organisation signs in through its own identity provider." in text(page)
    assert 'href="/sign-in/?local=1"' in page.content.decode()
    assert "globex" not in page.content.decode().lower()


LOOKS_ALIKE = {
    "a Cyrillic letter": "p\u0430t@globex.example",
    "a Greek letter in the domain": "pat@gl\u03bfbex.example",
    "a Kelvin sign": "\u212apat@globex.example",
    "a dotless i": "p\u0131t@globex.example",
    "full-width letters": "\uff50at@globex.example",
    "a full-width at": "pat\uff20globex.example",
    "another full stop": "pat@globex\u3002example",
    "a composed letter": "p\u00e4t@globex.example",
    "a zero-width space": "pat\u200b@globex.example",
    "a zero-width joiner in the domain": "pat@glo\u200dbex.example",
    "a soft hyphen": "pa\u00adt@globex.example",
    "a byte order mark": "\ufeffpat@globex.example",
    "a right-to-left mark": "pat\u200f@globex.example",
    "a non-breaking space": "pat@globex.example\u00a0",
    "a blank in front": " pat@globex.example",
    "a blank behind": "pat@globex.example ",
    "a line break": "pat@globex.example\n",
    "a tab": "\tpat@globex.example",
    "a second address": "pat@globex.example,eve@acme.example",
    "a name around it": "Pat <pat@globex.example>",
    "a comment": "pat(x)@globex.example",
    "quotes": '"pat"@globex.example',
    "two at signs": "pat@globex.example@acme.example",
    "a root dot": "pat@globex.example.",
    "an address literal": "pat@[192.0.2.1]",
    "no domain": "pat",
}


@pytest.mark.usefixtures("jit")
@pytest.mark.parametrize("case", LOOKS_ALIKE)
def test_it_takes_no_address_that_only_looks_like_one(
    case: str, acme: IdentityProvider, globex: IdentityProvider
) -> None:
    of_globex(globex, "pat@globex.example")
    email = LOOKS_ALIKE[case]
    assert refused(acme, says(acme, email)) == "email_invalid"
    assert refused(acme, says(acme, email.replace("globex", "acme"))) == "email_invalid"
    # As a NameID it is refused for what is invisible in it, or else is no address.
    plain_text = email.isprintable() and email == email.strip()
    assert refused(acme, says(acme, None, email)) == ("email_missing" if plain_text else "subject_missing")


@pytest.mark.parametrize(
    "email", ["lou+x@nobodys.example", "1ou@nobodys.example", "l.ou@nobodys.example", "lou@nob0dys.example"]
)
def test_an_ascii_address_that_differs_is_another_person(email: str, acme: IdentityProvider) -> None:
    """It is never the other account: a new one, without rights, which the administration points out as a look-alike."""
    lou = factories.user("lou@nobodys.example", **PASSWORD)
    acme.jit = False
    acme.save()
    assert refused(acme, says(acme, email)) == "jit_off"
    acme.jit = True
    acme.save()
    before = User.objects.filter(pk=lou.pk).values().get()
    assert comes_in(acme, says(acme, email)) != lou
    assert User.objects.filter(pk=lou.pk).values().get() == before
    assert not lou.identities.exists()


@pytest.mark.parametrize("state", ["nobody's", "claimed only", "a subdomain", "the parent"])
def test_an_account_in_a_domain_that_is_not_verified_for_it_is_not_linked(state: str, acme: IdentityProvider) -> None:
    domain = {"a subdomain": "mail.acme.example", "the parent": "example.example"}.get(state, "other.example")
    if state == "the parent":
        verified(acme, "mail.example.example")
    if state == "claimed only":
        EmailDomain.objects.create(idp=acme, domain="other.example")
    factories.user(f"pat@{domain}")
    assert refused(acme, says(acme, f"pat@{domain}")) == "email_taken"
    assert refused(acme, says(acme, f"PAT@{domain}")) == "email_taken"


def test_another_subject_does_not_get_an_account_by_its_address(acme: IdentityProvider) -> None:
    pat = comes_in(acme, says(acme, "pat@acme.example"))
    assert refused(acme, says(acme, "Pat@acme.example", "u-2")) == "subject_changed"
    # Nor by the address that the administrator has given the account since.
    pat.email = "patricia@acme.example"
    pat.save()
    assert refused(acme, says(acme, "patricia@acme.example", "u-2")) == "subject_changed"
    assert refused(acme, says(acme, "pat@acme.example", "u-2")) == "subject_changed"


def test_the_same_subject_at_another_identity_provider_is_another_person(
    acme: IdentityProvider, globex: IdentityProvider
) -> None:
    pat = comes_in(acme, says(acme, "pat@acme.example", "u-1"))
    assert refused(globex, says(globex, "pat@acme.example", "u-1")) == "foreign_domain"
    assert comes_in(globex, says(globex, "pat@globex.example", "u-1")) != pat


@pytest.mark.parametrize("who", ["came before", "awaited"])
def test_signing_in_never_switches_an_account_on_again(who: str, acme: IdentityProvider) -> None:
    user = factories.user("pat@acme.example", is_active=False)
    if who == "came before":
        factories.identity(acme, user, subject="u-1")
    else:
        factories.pending(acme, user)
    assert refused(acme, says(acme, "pat@acme.example")) == "account_deactivated"
    # Without an address, too: the subject is known.
    assert refused(acme, says(acme, None)) == ("account_deactivated" if who == "came before" else "email_missing")


def test_several_addresses_are_none(acme: IdentityProvider) -> None:
    xml = says(acme, "pat@acme.example", more=(email_attribute("eve@acme.example", name="mail"),))
    assert refused(acme, xml) == "ambiguous_email"


# --- Who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("jit")
def test_an_account_that_nobody_has_a_claim_to_is_linked_by_the_verified_domain(
    acme: IdentityProvider,
) -> None:
    pat = factories.user("Pat@Acme.example", first_name="P.", last_name="Smith")
    more = (AttributeSpec("First Name", ["Pat"]),)
    assert comes_in(acme, says(acme, "pat@ACME.example", more=more)) == pat
    pat.refresh_from_db()
    assert (pat.email, pat.first_name, pat.last_name, pat.sso_label) == (
        "Pat@Acme.example",
        "Pat",
        "Smith",
        "Acme Okta",
    )
    identity = pat.identities.get()
    assert (identity.idp, identity.subject, identity.email_key, identity.pending) == (
        acme,
        "u-1",
        "pat@acme.example",
        False,
    )
    event = Event.objects.get(kind=Kind.SSO_ACCOUNT_LINKED)
    assert (event.actor, event.subject_id) == ("Acme Okta", str(pat.pk))
    # From now on it is the subject that counts.
    assert comes_in(acme, says(acme, None)) == pat


def test_a_new_person_of_its_own_domain_or_of_nobodys_gets_an_account(acme: IdentityProvider) -> None:
    for number, email in enumerate(("pat@acme.example", "pat@nobodys.example", "pat@mail.acme.example")):
        assert comes_in(acme, says(acme, email, f"u-{number}")).email == email
    acme.jit = False
    acme.save()
    assert refused(acme, says(acme, "new@acme.example", "u-9")) == "jit_off"


@pytest.mark.usefixtures("jit")
@pytest.mark.parametrize("domain", ["globex.example", "nobodys.example", "acme.example"])
@pytest.mark.parametrize("who", ["a local user", "a member of staff with a password", "a superuser"])
def test_whom_an_administrator_has_vouched_for_comes_in(
    who: str, domain: str, acme: IdentityProvider, globex: IdentityProvider
) -> None:
    user = PEOPLE[who][0](globex, f"pat@{domain}")
    factories.pending(acme, user)
    assert comes_in(acme, says(acme, f"Pat@{domain}")) == user
    assert Event.objects.filter(kind=Kind.SSO_IDENTITY_COMPLETED, subject_id=user.pk).count() == 1
    before = (user.is_staff, user.is_superuser, user.password)
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser, user.password) == before


def test_names_are_brought_up_to_date_and_never_emptied(acme: IdentityProvider) -> None:
    names = (AttributeSpec("givenName", ["Pat"]), AttributeSpec("sn", ["Smith"]))
    pat = comes_in(acme, says(acme, "pat@acme.example", more=names))
    comes_in(
        acme,
        says(acme, "pat@acme.example", more=(AttributeSpec("sn", ["Smith-Jones"]), AttributeSpec("givenName", ["  "]))),
    )
    pat.refresh_from_db()
    assert (pat.first_name, pat.last_name) == ("Pat", "Smith-Jones")


def test_a_new_address_in_a_domain_of_its_own_is_taken_over(acme: IdentityProvider) -> None:
    pat = comes_in(acme, says(acme, "pat@acme.example"))
    assert comes_in(acme, says(acme, "Patricia@acme.example")) == pat
    pat.refresh_from_db()
    assert (pat.email, pat.email_key) == ("Patricia@acme.example", "patricia@acme.example")
    assert pat.identities.get().email_key == "patricia@acme.example"
    assert Event.objects.get(kind=Kind.SSO_EMAIL_CHANGED).data == {
        "from": "pat@acme.example",
        "to": "Patricia@acme.example",
    }
    assert notes() == []
    # The old address is free, for the next person of that name.
    assert comes_in(acme, says(acme, "pat@acme.example", "u-2")) != pat


@pytest.mark.parametrize(
    ("email", "note"),
    [
        ("pat@nobodys.example", "its domain is not verified here"),
        ("pat@globex.example", "its domain is not verified here"),
        ("taken@acme.example", "another account has it"),
        ("awaited@acme.example", "another identity has it"),
    ],
)
def test_any_other_new_address_is_noted_and_not_taken_over(
    email: str, note: str, acme: IdentityProvider, globex: IdentityProvider
) -> None:
    pat = comes_in(acme, says(acme, "pat@acme.example"))
    factories.user("taken@acme.example", is_staff=True)
    factories.pending(acme, factories.user("contractor@nobodys.example"), "awaited@acme.example")
    assert comes_in(acme, says(acme, email)) == pat
    pat.refresh_from_db()
    assert pat.email == "pat@acme.example"
    assert pat.identities.get().email_key == "pat@acme.example"
    assert notes() == [f"The new address {email} is not taken over: {note}."]
    assert not Event.objects.filter(kind=Kind.SSO_EMAIL_CHANGED).exists()


# --- The stable subject attribute -------------------------------------------------------------------------------------


@pytest.fixture
def by_number(acme: IdentityProvider) -> IdentityProvider:
    acme.subject_attribute = "employeeNumber"
    acme.save()
    return acme


def number(*values: str | None, name: str = "employeeNumber") -> AttributeSpec:
    return AttributeSpec(name, values)


def test_without_a_stable_subject_attribute_a_transient_name_id_names_nobody(acme: IdentityProvider) -> None:
    xml = says(acme, "pat@acme.example", name_id_format=n.NAMEID_TRANSIENT)
    assert refused(acme, xml) == "transient_subject"


def test_with_one_a_person_is_known_by_it_whatever_the_name_id(by_number: IdentityProvider) -> None:
    def arrives(name_id: str, email: str = "pat@acme.example", digits: str = "0042") -> User:
        xml = says(by_number, email, name_id, name_id_format=n.NAMEID_TRANSIENT, more=(number(digits),))
        return comes_in(by_number, xml)

    pat = arrives("_1")
    identity = FederatedIdentity.objects.get()
    assert (identity.subject, identity.subject_attribute, identity.name_id_format) == (
        "0042", "employeeNumber", n.NAMEID_TRANSIENT,
    )  # fmt: skip
    assert arrives("_2") == pat
    assert arrives("_3", "patricia@acme.example") == pat
    # The same NameID does not make another number the same person.
    assert arrives("_3", "kim@acme.example", "0043") != pat
    assert arrives("_4", "lee@acme.example", "42") != pat
    assert FederatedIdentity.objects.count() == 3


@pytest.mark.parametrize(
    "values",
    [
        (), (None,), ("",), (" ",), ("42", "43"), ("42", None), (" 42",), ("42\n",), ("4\u200b2",), ("x" * 1025,),
    ],
    ids=repr,
)  # fmt: skip
def test_the_stable_subject_is_one_plain_value_or_the_sign_in_is_refused(
    values: tuple[str | None, ...], by_number: IdentityProvider
) -> None:
    assert refused(by_number, says(by_number, "pat@acme.example", more=(number(*values),))) == "stable_subject_missing"


def test_the_stable_subject_is_read_from_the_attribute_of_exactly_that_name(by_number: IdentityProvider) -> None:
    for more in (
        (),
        (number("42", name="employeenumber"),),
        (AttributeSpec("urn:oid:1", ["42"], friendly_name="employeeNumber"),),
    ):
        assert refused(by_number, says(by_number, "pat@acme.example", more=more)) == "stable_subject_missing"
    assert comes_in(by_number, says(by_number, "pat@acme.example", more=(number("42", "42"),))).sso_label == "Acme Okta"


def test_no_name_id_can_pass_for_a_stable_subject(acme: IdentityProvider) -> None:
    """Neither as its value, nor spread over its qualifiers."""
    acme.subject_attribute = "employeeNumber"
    acme.save()
    pat = comes_in(acme, says(acme, "pat@acme.example", more=(number("42"),)))
    acme.subject_attribute = ""
    acme.save()
    for subject, qualifiers in (
        ("42", {}),
        ("employeeNumber", {"name_qualifier": "42"}),
        ("attribute", {"name_qualifier": "employeeNumber", "sp_name_qualifier": "42"}),
    ):
        assert comes_in(acme, says(acme, f"{len(qualifiers)}@acme.example", subject, **qualifiers)) != pat


def test_another_subject_is_refused_until_an_administrator_rebinds_the_identity(by_number: IdentityProvider) -> None:
    pat = comes_in(by_number, says(by_number, "pat@acme.example", more=(number("42"),)))
    again = says(by_number, "pat@acme.example", more=(number("77"),))
    assert refused(by_number, again) == "subject_changed"
    identity = pat.identities.get()
    assert moving.rebind(identity, now=timezone.now(), actor=Actor.command("a test")) == 1
    assert Event.objects.filter(kind=Kind.IDENTITY_REBOUND).count() == 1
    assert comes_in(by_number, again) == pat
    assert pat.identities.get().subject == "77"
    assert refused(by_number, says(by_number, "pat@acme.example", more=(number("42"),))) == "subject_changed"


def test_naming_the_attribute_later_asks_for_rebinding_and_nobody_is_made_twice(acme: IdentityProvider) -> None:
    comes_in(acme, says(acme, "pat@acme.example"))
    acme.subject_attribute = "employeeNumber"
    acme.save()
    assert refused(acme, says(acme, "pat@acme.example", more=(number("42"),))) == "subject_changed"
    assert User.objects.count() == 1


# --- One plan, two uses -----------------------------------------------------------------------------------------------


def judged(idp: IdentityProvider, xml: bytes) -> Assertion:
    """The assertion as the door reads it."""
    expectation, now = SignInAttempt(idp=idp).expectation(), timezone.now()
    return accept(signature.open_message(gate.admit(encode(xml)), expectation, now), expectation, now)


def awaited(acme: IdentityProvider) -> object:
    return factories.pending(acme, factories.user("pat@globex.example"))


def known(email: str) -> Callable[[IdentityProvider], object]:
    return lambda acme: factories.identity(acme, factories.user(email), "u-1")


SCENES: dict[str, tuple[Callable[[IdentityProvider], object], str, Step | str]] = {
    "nobody yet": (lambda acme: None, "pat@acme.example", Step.CREATE),
    "a free account": (lambda acme: factories.user("pat@acme.example"), "pat@acme.example", Step.LINK),
    "an awaited one": (awaited, "pat@globex.example", Step.COMPLETE),
    "a known one": (known("pat@acme.example"), "pat@acme.example", Step.RETURN),
    "a known one with a new address": (known("old@acme.example"), "pat@acme.example", Step.RETURN),
    "a foreign one": (lambda acme: None, "pat@globex.example", "foreign_domain"),
    "staff": (lambda acme: factories.user("pat@acme.example", **STAFF), "pat@acme.example", "account_is_staff"),
}


@pytest.mark.parametrize("scene", SCENES)
def test_the_plan_says_what_the_sign_in_then_does_and_writes_nothing(
    scene: str, acme: IdentityProvider, globex: IdentityProvider
) -> None:
    arrange, email, outcome = SCENES[scene]
    arrange(acme)
    xml = says(acme, email, more=(AttributeSpec("givenName", ["Pat"]),))
    assertion = judged(acme, xml)
    before = world()
    if not isinstance(outcome, Step):
        with pytest.raises(AccountRefused) as caught:
            provisioning.plan(acme, assertion)
        assert world() == before
        assert caught.value.code == outcome == refused(acme, xml)
        return
    planned = provisioning.plan(acme, assertion)
    assert provisioning.plan(acme, assertion) == planned
    assert world() == before
    assert planned.step is outcome
    user = comes_in(acme, xml)
    user.refresh_from_db()
    assert planned.user in {user, None}
    assert (planned.user is None) == (planned.step is Step.CREATE)
    assert user.email == (planned.new_email or (planned.user.email if planned.user else planned.profile.email))
    assert user.first_name == planned.profile.first_name
    identity = user.identities.get()
    assert (identity.subject, identity.subject_key) == (planned.profile.subject.value, planned.profile.subject.key)
    assert planned.identity in {identity, None}
    assert (planned.identity is None) == (planned.step in {Step.CREATE, Step.LINK})
    assert notes() == list(planned.notes)


def test_an_account_that_got_rights_since_it_was_planned_is_not_linked(acme: IdentityProvider) -> None:
    pat = factories.user("pat@acme.example")
    planned = provisioning.plan(acme, judged(acme, says(acme, "pat@acme.example")))
    User.objects.filter(pk=pat.pk).update(is_staff=True)
    with pytest.raises(AccountIsStaff):
        provisioning.provision(planned, timezone.now())
    assert not pat.identities.exists()


def test_a_frozen_plan_cannot_be_changed(acme: IdentityProvider) -> None:
    planned = provisioning.plan(acme, judged(acme, says(acme, "pat@acme.example")))
    with pytest.raises(AttributeError):
        planned.new_email = "eve@acme.example"  # type: ignore[misc]  # it is what must fail


def test_an_identity_that_was_taken_away_since_it_was_planned_signs_nobody_in(acme: IdentityProvider) -> None:
    identity = factories.identity(acme, factories.user("pat@acme.example"), "u-1")
    planned = provisioning.plan(acme, judged(acme, says(acme, "pat@acme.example")))
    assert planned.step is Step.RETURN
    identity.delete()
    with pytest.raises(IntegrityError):
        provisioning.provision(planned, timezone.now())
