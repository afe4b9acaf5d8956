"""What an attacker with much patience tried, and what honest but unusual identity providers send."""

from __future__ import annotations

import time
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as site
from django.utils import timezone
from lxml import etree

from demo import issuer
from demo.issuer import Signed
from saml_sp import keys
from saml_sp.models import KeyState, SignInAttempt, SpKeyPair
from saml_sp.protocol import names as n
from saml_sp.views import HANDOVER_COOKIE
from tests import factories
from tests.door import CONTINUE, Browser, holds_nothing
from tests.encrypting import Ours, lock, seal
from tests.idp import ENVELOPED, EXCLUSIVE, Forge, Kind, find, key, reference, signature, swap
from tests.spoilers import VALUE, A, attribute, put

if TYPE_CHECKING:
    from pytest_django import Settings

    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db

AT_MOST_S = 0.5


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp("customer", certificates=(Kind.RSA, Kind.EC))


@pytest.fixture
def forge(idp: IdentityProvider) -> Forge:
    return Forge(idp, timezone.now())


def assert_refused_quickly(idp: IdentityProvider, xml: bytes, code: str) -> None:
    began = time.process_time()
    response = Browser().send(idp, xml)
    assert time.process_time() - began < AT_MOST_S
    assert (response.status_code, SignInAttempt.objects.latest("pk").code) == (403, code)
    assert holds_nothing(response)


# --- Work before a signature is known to be good ----------------------------------------------------------------------


def inclusive(prefixes: str) -> str:
    """An InclusiveNamespaces with this PrefixList."""
    return f'<ec:InclusiveNamespaces xmlns:ec="{n.EXC_C14N}" PrefixList="{prefixes}"/>'


@pytest.mark.parametrize(
    "prefixes", ["a " * 60_000, " " * 120_000, "xs " * 25, "x" * 513], ids=["many", "blanks", "25", "long"]
)
def test_it_refuses_a_prefix_list_that_is_searched_for_each_element(
    idp: IdentityProvider, forge: Forge, prefixes: str
) -> None:
    # Every prefix is looked up from every element, in the digest, which is computed before any signature is verified.
    xml = forge.xml(lambda tree: find(tree, VALUE).attrib.clear(), signed=Signed.ASSERTION)
    xml = swap(xml, ">Ana<", f">{'<a/>' * 2000}<")
    assert_refused_quickly(idp, swap(xml, 'PrefixList="xs"', f'PrefixList="{prefixes}"'), "too_complex")
    plain = f'<ds:CanonicalizationMethod Algorithm="{n.EXCLUSIVE}"'
    assert_refused_quickly(
        idp, swap(xml, f"{plain}/>", f"{plain}>{inclusive(prefixes)}</ds:CanonicalizationMethod>"), "too_complex"
    )


def test_it_refuses_an_element_of_very_many_attributes(idp: IdentityProvider, forge: Forge) -> None:
    many = " ".join(f'{chr(97 + number % 26)}{number // 26}=""' for number in range(25_000))
    assert_refused_quickly(idp, swap(forge.xml(), ">Ana<", f"><a {many}/><"), "too_complex")


# --- Honest shapes ----------------------------------------------------------------------------------------------------

DS11 = f'xmlns:dsig11="{n.DS11}"'
KEY_INFOS = {
    "an_elliptic_key": f'<ds:KeyValue><dsig11:ECKeyValue {DS11}><dsig11:NamedCurve URI="urn:oid:1.2.840.10045.3.1.7"/>'
    "<dsig11:PublicKey>BAAA</dsig11:PublicKey></dsig11:ECKeyValue></ds:KeyValue>",
    "an_encoded_key": f"<dsig11:DEREncodedKeyValue {DS11}>MAAA</dsig11:DEREncodedKeyValue>",
    "a_digest_of_the_certificate": f'<ds:X509Data><dsig11:X509Digest {DS11} Algorithm="http://www.w3.org/2001/04/xmlenc#sha256">'
    "AAAA</dsig11:X509Digest></ds:X509Data>",
    "issuer_and_number": "<ds:KeyName>k</ds:KeyName><ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>CN=x"
    "</ds:X509IssuerName><ds:X509SerialNumber>1208925819614629174706176</ds:X509SerialNumber></ds:X509IssuerSerial>"
    "<ds:X509SubjectName>CN=y</ds:X509SubjectName><ds:X509SKI>AAAA</ds:X509SKI></ds:X509Data>",
}


@pytest.mark.parametrize("key_info", KEY_INFOS.values(), ids=KEY_INFOS)
@pytest.mark.parametrize("where", [".", A])
def test_it_accepts_a_key_info_that_names_the_key_in_another_way(
    idp: IdentityProvider, forge: Forge, key_info: str, where: str
) -> None:
    Browser().sign_in(idp, forge.signed_by(signature(rest=f"<ds:KeyInfo>{key_info}</ds:KeyInfo>"), where=where))


def test_it_accepts_an_elliptic_key_beside_its_signature(idp: IdentityProvider, forge: Forge) -> None:
    template = signature(
        method="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        rest=f"<ds:KeyInfo>{KEY_INFOS['an_elliptic_key']}</ds:KeyInfo>",
    )
    Browser().sign_in(idp, forge.signed_by(template, with_key=key(Kind.EC).xmlsec_key))


def test_it_accepts_inclusive_namespaces_of_the_signed_info(idp: IdentityProvider, forge: Forge) -> None:
    plain = f'<ds:CanonicalizationMethod Algorithm="{n.EXCLUSIVE}"/>'
    template = signature(reference(transforms=[ENVELOPED, EXCLUSIVE]))
    assert plain in template
    method = plain.replace("/>", f">{inclusive('xs #default')}</ds:CanonicalizationMethod>")
    Browser().sign_in(idp, forge.signed_by(template.replace(plain, method)))


@pytest.mark.parametrize(
    "reference_to_another",
    [
        "<saml:AssertionIDRef>a-17</saml:AssertionIDRef>",
        "<saml:AssertionURIRef>https://x.example/a</saml:AssertionURIRef>",
    ],
)
def test_it_accepts_advice_that_refers_to_another_assertion(
    idp: IdentityProvider, forge: Forge, reference_to_another: str
) -> None:
    Browser().sign_in(idp, forge.xml(put(A, f"<saml:Advice>{reference_to_another}</saml:Advice>", 3)))


def test_it_accepts_what_the_schema_leaves_to_others(idp: IdentityProvider, forge: Forge) -> None:
    def adorn(tree: etree._Element) -> None:
        attribute(".", "Consent", "urn:oasis:names:tc:SAML:2.0:consent:unspecified")(tree)
        put(".", '<samlp:Extensions><x:y xmlns:x="urn:x">z</x:y></samlp:Extensions>', 1)(tree)
        put("samlp:Status", '<samlp:StatusDetail><Cause xmlns="urn:x"/></samlp:StatusDetail>')(tree)
        put(
            f"{A}/saml:AttributeStatement",
            '<saml:Attribute Name="urn:oid:2.5.4.3" x500:Encoding="LDAP" c:OriginalIssuer="urn:i" '
            'xmlns:c="http://schemas.xmlsoap.org/ws/2009/09/identity/claims" '
            'xmlns:x500="urn:oasis:names:tc:SAML:2.0:profiles:attribute:X500">'
            '<saml:AttributeValue xml:lang="en" xml:space="preserve"> Ana </saml:AttributeValue>'
            '<saml:AttributeValue xsi:nil="true"/></saml:Attribute>',
        )(tree)

    Browser().sign_in(idp, forge.xml(adorn))


def test_it_reads_what_is_encrypted_for_a_certificate_named_by_its_thumbprint(
    idp: IdentityProvider, forge: Forge, settings: Settings
) -> None:
    settings.PORTICO_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    tree = forge.tree(signed=Signed.ASSERTION)
    assertion = find(tree, A)
    sealed = seal(etree.tostring(assertion, with_tail=False), lock())
    key_info = etree.SubElement(find(sealed, ".//xenc:EncryptedKey"), n.KEY_INFO)
    find(sealed, ".//xenc:EncryptedKey").insert(1, key_info)
    reference_to_it = etree.SubElement(key_info, n.SECURITY_TOKEN_REFERENCE)
    etree.SubElement(reference_to_it, n.KEY_IDENTIFIER, ValueType="urn:x#ThumbprintSHA1").text = "AAAA"
    tree.replace(assertion, sealed)
    Browser().sign_in(idp, issuer.serialise(tree))


# --- At the wrong moment ----------------------------------------------------------------------------------------------


def test_a_session_that_waits_cannot_be_taken_past_the_page_that_asks(idp: IdentityProvider, forge: Forge) -> None:
    arriving, around = Browser(), Browser()
    assert arriving.send(idp, forge.xml()).status_code == 303
    planted: SimpleCookie = SimpleCookie({site.SESSION_COOKIE_NAME: arriving.jar[HANDOVER_COOKIE].value})
    around.jar[site.SESSION_COOKIE_NAME] = planted[site.SESSION_COOKIE_NAME]
    planted[site.SESSION_COOKIE_NAME]["path"] = "/"
    assert around.get("/").headers["Location"].startswith("/sign-in/")
    assert arriving.get(CONTINUE).status_code == 303
    assert arriving.user is not None


def test_a_key_pair_that_was_retired_a_moment_ago_is_just_not_there(settings: Settings) -> None:
    settings.PORTICO_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert not keys.is_usable(SpKeyPair(sha256="gone"))
