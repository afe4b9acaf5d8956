"""Thousands of messages that nobody thought of: never an error of the server, never a session for what was not signed.

Whether it still is, is judged here without the product's code: by comparing the canonical form of what was signed with
that of the original.
"""

from __future__ import annotations

import base64
import copy
import random
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from accounts.models import Session, User
from demo import issuer
from demo.issuer import AttributeSpec, Signed
from saml_sp.models import SignInAttempt, SpentAssertion
from saml_sp.protocol import names as n
from tests import factories
from tests.door import Browser, acs
from tests.idp import ANA, ATTRIBUTES, NS, Forge, email_attribute, fragment

if TYPE_CHECKING:
    from collections.abc import Callable

    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db

EACH = 330
SEEDS = range(4)
SCRAPS = (
    b"<",
    b">",
    b"&",
    b"&amp;",
    b"&lt;",
    b"&#0;",
    b"&#x41;",
    b"'",
    b'"',
    b"\x00",
    b"\xff",
    b"\xc3\xa9",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<?x?>",
    b"<!DOCTYPE x>",
    b"<a/>",
    b"</a>",
    b" ",
    b"\n",
    b"=",
    b"#",
    b"xmlns:x='y'",
    b' xmlns="urn:x"',
    b"xsi:type='xs:string'",
    b"ID='a'",
    b"saml2:",
    b"/>",
    b"\xf0\x9f\x98\x80",
    b"99999999999999999999",
)
ELEMENTS = (
    "<saml:NameID>eve@attacker.example</saml:NameID>",
    "<saml:Issuer>x</saml:Issuer>",
    "<samlp:Extensions/>",
    "<b>x</b>",
    '<saml:Attribute Name="Email"><saml:AttributeValue>eve@attacker.example</saml:AttributeValue></saml:Attribute>',
    "<saml:AudienceRestriction><saml:Audience>x</saml:Audience></saml:AudienceRestriction>",
    "<ds:Object/>",
    '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#base64"/>',
    "<saml:AttributeStatement/>",
    '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>',
    "<saml:Conditions/>",
    "<saml:OneTimeUse/>",
)
TEXTS = (
    "",
    " ",
    "x",
    "eve@attacker.example",
    "0",
    "-1",
    "2026-13-45T99:99:99Z",
    "9999-12-31T23:59:59Z",
    "true",
    "a" * 3000,
    "\u202e",
    "é\u0301",
    "#",
    "urn:x",
    "http://[",
    "٣",
    "\U0001f600",
    n.STATUS_SUCCESS,
    n.SAMLP,
    n.CM_BEARER,
)


@pytest.fixture
def idp() -> IdentityProvider:
    return factories.idp("customer")


def covered(xml: bytes, path: str) -> bytes | None:
    """The canonical form of the one element that was signed, without its signature; None if it is not there once."""
    try:
        found = etree.fromstring(xml).xpath(path, namespaces=NS)
    except etree.XMLSyntaxError:
        return None
    if not isinstance(found, list) or len(found) != 1:
        return None
    assert isinstance(found[0], etree._Element)
    element = etree.fromstring(etree.tostring(found[0], encoding="utf-8", with_tail=False))
    for signature in element.findall("ds:Signature", NS):
        # What stands behind the signature was signed, too.
        before = signature.getprevious()
        if before is not None:
            before.tail = f"{before.tail or ''}{signature.tail or ''}"
        element.remove(signature)
    return etree.tostring(element, method="c14n", exclusive=True, inclusive_ns_prefixes=["xs"])


def assaulted(idp: IdentityProvider, seed: int, mutate: Callable[[bytes, random.Random], str], rounds: int) -> None:
    """Send so many mutations, and hold each answer against what the mutation did."""
    chance = random.Random(seed)
    browser = Browser()
    accepted = 0
    for _ in range(rounds):
        signed, path = chance.choice([(Signed.BOTH, "/samlp:Response"), (Signed.RESPONSE, "/samlp:Response"),
                                      (Signed.ASSERTION, "//saml:Assertion")])  # fmt: skip
        original = Forge(idp, timezone.now()).xml(signed=signed)
        value = mutate(original, chance)
        response = browser.post(acs(idp), {"SAMLResponse": value}, cross_site=True)
        assert response.status_code in {303, 403, 413}, value
        if response.status_code == 303:
            accepted += 1
            mutant = base64.b64decode(value)
            assert covered(mutant, path) == covered(original, path), value
            SpentAssertion.objects.all().delete()
    # A replay would only have been noticed after everything else was found good.
    assert not SignInAttempt.objects.filter(code="replayed").exists()
    assert Session.objects.count() == accepted
    assert set(User.objects.values_list("email", flat=True)) <= {ANA}
    assert accepted < rounds


def bytes_changed(xml: bytes, chance: random.Random) -> str:
    """A few bytes changed, put in, taken out, doubled or exchanged."""
    data = bytearray(xml)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(data))
        end = min(len(data), at + chance.choice((1, 2, 8, 40, 300)))
        other = chance.randrange(len(data))
        how = chance.randrange(6)
        if how == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            data[at:at] = chance.choice(SCRAPS)
        elif how == 2:
            del data[at:end]
        elif how == 3:
            data[other:other] = data[at:end]
        elif how == 4:
            data[at:end] = chance.choice(SCRAPS)
        else:
            data[at:end], data[other : other + end - at] = data[other : other + end - at], data[at:end]
    return base64.b64encode(bytes(data)).decode()


def base64_changed(xml: bytes, chance: random.Random) -> str:
    """The same one level further out."""
    text = list(base64.b64encode(xml).decode())
    for _ in range(chance.choice((1, 2, 5))):
        at = chance.randrange(len(text))
        text[at] = chance.choice(("A", "/", "+", "=", "\n", "\r", " ", "-", "_", "", "é", "AAAA", "\x00", "==", "%2B"))
    return "".join(text)


def tree_changed(xml: bytes, chance: random.Random) -> str:
    """An element or attribute taken out, doubled, moved, renamed or rewritten."""
    tree = etree.fromstring(xml)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        disturb(tree, chance)
    return base64.b64encode(etree.tostring(tree, encoding="utf-8")).decode()


def disturb(tree: etree._Element, chance: random.Random) -> None:
    """One change of a tree."""
    elements = list(tree.iter(etree.Element))
    element, other = chance.choice(elements), chance.choice(elements)
    parent = element.getparent()
    how = chance.randrange(10)
    if how == 0 and parent is not None:
        parent.remove(element)
    elif how == 1 and parent is not None:
        parent.insert(chance.randrange(len(parent) + 1), copy.deepcopy(element))
    elif how == 2:
        other.insert(chance.randrange(len(other) + 1), copy.deepcopy(element))
    elif how == 3 and parent is not None and other not in list(element.iter()):
        other.append(element)
    elif how == 4:
        element.text = chance.choice(TEXTS)
    elif how == 5 and element.attrib:
        element.set(chance.choice(list(element.attrib)), chance.choice(TEXTS))
    elif how == 6 and element.attrib:
        del element.attrib[chance.choice(list(element.attrib))]
    elif how == 7:
        element.tag = other.tag
    elif how == 8:
        element.insert(chance.randrange(len(element) + 1), fragment(chance.choice(ELEMENTS)))
    else:
        element.set(chance.choice(("ID", "Id", "Version", "InResponseTo", "Format", "NotBefore", f"{{{n.XSI}}}type",
                                   f"{{{n.XML}}}id", "Type", "Encoding", "x")), chance.choice(TEXTS))  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_bytes_that_were_changed_sign_nobody_in(idp: IdentityProvider, seed: int) -> None:
    assaulted(idp, seed, bytes_changed, EACH)


@pytest.mark.parametrize("seed", SEEDS)
def test_trees_that_were_changed_sign_nobody_in(idp: IdentityProvider, seed: int) -> None:
    assaulted(idp, seed, tree_changed, EACH)


def test_base64_that_was_changed_signs_nobody_in(idp: IdentityProvider) -> None:
    assaulted(idp, 0, base64_changed, 200)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_an_idp_signs_by_mistake_is_no_error_of_the_server(idp: IdentityProvider, seed: int) -> None:
    """Changed before signing: the signature is good, and whatever it covers is read."""
    chance = random.Random(seed)
    browser = Browser()
    for _ in range(120):
        spec = Forge(idp, timezone.now()).spec(signed=chance.choice([Signed.ASSERTION, Signed.RESPONSE]))
        tree = issuer.build_tree(spec)
        for _ in range(chance.choice((1, 1, 2))):
            disturb(tree, chance)
        parent = tree if spec.signed is Signed.RESPONSE else tree.find(n.ASSERTION)
        if parent is None or not parent.get("ID"):
            continue
        issuer.sign(parent, Forge(idp, spec.issue_instant).key)
        xml = issuer.serialise(tree)
        assert browser.send(idp, xml).status_code in {303, 403}, xml.decode()


# Everything that XML 1.0 can hold.
anything = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\ufffe\uffff"), max_size=60).map(
    lambda text: "".join(character for character in text if character >= " " or character in "\t\n\r")
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(name_id=anything, email=anything, name=anything, session_index=anything, relay_state=anything, agent=anything)
def test_whatever_text_is_signed_is_no_error_of_the_server(
    idp: IdentityProvider, name_id: str, email: str, name: str, session_index: str, relay_state: str, agent: str
) -> None:
    attributes = (email_attribute(email), AttributeSpec("First Name", [name]), AttributeSpec(name or "x", [name, None]))
    for changes in ({"attributes": attributes}, {"attributes": (*ATTRIBUTES, *attributes[1:])}):
        xml = Forge(idp, timezone.now()).xml(name_id=name_id, session_index=session_index, **changes)
        response = Browser().send(idp, xml, relay_state, HTTP_USER_AGENT=agent.encode().decode("latin-1"))
        assert response.status_code in {303, 403}


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(max_size=300),
    content_type=st.sampled_from(
        [
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            "multipart/form-data; boundary=",
            "multipart/x",
            'multipart/form-data; boundary="b"; charset=utf-16',
            "application/json",
            "\x00",
            "a/b; charset=idna",
            "; boundary=b",
        ]
    ),
)
def test_whatever_body_is_posted_is_no_error_of_the_server(
    idp: IdentityProvider, body: bytes, content_type: str
) -> None:
    for data in (
        body,
        b"SAMLResponse=" + body,
        b'--b\r\nContent-Disposition: form-data; name="SAMLResponse"\r\n\r\n' + body,
    ):
        response = Browser().post(acs(idp), data, cross_site=True, content_type=content_type)
        assert response.status_code == 403
    assert not Session.objects.exists()
