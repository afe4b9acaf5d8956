"""The heaviest messages that we could think of, each as large as may be: what they cost is known, and has a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from demo.issuer import AttributeSpec, Signed
from saml_sp.protocol import gate, metadata
from saml_sp.protocol import names as n
from tests import idp_metadata
from tests.encrypting import lock, sealed_xml
from tests.idp import find, fragment, swap

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.targets import Signedness

LIMIT_S = 1.0  # of CPU time for any message: several times what they take, for machines that are slow or busy

# What an unsigned sender may do: the text of one attribute's value, replaced after signing.
_VALUE = (AttributeSpec("Notes", ["PLACE"], xsi_type=""),)


def _declared(count: int, uri: str = "u") -> str:
    return " ".join(f'xmlns:n{number}="{uri}:{number}"' for number in range(count))


def _used(count: int) -> str:
    return " ".join(f'n{number}:a=""' for number in range(count))


def messages(made: Signedness) -> dict[str, Callable[[], bytes]]:
    """By name, how to make it."""
    forge = made.forge
    room = gate.MAX_BYTES - len(forge.xml(attributes=_VALUE)) - 200

    def inside(content: str) -> Callable[[], bytes]:
        return lambda: swap(forge.xml(attributes=_VALUE), ">PLACE<", f">{content}<", 1)

    def signed(content: str) -> Callable[[], bytes]:
        def fill(tree: etree._Element) -> None:
            value = find(tree, ".//saml:AttributeValue")
            value.text = ""
            value.extend(list(etree.fromstring(f"<a>{content}</a>")))

        return lambda: forge.xml(fill, attributes=_VALUE)

    def sealed(content: str) -> Callable[[], bytes]:
        def fill(tree: etree._Element) -> None:
            find(tree, ".//saml:AttributeValue").extend(list(etree.fromstring(f"<a>{content}</a>")))

        return lambda: sealed_xml(forge, lock(), before=fill, attributes=_VALUE, signed=Signed.BOTH)

    def elements(one: str, budget: int = room) -> str:
        return one * min(gate.MAX_NODES - 200, budget // len(one))

    def nested(budget: int) -> str:
        """Every level declares eight prefixes anew, as other namespaces, and every leaf uses them."""
        levels = [f"<d {_declared(8, 'uv'[level % 2])} {_used(8)}>" for level in range(22)]
        opening = "".join(levels)
        leaf = f"<a {_used(8)}/>"
        return opening + leaf * min(gate.MAX_NODES - 250, (budget - len(opening) - 200) // len(leaf)) + "</d>" * 22

    crowd = elements("<a " + " ".join(f'a{number}=""' for number in range(24)) + "/>")
    prefixes = " ".join(f"n{number}" for number in range(gate.MAX_NAMESPACES))
    listed = f'PrefixList="{prefixes}"'
    made_of_levels = nested(room)
    childless = "<saml2:AudienceRestriction/>" * 4500
    result: dict[str, Callable[[], bytes]] = {
        "elements": inside(elements("<a/>")),
        "elements, signed": signed(elements('<a b="xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"/>')),
        "attributes on every element": inside(crowd),
        "attributes on every element, signed": signed(crowd),
        "attributes on one element": inside("<a " + " ".join(f'a{number}=""' for number in range(25_000)) + "/>"),
        "namespaces on every element": inside(elements(f"<a {_declared(14)} {_used(14)}/>")),
        "namespaces above, used below": inside(f"<z {_declared(14)}>{elements(f'<a {_used(14)}/>', room - 600)}</z>"),
        "namespaces that change with every level": inside(made_of_levels),
        "namespaces that change with every level, signed": signed(made_of_levels),
        "namespaces that change with every level, encrypted": sealed(nested(170_000)),
        "inclusive prefixes, as many as allowed": lambda: swap(
            inside(f"<z {_declared(14)}>{elements('<a/>', room - 600)}</z>")(), 'PrefixList="xs"', listed
        ),
        "inclusive prefixes, as many as fit": lambda: swap(
            inside(elements("<a/>", 20_000))(), 'PrefixList="xs"', f'PrefixList="{"a " * 50_000}"'
        ),
        "depth": inside("<a>" * 4900 + "</a>" * 4900),
        "open elements": inside("<a>" * 9000),
        "one long value": inside("x" * room),
        "one long value in references": inside("&#65;" * (room // 5)),
        "one long attribute": inside(f'<a b="{"x" * (room - 20)}"/>'),
        "line ends": inside("\r" * room),
        "invalid elements": lambda: swap(
            forge.xml(), "<saml2:AudienceRestriction>", f"{childless}<saml2:AudienceRestriction>"
        ),
        "invalid attributes": lambda: swap(
            forge.xml(),
            "</saml2:AttributeStatement>",
            '<saml2:Attribute Name="a" NameFormat=" " b="1" c="2"/>' * 4000 + "</saml2:AttributeStatement>",
        ),
        "audience restrictions": lambda: forge.xml(lambda tree: _repeat(
            tree, "saml:Assertion/saml:Conditions", "<saml:AudienceRestriction><saml:Audience>"
            f"{forge.party.sp_entity_id}</saml:Audience></saml:AudienceRestriction>", 1700,
        )),
        "confirmations": lambda: forge.xml(lambda tree: _repeat(
            tree, "saml:Assertion/saml:Subject", f'<saml:SubjectConfirmation Method="{n.CM_BEARER}">'
            '<saml:SubjectConfirmationData Recipient="x"/></saml:SubjectConfirmation>', 1700, first=True,
        )),
        "groups": lambda: forge.xml(attributes=[AttributeSpec("groups",
        [f"group {number}" for number in range(2300)])]),
        "key names": lambda: swap(forge.xml(), "<ds:KeyInfo>", "<ds:KeyInfo>" + "<ds:KeyName>x</ds:KeyName>" * 2200),
        "a document of blanks": lambda: forge.xml() + b"\n" * (room - 2000),
    }  # fmt: skip
    return result


def _repeat(tree: etree._Element, path: str, xml: str, count: int, *, first: bool = False) -> None:
    parent = find(tree, path)
    for _ in range(count):
        parent.insert(1 if first else len(parent), fragment(xml))


def metadata_documents() -> dict[str, bytes]:
    """The same for metadata, which may be a mebibyte long."""
    room = metadata.MAX_BYTES - 4000
    begin = "-----BEGIN CERTIFICATE-----"
    unclosed = "<ds:X509Certificate>" + begin * (60_000 // len(begin)) + "</ds:X509Certificate>"
    key = (
        '<md:KeyDescriptor><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>'
        f"{unclosed * (room // len(unclosed))}</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )
    good = idp_metadata.key_descriptor(idp_metadata.certificate())
    return {
        "metadata: certificates that never end": idp_metadata.entity(idp_metadata.role(keys=key)).encode(),
        "metadata: certificates": idp_metadata.entity(idp_metadata.role(keys=good * (room // len(good)))).encode(),
        "metadata: entities": idp_metadata.entities(
            *["<md:EntityDescriptor entityID='x'><md:IDPSSODescriptor/></md:EntityDescriptor>"] * (room // 80)
        ).encode(),
        "metadata: attributes on one element": idp_metadata.entity(
            more=" " + " ".join(f'a{number}=""' for number in range(90_000))
        ).encode(),
        "metadata: elements": idp_metadata.entity(idp_metadata.role(formats="<a/>" * (room // 4 - 1000))).encode(),
        "metadata: namespaces": idp_metadata.entity(more=" " + _declared(60_000)).encode(),
    }
