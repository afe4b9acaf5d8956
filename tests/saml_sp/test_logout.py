"""Single logout through the HTTP door: what ends a session and what does not, and what the identity provider hears."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import connection, connections
from django.utils import timezone
from lxml import etree

from accounts.actors import Actor
from accounts.models import Session
from accounts.sessions import SessionStore
from audit.kinds import Kind as EventKind
from audit.models import Event
from demo.logout import deflate, redirect_query, unsigned_query
from saml_sp import keys
from saml_sp.models import LogoutAttempt, SamlSession, SpentAssertion
from saml_sp.protocol import names, toolkit
from tests import factories
from tests.door import Browser
from tests.encrypting import Lock, seal
from tests.idp import ANA, Forge, Kind, email_attribute, key
from tests.logout import POST, REDIRECT, REQUEST, RESPONSE, Partner, receive
from tests.pages.forms import PASSWORD, sign_in_by_password, submit, text

if TYPE_CHECKING:
    from django.http import HttpResponse
    from pytest_django.fixtures import Settings

    from demo.keys import SigningKey
    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db

BOTH = pytest.mark.parametrize("binding", [REDIRECT, POST])
BEN = "ben@customer.example"
SLO_URL = "https://idp.acme.example/slo"
PARTIAL = (names.STATUS_SUCCESS, names.STATUS_PARTIAL_LOGOUT)
DENIED = ("urn:oasis:names:tc:SAML:2.0:status:Responder", "urn:oasis:names:tc:SAML:2.0:status:RequestDenied")


@pytest.fixture
def acme() -> IdentityProvider:
    return factories.idp(
        "acme", description="Acme Okta", slo_url=SLO_URL, portal_url="https://portal.acme.example/home"
    )


@pytest.fixture
def our_key(settings: Settings) -> SigningKey:
    """The key pair that we sign with."""
    settings.PORTICO_ENCRYPTION_KEYS = (Fernet.generate_key().decode(),)
    pair = key(Kind.SECOND_RSA)
    keys.take_over(pair.private_pem, pair.certificate_pem, now=timezone.now(), actor=Actor("test"))
    return pair


def signed_in(idp: IdentityProvider, index: str | None = "s1", person: str = ANA, **changes: Any) -> Browser:
    """A browser in a session that the identity provider began."""
    browser = Browser()
    forge = Forge(idp, timezone.now())
    facts: dict[str, Any] = {"name_id": person, "session_index": index, "attributes": ()} | changes
    browser.sign_in(idp, forge.xml(**facts))
    return browser


def live() -> set[str]:
    """The keys of all sessions that there are."""
    return set(Session.objects.values_list("session_key", flat=True))


def assert_refused(answer: HttpResponse, code: str, status: int = 403) -> Event:
    """One page with code and trace ID, the reason under that trace ID in the log, and no message to anybody."""
    event = Event.objects.get(kind=EventKind.SSO_LOGOUT_REFUSED)
    assert (answer.status_code, event.data["code"]) == (status, code), event.data
    words = text(answer).split()
    assert code in words
    assert event.trace_id in words
    assert "Nobody was signed out by it." in text(answer)
    assert "SAMLResponse" not in answer.content.decode()
    assert answer.headers["Cache-Control"] == "no-store"
    return event


# --- The identity provider asks ------------------------------------------------------------------------------------


@BOTH
def test_nameid_and_index_end_exactly_one_session_without_any_cookie(acme: IdentityProvider, binding: str) -> None:
    ana, elsewhere = signed_in(acme, "s1"), signed_in(acme, "s2")
    partner = Partner(acme)
    answer = partner.send(binding, Browser(), partner.request(session_indexes=["s1"]))
    assert answer.status_code == 303
    assert ana.user is None
    assert ana.get("/profile/").status_code == 302
    assert elsewhere.user
    assert not SamlSession.objects.filter(session_index="s1").exists()
    event = Event.objects.get(kind=EventKind.SSO_LOGOUT_CARRIED_OUT)
    assert (event.subject, event.actor, event.data["sessions_ended"]) == (ANA, "Acme Okta", 1)


@BOTH
def test_it_ends_all_of_the_nameids_sessions_where_no_index_is_given(acme: IdentityProvider, binding: str) -> None:
    browsers = [signed_in(acme, "s1"), signed_in(acme, "s2"), signed_in(acme, None)]
    ben = signed_in(acme, "s3", BEN, attributes=())
    partner = Partner(acme)
    partner.send(binding, Browser(), partner.request())
    assert [browser.user for browser in browsers] == [None, None, None]
    assert ben.user


def test_it_ends_each_of_several_indexes_and_no_other(acme: IdentityProvider) -> None:
    browsers = {index: signed_in(acme, index) for index in ("s1", "s2", "s3")}
    partner = Partner(acme)
    partner.post(Browser(), partner.request(session_indexes=["s1", "s3", "unknown"]))
    assert [index for index, browser in browsers.items() if browser.user] == ["s2"]


@pytest.mark.parametrize("index", ["S1", " s1", "s1 ", "s", "s11", ""])
def test_an_index_that_is_not_exactly_the_sessions_ends_nothing(acme: IdentityProvider, index: str) -> None:
    ana, without = signed_in(acme, "s1"), signed_in(acme, None)
    partner = Partner(acme)
    answer = partner.redirect(Browser(), partner.request(session_indexes=[index]))
    assert receive(answer, RESPONSE).status == names.STATUS_SUCCESS
    assert ana.user
    assert bool(without.user) == (index != "")


def test_another_identity_providers_session_of_the_same_nameid_is_untouched(acme: IdentityProvider) -> None:
    globex = factories.idp("globex", slo_url="https://idp.globex.example/slo")
    # The same NameID there is another person, so it needs another address.
    ben = signed_in(globex, "s1", ANA, attributes=[email_attribute(BEN)])
    ana = signed_in(acme, "s1", ANA)
    partner = Partner(globex)
    partner.redirect(Browser(), partner.request())
    assert ben.user is None
    assert ana.user


@pytest.mark.parametrize(
    "qualifiers",
    [{"name_qualifier": "https://another.example"}, {"sp_name_qualifier": "https://another.example"}],
    ids=["NameQualifier", "SPNameQualifier"],
)
def test_a_name_with_another_qualifier_is_another_name(acme: IdentityProvider, qualifiers: dict[str, str]) -> None:
    ana = signed_in(acme)
    partner = Partner(acme)
    answer = partner.post(Browser(), partner.request(**qualifiers))
    assert receive(answer, RESPONSE).status == names.STATUS_SUCCESS
    assert ana.user
    qualified = signed_in(acme, "s2", **qualifiers, attributes=[email_attribute(BEN)])
    partner.post(Browser(), partner.request())
    assert (ana.session_key in live(), qualified.session_key in live()) == (False, True)


@pytest.mark.parametrize("at_sign_in", [True, False])
def test_a_qualifier_that_says_what_its_absence_means_is_the_same_name(
    acme: IdentityProvider, *, at_sign_in: bool
) -> None:
    spelled_out = {"name_qualifier": acme.entity_id, "sp_name_qualifier": acme.sp_entity_id}
    ana = signed_in(acme, **(spelled_out if at_sign_in else {}))
    partner = Partner(acme)
    partner.post(Browser(), partner.request(**({} if at_sign_in else spelled_out)))
    assert ana.user is None


def test_another_format_of_the_same_nameid_is_the_same_name(acme: IdentityProvider) -> None:
    ana = signed_in(acme, name_id_format=names.NAMEID_EMAIL)
    partner = Partner(acme)
    partner.post(Browser(), partner.request(name_id_format=None))
    assert ana.user is None


def test_an_encrypted_nameid_is_read_with_our_key(acme: IdentityProvider, our_key: SigningKey) -> None:
    ana = signed_in(acme)
    partner = Partner(acme)
    request = partner.request()
    name_id = request.find(names.NAME_ID)
    public = our_key.certificate.public_key()
    assert name_id is not None
    assert isinstance(public, rsa.RSAPublicKey)
    sealed = seal(etree.tostring(name_id), Lock(to=[public]), tag=names.ENCRYPTED_ID, prefix="saml")
    request.replace(name_id, sealed)
    assert partner.post(Browser(), request).status_code == 303
    assert ana.user is None


def test_a_session_that_waits_to_be_taken_up_ends_too(acme: IdentityProvider) -> None:
    browser = Browser()
    browser.send(acme, Forge(acme, timezone.now()).xml(session_index="s1"))
    partner = Partner(acme)
    partner.post(Browser(), partner.request(session_indexes=["s1"]))
    assert "Please start again." in text(browser.get("/saml/continue/"))
    assert browser.user is None


def test_a_session_whose_key_changed_is_still_found(acme: IdentityProvider) -> None:
    ana = signed_in(acme)
    store = SessionStore(ana.session_key)
    store.load()
    store.cycle_key()  # as Django does after a change of password
    assert Session.objects.filter(session_key=store.session_key).exists()
    partner = Partner(acme)
    partner.post(Browser(), partner.request())
    assert not Session.objects.filter(session_key=store.session_key).exists()


def test_a_browser_that_brings_its_own_cookie_is_signed_out_by_it(acme: IdentityProvider) -> None:
    ana = signed_in(acme)
    partner = Partner(acme)
    answer = partner.redirect(ana, partner.request())
    assert answer.status_code == 303
    assert ana.user is None


@BOTH
def test_a_request_that_names_no_live_session_is_answered_with_success(acme: IdentityProvider, binding: str) -> None:
    partner = Partner(acme)
    answer = partner.send(binding, Browser(), partner.request(name_id="nobody"))
    assert receive(answer, RESPONSE).status == names.STATUS_SUCCESS
    event = Event.objects.get(kind=EventKind.SSO_LOGOUT_CARRIED_OUT)
    assert (event.subject_type, event.data["sessions_ended"]) == ("idp", 0)


@BOTH
@pytest.mark.parametrize("answer_binding", [REDIRECT, POST])
def test_the_answer_is_signed_and_takes_the_binding_that_the_identity_provider_wants(
    acme: IdentityProvider, our_key: SigningKey, binding: str, answer_binding: str
) -> None:
    acme.slo_binding = answer_binding
    acme.save()
    partner = Partner(acme)
    request = partner.request()
    answer = partner.send(binding, Browser(), request, relay_state="a token / of theirs & <more>")
    received = receive(answer, RESPONSE, our_key.certificate_pem)
    assert received.signed
    assert (received.endpoint, received.status) == (SLO_URL, names.STATUS_SUCCESS)
    assert received.relay_state == "a token / of theirs & <more>"
    tree = received.tree
    assert tree.tag == names.LOGOUT_RESPONSE
    assert tree.get("InResponseTo") == request.get("ID")
    assert tree.get("Destination") == SLO_URL
    assert tree.findtext(names.ISSUER) == acme.sp_entity_id
    if answer_binding == POST:
        assert "<button" in answer.content.decode()


def test_without_a_key_pair_the_answer_is_not_signed(acme: IdentityProvider) -> None:
    partner = Partner(acme)
    received = receive(partner.post(Browser(), partner.request()), RESPONSE)
    assert (received.signed, received.status) == (False, names.STATUS_SUCCESS)


def test_the_answer_goes_to_the_response_url_where_there_is_one(acme: IdentityProvider) -> None:
    acme.slo_response_url = "https://idp.acme.example/slo/done?tenant=7"
    acme.save()
    partner = Partner(acme)
    answer = partner.post(Browser(), partner.request())
    assert answer.headers["Location"].startswith("https://idp.acme.example/slo/done?tenant=7&SAMLResponse=")
    assert receive(answer, RESPONSE).tree.get("Destination") == acme.slo_response_url


def test_an_identity_provider_that_has_no_address_for_an_answer_gets_none(acme: IdentityProvider) -> None:
    acme.slo_url = ""
    acme.save()
    ana = signed_in(acme)
    partner = Partner(acme)
    answer = partner.post(Browser(), partner.request())
    assert (answer.status_code, answer.headers["Location"]) == (303, "/signed-out/")
    assert ana.user is None


def test_a_relay_state_beyond_all_measure_is_not_echoed(acme: IdentityProvider) -> None:
    partner = Partner(acme)
    answer = partner.post(Browser(), partner.request(), relay_state="x" * 2049)
    assert receive(answer, RESPONSE).relay_state == ""


def test_several_relay_states_are_none(acme: IdentityProvider) -> None:
    partner = Partner(acme)
    answer = partner.form(Browser(), partner.signed(partner.request()), RelayState=["a", "b"])
    assert receive(answer, RESPONSE).relay_state == ""


@BOTH
def test_the_identity_providers_pages_may_show_the_answer_in_a_frame(acme: IdentityProvider, binding: str) -> None:
    acme.slo_binding = POST
    acme.save()
    partner = Partner(acme)
    answer = partner.send(binding, Browser(), partner.request())
    assert "X-Frame-Options" not in answer.headers
    policy = answer.headers["Content-Security-Policy"]
    origins = "https://idp.acme.example https://portal.acme.example"
    assert f"frame-ancestors {origins}" in policy
    assert f"form-action 'self' {origins}" in policy
    assert "script-src 'self'" in policy


def test_every_other_page_stays_out_of_frames(acme: IdentityProvider) -> None:
    answer = Browser().get("/signed-out/")
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    unknown = Browser().get("/saml/unknown/slo/")
    assert unknown.headers["X-Frame-Options"] == "DENY"


# --- Refused -------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "https://idp.globex.example/metadata"}, "issuer_mismatch"),
        ({"issuer": None}, "issuer_mismatch"),
        ({"destination": None}, "logout_destination_mismatch"),
        ({"destination": "https://portico.example/saml/acme/slo"}, "logout_destination_mismatch"),
        ({"issue_instant": timedelta(minutes=-13)}, "expired"),
        ({"issue_instant": timedelta(minutes=3)}, "not_yet_valid"),
        ({"not_on_or_after": timedelta(minutes=-3)}, "expired"),
        ({"name_id": None}, "schema_invalid"),
        ({"name_id": ""}, "subject_missing"),
        ({"session_indexes": ["x" * 1025]}, "value_too_long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_signed_request_that_is_not_for_us_or_not_now_ends_no_session(
    acme: IdentityProvider, binding: str, changes: dict[str, object], code: str
) -> None:
    ana = signed_in(acme)
    partner = Partner(acme)
    facts = {name: partner.now + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    assert_refused(partner.send(binding, Browser(), partner.request(**facts)), code)
    assert ana.user


def test_within_the_tolerance_of_the_clocks_a_request_is_carried_out(acme: IdentityProvider) -> None:
    for issued, ends in ((100, None), (-700, None), (0, -100)):
        ana = signed_in(acme)
        partner = Partner(acme)
        end = None if ends is None else partner.now + timedelta(seconds=ends)
        request = partner.request(issue_instant=partner.now + timedelta(seconds=issued), not_on_or_after=end)
        partner.post(Browser(), request)
        assert ana.user is None


@BOTH
@pytest.mark.parametrize("kind", [Kind.STRANGER, Kind.RSA_EXPIRED])
def test_a_forged_request_ends_no_session(acme: IdentityProvider, binding: str, kind: Kind) -> None:
    if kind is Kind.RSA_EXPIRED:
        acme.set_certificates([factories.der(key(Kind.RSA)), factories.der(key(Kind.STRANGER))])
    ana = signed_in(acme)
    acme.set_certificates([factories.der(key(Kind.SECOND_RSA if kind is Kind.STRANGER else kind))])
    partner = Partner(acme)
    answer = partner.send(binding, Browser(), partner.request(), by=key(kind))
    assert_refused(answer, "bad_signature" if kind is Kind.STRANGER else "no_current_certificate")
    assert ana.user


def test_an_unsigned_request_ends_no_session(acme: IdentityProvider) -> None:
    ana = signed_in(acme)
    partner = Partner(acme)
    xml = etree.tostring(partner.request())
    assert_refused(partner.form(Browser(), xml), "logout_unsigned")
    answer = partner.query(Browser(), redirect_query(REQUEST, xml, None))
    assert "logout_unsigned" in text(answer)
    assert Event.objects.filter(kind=EventKind.SSO_LOGOUT_REFUSED).count() == 2
    assert ana.user


@BOTH
def test_a_replayed_request_ends_no_session(acme: IdentityProvider, binding: str) -> None:
    partner = Partner(acme)
    request = partner.request(message_id="l-1")
    assert partner.send(binding, Browser(), request).status_code == 303
    ana = signed_in(acme)
    assert_refused(partner.send(binding, Browser(), partner.request(message_id="l-1")), "logout_replayed")
    assert ana.user


def test_the_same_id_from_another_identity_provider_is_another_request(acme: IdentityProvider) -> None:
    globex = factories.idp("globex", slo_url="https://idp.globex.example/slo")
    for idp in (acme, globex):
        partner = Partner(idp)
        assert partner.redirect(Browser(), partner.request(message_id="l-1")).status_code == 303


def test_an_assertion_of_the_same_id_as_a_request_still_signs_in(acme: IdentityProvider) -> None:
    partner = Partner(acme)
    partner.redirect(Browser(), partner.request(message_id="same"))
    assert signed_in(acme, assertion_id="same").user


def test_a_request_id_as_long_as_is_allowed_is_remembered(acme: IdentityProvider) -> None:
    partner = Partner(acme)
    for expected in (303, 403):
        answer = partner.redirect(Browser(), partner.request(message_id="l" * 256))
        assert answer.status_code == expected


def test_what_is_remembered_of_a_request_lasts_as_long_as_the_request_could(acme: IdentityProvider) -> None:
    partner = Partner(acme)
    partner.redirect(Browser(), partner.request())
    assert SpentAssertion.objects.get().expires_at >= partner.now + timedelta(minutes=11, seconds=59)


@pytest.mark.django_db(transaction=True)
def test_of_the_same_request_raced_by_threads_exactly_one_is_carried_out(acme: IdentityProvider) -> None:
    ana = signed_in(acme)
    partner = Partner(acme)
    xml = partner.signed(partner.request())
    barrier, statuses = threading.Barrier(8), []

    def send() -> None:
        barrier.wait()
        try:
            statuses.append(partner.form(Browser(), xml).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303] + [403] * 7
    assert ana.user is None
    assert Event.objects.filter(kind=EventKind.SSO_LOGOUT_CARRIED_OUT).count() == 1


@pytest.mark.django_db(transaction=True)
def test_several_requests_for_the_same_sessions_at_once_are_all_answered(acme: IdentityProvider) -> None:
    browsers = [signed_in(acme, f"s{number}") for number in range(6)]
    partner = Partner(acme)
    messages = [partner.signed(partner.request()) for _ in range(6)]
    barrier, statuses = threading.Barrier(6), []

    def send(xml: bytes) -> None:
        barrier.wait()
        try:
            statuses.append(partner.form(Browser(), xml).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=(xml,)) for xml in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [303] * 6
    assert not any(browser.user for browser in browsers)


def test_the_reason_of_a_refusal_is_read_in_the_administration(acme: IdentityProvider) -> None:
    partner = Partner(acme)
    answer = partner.redirect(Browser(), partner.request(destination="https://elsewhere.example/"))
    event = assert_refused(answer, "logout_destination_mismatch")
    assert event.data["expected"] == acme.slo_endpoint
    grace = factories.user("grace@portico.example", password=PASSWORD, is_staff=True, is_superuser=True)
    admin = sign_in_by_password(grace)
    assert event.trace_id in text(admin.get(f"/admin/audit/event/?q={event.trace_id}"))
    assert "https://elsewhere.example/" in text(admin.get(f"/admin/audit/event/{event.pk}/change/"))


@pytest.mark.parametrize("slug", ["unknown", "draft"])
def test_an_identity_provider_that_is_unknown_or_disabled_has_no_such_address(slug: str) -> None:
    factories.idp("draft", enabled=False)
    assert_refused(Browser().get(f"/saml/{slug}/slo/"), "unknown_idp", 404)


@pytest.mark.parametrize("method", ["put", "delete", "head", "patch", "options"])
def test_other_methods_are_refused(acme: IdentityProvider, method: str) -> None:
    answer = Browser()._send(method, "/saml/acme/slo/", cross_site=False)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")


def test_a_body_beyond_all_measure_is_refused_before_it_is_read(acme: IdentityProvider) -> None:
    answer = Browser().post("/saml/acme/slo/", {REQUEST: "A" * 600_000}, cross_site=True)
    assert_refused(answer, "message_too_large", 413)


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "1e3"])
def test_a_length_that_is_no_number_is_refused(acme: IdentityProvider, length: str) -> None:
    answer = Browser().post("/saml/acme/slo/", {REQUEST: "A"}, cross_site=True, CONTENT_LENGTH=length)
    assert_refused(answer, "message_too_large", 413)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {REQUEST: ["QQ==", "QQ=="]},
        {REQUEST: "QQ==", RESPONSE: "QQ=="},
        {"SAMLrequest": "QQ=="},
    ],
    ids=["empty", "twice", "both", "misspelt"],
)
def test_a_form_without_exactly_one_message_is_refused(acme: IdentityProvider, form: dict[str, object]) -> None:
    assert_refused(Browser().post("/saml/acme/slo/", form, cross_site=True), "logout_form")


def test_a_message_in_the_query_of_a_post_is_refused(acme: IdentityProvider) -> None:
    answer = Browser().post("/saml/acme/slo/?SAMLResponse=QQ==", {REQUEST: "QQ=="}, cross_site=True)
    assert_refused(answer, "logout_form")


def test_a_body_that_is_no_form_is_refused(acme: IdentityProvider) -> None:
    answer = Browser().post("/saml/acme/slo/", '{"SAMLRequest": ""}', cross_site=True, content_type="application/json")
    assert_refused(answer, "transport")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "query"),
        ("SAMLRequest=%00", "not_base64"),
        ("SAMLRequest=QQ==&SAMLResponse=QQ==", "query"),
        ("SAMLRequest=QQ==&SAMLRequest=QQ==", "query"),
        ("SAMLRequest=%FF", "query"),
        ("SAMLRequest=\u00e4", "query"),
        ("SAMLRequest=QQ==&SAMLEncoding=%00other", "query"),
    ],
)
def test_a_query_that_is_not_the_bindings_is_refused(acme: IdentityProvider, query: str, code: str) -> None:
    answer = Browser().get("/saml/acme/slo/", QUERY_STRING=query)
    assert_refused(answer, code)


def test_an_algorithm_that_holds_what_no_database_takes_is_refused_like_any_other(acme: IdentityProvider) -> None:
    query = unsigned_query(REQUEST, deflate(etree.tostring(Partner(acme).request())))
    answer = Partner(acme).query(Browser(), f"{query}&SigAlg=%00%E2%80%AE&Signature=QQ==")
    assert assert_refused(answer, "weak_algorithm").data["received"] == "··"


# --- Somebody signs out here ---------------------------------------------------------------------------------------


def leave(browser: Browser) -> HttpResponse:
    """Press “Sign out” on the landing page."""
    return submit(browser, "/sign-out/", page="/")


@BOTH
def test_signing_out_here_asks_the_identity_provider_in_its_own_words(
    acme: IdentityProvider, our_key: SigningKey, binding: str
) -> None:
    acme.slo_binding = binding
    acme.save()
    said = {
        "name_id_format": names.NAMEID_PERSISTENT,
        "name_qualifier": acme.entity_id,
        "sp_name_qualifier": "some/affiliation",
        "session_index": "the index & <all>",
    }
    browser = signed_in(acme, **said)
    session = browser.session_key
    answer = leave(browser)
    # The session here is over whatever the identity provider does.
    assert not Session.objects.filter(session_key=session).exists()
    assert not SamlSession.objects.exists()
    assert answer.status_code == 200
    assert "You are signed out here." in text(answer)
    received = receive(answer, REQUEST, our_key.certificate_pem)
    assert received.signed
    assert received.endpoint == SLO_URL
    tree = received.tree
    assert tree.tag == names.LOGOUT_REQUEST
    assert (tree.get("Destination"), tree.findtext(names.ISSUER)) == (SLO_URL, acme.sp_entity_id)
    assert tree.get("NotOnOrAfter")
    name_id = tree.find(names.NAME_ID)
    assert name_id is not None
    assert name_id.text == ANA
    assert dict(name_id.items()) == {
        "Format": said["name_id_format"],
        "NameQualifier": said["name_qualifier"],
        "SPNameQualifier": said["sp_name_qualifier"],
    }
    assert tree.findtext(names.SESSION_INDEX) == "the index & <all>"
    attempt = LogoutAttempt.objects.get()
    assert (attempt.request_id, attempt.idp, attempt.user_label) == (tree.get("ID"), acme, ANA)
    assert attempt.expires_at - attempt.at == timedelta(minutes=5)
    assert Event.objects.get(kind=EventKind.SSO_LOGOUT_ASKED).data == {"request_id": attempt.request_id}
    # The page moves on by itself, by a form or a refresh, and its policy lets it, also where that leads on.
    policy = answer.headers["Content-Security-Policy"]
    assert "form-action 'self' https://idp.acme.example https://portal.acme.example" in policy
    assert "frame-ancestors 'none'" in policy
    if binding == REDIRECT:
        assert '<meta http-equiv="refresh"' in answer.content.decode()


def test_a_request_says_nothing_of_what_the_assertion_did_not_say(acme: IdentityProvider) -> None:
    browser = signed_in(acme, None, name_id_format=None)
    tree = receive(leave(browser), REQUEST).tree
    name_id = tree.find(names.NAME_ID)
    assert name_id is not None
    assert dict(name_id.items()) == {}
    assert tree.find(names.SESSION_INDEX) is None


def test_our_messages_are_valid_against_the_schema(acme: IdentityProvider) -> None:
    request = receive(leave(signed_in(acme)), REQUEST).tree
    partner = Partner(acme)
    response = receive(partner.post(Browser(), partner.request()), RESPONSE).tree
    for tree in (request, response):
        toolkit.protocol_schema().assertValid(tree)


def test_a_session_that_began_here_asks_nobody(acme: IdentityProvider) -> None:
    grace = factories.user("grace@portico.example", password=PASSWORD, is_staff=True)
    browser = sign_in_by_password(grace)
    answer = submit(browser, "/sign-out/", page="/profile/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/signed-out/")
    assert browser.user is None
    assert not LogoutAttempt.objects.exists()


@pytest.mark.parametrize("facts", [{"slo_url": ""}, {"sign_requests": True}, {"enabled": False}], ids=str)
def test_who_cannot_be_asked_is_not_and_the_page_says_so(acme: IdentityProvider, facts: dict[str, object]) -> None:
    browser = signed_in(acme)
    for name, value in facts.items():
        setattr(acme, name, value)
    acme.save()
    answer = leave(browser)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/signed-out/?idp=not-asked")
    assert browser.user is None
    assert "was not asked to end its own" in text(browser.get(answer.headers["Location"]))
    assert not LogoutAttempt.objects.exists()


def asked(idp: IdentityProvider) -> tuple[Browser, str]:
    """Somebody has signed out here and is on the way to the identity provider: the browser, and our request's ID."""
    browser = signed_in(idp)
    request_id = receive(leave(browser), REQUEST).tree.get("ID")
    assert request_id
    return browser, request_id


@BOTH
@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ((names.STATUS_SUCCESS,), "Acme Okta has ended its session too."),
        (PARTIAL, "Acme Okta could not end every session that it began"),
        (DENIED, "Acme Okta could not end every session that it began"),
        (("urn:oasis:names:tc:SAML:2.0:status:Responder", names.STATUS_PARTIAL_LOGOUT), "could not end every session"),
    ],
    ids=["complete", "partial", "denied", "partial-by-error"],
)
def test_the_page_says_what_the_identity_provider_answered(
    acme: IdentityProvider, binding: str, status: tuple[str, ...], sentence: str
) -> None:
    browser, request_id = asked(acme)
    partner = Partner(acme)
    answer = partner.send(binding, browser, partner.response(request_id, status=status))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/signed-out/?logout={request_id}")
    page = text(browser.get(answer.headers["Location"]))
    assert "You are signed out." in page
    assert sentence in page
    event = Event.objects.get(kind=EventKind.SSO_LOGOUT_ANSWERED)
    assert event.data["complete"] == (status == (names.STATUS_SUCCESS,))
    assert event.data["status"] == list(status)


def test_while_the_identity_provider_does_not_answer_the_page_says_so(acme: IdentityProvider) -> None:
    browser, request_id = asked(acme)
    assert browser.user is None
    assert "Acme Okta has not told us that its session ended too" in text(
        browser.get(f"/signed-out/?logout={request_id}")
    )


@pytest.mark.parametrize("request_id", ["", "_" + "0" * 40, "%00", "x" * 3000, "_" + "0" * 40 + "%0A"])
def test_a_request_that_nobody_made_leads_to_the_ordinary_page(request_id: str) -> None:
    page = Browser().get(f"/signed-out/?logout={request_id}")
    assert page.status_code == 200
    assert "portal may still remember you" in text(page)


@BOTH
def test_an_answer_comes_once(acme: IdentityProvider, binding: str) -> None:
    browser, request_id = asked(acme)
    partner = Partner(acme)
    partner.send(binding, browser, partner.response(request_id, status=PARTIAL))
    answer = partner.send(binding, browser, partner.response(request_id))
    assert_refused(answer, "unknown_logout")
    assert LogoutAttempt.objects.get().partial


def test_an_answer_from_another_identity_provider_is_refused(acme: IdentityProvider) -> None:
    globex = factories.idp("globex")
    browser, request_id = asked(acme)
    partner = Partner(globex)
    assert_refused(partner.redirect(browser, partner.response(request_id)), "unknown_logout")
    assert LogoutAttempt.objects.get().answered_at is None


@BOTH
@pytest.mark.parametrize("in_response_to", [None, "", "_unknown"])
def test_an_answer_to_nothing_changes_nothing(acme: IdentityProvider, binding: str, in_response_to: str | None) -> None:
    ana = signed_in(acme)
    partner = Partner(acme)
    answer = partner.send(binding, ana, partner.response(in_response_to))
    assert_refused(answer, "schema_invalid" if in_response_to == "" else "unknown_logout")
    assert ana.user


def test_an_answer_that_comes_too_late_is_refused(acme: IdentityProvider) -> None:
    browser, request_id = asked(acme)
    LogoutAttempt.objects.update(expires_at=timezone.now())
    partner = Partner(acme)
    assert_refused(partner.post(browser, partner.response(request_id)), "unknown_logout")


@BOTH
def test_a_forged_answer_is_refused(acme: IdentityProvider, binding: str) -> None:
    browser, request_id = asked(acme)
    partner = Partner(acme)
    answer = partner.send(binding, browser, partner.response(request_id), by=key(Kind.STRANGER))
    assert_refused(answer, "bad_signature")
    assert LogoutAttempt.objects.get().answered_at is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "https://another.example"}, "issuer_mismatch"),
        ({"destination": "https://another.example"}, "logout_destination_mismatch"),
        ({"issue_instant": timedelta(minutes=-13)}, "expired"),
        ({"status": ()}, "schema_invalid"),
    ],
    ids=str,
)
def test_an_answer_that_is_not_for_us_or_not_now_is_refused(
    acme: IdentityProvider, changes: dict[str, object], code: str
) -> None:
    browser, request_id = asked(acme)
    partner = Partner(acme)
    facts = {name: partner.now + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    assert_refused(partner.redirect(browser, partner.response(request_id, **facts)), code)
    assert LogoutAttempt.objects.get().answered_at is None


@pytest.mark.parametrize("field_name", [REQUEST, RESPONSE])
def test_a_message_in_the_wrong_field_is_refused(acme: IdentityProvider, field_name: str) -> None:
    ana = signed_in(acme)
    partner = Partner(acme)
    tree = partner.response("_x") if field_name == REQUEST else partner.request()
    assert_refused(partner.redirect(Browser(), tree, field_name=field_name), "bad_structure")
    assert ana.user


# --- Another node --------------------------------------------------------------------------------------------------

ANOTHER_NODE = """
    import sys
    import django
    django.setup()
    from django.conf import settings
    from django.test import Client
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = sys.argv[1]
    for _ in sys.stdin:
        print(client.get("/profile/", headers={"host": "127.0.0.1"}).status_code, flush=True)
"""


@pytest.mark.django_db(transaction=True)
def test_another_node_refuses_the_session_at_its_very_next_request(acme: IdentityProvider) -> None:
    ana = signed_in(acme)
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(ANOTHER_NODE), str(ana.session_key)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as node:  # fmt: skip
        assert node.stdin
        assert node.stdout
        print("before", file=node.stdin, flush=True)
        assert node.stdout.readline() == "200\n"
        partner = Partner(acme)
        partner.redirect(Browser(), partner.request())
        print("after", file=node.stdin, flush=True)
        assert node.stdout.readline() == "302\n"
        node.stdin.close()
