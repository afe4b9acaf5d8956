"""Changes to messages by chance, from a seed: of bytes, of trees, and of the writing alone.

What is changed may be nonsense, or an attack that nobody has thought of. `rewrite` changes nothing that
canonicalisation keeps, so that a valid message stays valid.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

from lxml import etree

from saml_sp.protocol import names as n

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

EVE = "eve@attacker.example"

# Texts that have meant something to some XML or SAML reader.
TOKENS = (
    b"<!---->", b"<!--x-->", b"<![CDATA[", b"]]>", b"<?x y?>", b"<!DOCTYPE a>", b'<!DOCTYPE a [<!ENTITY e "x">]>',
    b"&e;",
    b"&amp;", b"&lt;", b"&#0;", b"&#65;", b"&#x41;", b"&#xD;", b"&#xA;", b"\x00", b"\xef\xbb\xbf", b"\xff", b"\xc0\xaf",
    b"\xed\xa0\x80", b"\xe2\x80\xae", b"\xc2\xa0", b"\r\n", b"\n", b"\t", b" ", b"'", b'"', b"<", b">", b"/", b"=",
    b"#", b":",
    b"eve@attacker.example", b'ID="x"', b' xml:id="x"', b' Id="x"', b' xmlns:x="urn:x"', b' xmlns="urn:x"',
    b' xmlns=""',
    b' xsi:type="xs:string"', b' xsi:nil="true"', b' xml:space="preserve"', b' xml:base="http://127.0.0.1:9/"',
    b"urn:oasis:names:tc:SAML:2.0:assertion", b"urn:oasis:names:tc:SAML:2.0:protocol",
    b"http://www.w3.org/2000/09/xmldsig#",
    b"#rsa-sha1", b"#hmac-sha256", b"#sha1", b"http://www.w3.org/TR/1999/REC-xslt-19991116", b"2026-01-01T00:00:00Z",
    b"9999-12-31T23:59:59.9999999999Z", b"0001-01-01T00:00:00+14:00", b"-1", b"99999999999999999999", b"AAAA",
    b"file:///etc/hostname",
)  # fmt: skip
_ATTRIBUTES = (
    "ID", "Id", "id", "Version", "Destination", "InResponseTo", "IssueInstant", "NotBefore", "NotOnOrAfter",
    "Recipient",
    "Format", "NameQualifier", "Method", "Algorithm", "URI", "PrefixList", "Name", "FriendlyName", "Value", "Type",
    "SessionIndex", "SessionNotOnOrAfter", "AuthnInstant", f"{{{n.XML}}}id", f"{{{n.XML}}}base", f"{{{n.XSI}}}type",
    f"{{{n.XSI}}}nil", f"{{{n.XSI}}}schemaLocation", "{urn:x}ID",
)  # fmt: skip
_VALUES = (
    "", " ", "x", "1", "true", EVE, "#", "#x", "2.0", "1.1", "xs ds saml", "http://127.0.0.1:9/",
    "file:///etc/hostname",
    "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "9999-12-31T23:59:59Z", n.EXCLUSIVE, n.ENVELOPED_SIGNATURE,
    n.CM_BEARER,
    n.STATUS_SUCCESS, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    "urn:oasis:names:tc:SAML:2.0:status:Requester", n.NAMEID_TRANSIENT, n.NAMEID_ENTITY, "\u202e", "é", "a\nb",
    "A" * 2000,
)  # fmt: skip
_TAGS = (
    n.ASSERTION, n.RESPONSE, n.SUBJECT, n.NAME_ID, n.ISSUER, n.SIGNATURE, n.SIGNED_INFO, n.REFERENCE, n.TRANSFORM,
    n.CONDITIONS,
    n.AUDIENCE, n.AUDIENCE_RESTRICTION, n.ADVICE, n.EXTENSIONS, n.STATUS_DETAIL, n.ATTRIBUTE, n.ATTRIBUTE_VALUE,
    n.ENCRYPTED_ASSERTION, n.ENCRYPTED_ID, n.AUTHN_STATEMENT, n.SUBJECT_CONFIRMATION, n.ONE_TIME_USE, n.KEY_INFO,
    f"{{{n.DS}}}Object", f"{{{n.DS}}}Manifest", "{urn:x}thing", "thing",
)  # fmt: skip
_NUMBER = re.compile(rb"\d+")


class Mutator:
    """Changes messages by the chance of one generator; `others` are messages to take parts from."""

    def __init__(self, rng: random.Random, others: Sequence[bytes]) -> None:
        self.rng = rng
        self.others = others

    def mutate(self, xml: bytes) -> bytes:
        """One of the two ways, a few times over."""
        for _ in range(self.rng.choice((1, 1, 1, 2, 4))):
            xml = self.rng.choice((self.change_bytes, self.change_tree))(xml)
        return xml

    # --- Bytes ----------------------------------------------------------------------------------------------------

    def change_bytes(self, xml: bytes) -> bytes:
        """Change a few bytes somewhere."""
        if not xml:
            return self.rng.choice(TOKENS)
        at = self.rng.randrange(len(xml))
        until = min(len(xml), at + self.rng.choice((1, 1, 2, 8, 64, 512, 4096)))
        other = self.rng.choice(self.others)
        there = self.rng.randrange(len(other))
        choices: tuple[Callable[[], bytes], ...] = (
            lambda: xml[:at] + bytes([xml[at] ^ (1 << self.rng.randrange(8))]) + xml[at + 1 :],
            lambda: xml[:at] + bytes([self.rng.randrange(256)]) + xml[at + 1 :],
            lambda: xml[:at] + xml[until:],
            lambda: xml[:until] + xml[at:until] + xml[until:],
            lambda: xml[:at] + self.rng.choice(TOKENS) + xml[at:],
            lambda: xml[:at] + self.rng.choice(TOKENS) + xml[until:],
            lambda: self._in_a_tag(xml),
            lambda: xml[:at] + other[there : there + until - at] + xml[until:],
            lambda: xml[:at],
            lambda: xml + self.rng.choice((b" ", b"\n<!-- -->", b"<a/>", b"\x00", xml[at:])),
            lambda: self._another_number(xml),
            lambda: xml.replace(b"ana@customer.example", EVE.encode(), self.rng.choice((1, -1))),
            lambda: xml[:at] + xml[at:until].swapcase() + xml[until:],
        )
        return self.rng.choice(choices)()

    def _in_a_tag(self, xml: bytes) -> bytes:
        ends = [match.start() for match in re.finditer(rb"/?>", xml)]
        if not ends:
            return xml
        at = self.rng.choice(ends)
        return xml[:at] + b" " + self.rng.choice(TOKENS) + xml[at:]

    def _another_number(self, xml: bytes) -> bytes:
        numbers = list(_NUMBER.finditer(xml))
        if not numbers:
            return xml
        found = self.rng.choice(numbers)
        new = self.rng.choice(
            (b"0", b"1", b"-1", b"99999999999", str(int(found[0][:30]) + 1).encode(), found[0] + b"0")
        )
        return xml[: found.start()] + new + xml[found.end() :]

    # --- Trees ----------------------------------------------------------------------------------------------------

    def change_tree(self, xml: bytes) -> bytes:
        """Change an element somewhere; bytes of what cannot be read as XML."""
        root = _parsed(xml)
        if root is None:
            return self.change_bytes(xml)
        elements = list(root.iter(etree.Element))
        element = self.rng.choice(elements)
        place = self.rng.choice(elements)
        change = self.rng.choice((
            self._remove, self._duplicate, self._move, self._graft, self._graft, self._set_attribute,
            self._set_attribute,
            self._drop_attribute, self._copy_attribute, self._set_text, self._rename, self._wrap, self._swap,
            self._mark,
            self._wrap_around_an_evil_twin,
        ))  # fmt: skip
        try:
            change(root, element, place)
        except ValueError:  # a change that makes no tree
            return xml
        return etree.tostring(root, encoding="UTF-8", xml_declaration=self.rng.random() < 0.8)

    def _remove(self, _root: etree._Element, element: etree._Element, _place: etree._Element) -> None:
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)

    def _duplicate(self, _root: etree._Element, element: etree._Element, place: etree._Element) -> None:
        parent = element.getparent()
        target = parent if parent is not None and self.rng.random() < 0.7 else place
        target.insert(self.rng.randint(0, len(target)), copy.deepcopy(element))

    def _move(self, _root: etree._Element, element: etree._Element, place: etree._Element) -> None:
        if element not in place.iterancestors() and element is not place:
            place.insert(self.rng.randint(0, len(place)), element)

    def _graft(self, _root: etree._Element, _element: etree._Element, place: etree._Element) -> None:
        other = _parsed(self.rng.choice(self.others))
        if other is None:
            return
        wanted = self.rng.choice(("{*}*", n.ASSERTION, n.SIGNATURE, n.NAME_ID, n.SUBJECT, n.ATTRIBUTE, n.CONDITIONS))
        found = list(other.iter(wanted))
        if found:
            place.insert(self.rng.randint(0, len(place)), copy.deepcopy(self.rng.choice(found)))

    def _set_attribute(self, root: etree._Element, element: etree._Element, _place: etree._Element) -> None:
        names = [str(name) for name in element.attrib] or list(_ATTRIBUTES)
        name = self.rng.choice(names if self.rng.random() < 0.6 else _ATTRIBUTES)
        values = [str(value) for branch in root.iter() for value in branch.values()]
        element.set(name, self.rng.choice(values if values and self.rng.random() < 0.4 else _VALUES))

    def _drop_attribute(self, _root: etree._Element, element: etree._Element, _place: etree._Element) -> None:
        if names := list(element.attrib):
            del element.attrib[self.rng.choice(names)]

    def _copy_attribute(self, _root: etree._Element, element: etree._Element, place: etree._Element) -> None:
        if names := list(element.attrib):
            name = self.rng.choice(names)
            place.set(name, element.get(name) or "")

    def _set_text(self, root: etree._Element, element: etree._Element, _place: etree._Element) -> None:
        texts = [branch.text for branch in root.iter() if branch.text]
        element.text = self.rng.choice(texts if texts and self.rng.random() < 0.5 else _VALUES)

    def _rename(self, _root: etree._Element, element: etree._Element, _place: etree._Element) -> None:
        element.tag = self.rng.choice(_TAGS)

    def _wrap(self, _root: etree._Element, element: etree._Element, _place: etree._Element) -> None:
        parent = element.getparent()
        if parent is not None:
            wrapper = etree.Element(self.rng.choice(_TAGS))
            parent.replace(element, wrapper)
            wrapper.append(element)

    def _swap(self, _root: etree._Element, element: etree._Element, _place: etree._Element) -> None:
        parent = element.getparent()
        if parent is not None:
            parent.insert(self.rng.randint(0, len(parent)), element)

    def _mark(self, _root: etree._Element, _element: etree._Element, place: etree._Element) -> None:
        node = self.rng.choice((etree.Comment("x"), etree.ProcessingInstruction("x", "y")))
        text, place.text = place.text or "", (place.text or "")[: len(place.text or "") // 2]
        node.tail = text[len(place.text) :]
        place.insert(0, node)

    def _wrap_around_an_evil_twin(self, root: etree._Element, _element: etree._Element, place: etree._Element) -> None:
        """The signed element goes somewhere, and a copy that names somebody else takes its place."""
        signed = [s.getparent() for s in root.iter(n.SIGNATURE)]
        original = self.rng.choice([parent for parent in signed if parent is not None] or [root])
        twin = copy.deepcopy(original)
        for value in twin.iter(n.NAME_ID, n.ATTRIBUTE_VALUE):
            value.text = EVE
        if self.rng.random() < 0.5:
            for signature in twin.findall(n.SIGNATURE):
                twin.remove(signature)
        if self.rng.random() < 0.5:
            twin.set("ID", self.rng.choice(("_evil", original.get("ID") or "")))
        parent = original.getparent()
        if parent is None:
            return
        if self.rng.random() < 0.5 and place is not original and original not in place.iterancestors():
            parent.replace(original, twin)
            place.insert(self.rng.randint(0, len(place)), original)
        else:
            parent.insert(self.rng.randint(0, len(parent)), twin)

    # --- The writing alone ----------------------------------------------------------------------------------------

    def rewrite(self, xml: bytes) -> bytes:
        """Other letters for the same canonical form: what it means, and its signatures, stay as they are."""
        text = xml.decode()
        for _ in range(self.rng.choice((1, 2, 3))):
            text = self.rng.choice((
                self._other_quotes, self._blanks_in_tags, self._references, self._long_empty_elements,
                self._declaration,
            ))(text)  # fmt: skip
        return text.encode()

    def _other_quotes(self, text: str) -> str:
        def swap(match: re.Match[str]) -> str:
            return f"={chr(39)}{match[1]}{chr(39)}" if "'" not in match[1] and self.rng.random() < 0.5 else match[0]

        return _in_tags(text, lambda tag: re.sub(r'="([^"]*)"', swap, tag))

    def _blanks_in_tags(self, text: str) -> str:
        def blank(match: re.Match[str]) -> str:
            return self.rng.choice(("  ", "\n", "\t", "\r\n", " "))

        # Not inside of quotes: there a line break is another value.
        return _in_tags(text, lambda tag: re.sub(r""" (?=[\w:]+=["'])""", blank, tag) if "=" in tag else tag)

    def _references(self, text: str) -> str:
        """Letters of element texts and attribute values as character references."""

        def refer(match: re.Match[str]) -> str:
            letters = list(match[1])
            for at in range(len(letters)):
                if letters[at].isalnum() and self.rng.random() < 0.05:
                    letters[at] = f"&#{ord(letters[at])};" if self.rng.random() < 0.5 else f"&#x{ord(letters[at]):X};"
            return f">{''.join(letters)}</"

        return re.sub(r">([^<>&]{1,400})</", refer, text)

    def _long_empty_elements(self, text: str) -> str:
        return re.sub(r"<([\w:]+)([^<>]*)/>", lambda m: f"<{m[1]}{m[2]}></{m[1]}>", text, count=self.rng.randint(1, 20))

    def _declaration(self, text: str) -> str:
        body = re.sub(r"^[\ufeff\s]*(<\?xml[^>]*\?>)?\s*", "", text)
        return self.rng.choice((
            "", '<?xml version="1.0"?>', "<?xml version='1.0' encoding='utf-8'?>\n", '\ufeff<?xml version="1.0"?>',
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>', "\ufeff", "\n",
        )) + body  # fmt: skip


def _in_tags(text: str, change: Callable[[str], str]) -> str:
    return re.sub(r"<[^<>?!/][^<>]*>", lambda match: change(match[0]), text)


def _parsed(xml: bytes) -> etree._Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
