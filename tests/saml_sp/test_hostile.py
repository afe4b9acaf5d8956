"""Everything that must not sign in, through the HTTP door.

Each case spoils one thing in a valid, really signed response. Whatever it is, the person sees one page with a stable
code and a trace ID, the administrator finds the reason under that trace ID, and nothing else happened.
"""

from __future__ import annotations

import json
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from accounts.models import Session, User
from audit.models import Event
from demo.issuer import Signed, encode
from saml_sp.models import FederatedIdentity, Outcome, SamlSession, SignInAttempt, SpentAssertion
from saml_sp.protocol.names import NAMEID_TRANSIENT
from tests import factories
from tests.door import Browser, acs, holds_nothing
from tests.idp import ANA, Forge, Kind, email_attribute, key, swap
from tests.spoilers import SHELVES, Spoiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpResponse

    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp("customer")


def forge(idp: IdentityProvider) -> Forge:
    return Forge(idp, timezone.now())


def rows() -> dict[str, int]:
    """What a login would have left behind."""
    tables = (User, Session, SpentAssertion, FederatedIdentity, SamlSession, Event)
    return {table.__name__: table._default_manager.count() for table in tables}


def assert_refused(
    response: HttpResponse, code: str, *, status: int = 403, received: str = "", before: dict[str, int] | None = None
) -> SignInAttempt:
    """One page, one record, and nothing else; returns the record."""
    attempt = SignInAttempt.objects.latest("pk")
    page = response.content.decode()
    assert (response.status_code, attempt.code) == (status, code), (attempt.code, attempt.expected, attempt.received)
    assert holds_nothing(response)
    assert code in page.split()
    assert attempt.trace_id in page.split()
    assert response.headers["Cache-Control"] == "no-store"
    assert attempt.outcome == Outcome.REFUSED
    assert attempt.user is None
    assert attempt.expected
    assert attempt.received
    assert received in attempt.received
    assert attempt.reason
    assert attempt.cure
    assert rows() == (before or dict.fromkeys(rows(), 0))
    return attempt


def parametrized(shelf: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("spoiled", SHELVES[shelf], ids=lambda spoiled: spoiled.name)


def check(idp: IdentityProvider, spoiled: Spoiled) -> None:
    response = Browser().send(idp, spoiled.make(forge(idp)))
    assert_refused(response, spoiled.code, received=spoiled.received)


@parametrized("encoding")
def test_it_refuses_another_encoding(idp: IdentityProvider, spoiled: Spoiled) -> None:
    check(idp, spoiled)


@parametrized("markup")
def test_it_refuses_markup(idp: IdentityProvider, spoiled: Spoiled) -> None:
    check(idp, spoiled)


@parametrized("amounts")
def test_it_refuses_too_much(idp: IdentityProvider, spoiled: Spoiled) -> None:
    check(idp, spoiled)


@parametrized("structure")
def test_it_refuses_another_structure(idp: IdentityProvider, spoiled: Spoiled) -> None:
    check(idp, spoiled)


@parametrized("wrapping")
def test_it_refuses_wrapping(idp: IdentityProvider, spoiled: Spoiled) -> None:
    check(idp, spoiled)


@parametrized("signatures")
def test_it_refuses_a_signature(idp: IdentityProvider, spoiled: Spoiled) -> None:
    check(idp, spoiled)


@parametrized("reading")
def test_it_refuses_to_read(idp: IdentityProvider, spoiled: Spoiled) -> None:
    check(idp, spoiled)


@parametrized("meant")
def test_it_refuses_what_is_meant_for_others(idp: IdentityProvider, spoiled: Spoiled) -> None:
    check(idp, spoiled)


@parametrized("time")
def test_it_refuses_at_this_time(idp: IdentityProvider, spoiled: Spoiled) -> None:
    check(idp, spoiled)


def test_every_spoiler_has_its_own_name() -> None:
    names = [spoiled.name for shelf in SHELVES.values() for spoiled in shelf]
    assert len(names) == len(set(names))


# --- Transport --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_it_only_takes_a_post(idp: IdentityProvider, method: str) -> None:
    response = Browser().request(method, acs(idp), data=b"x=y", content_type=FORM)
    attempt = SignInAttempt.objects.get()
    assert (response.status_code, response.headers["Allow"], attempt.code) == (405, "POST", "method_not_allowed")
    assert attempt.received == method.upper()
    assert holds_nothing(response)
    assert rows() == dict.fromkeys(rows(), 0)
    assert attempt.trace_id in response.content.decode() or method == "head"


def multipart(*parts: tuple[str, bytes], boundary: str = "bound") -> bytes:
    """Parts by their headers and contents."""
    body = b"".join(f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n" for head, content in parts)
    return body + f"--{boundary}--\r\n".encode()


def field(name: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"'


def file_part(name: str) -> str:
    return f'{field(name)}; filename="response.xml"\r\nContent-Type: text/xml'


MULTIPART = "multipart/form-data; boundary=bound"
# Each is the content type and, made from the base64 of a valid response, the body.
BODIES: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "json": ("application/json", lambda good: json.dumps({"SAMLResponse": good}).encode()),
    "plain_text": ("text/plain", lambda good: f"SAMLResponse={good}".encode()),
    "xml": ("text/xml", lambda good: good.encode()),
    "no_content_type": ("", lambda good: urlencode({"SAMLResponse": good}).encode()),
    "nothing": (FORM, lambda good: b""),
    "nothing_multipart": (MULTIPART, lambda good: b""),
    "another_field": (FORM, lambda good: urlencode({"SAMLRequest": good}).encode()),
    "a_field_in_small_letters": (FORM, lambda good: urlencode({"samlresponse": good}).encode()),
    "the_field_as_a_list": (FORM, lambda good: urlencode({"SAMLResponse[]": good}).encode()),
    "the_field_twice": (FORM, lambda good: urlencode([("SAMLResponse", good), ("SAMLResponse", good)]).encode()),
    "the_field_twice_and_one_is_empty": (
        FORM,
        lambda good: urlencode([("SAMLResponse", ""), ("SAMLResponse", good)]).encode(),
    ),
    "a_file": (MULTIPART, lambda good: multipart((file_part("SAMLResponse"), good.encode()))),
    "a_field_and_a_file": (
        MULTIPART,
        lambda good: multipart((field("SAMLResponse"), good.encode()), (file_part("SAMLResponse"), b"x")),
    ),
    "two_parts": (
        MULTIPART,
        lambda good: multipart((field("SAMLResponse"), good.encode()), (field("SAMLResponse"), good.encode())),
    ),
    "a_form_in_utf_16": (f"{FORM}; charset=utf-16", lambda good: urlencode({"SAMLResponse": good}).encode("utf-16")),
    "a_form_in_latin_1": (f"{FORM}; charset=latin-1", lambda good: urlencode({"SAMLResponse": good}).encode()),
    "parts_in_utf_7": (f"{MULTIPART}; charset=utf-7", lambda good: multipart((field("SAMLResponse"), good.encode()))),
    # Codecs of Python that are no encodings of text.
    "parts_in_rot_13": (f"{MULTIPART}; charset=rot13", lambda good: multipart((field("SAMLResponse"), good.encode()))),
    "parts_in_hex": (f"{MULTIPART}; charset=hex", lambda good: multipart((field("SAMLResponse"), good.encode()))),
    "a_form_in_zlib": (f"{FORM}; charset=zlib", lambda good: urlencode({"SAMLResponse": good}).encode()),
    "parts_without_a_boundary": ("multipart/form-data", lambda good: multipart((field("SAMLResponse"), good.encode()))),
    "a_boundary_that_is_none": (
        "multipart/form-data; boundary=é",
        lambda good: multipart((field("SAMLResponse"), good.encode())),
    ),
    "parts_cut_off": (MULTIPART, lambda good: multipart((field("SAMLResponse"), good.encode()))[:60]),
    "two_thousand_fields": (FORM, lambda good: urlencode([("SAMLResponse", good), *[("x", "y")] * 2001]).encode()),
    "six_files": (
        MULTIPART,
        lambda good: multipart((field("SAMLResponse"), good.encode()), *[(file_part("x"), b"y")] * 6),
    ),
}


@pytest.mark.parametrize("body", BODIES)
def test_it_refuses_another_body(idp: IdentityProvider, body: str) -> None:
    content_type, make = BODIES[body]
    good = encode(forge(idp).xml())
    response = Browser().post(acs(idp), make(good), cross_site=True, content_type=content_type)
    assert_refused(response, "transport")


def test_it_refuses_parts_of_another_boundary(idp: IdentityProvider) -> None:
    body = multipart((field("SAMLResponse"), encode(forge(idp).xml()).encode()), boundary="other")
    assert_refused(Browser().post(acs(idp), body, cross_site=True, content_type=MULTIPART), "not_base64")


def test_it_refuses_a_response_in_the_query(idp: IdentityProvider) -> None:
    form = {"SAMLResponse": encode(forge(idp).xml())}
    assert_refused(Browser().post(f"{acs(idp)}?{urlencode(form)}", {}, cross_site=True), "transport")
    assert_refused(Browser().post(f"{acs(idp)}?{urlencode(form)}", form, cross_site=True), "transport")
    assert_refused(Browser().post(f"{acs(idp)}?SAMLResponse=", form, cross_site=True), "transport")


# Each makes something that is not plain base64 of the plain base64 of a valid response.
NOT_BASE64: dict[str, Callable[[str], str]] = {
    "the_alphabet_for_urls": lambda good: (
        good[:40].replace(good[10], "-") + good[40:-8].replace("/", "_") + "_" + good[-7:]
    ),
    "a_blank_within": lambda good: good[:40] + " " + good[40:],
    "a_blank_before": lambda good: " " + good,
    "a_blank_behind": lambda good: good + " ",
    "a_tab_within": lambda good: good[:40] + "\t" + good[40:],
    "a_no_break_blank": lambda good: good + "\u00a0",
    "a_form_feed": lambda good: good + "\x0c",
    "a_nul": lambda good: good + "\x00",
    "a_full_width_letter": lambda good: "\uff21" + good[1:],
    "a_data_url": lambda good: "data:text/xml;base64," + good,
    "one_character_missing": lambda good: (
        good.rstrip("=")[:-1] if len(good.rstrip("=")) % 4 != 2 else good.rstrip("=")[:-2] + "="
    ),
    "too_many_signs_at_the_end": lambda good: good.rstrip("=") + "====",
    "a_sign_within": lambda good: good[:40] + "=" + good[40:],
    "another_text_behind_the_end": lambda good: encode(b"<a/>") + good,
    "xml_itself": lambda good: "<samlp:Response/>",
    "percent_encoded_twice": lambda good: good + "%3D",
    "a_replacement_character": lambda good: good + "\ufffd",
}


@pytest.mark.parametrize("text", NOT_BASE64)
def test_it_refuses_what_is_not_base64(idp: IdentityProvider, text: str) -> None:
    form = {"SAMLResponse": NOT_BASE64[text](encode(forge(idp).xml()))}
    assert_refused(Browser().post(acs(idp), form, cross_site=True), "not_base64")


def test_it_refuses_a_plus_sign_that_was_not_encoded(idp: IdentityProvider) -> None:
    good = encode(swap(forge(idp).xml(), "?>\n", "?>\n\n"))
    response = Browser().post(acs(idp), f"SAMLResponse=+{good[1:]}", cross_site=True, content_type=FORM)
    assert_refused(response, "not_base64")


@pytest.mark.parametrize("spaces", [260_000, 3 * 1024 * 1024])
def test_it_refuses_a_response_that_is_too_large(idp: IdentityProvider, spaces: int) -> None:
    xml = forge(idp).xml() + b" " * spaces
    assert_refused(Browser().send(idp, xml), "message_too_large", status=413)


def test_it_refuses_a_body_that_is_too_large(idp: IdentityProvider) -> None:
    form = {"SAMLResponse": encode(forge(idp).xml()), "x": "y" * 600_000}
    assert_refused(Browser().post(acs(idp), form, cross_site=True), "message_too_large", status=413)


@pytest.mark.parametrize("length", ["-1", "many", "²", "1e3", "99999999999999999999"])
def test_it_refuses_a_length_that_is_none(idp: IdentityProvider, length: str) -> None:
    body = urlencode({"SAMLResponse": encode(forge(idp).xml())}).encode()
    # The test client's own stream fails where a real one ends.
    stream = {"CONTENT_LENGTH": length, "wsgi.input": BytesIO(body)}
    response = Browser().post(acs(idp), body, cross_site=True, content_type=FORM, **stream)
    assert_refused(response, "message_too_large", status=413)


# --- Keys and configuration ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [(), (Kind.RSA_EXPIRED,), (Kind.RSA_FUTURE,), (Kind.RSA_EXPIRED, Kind.RSA_FUTURE)])
def test_it_refuses_without_a_current_certificate(held: tuple[Kind, ...]) -> None:
    idp = factories.idp("customer", certificates=held)
    assert_refused(Browser().send(idp, forge(idp).xml()), "no_current_certificate")


@pytest.mark.parametrize("gone", [Kind.RSA_EXPIRED, Kind.RSA_FUTURE])
def test_it_refuses_the_key_of_a_certificate_that_is_not_current(gone: Kind) -> None:
    idp = factories.idp("customer", certificates=(gone, Kind.SECOND_RSA))
    assert_refused(Browser().send(idp, forge(idp).xml()), "bad_signature")


def test_it_refuses_a_key_as_soon_as_its_certificate_is_taken_away(idp: IdentityProvider) -> None:
    Browser().sign_in(idp, forge(idp).xml())
    before = rows()
    idp.set_certificates([factories.der(key(Kind.SECOND_RSA))])
    assert_refused(Browser().send(idp, forge(idp).xml()), "bad_signature", before=before)


@pytest.mark.parametrize("signed", [Signed.RESPONSE, Signed.ASSERTION, Signed.BOTH])
def test_it_refuses_the_response_of_another_idp(idp: IdentityProvider, signed: Signed) -> None:
    other = factories.idp("other", certificates=(Kind.SECOND_RSA,))
    xml = Forge(other, timezone.now(), key(Kind.SECOND_RSA)).xml(signed=signed)
    assert_refused(Browser().send(idp, xml), "bad_signature")


def test_it_refuses_the_response_of_another_idp_that_has_the_same_key(idp: IdentityProvider) -> None:
    other = factories.idp("other")
    assert_refused(Browser().send(idp, forge(other).xml()), "issuer_mismatch")
    # The same entity ID even: two applications at one identity provider.
    other.entity_id = idp.entity_id
    other.save()
    assert_refused(Browser().send(idp, forge(other).xml()), "destination_mismatch")


def test_it_tells_nobody_which_idps_exist(idp: IdentityProvider) -> None:
    disabled = factories.idp("disabled", enabled=False)
    pages = []
    for path in (acs(disabled), "/saml/unknown/acs/", "/saml/CUSTOMER/acs/", f"/saml/{'a' * 500}/acs/"):
        response = Browser().post(path, {"SAMLResponse": encode(forge(disabled).xml())}, cross_site=True)
        attempt = assert_refused(response, "unknown_idp", status=404)
        pages.append(response.content.decode().replace(attempt.trace_id, ""))
    assert len(set(pages)) == 1
    assert "disabled" not in pages[0]


def test_it_refuses_the_wrong_method_alike_whether_the_idp_exists_or_not(idp: IdentityProvider) -> None:
    assert Browser().get(acs(idp)).status_code == Browser().get("/saml/unknown/acs/").status_code == 405


def test_it_refuses_an_unsolicited_response_where_they_are_switched_off() -> None:
    idp = factories.idp("customer", idp_initiated=False)
    assert_refused(Browser().send(idp, forge(idp).xml()), "idp_initiated_off")


@pytest.mark.parametrize("offset", [119, -300 - 119])
def test_it_tolerates_two_minutes_and_an_idp_may_tolerate_less(offset: int) -> None:
    tolerant = factories.idp("tolerant")
    strict = factories.idp("strict", tolerance_s=0)
    for idp in (strict, tolerant):
        shifted = Forge(idp, timezone.now() + timedelta(seconds=offset - (1 if offset > 0 else -2)))
        response = Browser().send(idp, shifted.xml(not_before=shifted.now))
        assert response.status_code == (303 if idp is tolerant else 403)


def test_it_tells_the_person_about_the_clock_and_the_administrator_by_how_much(idp: IdentityProvider) -> None:
    ahead = Forge(idp, timezone.now() + timedelta(minutes=10))
    response = Browser().send(idp, ahead.xml(not_before=ahead.now))
    attempt = assert_refused(response, "not_yet_valid", received="ahead of ours")
    page = response.content.decode()
    assert f"The assertion cannot be used before {ahead.now:%Y-%m-%dT%H:%M:%SZ}" in page
    assert "NTP" in attempt.cure


# --- Once -------------------------------------------------------------------------------------------------------------


def test_it_refuses_a_response_twice(idp: IdentityProvider) -> None:
    xml = forge(idp).xml()
    Browser().sign_in(idp, xml)
    before = rows()
    attempt = assert_refused(Browser().send(idp, xml), "replayed", before=before)
    assert (attempt.email, attempt.name_id) == ("", ANA)


def test_it_refuses_an_assertion_in_a_new_response(idp: IdentityProvider) -> None:
    ours = forge(idp)
    once = ours.spec(signed=Signed.ASSERTION, assertion_id="a-once")
    Browser().sign_in(idp, ours.xml(signed=Signed.ASSERTION, assertion_id="a-once", response_id="r-1"))
    before = rows()
    again = ours.xml(signed=Signed.BOTH, assertion_id=once.assertion_id, response_id="r-2")
    assert_refused(Browser().send(idp, again), "replayed", received="a-once", before=before)


def test_it_refuses_an_assertion_again_that_another_session_was_declined_for(idp: IdentityProvider) -> None:
    xml = forge(idp).xml()
    browser = Browser()
    browser.send(idp, xml)  # the way on is never taken
    assert_refused(Browser().send(idp, xml), "replayed", before=rows())


def test_a_refused_response_is_not_spent(idp: IdentityProvider) -> None:
    """What was refused for the account's sake signs in as soon as the administrator has seen to it."""
    idp.jit = False
    idp.save()
    xml = forge(idp).xml()
    assert_refused(Browser().send(idp, xml), "jit_off")
    idp.jit = True
    idp.save()
    Browser().sign_in(idp, xml)


def test_two_idps_may_use_the_same_assertion_id(idp: IdentityProvider) -> None:
    other = factories.idp("other")
    for number, each in enumerate((idp, other)):
        email = f"ana{number}@customer.example"
        Browser().sign_in(
            each, forge(each).xml(assertion_id="a-1", name_id=email, attributes=(email_attribute(email),))
        )


# --- Accounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", [ANA, "ANA@customer.example", "ana@Customer.EXAMPLE"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "email_taken"),
        ({"is_staff": True}, "account_is_staff"),
        ({"is_superuser": True}, "account_is_superuser"),
        ({"is_active": False}, "account_deactivated"),
        ({"password": "a local password"}, "account_is_local"),
    ],
    ids=["plain", "staff", "superuser", "deactivated", "with_a_password"],
)
def test_it_never_links_an_account_by_its_email(
    idp: IdentityProvider, fields: dict[str, object], code: str, spelling: str
) -> None:
    factories.user(spelling, **fields)
    before = rows()
    attempt = assert_refused(Browser().send(idp, forge(idp).xml()), code, received=ANA, before=before)
    assert (attempt.name_id, attempt.issuer) == (ANA, idp.entity_id)


def test_it_never_links_the_account_of_another_idp(idp: IdentityProvider) -> None:
    other = factories.idp("other")
    Browser().sign_in(other, forge(other).xml())
    before = rows()
    assert_refused(Browser().send(idp, forge(idp).xml()), "account_of_another_idp", before=before)


def test_it_never_links_by_an_email_in_the_name_id(idp: IdentityProvider) -> None:
    factories.user()
    before = rows()
    assert_refused(Browser().send(idp, forge(idp).xml(attributes=())), "email_taken", before=before)


def test_it_refuses_a_new_account_where_they_are_switched_off() -> None:
    idp = factories.idp("customer", jit=False)
    response = Browser().send(idp, forge(idp).xml())
    assert_refused(response, "jit_off", received=ANA)
    assert "An administrator must create an account for you first." in response.content.decode()


def test_it_refuses_another_subject_with_the_same_email(idp: IdentityProvider) -> None:
    Browser().sign_in(idp, forge(idp).xml(name_id="u-1"))
    before = rows()
    assert_refused(Browser().send(idp, forge(idp).xml(name_id="u-2")), "subject_changed", before=before)
    # A qualifier makes another subject of the same name, and case does too: a NameID is opaque.
    assert_refused(
        Browser().send(idp, forge(idp).xml(name_id="u-1", name_qualifier="x")), "subject_changed", before=before
    )
    assert_refused(Browser().send(idp, forge(idp).xml(name_id="U-1")), "subject_changed", before=before)


@pytest.mark.parametrize("jit", [True, False])
def test_it_refuses_a_deactivated_user_who_returns(jit: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    idp = factories.idp("customer", jit=jit)
    user = factories.user(is_active=False)
    factories.identity(idp, user)
    before = rows()
    assert_refused(Browser().send(idp, forge(idp).xml()), "account_deactivated", received=ANA, before=before)
    user.refresh_from_db()
    assert not user.is_active


def test_it_refuses_a_deactivated_user_with_a_pending_identity(idp: IdentityProvider) -> None:
    factories.pending(idp, factories.user(is_active=False))
    before = rows()
    assert_refused(Browser().send(idp, forge(idp).xml()), "account_deactivated", before=before)
    assert FederatedIdentity.objects.get().pending


def test_it_refuses_a_pending_identity_of_another_idp(idp: IdentityProvider) -> None:
    factories.pending(factories.idp("other"), factories.user())
    before = rows()
    assert_refused(Browser().send(idp, forge(idp).xml()), "account_of_another_idp", before=before)


def test_it_refuses_a_transient_name_id_even_of_somebody_known(idp: IdentityProvider) -> None:
    factories.identity(idp, factories.user())
    before = rows()
    assert_refused(
        Browser().send(idp, forge(idp).xml(name_id_format=NAMEID_TRANSIENT)), "transient_subject", before=before
    )


def test_a_refusal_shows_nothing_of_the_message(idp: IdentityProvider) -> None:
    marker = "<b>marked</b>"
    for changes in (
        {"audiences": [marker]},
        {"name_id": f"{marker} "},
        {"status": f"urn:x:{marker}"},
        {"issuer": marker},
    ):
        response = Browser().send(idp, forge(idp).xml(**changes), relay_state="/marked/")
        assert response.status_code == 403
        assert "marked" not in response.content.decode()
