"""A sign-in that begins on this site, through the HTTP door."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
import xmlsec
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import Session, User
from demo.issuer import encode
from saml_sp import keys
from saml_sp.ledger import FORGOTTEN_AFTER, MOST_OUTSTANDING
from saml_sp.models import Outcome, SamlSession, SignInAttempt, SpentAssertion
from saml_sp.protocol import names, toolkit
from tests import factories
from tests.door import CONTINUE, Browser, acs, holds_nothing
from tests.idp import ANA, NS, Forge, Kind, email_attribute, find, key
from tests.saml_sp.asking import COOKIE, answer, ask, is_signed_in

if TYPE_CHECKING:
    from cryptography import x509
    from django.http import HttpResponse
    from pytest_django import Settings

    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db

EVIL = [
    "https://evil.example/", "//evil.example", "/\\evil.example", "/%2F/evil.example", "/%5cevil.example",
    "javascript:alert(1)", "http:evil.example", "/\t/evil.example", "\\\\evil.example", "/..//evil.example",
    "evil.example", "/@evil.example/", "///evil.example", "/%252F%252Fevil.example", "/x\r\nSet-Cookie: a=b",
]  # fmt: skip


@pytest.fixture
def idp(db: None) -> IdentityProvider:
    return factories.idp("acme", description="Acme Okta", portal_url="https://portal.acme.example/")


@pytest.fixture
def ours(settings: Settings) -> x509.Certificate:
    """A key pair of ours to sign with; the certificate as the identity provider would have it from our metadata."""
    settings.PORTICO_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    pair = key(Kind.SECOND_RSA)
    certificate = pair.certificate.public_bytes(Encoding.PEM)
    keys.take_over(pair.private_pem, certificate, now=timezone.now(), actor=Actor("test"))
    return pair.certificate


def record(code: str) -> SignInAttempt:
    """The one record of a refusal with this code."""
    return SignInAttempt.objects.get(outcome=Outcome.REFUSED, code=code)


def is_refused(response: HttpResponse, code: str) -> SignInAttempt:
    """The page with the code, no session; returns what the administrator reads."""
    assert response.status_code == 403
    assert holds_nothing(response)
    assert f"<dd>\n        {code}\n" in response.content.decode()
    assert not Session.objects.exists()
    assert not SpentAssertion.objects.exists()
    return record(code)


# --- The request ---


def test_it_redirects_to_the_identity_provider_with_a_request(idp: IdentityProvider) -> None:
    before = timezone.now().replace(microsecond=0)
    asked = ask(Browser(), idp)
    assert asked.endpoint == idp.sso_url
    assert set(asked.fields) == {"SAMLRequest"}
    root = asked.root
    assert root.tag == f"{{{names.SAMLP}}}AuthnRequest"
    assert toolkit.protocol_schema().validate(root)
    assert root.get("Version") == "2.0"
    assert root.get("Destination") == idp.sso_url
    assert root.get("AssertionConsumerServiceURL") == idp.acs_url
    assert root.get("ProtocolBinding") == "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
    assert f"{before:%Y-%m-%dT%H:%M:%SZ}" <= str(root.get("IssueInstant")) <= f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}"
    assert asked.text("saml:Issuer") == [idp.sp_entity_id]


def test_it_asks_for_nothing_that_is_not_configured(idp: IdentityProvider) -> None:
    root = ask(Browser(), idp).root
    assert [child.tag for child in root] == [names.ISSUER]
    assert root.get("ForceAuthn") is None


@pytest.mark.parametrize(
    ("name", "uri", "allow"),
    [
        ("email", names.NAMEID_EMAIL, "true"),
        ("persistent", names.NAMEID_PERSISTENT, "true"),
        ("unspecified", names.NAMEID_UNSPECIFIED, "true"),
        ("transient", names.NAMEID_TRANSIENT, None),
    ],
)
def test_it_asks_for_a_name_id_format_where_one_is_configured(name: str, uri: str, allow: str | None) -> None:
    root = ask(Browser(), factories.idp(name_id_format=name)).root
    (policy,) = root.findall("samlp:NameIDPolicy", NS)
    assert (policy.get("Format"), policy.get("AllowCreate")) == (uri, allow)
    assert toolkit.protocol_schema().validate(root)


def test_it_asks_for_contexts_and_a_fresh_sign_in_where_configured() -> None:
    asked = ask(Browser(), factories.idp(force_authn=True, authn_contexts="urn:one\nurn:two"))
    assert asked.root.get("ForceAuthn") == "true"
    (requested,) = asked.root.findall("samlp:RequestedAuthnContext", NS)
    assert requested.get("Comparison") == "exact"
    assert asked.text("samlp:RequestedAuthnContext/saml:AuthnContextClassRef") == ["urn:one", "urn:two"]
    assert toolkit.protocol_schema().validate(asked.root)


def test_it_sends_a_form_where_the_identity_provider_takes_no_redirect() -> None:
    idp = factories.idp(sso_binding="post")
    asked = ask(Browser(), idp)
    page = asked.answer.content.decode()
    assert asked.endpoint == idp.sso_url
    assert asked.text("saml:Issuer") == [idp.sp_entity_id]
    assert '<button class="button" type="submit">' in page
    assert re.findall(r"<script[^>]*>", page) == ['<script src="/static/autosubmit.js">']
    policy = asked.answer.headers["Content-Security-Policy"]
    origin = idp.sso_url.removesuffix("/sso")
    assert f"form-action 'self' {origin};" in f"{policy};"
    assert asked.answer.headers["Cache-Control"] == "no-store"


def test_the_cookie_that_ties_the_answer_to_the_browser_survives_a_cross_site_post(idp: IdentityProvider) -> None:
    browser = Browser()
    morsel = ask(browser, idp).answer.cookies[COOKIE]
    assert (morsel["samesite"], morsel["secure"], morsel["httponly"]) == ("None", True, True)
    assert (morsel["path"], morsel["max-age"]) == ("/saml/", 900)
    assert len(base64.urlsafe_b64decode(morsel.value + "=")) == 32
    assert ask(browser, idp).answer.cookies[COOKIE].value == morsel.value
    assert ask(Browser(), idp).answer.cookies[COOKIE].value != morsel.value
    assert morsel.value not in str(SignInAttempt.objects.values())


def test_it_takes_no_secret_from_a_cookie_that_it_cannot_have_set(idp: IdentityProvider) -> None:
    browser = Browser()
    ask(browser, idp)
    browser.jar[COOKIE].set(COOKIE, "guessable", "guessable")
    assert len(ask(browser, idp).answer.cookies[COOKIE].value) == 43


# --- Signed requests ---


def test_a_redirect_is_signed_over_the_query_as_it_is_sent(ours: x509.Certificate) -> None:
    idp = factories.idp(sign_requests=True, sso_url="https://idp.example/sso?tenant=7")
    location = ask(Browser(), idp).answer.headers["Location"]
    query = location.partition("?")[2].removeprefix("tenant=7&")
    signed, _, signature = query.partition("&Signature=")
    assert signed.endswith("&SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256")
    public = ours.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(base64.b64decode(unquote(signature)), signed.encode(), padding.PKCS1v15(), SHA256())


def test_a_signed_request_may_be_longer_than_django_lets_a_redirect_be(ours: x509.Certificate) -> None:
    contexts = "\n".join(f"urn:context:{hashlib.sha256(bytes([number])).hexdigest()}" for number in range(30))
    idp = factories.idp(sign_requests=True, authn_contexts=contexts)
    assert len(ask(Browser(), idp).answer.headers["Location"]) > 2048


def test_a_posted_request_carries_a_signature_behind_its_issuer(ours: x509.Certificate) -> None:
    root = ask(Browser(), factories.idp(sign_requests=True, sso_binding="post")).root
    assert [child.tag for child in root][:2] == [names.ISSUER, names.SIGNATURE]
    assert toolkit.protocol_schema().validate(root)
    method = find(root, "ds:Signature/ds:SignedInfo/ds:SignatureMethod")
    assert str(method.get("Algorithm")).endswith("#rsa-sha256")
    xmlsec.tree.add_ids(root, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(ours.public_bytes(Encoding.PEM), xmlsec.constants.KeyDataFormatCertPem)
    context.verify(find(root, "ds:Signature"))
    root.set("ForceAuthn", "true")
    with pytest.raises(xmlsec.Error):
        context.verify(find(root, "ds:Signature"))


def test_without_a_key_it_says_so_and_sends_nothing_unsigned() -> None:
    idp = factories.idp(sign_requests=True)
    page = Browser().get(f"/saml/{idp.slug}/login/")
    assert page.status_code == 403
    assert "no_signing_key" in page.content.decode()
    assert record("no_signing_key").cure.startswith("Make a key pair")


# --- The answer ---


@pytest.mark.parametrize("target", ["/profile/", "/profile/?tab=2#x", None])
def test_the_answer_signs_in_and_leads_to_the_page_originally_asked_for(
    idp: IdentityProvider, target: str | None
) -> None:
    browser = Browser()
    asked = ask(browser, idp, target)
    posted = answer(browser, idp, asked.id, relay_state="/somewhere/else/")
    assert is_signed_in(browser, posted) == (target or "/")
    assert browser.user == User.objects.get(email=ANA)
    attempt = SignInAttempt.objects.get()
    assert (attempt.outcome, attempt.email, attempt.request_id) == (Outcome.ACCEPTED, ANA, asked.id)
    assert attempt.assertion_id == SpentAssertion.objects.get().assertion_id


@pytest.mark.parametrize("evil", EVIL)
def test_it_never_leads_to_another_site(idp: IdentityProvider, evil: str) -> None:
    browser = Browser()
    asked = ask(browser, idp, evil)
    assert "evil" not in asked.answer.headers["Location"]
    assert "RelayState" not in asked.fields
    assert is_signed_in(browser, answer(browser, idp, asked.id, relay_state=evil)) == "/"


def test_several_tabs_may_have_several_requests_outstanding(idp: IdentityProvider) -> None:
    browser = Browser()
    first, second, third = (ask(browser, idp, f"/{number}/") for number in "123")
    assert is_signed_in(browser, answer(browser, idp, second.id)) == "/2/"
    assert is_signed_in(browser, answer(browser, idp, first.id)) == "/1/"
    assert is_signed_in(browser, answer(browser, idp, third.id)) == "/3/"
    assert SamlSession.objects.filter(session_key=browser.session_key).count() == 1


def test_it_refuses_an_answer_without_the_browsers_cookie(idp: IdentityProvider) -> None:
    asked = ask(Browser(), idp)
    refusal = is_refused(answer(Browser(), idp, asked.id), "unknown_request")
    assert "without the cookie" in refusal.received
    assert asked.id in refusal.received


def test_it_refuses_an_answer_in_another_browser_which_spoils_nothing(idp: IdentityProvider) -> None:
    browser, other = Browser(), Browser()
    asked = ask(browser, idp)
    ask(other, idp)
    refusal = is_refused(answer(other, idp, asked.id), "unknown_request")
    assert "another browser" in refusal.received
    assert refusal.detail == {"in_response_to": asked.id}
    is_signed_in(browser, answer(browser, idp, asked.id))


def test_it_refuses_an_answer_by_another_identity_provider(idp: IdentityProvider) -> None:
    browser, other = Browser(), factories.idp("other")
    asked = ask(browser, idp)
    refusal = is_refused(answer(browser, other, asked.id), "unknown_request")
    assert "sent to acme" in refusal.received


def test_it_refuses_an_answer_to_a_request_that_was_never_made(idp: IdentityProvider) -> None:
    browser = Browser()
    ask(browser, idp)
    refusal = is_refused(answer(browser, idp, "_" + "0" * 40), "unknown_request")
    assert "no request of ours" in refusal.received


def test_it_refuses_an_answer_after_fifteen_minutes(idp: IdentityProvider) -> None:
    browser = Browser()
    asked = ask(browser, idp)
    attempt = SignInAttempt.objects.get()
    assert attempt.expires_at == attempt.at + timedelta(minutes=15)
    SignInAttempt.objects.update(expires_at=timezone.now())
    refusal = is_refused(answer(browser, idp, asked.id), "unknown_request")
    assert "expired at" in refusal.received


def test_it_refuses_an_answer_whose_confirmation_names_another_request(idp: IdentityProvider) -> None:
    browser = Browser()
    first, second = ask(browser, idp), ask(browser, idp)
    xml = Forge(idp, timezone.now()).xml(lambda tree: tree.set("InResponseTo", first.id), in_response_to=second.id)
    is_refused(browser.send(idp, xml), "in_response_to_mismatch")


def test_a_refused_answer_leaves_the_request_open_and_offers_to_start_again(idp: IdentityProvider) -> None:
    browser = Browser()
    asked = ask(browser, idp, "/profile/")
    refused = answer(browser, idp, asked.id, audiences=("https://other.example/",))
    is_refused(refused, "audience_mismatch")
    assert 'href="/saml/acme/login/?next=%2Fprofile%2F">Start again' in refused.content.decode()
    assert is_signed_in(browser, answer(browser, idp, asked.id)) == "/profile/"


def test_a_second_answer_is_refused_and_offers_the_way_on(idp: IdentityProvider) -> None:
    browser = Browser()
    asked = ask(browser, idp)
    is_signed_in(browser, answer(browser, idp, asked.id))
    key_before = browser.session_key
    again = answer(browser, idp, asked.id)
    assert again.status_code == 403
    assert holds_nothing(again)
    page = again.content.decode()
    assert "replayed" in page
    assert 'href="/">' in page
    assert "Continue" in page
    assert asked.id in record("replayed").received
    assert SpentAssertion.objects.count() == 1
    assert browser.session_key == key_before
    assert browser.user


def test_the_back_button_offers_the_way_on_even_after_the_cookie_has_gone(idp: IdentityProvider) -> None:
    browser = Browser()
    xml = Forge(idp, timezone.now()).xml(in_response_to=ask(browser, idp).id)
    is_signed_in(browser, browser.send(idp, xml))
    del browser.jar[COOKIE]
    assert "replayed" in browser.send(idp, xml).content.decode()
    assert browser.get("/").status_code == 200


def test_it_refuses_an_unsolicited_response_where_sign_in_begins_here_only() -> None:
    idp, browser = factories.idp(idp_initiated=False), Browser()
    ask(browser, idp)
    is_refused(answer(browser, idp, None), "idp_initiated_off")
    is_signed_in(browser, answer(browser, idp, ask(browser, idp).id))


def test_a_response_that_nobody_asked_for_goes_on_working_beside_an_open_request(idp: IdentityProvider) -> None:
    browser = Browser()
    asked = ask(browser, idp)
    assert is_signed_in(browser, answer(browser, idp, None, relay_state="/profile/")) == "/profile/"
    assert SignInAttempt.objects.get(request_id=asked.id).outcome == Outcome.OUTSTANDING


def test_an_answer_that_was_asked_for_replaces_somebody_elses_session(idp: IdentityProvider) -> None:
    browser = Browser()
    is_signed_in(browser, answer(browser, idp, ask(browser, idp).id))
    bob = {"name_id": "bob@customer.example", "attributes": (email_attribute("bob@customer.example"),)}
    is_signed_in(browser, answer(browser, idp, ask(browser, idp).id, **bob))
    assert browser.user
    assert browser.user.email == "bob@customer.example"


def test_a_sign_in_that_another_site_began_asks_before_it_replaces_somebodys_session(idp: IdentityProvider) -> None:
    browser = Browser()
    is_signed_in(browser, answer(browser, idp, ask(browser, idp).id))
    bob = {"name_id": "bob@customer.example", "attributes": (email_attribute("bob@customer.example"),)}
    asked = ask(browser, idp, HTTP_SEC_FETCH_SITE="cross-site")
    posted = answer(browser, idp, asked.id, **bob)
    assert posted.headers["Location"] == CONTINUE
    question = browser.get(CONTINUE)
    assert "Continue as somebody else?" in question.content.decode()
    assert browser.user
    assert browser.user.email == ANA


# --- What was asked for is what is got ---


@pytest.mark.parametrize(("age", "good"), [(-10, True), (60, True), (119, True), (125, False), (3600, False)])
def test_after_force_authn_an_older_sign_in_is_refused(age: int, *, good: bool) -> None:
    idp, browser = factories.idp(force_authn=True, tolerance_s=120), Browser()
    asked = ask(browser, idp)
    posted = answer(browser, idp, asked.id, authn_instant=timezone.now() - timedelta(seconds=age))
    if good:
        is_signed_in(browser, posted)
    else:
        assert "an AuthnInstant not before" in is_refused(posted, "not_reauthenticated").expected


def test_force_authn_is_what_was_asked_for_not_what_is_configured_now(idp: IdentityProvider) -> None:
    browser = Browser()
    asked = ask(browser, idp)
    idp.force_authn, idp.authn_contexts = True, "urn:other"
    idp.save()
    is_signed_in(browser, answer(browser, idp, asked.id, authn_instant=timezone.now() - timedelta(hours=3)))


@pytest.mark.parametrize(
    ("context", "good"), [("urn:one", True), ("urn:two", True), ("urn:three", False), ("urn:on", False)]
)
def test_the_answer_must_name_one_of_the_contexts_that_were_asked_for(context: str, *, good: bool) -> None:
    idp, browser = factories.idp(authn_contexts="urn:one\nurn:two"), Browser()
    posted = answer(browser, idp, ask(browser, idp).id, authn_context=context)
    if good:
        is_signed_in(browser, posted)
    else:
        assert is_refused(posted, "wrong_authn_context").expected == "urn:one or urn:two"


# --- Whom it is offered by ---


@pytest.mark.parametrize("path", ["/saml/nobody/login/", "/saml/closed/login/", "/saml/closed/logo/header/"])
def test_unknown_and_disabled_are_one_page(path: str) -> None:
    factories.idp("closed", enabled=False)
    page = Browser().get(path)
    assert page.status_code == 404
    assert "The IdP of closed" not in page.content.decode()
    assert holds_nothing(page)
    assert COOKIE not in page.cookies


def test_where_sign_in_from_here_is_off_it_names_the_portal_and_links_to_it(idp: IdentityProvider) -> None:
    idp.sp_initiated = False
    idp.save()
    page = Browser().get("/saml/acme/login/")
    assert page.status_code == 403
    text = page.content.decode()
    assert "sp_initiated_off" in text
    assert "Acme Okta" in text
    assert 'href="https://portal.acme.example/"' in text
    assert COOKIE not in page.cookies
    browser = Browser()
    is_signed_in(browser, answer(browser, idp, None))


def test_it_answers_get_only(idp: IdentityProvider) -> None:
    assert Browser().post("/saml/acme/login/", cross_site=True).status_code in {403, 405}
    assert not SignInAttempt.objects.exists()


def test_without_a_name_it_leads_to_the_default_or_to_the_sign_in_page(idp: IdentityProvider) -> None:
    assert Browser().get("/saml/login/?next=/profile/").headers["Location"] == "/sign-in/?next=%2Fprofile%2F"
    assert Browser().get("/saml/login/?next=//evil.example").headers["Location"] == "/sign-in/"
    idp.is_default = True
    idp.save()
    assert Browser().get("/saml/login/?next=/profile/").headers["Location"] == "/saml/acme/login/?next=%2Fprofile%2F"
    idp.sp_initiated = False
    idp.save()
    assert Browser().get("/saml/login/").headers["Location"] == "/sign-in/"


# --- How much of it ---


def test_one_browser_has_twenty_requests_open_at_most_and_the_oldest_give_way(idp: IdentityProvider) -> None:
    browser, other = Browser(), Browser()
    elsewhere = ask(other, idp)
    first, *_, last = (ask(browser, idp) for _ in range(MOST_OUTSTANDING + 1))
    assert SignInAttempt.objects.count() == MOST_OUTSTANDING + 1
    is_refused(answer(browser, idp, first.id), "unknown_request")
    is_signed_in(browser, answer(browser, idp, last.id))
    is_signed_in(other, answer(other, idp, elsewhere.id))


def test_asking_sweeps_a_few_requests_that_nobody_answered(idp: IdentityProvider) -> None:
    for _ in range(7):
        ask(Browser(), idp)
    SignInAttempt.objects.update(expires_at=timezone.now() - FORGOTTEN_AFTER - timedelta(minutes=1))
    ask(Browser(), idp)
    assert SignInAttempt.objects.count() == 3
    ask(Browser(), idp)
    assert SignInAttempt.objects.count() == 2


def test_a_returning_login_needs_eighteen_statements_at_most(idp: IdentityProvider) -> None:
    browser = Browser()
    is_signed_in(browser, answer(browser, idp, ask(browser, idp).id))
    xml = Forge(idp, timezone.now()).xml(in_response_to=ask(browser, idp).id)
    with CaptureQueriesContext(connection) as statements:
        browser.send(idp, xml)
        browser.get(CONTINUE)
    assert browser.user
    assert len(statements) <= 18, [query["sql"][:90] for query in statements.captured_queries]


@pytest.mark.django_db(transaction=True)
def test_of_many_answers_at_once_one_signs_in() -> None:
    idp, browser = factories.idp(), Browser()
    is_signed_in(browser, answer(browser, idp, ask(browser, idp).id))
    asked = ask(browser, idp)
    cookie = browser.jar[COOKIE].value
    forge = Forge(idp, timezone.now())
    messages = [encode(forge.xml(in_response_to=asked.id)) for _ in range(8)]
    begin, statuses = threading.Barrier(len(messages)), []

    def bring(message: str) -> None:
        client = Client()
        client.cookies[COOKIE] = cookie
        begin.wait()
        try:
            statuses.append(client.post(acs(idp), {"SAMLResponse": message}).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=bring, args=(message,)) for message in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303] + [403] * 7
    assert Session.objects.filter(adopted_at__isnull=True).count() == 1
    assert SpentAssertion.objects.count() == 2
    assert SignInAttempt.objects.filter(code="replayed").count() == 7


# --- How long it lasts ---


@pytest.mark.parametrize(("hours", "said", "lasts"), [(24, None, 24), (8, None, 8), (24, 3, 3), (2, 3, 2)])
def test_a_session_ends_at_the_earlier_of_the_two_limits_and_the_profile_says_when(
    hours: int, said: int | None, lasts: int
) -> None:
    idp, browser = factories.idp(session_hours=hours), Browser()
    now = timezone.now()
    changes: dict[str, Any] = {} if said is None else {"session_not_on_or_after": now + timedelta(hours=said)}
    is_signed_in(browser, answer(browser, idp, ask(browser, idp).id, **changes))
    ends = Session.objects.get(session_key=browser.session_key).expire_date
    assert abs(ends - now - timedelta(hours=lasts)) < timedelta(seconds=30)
    assert f"{ends:%H:%M} UTC</time>" in browser.get("/profile/").content.decode()
    Session.objects.update(expire_date=timezone.now())
    assert browser.get("/profile/").headers["Location"].startswith("/sign-in/")
