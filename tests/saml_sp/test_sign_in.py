"""What must sign in: the shapes in which identity providers really write a response, and what a login leaves behind."""

from __future__ import annotations

import base64
import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import xmlsec
from django.utils import timezone
from lxml import etree

from accounts.models import Session, User
from audit.kinds import Kind as AuditKind
from audit.models import Event
from demo import issuer
from demo.issuer import AttributeSpec, Signed
from saml_sp.mapping import DEFAULTS, Target
from saml_sp.models import FederatedIdentity, Outcome, SamlSession, SignInAttempt, SpentAssertion
from saml_sp.protocol import names as n
from tests import factories
from tests.door import CONTINUE, Browser, acs
from tests.idp import (
    ANA,
    ATTRIBUTES,
    ENVELOPED,
    Forge,
    Kind,
    email_attribute,
    find,
    fragment,
    key,
    reference,
    sign_by_template,
    signature,
    swap,
)
from tests.spoilers import AUTHN, CONDITIONS, CONFIRMATION, A, attribute, put, without

if TYPE_CHECKING:
    from collections.abc import Callable

    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp("customer", certificates=(Kind.RSA, Kind.SECOND_RSA, Kind.EC))


def forge(idp: IdentityProvider, kind: Kind = Kind.RSA) -> Forge:
    return Forge(idp, timezone.now(), key(kind))


def says(**changes: Any) -> Callable[[Forge], bytes]:
    return lambda forge: forge.xml(**{k: v(forge) if callable(v) else v for k, v in changes.items()})


def changed(before: Callable[[etree._Element], object], **changes: Any) -> Callable[[Forge], bytes]:
    return lambda forge: forge.xml(before, **changes)


def rewritten(old: str, new: str, **changes: Any) -> Callable[[Forge], bytes]:
    return lambda forge: swap(forge.xml(**changes), old, new)


def signed_in_form(template: str, **where: Any) -> Callable[[Forge], bytes]:
    return lambda forge: forge.signed_by(template, **where)


def by(kind: Kind, **changes: Any) -> Callable[[Forge], bytes]:
    return lambda forge: forge.xml(by=key(kind), **changes)


def prefix_declared_on_the_response_only(forge: Forge) -> bytes:
    """InclusiveNamespaces may name a prefix that the assertion does not declare itself (Exclusive C14N 4)."""
    spec = forge.spec(signed=Signed.ASSERTION, inclusive_prefixes=("far", "none", "#default"))
    text = etree.tostring(issuer.build_tree(spec)).decode()
    tree = etree.fromstring(text.replace("<saml2p:Response ", '<saml2p:Response xmlns:far="urn:far" ', 1))
    issuer.sign_as_specified(tree, spec, forge.key)
    return issuer.serialise(tree)


def indented(forge: Forge) -> bytes:
    def indent(tree: etree._Element) -> None:
        etree.indent(tree, space="    ")

    return forge.xml(indent)


def the_shape_of_the_documented_response(forge: Forge) -> bytes:
    """Okta's way: both signed, xs declared on the Response too and kept by InclusiveNamespaces, white space everywhere,
    an unspecified NameID that holds an e-mail address, names of attributes with blanks."""
    spec = forge.spec(
        signed=Signed.BOTH,
        name_id_format=n.NAMEID_UNSPECIFIED,
        session_index="id1778489531719.47019104",
        attributes=(
            AttributeSpec("First Name", ["Ana"]),
            AttributeSpec("Last Name", ["Lima"]),
            email_attribute(ANA),
            AttributeSpec("Permissions", ["dxa_admin"]),
            AttributeSpec("Properties", ["1", "2", "3"]),
            AttributeSpec("Roles", ["editor"]),
        ),
    )
    tree = issuer.build_tree(spec)
    etree.indent(tree, space="   ")
    text = etree.tostring(tree).decode().replace("<saml2p:Response ", f'<saml2p:Response xmlns:xs="{issuer.XS}" ', 1)
    tree = etree.fromstring(text)
    issuer.sign_as_specified(tree, spec, forge.key)
    return issuer.serialise(tree)


def a_stranger_in_key_info(forge: Forge) -> bytes:
    """Our keys decide, not the certificate in the message: another one there is no harm."""
    ours, theirs = forge.key.certificate_text, key(Kind.STRANGER).certificate_text
    tree = forge.tree(signed=Signed.ASSERTION)
    find(tree, f"{A}/ds:Signature/ds:KeyInfo/ds:X509Data/ds:X509Certificate").text = theirs
    assert ours != theirs
    return issuer.serialise(tree)


def confirmed_twice(forge: Forge, *, first_by: str = n.CM_BEARER, recipient: str = "https://other.example/") -> bytes:
    def double(tree: etree._Element) -> None:
        other = copy.deepcopy(find(tree, CONFIRMATION))
        other.set("Method", first_by)
        other[0].set("Recipient", recipient)
        find(tree, f"{A}/saml:Subject").insert(1, other)

    return forge.xml(double)


def local_time(forge: Forge) -> bytes:
    """Two hours east of Greenwich, with the seven digits of .NET."""

    def change(tree: etree._Element) -> None:
        end = forge.now + timedelta(minutes=3, hours=2)
        for element in (find(tree, CONDITIONS), find(tree, f"{CONFIRMATION}/saml:SubjectConfirmationData")):
            element.set("NotOnOrAfter", end.strftime("%Y-%m-%dT%H:%M:%S.1234567+02:00"))
        find(tree, CONDITIONS).set(
            "NotBefore", (forge.now - timedelta(hours=1, minutes=1)).strftime("%Y-%m-%dT%H:%M:%S-01:00")
        )
        tree.set("IssueInstant", forge.now.strftime("%Y-%m-%dT%H:%M:%S.0000000Z"))

    return forge.xml(change)


def without_declaration(forge: Forge) -> bytes:
    return etree.tostring(forge.tree())


def no_key_info(forge: Forge) -> bytes:
    return forge.signed_by(signature())


def ours(forge: Forge) -> str:
    return forge.party.sp_entity_id


EDU_PERSON = (
    '<saml:Attribute Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.10"><saml:AttributeValue><saml:NameID>x!y!z</saml:NameID>'
    "</saml:AttributeValue></saml:Attribute>"
)
STATEMENT = f"{A}/saml:AttributeStatement"
WITH_COMMENTS = f'<ds:Transform Algorithm="{n.EXCLUSIVE_WITH_COMMENTS}"/>'
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
RESTRICTION = "<saml:AudienceRestriction><saml:Audience>{}</saml:Audience></saml:AudienceRestriction>"

SHAPES: dict[str, Callable[[Forge], bytes]] = {
    "the_documented_response": the_shape_of_the_documented_response,
    "only_the_response_signed": says(signed=Signed.RESPONSE),
    "only_the_assertion_signed": says(signed=Signed.ASSERTION),
    "both_signed": says(signed=Signed.BOTH),
    "other_prefixes": says(protocol_prefix="samlp", assertion_prefix="saml"),
    "odd_prefixes": says(protocol_prefix="_p.1", assertion_prefix="Xmlns-2"),
    # Added after signing: exclusive canonicalisation leaves out what is not used.
    "a_prefix_that_is_not_ascii": rewritten(
        "<saml2p:Response ", '<saml2p:Response xmlns:é="urn:x" ', signed=Signed.ASSERTION
    ),
    "elements_that_are_not_ascii": changed(
        put(
            STATEMENT,
            '<saml:Attribute Name="größe"><saml:AttributeValue><é ü="ö">ä</é></saml:AttributeValue></saml:Attribute>',
        )
    ),
    "default_namespaces": says(protocol_prefix=None, assertion_prefix=None),
    "no_inclusive_namespaces": says(inclusive_prefixes=()),
    "a_prefix_of_the_response_only": prefix_declared_on_the_response_only,
    "indented": indented,
    "without_a_declaration": without_declaration,
    "declared_in_small_letters": rewritten("encoding='UTF-8'", 'encoding="utf-8" standalone="no"'),
    "a_byte_order_mark": lambda forge: b"\xef\xbb\xbf" + forge.xml(),
    "white_space_behind": lambda forge: forge.xml() + b"\r\n\n",
    "the_second_certificate": by(Kind.SECOND_RSA),
    "ecdsa": by(Kind.EC, signature_method=xmlsec.constants.TransformEcdsaSha256),
    "ecdsa_sha_512": by(
        Kind.EC, signature_method=xmlsec.constants.TransformEcdsaSha512, digest_method=xmlsec.constants.TransformSha512
    ),
    "rsa_sha_384": says(
        signature_method=xmlsec.constants.TransformRsaSha384, digest_method=xmlsec.constants.TransformSha384
    ),
    "rsa_sha_512": says(
        signature_method=xmlsec.constants.TransformRsaSha512, digest_method=xmlsec.constants.TransformSha512
    ),
    "canonicalisation_with_comments": signed_in_form(
        signature(reference(transforms=[ENVELOPED, WITH_COMMENTS]), canonicalization=n.EXCLUSIVE_WITH_COMMENTS)
    ),
    "no_key_info": no_key_info,
    "a_key_name": signed_in_form(signature(rest="<ds:KeyInfo><ds:KeyName>the key</ds:KeyName></ds:KeyInfo>")),
    "a_stranger_in_key_info": a_stranger_in_key_info,
    "no_issuer_on_the_response": says(response_issuer=False),
    "no_format_of_the_issuer": says(issuer_format=None),
    "no_destination_where_the_assertion_is_signed": says(destination=None, signed=Signed.ASSERTION),
    "no_attributes": says(attributes=()),
    "an_attribute_without_values": says(attributes=(*ATTRIBUTES, AttributeSpec("groups", []))),
    "an_empty_attribute": says(attributes=(*ATTRIBUTES, AttributeSpec("groups", [None]))),
    "an_attribute_of_its_own_for_each_value": says(
        attributes=(*ATTRIBUTES, *(AttributeSpec("Role", [role]) for role in ("a", "b", "a")))
    ),
    "a_structured_attribute": changed(put(STATEMENT, EDU_PERSON)),
    "the_same_email_three_times": says(attributes=(*ATTRIBUTES, email_attribute(ANA, ANA.upper(), name="mail"))),
    "untyped_values": says(attributes=(AttributeSpec("mail", [ANA], xsi_type="", name_format=""),)),
    "a_friendly_name": says(
        attributes=(AttributeSpec("urn:oid:0.9.2342.19200300.100.1.3", [ANA], friendly_name="mail"),)
    ),
    "two_attribute_statements": changed(
        put(A, EDU_PERSON.join(("<saml:AttributeStatement>", "</saml:AttributeStatement>")))
    ),
    "two_authentication_statements": changed(lambda tree: find(tree, AUTHN).addnext(copy.deepcopy(find(tree, AUTHN)))),
    "several_audiences": says(audiences=lambda forge: ["https://other.example/", ours(forge), "urn:third"]),
    "two_restrictions_with_us_in_both": lambda forge: forge.xml(put(CONDITIONS, RESTRICTION.format(ours(forge)))),
    "one_time_use_and_a_proxy_restriction": changed(put(CONDITIONS, "<saml:OneTimeUse/>")),
    "no_beginning": says(not_before=None),
    "local_time_and_seven_digits": local_time,
    "a_clock_a_minute_ahead": lambda forge: Forge(forge.party, forge.now + timedelta(seconds=100)).xml(
        not_before=forge.now + timedelta(seconds=100)
    ),
    "a_clock_behind": lambda forge: Forge(forge.party, forge.now - timedelta(seconds=400)).xml(),
    "a_day_of_validity": says(
        not_before=lambda forge: forge.now,
        not_on_or_after=lambda forge: forge.now + timedelta(hours=24),
        confirmation_not_on_or_after=lambda forge: forge.now + timedelta(hours=24),
    ),
    "confirmed_for_others_too": confirmed_twice,
    "confirmed_by_a_key_too": lambda forge: confirmed_twice(
        forge, first_by="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
    ),
    "an_address_of_the_subject": changed(put(AUTHN, '<saml:SubjectLocality Address="192.0.2.1"/>', 0)),
    "no_session_index": says(session_index=None),
    "an_opaque_name_id": says(
        name_id="AAdzZWNyZXQx/+==", name_id_format=PERSISTENT, name_qualifier="q", sp_name_qualifier="s"
    ),
    "a_name_id_without_a_format": says(name_id_format=None),
    "consent": changed(attribute(".", "Consent", "urn:oasis:names:tc:SAML:2.0:consent:obtained")),
    "extensions": changed(put(".", '<samlp:Extensions><x:y xmlns:x="urn:x" z="1">t</x:y></samlp:Extensions>', 1)),
    "advice": changed(
        lambda tree: find(tree, CONDITIONS).addnext(fragment('<saml:Advice><x:y xmlns:x="urn:x"/></saml:Advice>'))
    ),
    "no_context_class": changed(
        lambda tree: (
            without(f"{AUTHN}/saml:AuthnContext/saml:AuthnContextClassRef")(tree),
            put(f"{AUTHN}/saml:AuthnContext", "<saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef>")(tree),
        )
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_it_accepts(idp: IdentityProvider, shape: str) -> None:
    browser = Browser()
    page = browser.sign_in(idp, SHAPES[shape](forge(idp)))
    assert page.status_code == 200
    assert ANA in page.content.decode()
    assert browser.user == User.objects.get(email=ANA)


@pytest.mark.parametrize("name", DEFAULTS[Target.EMAIL])
def test_it_finds_the_email_in_the_attribute(idp: IdentityProvider, name: str) -> None:
    Browser().sign_in(idp, forge(idp).xml(name_id="u-1", attributes=(email_attribute(ANA, name=name),)))
    assert User.objects.get().email == ANA


def lines(text: str, length: int, end: str) -> str:
    return "".join(text[at : at + length] + end for at in range(0, len(text), length))


@pytest.mark.parametrize(("length", "end"), [(64, "\n"), (76, "\r\n"), (76, "\n"), (60, "\r"), (5, "\n\n")])
def test_it_accepts_base64_in_lines(idp: IdentityProvider, length: int, end: str) -> None:
    form = {"SAMLResponse": lines(issuer.encode(forge(idp).xml()), length, end)}
    assert Browser().post(acs(idp), form, cross_site=True).status_code == 303


def test_it_accepts_a_multipart_form(idp: IdentityProvider) -> None:
    body = (
        '--b\r\nContent-Disposition: form-data; name="RelayState"\r\n\r\n/profile/\r\n'
        '--b\r\nContent-Disposition: form-data; name="SAMLResponse"\r\n\r\n'
        f"{issuer.encode(forge(idp).xml())}\r\n--b--\r\n"
    )
    browser = Browser()
    browser.post(acs(idp), body.encode(), cross_site=True, content_type="multipart/form-data; boundary=b")
    assert browser.get(CONTINUE).headers["Location"] == "/profile/"


def test_it_accepts_a_form_that_says_it_is_utf_8(idp: IdentityProvider) -> None:
    body = b"SAMLResponse=" + base64.b64encode(forge(idp).xml()).replace(b"+", b"%2B")
    form = "application/x-www-form-urlencoded; charset=UTF-8"
    assert Browser().post(acs(idp), body, cross_site=True, content_type=form).status_code == 303


def test_it_accepts_as_much_as_a_quarter_of_a_mebibyte(idp: IdentityProvider) -> None:
    xml = forge(idp).xml(attributes=(*ATTRIBUTES, AttributeSpec("groups", ["x" * 120_000, "y" * 120_000])))
    assert len(xml) < 256 * 1024
    Browser().sign_in(idp, xml + b" " * (256 * 1024 - len(xml)))


# --- What a login leaves behind ---------------------------------------------------------------------------------------


def test_the_first_login_makes_an_account_without_rights(idp: IdentityProvider) -> None:
    browser = Browser()
    browser.sign_in(idp, forge(idp).xml(session_index="s-1"), HTTP_USER_AGENT="Firefox/140.0")
    user = User.objects.get()
    assert (user.email, user.first_name, user.last_name) == (ANA, "Ana", "Lima")
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, False, False)
    assert not user.has_usable_password()
    assert user.sso_label == idp.description
    assert user.get_all_permissions() == set()
    identity = FederatedIdentity.objects.get()
    assert (identity.idp, identity.user, identity.subject, identity.email_key) == (idp, user, ANA, ANA)
    session = Session.objects.get()
    assert (session.user, session.door, session.label) == (user, "sso", idp.description)
    assert session.user_agent == "Firefox/140.0"
    saml_session = SamlSession.objects.get()
    assert (saml_session.session_key, saml_session.session_index) == (session.session_key, "s-1")
    attempt = SignInAttempt.objects.get()
    assert (attempt.outcome, attempt.code, attempt.user, attempt.email) == (Outcome.ACCEPTED, "", user, ANA)
    assert attempt.detail["attributes"]["First Name"] == ["Ana"]
    kinds = Event.objects.order_by("pk").values_list("kind", "trace_id")
    assert (AuditKind.SSO_SIGN_IN.value, attempt.trace_id) in kinds
    assert AuditKind.SSO_ACCOUNT_CREATED.value in [kind for kind, _trace in kinds]
    assert SpentAssertion.objects.get().assertion_id == attempt.assertion_id


def test_the_second_login_is_the_same_account(idp: IdentityProvider) -> None:
    Browser().sign_in(idp, forge(idp).xml())
    Browser().sign_in(idp, forge(idp).xml(attributes=(AttributeSpec("sn", ["Lima-Silva"]),)))
    user = User.objects.get()
    assert (user.first_name, user.last_name) == ("Ana", "Lima-Silva")
    assert Session.objects.count() == 2


@pytest.mark.parametrize("new", ["ana.silva@customer.example", "ana@elsewhere.example"])
def test_the_email_may_change_while_the_subject_stays(idp: IdentityProvider, new: str) -> None:
    Browser().sign_in(idp, forge(idp).xml(name_id="u-1"))
    browser = Browser()
    browser.sign_in(idp, forge(idp).xml(name_id="u-1", attributes=(email_attribute(new),)))
    assert browser.user == User.objects.get()


def test_a_returning_user_needs_no_email_and_no_jit(idp: IdentityProvider) -> None:
    Browser().sign_in(idp, forge(idp).xml(name_id="u-1"))
    idp.jit = False
    idp.save()
    browser = Browser()
    browser.sign_in(idp, forge(idp).xml(name_id="u-1", attributes=()))
    assert browser.user == User.objects.get()


def test_the_format_of_a_name_id_may_change(idp: IdentityProvider) -> None:
    Browser().sign_in(idp, forge(idp).xml())
    browser = Browser()
    browser.sign_in(idp, forge(idp).xml(name_id_format=n.NAMEID_EMAIL))
    assert browser.user == User.objects.get()


@pytest.mark.parametrize("fields", [{}, {"is_staff": True, "is_superuser": True}, {"password": "a local password"}])
@pytest.mark.parametrize("jit", [True, False])
def test_a_pending_identity_is_completed(jit: bool, fields: dict[str, Any]) -> None:  # noqa: FBT001 - pytest passes it by name
    """The administrator has vouched: staff included, JIT on or off, in whatever case the address is written."""
    idp = factories.idp("customer", jit=jit)
    user = factories.user("Ana@Customer.example", **fields)
    factories.pending(idp, user)
    browser = Browser()
    browser.sign_in(idp, forge(idp).xml(name_id="u-1"))
    assert browser.user == user
    identity = FederatedIdentity.objects.get()
    assert (identity.subject, identity.pending, identity.user) == ("u-1", False, user)
    user.refresh_from_db()
    assert user.is_staff == fields.get("is_staff", False)
    assert AuditKind.SSO_IDENTITY_COMPLETED.value in Event.objects.values_list("kind", flat=True)


def test_a_name_that_is_too_long_is_cut(idp: IdentityProvider) -> None:
    Browser().sign_in(
        idp, forge(idp).xml(attributes=(AttributeSpec("givenName", ["", "A" * 500]), email_attribute(ANA)))
    )
    assert User.objects.get().first_name == "A" * 150


def test_names_and_values_of_every_script_are_kept(idp: IdentityProvider) -> None:
    name = "Añá 安娜 \U0001f600"
    Browser().sign_in(
        idp, forge(idp).xml(name_id=f"用户-{name}", attributes=(AttributeSpec("sn", [name]), email_attribute(ANA)))
    )
    assert User.objects.get().last_name == name


# --- Where to ---------------------------------------------------------------------------------------------------------


def arrival(idp: IdentityProvider, relay_state: str | None) -> str:
    browser = Browser()
    browser.send(idp, forge(idp).xml(), relay_state)
    return browser.get(CONTINUE).headers["Location"]


@pytest.mark.parametrize(
    ("relay_state", "target"),
    [
        ("/profile/", "/profile/"),
        ("/", "/"),
        ("/reports/7?from=2026-01-01&to=2026-02-01#top", "/reports/7?from=2026-01-01&to=2026-02-01#top"),
        ("/search?q=a%20b", "/search?q=a%20b"),
        ("/search?q=https://other.example/", "/search?q=https://other.example/"),
        ("/caf\u00e9/", "/caf%C3%A9/"),
        ("/" + "x" * 2047, "/" + "x" * 2047),
        ("/" + "\u00e9" * 1023, "/" + "%C3%A9" * 1023),
    ],
    ids=lambda value: value[:30],
)
def test_it_leads_to_a_path_of_this_site(idp: IdentityProvider, relay_state: str, target: str) -> None:
    assert arrival(idp, relay_state) == target


@pytest.mark.parametrize(
    "relay_state",
    [
        None,
        "",
        "profile",
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "/%5cevil.example",
        "/%255cevil.example",
        "/%2f%2fevil.example",
        "/%2fevil.example",
        "%2f%2fevil.example",
        "/%252f%252fevil.example",
        "/%25252f%25252fevil.example",
        "/./%2f/evil.example",
        "https://evil.example/",
        "http:evil.example",
        "https:/evil.example",
        "HTTPS://evil.example",
        "ftp://evil.example",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "blob:x",
        " https://evil.example",
        " //evil.example",
        "\t//evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: a=b",
        "/%0d%0aSet-Cookie:%20a=b",
        "/%09/evil.example",
        "/%00",
        "/\x00",
        "/\x7f",
        "/\u2028",
        "/\u202eexample",
        "/\ufeff/evil.example",
        "/@evil.example",
        "/user:password@evil.example",
        "//user@evil.example",
        "/%40evil.example",
        "/../..//evil.example",
        "/..;/evil.example/..",
        "/a/../b",
        "/%2e%2e/",
        "/a//b",
        ".evil.example",
        "@evil.example",
        "?next=//evil.example",
        "#",
        "ss:/profile/",
        "127.0.0.1:8000/",
        "http://127.0.0.1:8000/profile/",
        "/" + "x" * 2048,
        "/%" + "25" * 9 + "2f",
        "\u3000//evil.example",
        "\uff0f\uff0fevil.example",
        "r-17",
        '{"a": 1}',
    ],
)
def test_any_other_relay_state_leads_to_the_landing_page(idp: IdentityProvider, relay_state: str | None) -> None:
    assert arrival(idp, relay_state) == "/"


def test_two_relay_states_count_as_none(idp: IdentityProvider) -> None:
    form = {"SAMLResponse": issuer.encode(forge(idp).xml()), "RelayState": ["/profile/", "/profile/"]}
    browser = Browser()
    browser.post(acs(idp), form, cross_site=True)
    assert browser.get(CONTINUE).headers["Location"] == "/"


def test_nothing_is_derived_from_the_host_of_the_request(idp: IdentityProvider) -> None:
    """Whatever host name leads here, the URLs in the message are compared with the one configured base URL."""
    Browser().sign_in(idp, forge(idp).xml(), HTTP_HOST="localhost:9999")
    other = Forge(idp, timezone.now()).xml(destination=f"http://localhost:9999{acs(idp)}")
    response = Browser().send(idp, other, HTTP_HOST="localhost:9999")
    assert response.status_code == 403
    assert SignInAttempt.objects.latest("pk").code == "destination_mismatch"


def test_a_second_signature_template_signs_the_response_alone(idp: IdentityProvider) -> None:
    """The tests' own signature writer makes signatures that are good, so that its bad ones are bad for one reason."""
    ours = forge(idp)
    tree = issuer.build_tree(ours.spec())
    sign_by_template(tree, signature(), ours.key.xmlsec_key)
    Browser().sign_in(idp, issuer.serialise(tree))
