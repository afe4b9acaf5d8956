"""What can be wrong with a response: each spoiler spoils one thing in a valid, really signed one, and has a name.

Spoiled before signing where an honest key would sign it, after signing where the attacker has none. The codes are those
of `saml_sp.protocol.errors`. Sources: SECURITY requirements of docs/security.md; Somorovsky et al., “On Breaking SAML”
(wrapping 1 to 8); CVE-2017-11427 (comments), CVE-2009-0217 (HMAC), CVE-2024-45409, CVE-2025-25291, CVE-2025-66567.
"""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import xmlsec
from lxml import etree

from demo import issuer
from demo.issuer import AttributeSpec, Signed
from saml_sp.protocol import names as n
from tests.idp import (
    ANA,
    ATTRIBUTES,
    ENVELOPED,
    EXCLUSIVE,
    SHA256,
    Forge,
    Kind,
    email_attribute,
    find,
    fragment,
    key,
    reference,
    remove,
    sign_by_template,
    signature,
    swap,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Spoiler = Callable[[Forge], bytes]

EVE = "eve@attacker.example"
ASSERTION_SIGNED: dict[str, Any] = {"signed": Signed.ASSERTION}
RESPONSE_SIGNED: dict[str, Any] = {"signed": Signed.RESPONSE}


@dataclass(frozen=True)
class Spoiled:
    """One way to be wrong: the code that it is refused with, and a part of what the administrator reads as received."""

    name: str
    code: str
    received: str
    make: Spoiler


class Shelf(list[Spoiled]):
    """Spoilers that belong together."""

    def spoils(self, code: str, received: str = "") -> Callable[[Spoiler], Spoiler]:
        """Put the decorated function on the shelf, under its own name."""

        def add(make: Spoiler) -> Spoiler:
            self.append(Spoiled(make.__name__, code, received, make))
            return make

        return add

    def say(self, name: str, code: str, received: str = "", /, **changes: Any) -> None:
        """A message that says something else. A callable is given the forge."""

        def make(forge: Forge) -> bytes:
            return forge.xml(**{field: value(forge) if callable(value) else value for field, value in changes.items()})

        self.append(Spoiled(name, code, received, make))

    def edit(self, name: str, code: str, received: str = "", /, **kwargs: Any) -> None:
        """A tree that is changed `before` or `after` signing."""
        self.append(Spoiled(name, code, received, lambda forge: forge.xml(**kwargs)))

    def rewrite(
        self, name: str, code: str, received: str = "", /, *, old: str, new: str | bytes, times: int = -1
    ) -> None:
        """A text that is changed after signing."""
        self.append(Spoiled(name, code, received, lambda forge: swap(forge.xml(), old, new, times)))


def put(path: str, xml: str, index: int | None = None) -> Callable[[etree._Element], None]:
    """Put an element into the first one at the path: at the end, or at an index."""

    def change(tree: etree._Element) -> None:
        parent = tree if path == "." else find(tree, path)
        parent.insert(len(parent) if index is None else index, fragment(xml))

    return change


def attribute(path: str, name: str, value: str | None) -> Callable[[etree._Element], None]:
    """Set an XML attribute of the first element at the path, or take it away."""

    def change(tree: etree._Element) -> None:
        element = tree if path == "." else find(tree, path)
        if value is None:
            del element.attrib[name]
        else:
            element.set(name, value)

    return change


def text(path: str, value: str) -> Callable[[etree._Element], None]:
    """Set the text of the first element at the path."""

    def change(tree: etree._Element) -> None:
        find(tree, path).text = value

    return change


def without(path: str) -> Callable[[etree._Element], None]:
    """Take the elements at the path out."""
    return partial(remove, path=path)


A = "saml:Assertion"
NAME_ID = f"{A}/saml:Subject/saml:NameID"
CONFIRMATION = f"{A}/saml:Subject/saml:SubjectConfirmation"
DATA = f"{CONFIRMATION}/saml:SubjectConfirmationData"
CONDITIONS = f"{A}/saml:Conditions"
AUTHN = f"{A}/saml:AuthnStatement"
VALUE = f"{A}/saml:AttributeStatement/saml:Attribute/saml:AttributeValue"

# --- Encoding ---------------------------------------------------------------------------------------------------------

ENCODING = Shelf()


@ENCODING.spoils("not_utf8")
def utf_16_with_a_mark(forge: Forge) -> bytes:
    return forge.xml().decode().replace("UTF-8", "UTF-16").encode("utf-16")


@ENCODING.spoils("not_utf8", "NUL")
def utf_16_without_a_mark(forge: Forge) -> bytes:
    return swap(forge.xml(), "<?xml version='1.0' encoding='UTF-8'?>", "").decode().encode("utf-16-le")


@ENCODING.spoils("not_utf8", "NUL")
def utf_32(forge: Forge) -> bytes:
    return forge.xml().decode().encode("utf-32-be")


@ENCODING.spoils("not_utf8", "position")
def latin_1_bytes(forge: Forge) -> bytes:
    return swap(forge.xml(), "Lima", "Limá".encode("latin-1"))


@ENCODING.spoils("not_utf8", "position")
def an_overlong_slash(forge: Forge) -> bytes:
    return swap(forge.xml(), "Lima", b"\xc0\xaf")


@ENCODING.spoils("not_utf8", "position")
def a_surrogate(forge: Forge) -> bytes:
    return swap(forge.xml(), "Lima", b"\xed\xa0\x80")


@ENCODING.spoils("not_utf8")
def compressed_as_for_the_redirect_binding(forge: Forge) -> bytes:
    import zlib  # noqa: PLC0415 - for this one

    return zlib.compress(forge.xml())


ENCODING.rewrite("a_nul_character", "not_utf8", "NUL", old="Lima", new="Li\0ma")
ENCODING.rewrite("declared_as_latin_1", "not_utf8", "ISO-8859-1", old="'UTF-8'", new="'ISO-8859-1'")
ENCODING.rewrite("declared_as_utf_16", "not_utf8", "UTF-16", old="'UTF-8'", new="'UTF-16'")
ENCODING.rewrite("declared_as_utf_7", "not_utf8", "UTF-7", old="'UTF-8'", new='"UTF-7"')
ENCODING.rewrite("declared_as_nothing", "not_utf8", old="'UTF-8'", new="''")
ENCODING.rewrite("xml_1_1", "not_xml", "1.1", old="version='1.0'", new="version='1.1'")
ENCODING.rewrite("two_byte_order_marks", "forbidden_markup", old="<?xml ", new="\ufeff\ufeff<?xml ")
ENCODING.rewrite("a_line_before_the_declaration", "forbidden_markup", old="<?xml ", new="\n<?xml ")
ENCODING.rewrite("two_declarations", "forbidden_markup", old="?>\n", new="?><?xml version='1.0'?>\n")

# --- Markup -----------------------------------------------------------------------------------------------------------

MARKUP = Shelf()
LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


def doctype(declaration: str, old: str = "Lima", new: str = "Lima") -> Spoiler:
    """A document type between the declaration and the Response, and perhaps a text that uses it."""
    return lambda forge: swap(swap(forge.xml(), "?>\n", f"?>\n{declaration}\n"), old, new)


for _name, _declaration, _new in (
    ("an_empty_document_type", "<!DOCTYPE Response>", "Lima"),
    ("an_external_document_type", '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">', "Lima"),
    ("a_public_document_type", '<!DOCTYPE r PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://127.0.0.1:9/x.dtd">', "Lima"),
    ("an_internal_entity", '<!DOCTYPE r [<!ENTITY e "Lima">]>', "&e;"),
    ("an_entity_from_a_file", '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hostname">]>', "&e;"),
    ("an_entity_from_the_network", '<!DOCTYPE r [<!ENTITY e SYSTEM "http://127.0.0.1:9/">]>', "&e;"),
    ("a_parameter_entity", '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:9/"> %p;]>', "Lima"),
    ("billion_laughs", f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]>', "&l9;"),
    ("quadratic_blow_up", f'<!DOCTYPE r [<!ENTITY a "{"a" * 20_000}">]>', "&a;" * 10_000),
    ("an_attribute_that_becomes_an_id", "<!DOCTYPE r [<!ATTLIST NameID Format ID #IMPLIED>]>", "Lima"),
):
    MARKUP.append(Spoiled(_name, "forbidden_markup", "<!DOCTYPE", doctype(_declaration, new=_new)))

# Canonicalisation drops a comment, so the signature stays good: one reader sees ana@customer.example.attacker.example.
MARKUP.rewrite("a_comment_in_the_name_id", "forbidden_markup", "<!--", old=f">{ANA}<", new=f">{ANA}<!---->.eve<")
MARKUP.rewrite("a_comment_in_the_issuer", "forbidden_markup", "<!--", old="/metadata<", new="/meta<!--x-->data<")
MARKUP.rewrite("a_comment_before_the_response", "forbidden_markup", old="?>\n", new="?>\n<!-- hello -->")
MARKUP.append(Spoiled("a_comment_at_the_end", "forbidden_markup", "<!--", lambda forge: forge.xml() + b"<!-- bye -->"))
MARKUP.edit("a_signed_comment", "forbidden_markup", before=lambda tree: find(tree, NAME_ID).append(etree.Comment("x")))
MARKUP.edit(
    "a_signed_processing_instruction", "forbidden_markup", "<?",
    before=lambda tree: find(tree, NAME_ID).append(etree.ProcessingInstruction("x", "y")),
)  # fmt: skip
MARKUP.rewrite("a_style_sheet", "forbidden_markup", old="?>\n", new='?>\n<?xml-stylesheet href="http://127.0.0.1:9/"?>')
MARKUP.rewrite("cdata_in_the_name_id", "forbidden_markup", "CDATA", old=f">{ANA}<", new=f"><![CDATA[{ANA}]]><")
MARKUP.rewrite("an_undeclared_entity", "not_xml", old="Lima", new="&nbsp;")
MARKUP.rewrite("a_reference_to_nul", "not_xml", old="Lima", new="&#0;")
MARKUP.rewrite("a_control_character", "not_xml", old="Lima", new="\x01")
MARKUP.rewrite("a_character_that_is_none", "not_xml", old="Lima", new="\ufffe")
MARKUP.rewrite("an_undeclared_prefix", "not_xml", old="<saml2:Subject>", new="<saml2:Subject x:y='z'>")
MARKUP.rewrite("an_attribute_twice", "not_xml", old="<saml2p:Response ", new='<saml2p:Response Version="2.0" ')
MARKUP.rewrite("an_open_element", "not_xml", old="</saml2p:Response>", new="")
MARKUP.append(Spoiled("two_documents", "not_xml", "", lambda forge: forge.xml() + b"<second/>"))
MARKUP.append(Spoiled("half_a_document", "not_xml", "", lambda forge: forge.xml()[:2000]))
MARKUP.append(Spoiled("nothing", "not_xml", "", lambda _forge: b""))
MARKUP.append(Spoiled("json", "not_xml", "", lambda _forge: b'{"user": "ana"}'))
MARKUP.append(Spoiled("html", "forbidden_markup", "", lambda _forge: b"<!doctype html><p>Please sign in</p>"))
for _name in ("schemaLocation", "noNamespaceSchemaLocation"):
    MARKUP.edit(
        f"a_{_name}", "bad_structure", _name.lower(),
        before=attribute(".", f"{{{n.XSI}}}{_name}", "urn:x http://127.0.0.1:9/x.xsd"),
    )  # fmt: skip
    MARKUP.edit(
        f"a_{_name}_on_a_value", "bad_structure", _name.lower(),
        before=attribute(VALUE, f"{{{n.XSI}}}{_name}", "urn:x http://127.0.0.1:9/x.xsd"),
    )  # fmt: skip
for _path in (NAME_ID, A, "samlp:Status", DATA):
    MARKUP.edit(
        f"another_type_for_{_path.rpartition(':')[2]}", "bad_structure", "type",
        before=attribute(_path, f"{{{n.XSI}}}type", "xs:string"),
    )  # fmt: skip
MARKUP.edit("a_nil_name_id", "bad_structure", "nil", before=attribute(NAME_ID, f"{{{n.XSI}}}nil", "true"))
for _name, _uri in (
    ("a_relative_namespace", '"relative"'),
    ("a_namespace_that_is_a_path", "'/etc/passwd'"),
    ("a_relative_namespace_begun_by_a_quote", '"\'relative"'),
    ("a_relative_namespace_with_a_reference", '"rel&#97;tive"'),
    ("a_namespace_of_a_blank", '" "'),
):
    MARKUP.rewrite(_name, "bad_structure", old="<saml2p:Response ", new=f"<saml2p:Response xmlns:x={_uri} ")

# --- Amounts ----------------------------------------------------------------------------------------------------------

AMOUNTS = Shelf()
AMOUNTS.rewrite("five_thousand_elements", "too_complex", "element 5001", old=">Lima<", new=f">{'<a/>' * 4990}<")
AMOUNTS.rewrite("a_flood_of_tags", "too_complex", "tags", old=">Lima<", new=f">{'<a/>' * 10_000}<")
AMOUNTS.rewrite("elements_thirty_deep", "too_complex", old=">Lima<", new=f">{'<a>' * 30}{'</a>' * 30}<")
AMOUNTS.rewrite("elements_ten_thousand_deep", "too_complex", old=">Lima<", new=f">{'<a>' * 9900}{'</a>' * 9900}<")
for _name, _one in (
    ("attributes", 'a{}=""'), ("namespaces", 'xmlns:a{}="urn:a"'), ("namespaces_in_apostrophes", "xmlns:a{} = 'urn:a'"),
):  # fmt: skip
    _thirty = " ".join(_one.format(number) for number in range(30))
    AMOUNTS.rewrite(f"thirty_{_name}", "too_complex", old=">Lima<", new=f"><a {_thirty}/><")

# --- Structure --------------------------------------------------------------------------------------------------------

STRUCTURE = Shelf()


@STRUCTURE.spoils("bad_structure", "Assertion")
def an_assertion_alone(forge: Forge) -> bytes:
    return issuer.serialise(find(forge.tree(), A))


@STRUCTURE.spoils("bad_structure", "Envelope")
def a_response_in_an_envelope(forge: Forge) -> bytes:
    envelope = etree.fromstring(
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body/></e:Envelope>'
    )
    envelope[0].append(forge.tree())
    return issuer.serialise(envelope)


@STRUCTURE.spoils("assertion_count", "0")
def no_assertion(forge: Forge) -> bytes:
    tree = forge.tree(without(A), signed=Signed.RESPONSE)
    return issuer.serialise(tree)


@STRUCTURE.spoils("assertion_count", "2")
def two_assertions(forge: Forge) -> bytes:
    def double(tree: etree._Element) -> None:
        tree.append(issuer.build_assertion(forge.spec(name_id=EVE)))

    return forge.xml(double)


@STRUCTURE.spoils("assertion_count", "2")
def an_encrypted_assertion_beside_a_plain_one(forge: Forge) -> bytes:
    return forge.xml(put(".", ENCRYPTED.format(what="EncryptedAssertion")))


ENCRYPTED = (
    '<saml:{what}><xenc:EncryptedData Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod '
    'Algorithm="http://www.w3.org/2009/xmlenc11#aes256-gcm"/><ds:KeyInfo><xenc:EncryptedKey><xenc:EncryptionMethod '
    'Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"/><xenc:CipherData><xenc:CipherValue>AAAA'
    "</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>AAAA"
    "</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:{what}>"
)


@STRUCTURE.spoils("encryption_unsupported")
def an_encrypted_assertion(forge: Forge) -> bytes:
    def encrypt(tree: etree._Element) -> None:
        remove(tree, A)
        tree.append(fragment(ENCRYPTED.format(what="EncryptedAssertion")))

    return forge.xml(encrypt, signed=Signed.RESPONSE)


@STRUCTURE.spoils("encryption_unsupported")
def an_encrypted_name_id(forge: Forge) -> bytes:
    def encrypt(tree: etree._Element) -> None:
        remove(tree, NAME_ID)
        find(tree, f"{A}/saml:Subject").insert(0, fragment(ENCRYPTED.format(what="EncryptedID")))

    return forge.xml(encrypt)


STRUCTURE.edit(
    "an_encrypted_attribute", "encryption_unsupported", "EncryptedAttribute",
    before=put(f"{A}/saml:AttributeStatement", ENCRYPTED.format(what="EncryptedAttribute")),
)  # fmt: skip
for _tag in ("LogoutResponse", "AuthnRequest", "ArtifactResponse", "response"):
    STRUCTURE.rewrite(f"a_root_named_{_tag}", "bad_structure", _tag, old="saml2p:Response", new=f"saml2p:{_tag}")
STRUCTURE.rewrite("a_root_of_saml_1", "bad_structure", old=n.SAMLP, new="urn:oasis:names:tc:SAML:1.0:protocol")
STRUCTURE.rewrite("an_assertion_of_saml_1", "bad_structure", old=n.SAML, new="urn:oasis:names:tc:SAML:1.0:assertion")
for _value in ("1.1", "2.1", "2", "2.0 ", "", None):
    for _path, _label in ((".", "response"), (A, "assertion")):
        STRUCTURE.edit(f"version_{_value}_of_the_{_label}", "bad_structure", before=attribute(_path, "Version", _value))
STRUCTURE.edit(
    "no_id_on_the_response", "bad_structure", "none on Response", before=attribute(".", "ID", None), **ASSERTION_SIGNED
)
STRUCTURE.edit(
    "no_id_on_the_assertion", "bad_structure", "none on Assertion", before=attribute(A, "ID", None), **RESPONSE_SIGNED
)
STRUCTURE.edit("no_issue_instant", "schema_invalid", "IssueInstant", before=attribute(A, "IssueInstant", None))
STRUCTURE.edit("no_issuer_in_the_assertion", "schema_invalid", "Issuer", before=without(f"{A}/saml:Issuer"))
STRUCTURE.edit("two_issuers", "schema_invalid", before=put(A, "<saml:Issuer>x</saml:Issuer>", 0))
STRUCTURE.edit(
    "two_subjects", "schema_invalid", before=put(A, "<saml:Subject><saml:NameID>x</saml:NameID></saml:Subject>", 2)
)
STRUCTURE.edit("two_name_ids", "schema_invalid", before=put(f"{A}/saml:Subject", "<saml:NameID>x</saml:NameID>", 0))
STRUCTURE.edit("two_conditions", "schema_invalid", before=put(A, "<saml:Conditions/>", 3))
STRUCTURE.edit(
    "conditions_at_the_end", "schema_invalid", before=lambda tree: find(tree, A).append(find(tree, CONDITIONS))
)
STRUCTURE.edit("an_attribute_without_a_name", "schema_invalid", before=attribute(f"{A}//saml:Attribute", "Name", None))
STRUCTURE.edit("an_unknown_attribute_of_the_response", "schema_invalid", before=attribute(".", "Role", "admin"))
STRUCTURE.edit("text_in_the_response", "schema_invalid", before=lambda tree: setattr(tree, "text", "hello"))
for _path in (".", A, f"{A}/saml:Subject", CONFIRMATION, DATA, CONDITIONS, f"{CONDITIONS}/saml:AudienceRestriction",
              AUTHN, NAME_ID, "saml:Issuer", "samlp:Status", "samlp:Status/samlp:StatusCode"):  # fmt: skip
    STRUCTURE.edit(
        f"a_stranger_in_{'Response' if _path == '.' else _path.rpartition(':')[2]}", "bad_structure", "thing",
        before=put(_path, '<x:thing xmlns:x="urn:x"/>'),
    )  # fmt: skip

STRUCTURE.edit("no_status", "bad_structure", "0", before=without("samlp:Status"))
_SUCCESS = f'<samlp:StatusCode Value="{n.STATUS_SUCCESS}"/>'
STRUCTURE.edit("two_statuses", "bad_structure", "2", before=put(".", f"<samlp:Status>{_SUCCESS}</samlp:Status>", 1))
STRUCTURE.edit("two_status_codes", "bad_structure", "2", before=put("samlp:Status", _SUCCESS))
STRUCTURE.edit("no_status_code", "bad_structure", "0", before=without("samlp:Status/samlp:StatusCode"))
_CODE = "samlp:Status/samlp:StatusCode"
for _name, _value in (
    ("requester", "urn:oasis:names:tc:SAML:2.0:status:Requester"),
    ("success_in_small_letters", n.STATUS_SUCCESS.lower()),
    ("success_with_a_blank", f"{n.STATUS_SUCCESS} "),
    ("success_and_more", f"{n.STATUS_SUCCESS}ful"),
    ("success_of_saml_1", "samlp:Success"),
    ("no_value_at_all", None),
):
    STRUCTURE.edit(f"status_{_name}", "status_not_success", before=attribute(_CODE, "Value", _value))


@STRUCTURE.spoils("status_not_success", "Responder / AuthnFailed The password was wrong")
def a_status_that_says_why(forge: Forge) -> bytes:
    def refuse(tree: etree._Element) -> None:
        attribute(_CODE, "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")(tree)
        put(_CODE, '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"/>')(tree)
        put("samlp:Status", "<samlp:StatusMessage>The password was wrong</samlp:StatusMessage>")(tree)
        remove(tree, A)

    return forge.xml(refuse, signed=Signed.RESPONSE)


@STRUCTURE.spoils("status_not_success", "Responder / Success")
def success_inside_a_failure(forge: Forge) -> bytes:
    def refuse(tree: etree._Element) -> None:
        attribute(_CODE, "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")(tree)
        put(_CODE, _SUCCESS)(tree)

    return forge.xml(refuse)


for _attribute in ("ID", "Id", "id", "iD", f"{{{n.XML}}}id", "AssertionID", "ResponseID", "{urn:x}ID"):
    # Where a wildcard of the schema admits the attribute, so that nothing but the gate stands in the way.
    STRUCTURE.append(
        Spoiled(
            f"the_assertions_id_again_as_{_attribute.rpartition('}')[2]}{'_of_a_namespace' * ('}' in _attribute)}",
            "duplicate_id", "twin",
            lambda forge, name=_attribute: forge.xml(  # type: ignore[misc]  # the default binds the loop's value
                attribute(VALUE, name, "twin"), assertion_id="twin"
            ),
        )
    )  # fmt: skip
STRUCTURE.say("one_id_for_response_and_assertion", "duplicate_id", "twin",
              response_id="twin", assertion_id="twin", signed=Signed.ASSERTION)  # fmt: skip
for _name, _value in (("with_a_colon", "a:b"), ("of_digits", "123"), ("with_a_quote", "a'b"), ("of_a_mile", "a" * 257)):
    STRUCTURE.say(f"an_id_{_name}", "duplicate_id", assertion_id=_value, signed=Signed.RESPONSE)

# --- Wrapping: what is signed is somewhere, what is read must not be somewhere else -----------------------------------

WRAPPING = Shelf()


def evil_twin(forge: Forge, **changes: Any) -> etree._Element:
    """An assertion that names somebody else, unsigned."""
    return issuer.build_assertion(forge.spec(name_id=EVE, attributes=(email_attribute(EVE),), **changes))


def unsigned(element: etree._Element) -> etree._Element:
    """A copy without its own signature: what the signature covers."""
    twin = copy.deepcopy(element)
    remove(twin, "ds:Signature")
    return twin


def _evil_response(forge: Forge, **changes: Any) -> etree._Element:
    return issuer.build_tree(forge.spec(name_id=EVE, attributes=(email_attribute(EVE),), **changes))


@WRAPPING.spoils("bad_structure", "Response in Signature")
def wrapping_1_response_in_its_signature(forge: Forge) -> bytes:
    original = forge.tree(**RESPONSE_SIGNED)
    evil = _evil_response(forge)
    evil.insert(1, copy.deepcopy(find(original, "ds:Signature")))
    evil[1].append(unsigned(original))
    return issuer.serialise(evil)


@WRAPPING.spoils("bad_structure", "Response in Response")
def wrapping_2_response_before_its_signature(forge: Forge) -> bytes:
    original = forge.tree(**RESPONSE_SIGNED)
    evil = _evil_response(forge)
    evil.insert(1, unsigned(original))
    evil.insert(2, copy.deepcopy(find(original, "ds:Signature")))
    return issuer.serialise(evil)


@WRAPPING.spoils("assertion_count", "2")
def wrapping_3_evil_assertion_first(forge: Forge) -> bytes:
    return forge.xml(after=lambda tree: tree.insert(2, evil_twin(forge)), **ASSERTION_SIGNED)


@WRAPPING.spoils("assertion_count", "2")
def evil_assertion_last(forge: Forge) -> bytes:
    return forge.xml(after=lambda tree: tree.append(evil_twin(forge)), **ASSERTION_SIGNED)


@WRAPPING.spoils("assertion_count", "Assertion in Assertion")
def wrapping_4_original_in_the_evil_assertion(forge: Forge) -> bytes:
    tree = forge.tree(**ASSERTION_SIGNED)
    evil = evil_twin(forge)
    evil.append(find(tree, A))
    tree.append(evil)
    return issuer.serialise(tree)


@WRAPPING.spoils("assertion_count", "2")
def wrapping_5_original_beside_with_its_signature_moved(forge: Forge) -> bytes:
    tree = forge.tree(**ASSERTION_SIGNED)
    original = find(tree, A)
    evil = evil_twin(forge)
    evil.insert(1, copy.deepcopy(find(original, "ds:Signature")))
    tree.replace(original, evil)
    tree.append(unsigned(original))
    return issuer.serialise(tree)


@WRAPPING.spoils("assertion_count", "Assertion in Signature")
def wrapping_6_original_in_the_moved_signature(forge: Forge) -> bytes:
    tree = forge.tree(**ASSERTION_SIGNED)
    original = find(tree, A)
    evil = evil_twin(forge)
    evil.insert(1, copy.deepcopy(find(original, "ds:Signature")))
    evil[1].append(unsigned(original))
    tree.replace(original, evil)
    return issuer.serialise(tree)


@WRAPPING.spoils("bad_structure", "Object in Signature")
def wrapping_8_original_in_an_object(forge: Forge) -> bytes:
    tree = forge.tree(**ASSERTION_SIGNED)
    original = find(tree, A)
    evil = evil_twin(forge)
    evil.insert(1, copy.deepcopy(find(original, "ds:Signature")))
    evil[1].append(fragment("<ds:Object/>"))
    evil[1][-1].append(unsigned(original))
    tree.replace(original, evil)
    return issuer.serialise(tree)


def _hidden_in(path: str, shell: str) -> Spoiler:
    """The signed original in a place of its own, and an evil, unsigned one where the assertion belongs."""

    def make(forge: Forge) -> bytes:
        tree = forge.tree(**ASSERTION_SIGNED)
        original = find(tree, A)
        tree.replace(original, evil := evil_twin(forge))
        holder = fragment(shell)
        innermost = next(element for element in holder.iter() if len(element) == 0)
        innermost.append(original)
        parent = tree if path == "." else find(tree, path)
        parent.insert(1 if holder.tag == n.EXTENSIONS else len(parent), holder)
        assert evil.getparent() is tree
        return issuer.serialise(tree)

    return make


def _in_disguise(path: str, shell: str) -> Spoiler:
    """As `_hidden_in`, with the evil assertion under the original's ID and signature."""

    def make(forge: Forge) -> bytes:
        tree = etree.fromstring(_hidden_in(path, shell)(forge))
        evil, original = find(tree, f"{A}[1]"), next(e for e in tree.iter(n.ASSERTION) if e.getparent() is not tree)
        evil.set("ID", str(original.get("ID")))
        evil.insert(1, find(original, "ds:Signature"))
        return issuer.serialise(tree)

    return make


for _name, _path, _shell in (
    ("extensions", ".", "<samlp:Extensions/>"),
    ("extensions_below_another_element", ".", '<samlp:Extensions><x:deep xmlns:x="urn:x"/></samlp:Extensions>'),
    ("the_status_detail", "samlp:Status", "<samlp:StatusDetail/>"),
    ("the_advice", A, "<saml:Advice/>"),
    ("the_confirmation_data", DATA, '<x:deep xmlns:x="urn:x"/>'),
    ("the_conditions", CONDITIONS, '<saml:Condition xsi:type="x:y" xmlns:x="urn:x"/>'),
    ("the_authentication_context", f"{AUTHN}/saml:AuthnContext", "<saml:AuthnContextDecl/>"),
    ("an_attribute_value", f"{A}//saml:Attribute", "<saml:AttributeValue/>"),
    ("a_value_below_another_element", f"{A}//saml:Attribute", "<saml:AttributeValue><b/></saml:AttributeValue>"),
    ("the_issuer", "saml:Issuer", '<x:deep xmlns:x="urn:x"/>'),
    ("a_second_subject", A, "<saml:Subject/>"),
):
    _code = "bad_structure" if _name in {"the_confirmation_data", "the_issuer", "the_conditions"} else "assertion_count"
    WRAPPING.append(Spoiled(f"original_in_{_name}", _code, "", _hidden_in(_path, _shell)))
    WRAPPING.append(Spoiled(f"original_in_{_name}_in_disguise", _code, "", _in_disguise(_path, _shell)))


@WRAPPING.spoils("assertion_count", "Assertion in Extensions")
def wrapping_7_evil_one_in_extensions(forge: Forge) -> bytes:
    def wrap(tree: etree._Element) -> None:
        extensions = fragment("<samlp:Extensions/>")
        extensions.append(evil_twin(forge, assertion_id=str(find(tree, A).get("ID"))))
        tree.insert(1, extensions)

    return forge.xml(after=wrap, **ASSERTION_SIGNED)


@WRAPPING.spoils("bad_structure", "Assertion")
def original_in_the_key_info(forge: Forge) -> bytes:
    def wrap(tree: etree._Element) -> None:
        original = find(tree, A)
        evil = evil_twin(forge)
        evil.insert(1, copy.deepcopy(find(original, "ds:Signature")))
        tree.replace(original, evil)
        find(evil, "ds:Signature/ds:KeyInfo").append(fragment("<ds:MgmtData/>"))
        find(evil, "ds:Signature/ds:KeyInfo/ds:MgmtData").append(unsigned(original))

    # MgmtData itself is refused before what is in it.
    return swap(forge.xml(after=wrap, **ASSERTION_SIGNED), "ds:MgmtData", "ds:AssertionData")


@WRAPPING.spoils("assertion_count")
def original_directly_in_the_key_info(forge: Forge) -> bytes:
    def wrap(tree: etree._Element) -> None:
        original = find(tree, A)
        evil = evil_twin(forge)
        evil.insert(1, copy.deepcopy(find(original, "ds:Signature")))
        tree.replace(original, evil)
        find(evil, "ds:Signature/ds:KeyInfo").append(unsigned(original))

    return forge.xml(after=wrap, **ASSERTION_SIGNED)


@WRAPPING.spoils("bad_signature")
def evil_assertion_under_the_originals_signature(forge: Forge) -> bytes:
    def graft(tree: etree._Element) -> None:
        original = find(tree, A)
        evil = evil_twin(forge, assertion_id=str(original.get("ID")))
        evil.insert(1, find(original, "ds:Signature"))
        tree.replace(original, evil)

    return forge.xml(after=graft, **ASSERTION_SIGNED)


@WRAPPING.spoils("bad_signature")
def evil_assertion_in_a_signed_response(forge: Forge) -> bytes:
    def graft(tree: etree._Element) -> None:
        tree.replace(find(tree, A), evil_twin(forge))

    return forge.xml(after=graft, **RESPONSE_SIGNED)


@WRAPPING.spoils("bad_signature")
def good_assertion_in_a_forged_signed_response(forge: Forge) -> bytes:
    """The assertion is the identity provider's, the signature of the response around it is not."""
    tree = forge.tree(**ASSERTION_SIGNED)
    issuer.sign(tree, key(Kind.STRANGER))
    return issuer.serialise(tree)


@WRAPPING.spoils("bad_signature")
def forged_assertion_in_a_good_signed_response(forge: Forge) -> bytes:
    """Every signature present must be good, also one that a good one covers."""
    tree = forge.tree(signed=Signed.NONE)
    issuer.sign(find(tree, A), key(Kind.STRANGER))
    issuer.sign(tree, forge.key)
    return issuer.serialise(tree)


@WRAPPING.spoils("signature_shape", "#a-")
def signature_of_the_assertion_on_the_response(forge: Forge) -> bytes:
    """A good signature over a good assertion, in the place of the response's: the response says what it likes."""

    def move(tree: etree._Element) -> None:
        tree.insert(1, find(tree, f"{A}/ds:Signature"))

    return forge.xml(after=move, **ASSERTION_SIGNED)


# --- Signatures -------------------------------------------------------------------------------------------------------

SIGNATURES = Shelf()
SIGNATURES.say("no_signature", "unsigned", signed=Signed.NONE)
SIGNATURES.edit("the_signature_taken_out", "unsigned", after=without(f"{A}/ds:Signature"), **ASSERTION_SIGNED)


@SIGNATURES.spoils("unsigned")
def both_signatures_taken_out(forge: Forge) -> bytes:
    def strip(tree: etree._Element) -> None:
        remove(tree, "ds:Signature")
        remove(tree, f"{A}/ds:Signature")

    return forge.xml(after=strip)


SIGNATURES.edit("somebody_elses_signature", "bad_signature", by=key(Kind.STRANGER))
SIGNATURES.edit("a_weak_key", "bad_signature", by=key(Kind.WEAK))
SIGNATURES.edit("the_name_changed", "bad_signature", after=text(NAME_ID, EVE))
SIGNATURES.edit("the_name_changed_in_the_response_signed", "bad_signature", after=text(NAME_ID, EVE), **RESPONSE_SIGNED)
SIGNATURES.edit(
    "an_attribute_added",
    "bad_signature",
    after=put(
        f"{A}/saml:AttributeStatement",
        '<saml:Attribute Name="Permissions"><saml:AttributeValue>admin</saml:AttributeValue></saml:Attribute>',
    ),
)
SIGNATURES.edit("white_space_added", "bad_signature", after=lambda tree: setattr(find(tree, NAME_ID), "tail", "\n"))
SIGNATURES.edit("the_destination_changed", "bad_signature", after=attribute(".", "Destination", "https://x.example/"))
_VALUE, _DIGEST = "ds:SignatureValue", "ds:SignedInfo/ds:Reference/ds:DigestValue"
_ZEROS = base64.b64encode(bytes(256)).decode()
for _place, _label in (("ds:Signature", "responses"), (f"{A}/ds:Signature", "assertions")):
    SIGNATURES.edit(f"zeros_for_the_{_label}_signature", "bad_signature", after=text(f"{_place}/{_VALUE}", _ZEROS))
    SIGNATURES.edit(f"nothing_for_the_{_label}_signature", "bad_signature", after=text(f"{_place}/{_VALUE}", ""))
    SIGNATURES.edit(
        f"another_digest_for_the_{_label}", "bad_signature",
        after=text(f"{_place}/{_DIGEST}", base64.b64encode(bytes(32)).decode()),
    )  # fmt: skip
    SIGNATURES.edit(f"an_empty_digest_for_the_{_label}", "bad_signature", after=text(f"{_place}/{_DIGEST}", ""))
    SIGNATURES.edit(f"no_base64_for_the_{_label}_digest", "bad_signature", after=text(f"{_place}/{_DIGEST}", "?!"))


@SIGNATURES.spoils("bad_signature")
def a_digest_that_fits_what_was_changed(forge: Forge) -> bytes:
    """The attacker repairs the digest; SignedInfo is no longer what was signed."""
    tree = forge.tree(**ASSERTION_SIGNED)
    find(tree, NAME_ID).text = EVE
    repaired = forge.tree(lambda t: t.replace(find(t, A), unsigned(find(tree, A))), **ASSERTION_SIGNED)
    text(f"{A}/ds:Signature/{_DIGEST}", find(repaired, f"{A}/ds:Signature/{_DIGEST}").text or "")(tree)
    return issuer.serialise(tree)


@SIGNATURES.spoils("bad_signature")
def a_signature_from_an_earlier_message(forge: Forge) -> bytes:
    earlier = forge.tree(assertion_id="a-1", **ASSERTION_SIGNED)
    tree = forge.tree(assertion_id="a-1", name_id=EVE, **ASSERTION_SIGNED)
    find(tree, A).replace(find(tree, f"{A}/ds:Signature"), find(earlier, f"{A}/ds:Signature"))
    return issuer.serialise(tree)


@SIGNATURES.spoils("bad_signature")
def the_strangers_own_certificate_beside_his_signature(forge: Forge) -> bytes:
    xml = forge.xml(by=key(Kind.STRANGER), **ASSERTION_SIGNED)
    assert key(Kind.STRANGER).certificate_text.encode()[:60] in xml.replace(b"\n", b"")
    return xml


def _key_value(of: Kind) -> str:
    numbers = key(of).certificate.public_key().public_numbers()  # type: ignore[union-attr]  # an RSA key

    def encoded(number: int) -> str:
        return base64.b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()

    return (
        f"<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{encoded(numbers.n)}</ds:Modulus>"  # type: ignore[union-attr]  # as above
        f"<ds:Exponent>{encoded(numbers.e)}</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>"  # type: ignore[union-attr]  # as above
    )


@SIGNATURES.spoils("bad_signature")
def the_strangers_key_value_beside_his_signature(forge: Forge) -> bytes:
    template = signature(rest=f"<ds:KeyInfo>{_key_value(Kind.STRANGER)}</ds:KeyInfo>")
    return forge.signed_by(template, with_key=key(Kind.STRANGER).xmlsec_key)


def _signed_as(name: str, code: str, received: str, template: str) -> None:
    """A signature of another shape, really made, by the identity provider's own key."""
    SIGNATURES.append(Spoiled(name, code, received, lambda forge: forge.signed_by(template)))


_XPATH = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>true()</ds:XPath></ds:Transform>'
)
_BASE64 = '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#base64"/>'
_INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_WITH_11 = "http://www.w3.org/2006/12/xml-c14n11"
_signed_as("two_references", "signature_shape", "Reference, Reference", signature(reference(), reference()))
_signed_as("an_empty_reference", "signature_shape", "", signature(reference(uri="")))
_signed_as("a_reference_by_xpointer", "signature_shape", "xpointer", signature(reference(uri="#xpointer(id('{ID}'))")))
_signed_as("a_reference_to_the_root", "signature_shape", "#xpointer(/)", signature(reference(uri="#xpointer(/)")))
_signed_as("no_transform_but_the_envelope", "signature_shape", "", signature(reference(transforms=[ENVELOPED])))
_signed_as(
    "inclusive_canonicalisation_of_the_reference", "signature_shape", _INCLUSIVE[:40],
    signature(reference(transforms=[ENVELOPED, f'<ds:Transform Algorithm="{_INCLUSIVE}"/>'])),
)  # fmt: skip
_signed_as(
    "two_canonicalisations", "signature_shape", "", signature(reference(transforms=[ENVELOPED, EXCLUSIVE, EXCLUSIVE]))
)
_signed_as(
    "an_xpath_transform", "bad_structure", "XPath", signature(reference(transforms=[ENVELOPED, _XPATH, EXCLUSIVE]))
)
_signed_as("inclusive_canonicalisation", "weak_algorithm", _INCLUSIVE[:40], signature(canonicalization=_INCLUSIVE))
_signed_as("canonicalisation_1_1", "weak_algorithm", _WITH_11, signature(canonicalization=_WITH_11))
_signed_as(
    "rsa_pss", "weak_algorithm", "MGF1", signature(method="http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1")
)
_signed_as("rsa_sha_1", "weak_algorithm", "rsa-sha1", signature(method="http://www.w3.org/2000/09/xmldsig#rsa-sha1"))
_signed_as(
    "rsa_sha_224", "weak_algorithm", "rsa-sha224", signature(method="http://www.w3.org/2001/04/xmldsig-more#rsa-sha224")
)
_signed_as(
    "digest_sha_1", "weak_algorithm", "#sha1", signature(reference(digest="http://www.w3.org/2000/09/xmldsig#sha1"))
)
_signed_as("an_object", "bad_structure", "Object", signature(rest="<ds:Object><x:y xmlns:x='urn:x'/></ds:Object>"))


def _written_over(name: str, code: str, received: str, old: str, new: str, times: int = -1) -> None:
    """What xmlsec would not sign: written over a good signature. The gate decides before any cryptography."""
    SIGNATURES.append(Spoiled(name, code, received, lambda forge: swap(forge.xml(**ASSERTION_SIGNED), old, new, times)))


_written_over("no_reference_uri", "signature_shape", "None", "<ds:Reference URI=", "<ds:Reference Type=")
_written_over("a_reference_to_a_file", "signature_shape", "file:", 'URI="#a-', 'URI="file:///etc/hostname#a-')
_written_over("a_reference_to_the_network", "signature_shape", "http:", 'URI="#a-', 'URI="http://127.0.0.1:9/#a-')
_written_over("a_reference_to_another_id", "signature_shape", "", 'URI="#a-', 'URI="#b-')
_written_over("a_reference_with_a_blank", "signature_shape", "", 'URI="#a-', 'URI=" #a-')
_written_over("a_digest_of_md5", "weak_algorithm", "md5", SHA256, "http://www.w3.org/2001/04/xmldsig-more#md5")
_written_over("rsa_md5", "weak_algorithm", "md5", "#rsa-sha256", "#rsa-md5")
_written_over("dsa_sha_1", "weak_algorithm", "dsa", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
              "http://www.w3.org/2000/09/xmldsig#dsa-sha1")  # fmt: skip
_written_over("an_unknown_algorithm", "weak_algorithm", "none", "#rsa-sha256", "#none")
_written_over("an_algorithm_with_a_blank", "weak_algorithm", "", '#rsa-sha256"', '#rsa-sha256 "')
_written_over(
    "a_style_sheet_transform",
    "bad_structure",
    "stylesheet",
    "<ds:Transforms>",
    '<ds:Transforms><ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116">'
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"/></ds:Transform>',
)
_written_over("a_base64_transform", "signature_shape", "base64", "<ds:Transforms>", f"<ds:Transforms>{_BASE64}")
_written_over(
    "a_truncated_output",
    "bad_structure",
    "HMACOutputLength",
    '#rsa-sha256"/>',
    '#rsa-sha256"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>',
)
_written_over(
    "two_signature_values", "signature_shape", "", "</ds:SignatureValue>", "</ds:SignatureValue><ds:SignatureValue/>"
)
_written_over(
    "a_retrieval_method",
    "signature_shape",
    "RetrievalMethod",
    "<ds:KeyInfo>",
    '<ds:KeyInfo><ds:RetrievalMethod URI="http://127.0.0.1:9/key"/>',
)
_written_over(
    "an_encrypted_key",
    "signature_shape",
    "EncryptedKey",
    "<ds:KeyInfo>",
    '<ds:KeyInfo><xenc:EncryptedKey xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"/>',
)
_PREFIXES = f'<x:InclusiveNamespaces xmlns:x="{n.EXC_C14N}" PrefixList="xs"/>'
_written_over(
    "two_lists_of_prefixes", "signature_shape", "InclusiveNamespaces, InclusiveNamespaces",
    f'<ds:Transform Algorithm="{n.EXCLUSIVE}">', f'<ds:Transform Algorithm="{n.EXCLUSIVE}">{_PREFIXES}',
)  # fmt: skip
_written_over(
    "prefixes_for_the_envelope", "signature_shape", "", ENVELOPED,
    ENVELOPED.replace("/>", f">{_PREFIXES}</ds:Transform>"),
)  # fmt: skip
_written_over(
    "many_prefixes", "too_complex", "300 prefixes", 'PrefixList="xs"', f'PrefixList="{" ".join(["xs"] * 300)}"'
)  # fmt: skip
_written_over("pgp_data", "bad_structure", "PGPData", "<ds:KeyInfo>", "<ds:KeyInfo><ds:PGPData/>")
SIGNATURES.edit("no_transforms", "signature_shape", "DigestMethod, DigestValue",
                after=without(f"{A}/ds:Signature/ds:SignedInfo/ds:Reference/ds:Transforms"))  # fmt: skip
SIGNATURES.edit(
    "no_signed_info", "signature_shape", "SignatureValue, KeyInfo", after=without("ds:Signature/ds:SignedInfo")
)
SIGNATURES.edit("no_signature_value", "signature_shape", "SignedInfo, KeyInfo", after=without(f"ds:Signature/{_VALUE}"))
SIGNATURES.edit("no_digest_method", "signature_shape", "",
                after=without("ds:Signature/ds:SignedInfo/ds:Reference/ds:DigestMethod"))  # fmt: skip


@SIGNATURES.spoils("signature_shape")
def only_canonicalisation(forge: Forge) -> bytes:
    return _replace_transforms(forge, EXCLUSIVE)


@SIGNATURES.spoils("signature_shape")
def canonicalisation_before_the_envelope(forge: Forge) -> bytes:
    return _replace_transforms(forge, EXCLUSIVE + ENVELOPED)


def _replace_transforms(forge: Forge, transforms: str) -> bytes:
    def change(tree: etree._Element) -> None:
        found = find(tree, f"{A}/ds:Signature//ds:Transforms")
        parent = found.getparent()
        assert parent is not None
        parent.replace(found, fragment(f"<ds:Transforms>{transforms}</ds:Transforms>"))

    return forge.xml(after=change, **ASSERTION_SIGNED)


@SIGNATURES.spoils("weak_algorithm", "hmac")
def an_hmac_keyed_with_the_public_certificate(forge: Forge) -> bytes:
    """Whoever takes the algorithm from the message and the key from the settings would verify this."""
    secret = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, forge.key.certificate_pem)
    template = signature(method="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
    return forge.signed_by(template, with_key=secret)


@SIGNATURES.spoils("signature_shape", "several in Assertion")
def two_signatures_of_one_assertion(forge: Forge) -> bytes:
    tree = forge.tree(signed=Signed.NONE)
    sign_by_template(find(tree, A), signature(), forge.key.xmlsec_key)
    find(tree, A).insert(1, copy.deepcopy(find(tree, f"{A}/ds:Signature")))
    return issuer.serialise(tree)


def _signature_moved(path: str, shell: str = "") -> Callable[[etree._Element], None]:
    def move(tree: etree._Element) -> None:
        target = tree if path == "." else find(tree, path)
        if shell:
            target.append(fragment(shell))
            target = target[-1]
        target.append(find(tree, f"{A}/ds:Signature"))

    return move


for _name, _path, _shell in (
    ("the_subject", f"{A}/saml:Subject", ""),
    ("the_conditions", CONDITIONS, ""),
    ("an_attribute_value", VALUE, ""),
    ("the_advice", A, "<saml:Advice/>"),
    ("another_signatures_key_info", "ds:Signature/ds:KeyInfo", ""),
    ("the_status_detail", "samlp:Status", "<samlp:StatusDetail/>"),
):
    SIGNATURES.edit(f"the_signature_in_{_name}", "bad_structure", "Signature", after=_signature_moved(_path, _shell))


@SIGNATURES.spoils("signature_shape")
def the_responses_signature_in_the_assertion(forge: Forge) -> bytes:
    return forge.xml(after=lambda tree: find(tree, A).insert(1, find(tree, "ds:Signature")), **RESPONSE_SIGNED)


SIGNATURES.edit("the_signature_at_the_end", "schema_invalid", after=_signature_moved(A), **ASSERTION_SIGNED)

# --- Reading ----------------------------------------------------------------------------------------------------------

READING = Shelf()
READING.edit("an_element_in_the_name_id", "bad_structure", "b in NameID", before=put(NAME_ID, "<b/>"))
READING.edit("an_element_in_the_audience", "bad_structure", before=put(f"{CONDITIONS}//saml:Audience", "<b/>"))
READING.say("an_empty_name_id", "subject_missing", name_id="")
READING.say("no_name_id", "subject_missing", name_id=None)
READING.edit("no_subject", "subject_missing", before=without(f"{A}/saml:Subject"))
for _name, _value in (
    ("a_blank_behind_the_name_id", f"{ANA} "),
    ("a_line_break_behind_the_name_id", f"{ANA}\n"),
    ("a_name_id_of_blanks", "   "),
    ("a_zero_width_blank_in_the_name_id", f"{ANA}\u200b"),
    ("a_text_direction_in_the_name_id", f"\u202e{ANA}"),
    ("a_soft_hyphen_in_the_name_id", "ana\u00ad@customer.example"),
    ("a_no_break_blank_in_the_name_id", f"ana\u00a0{ANA}"),
):
    READING.say(_name, "subject_missing", name_id=_value)
READING.say("a_name_id_too_long", "value_too_long", "1025", name_id="a" * 1025)
READING.say("a_qualifier_too_long", "value_too_long", "1025", name_qualifier="a" * 1025)
READING.say("a_format_too_long", "value_too_long", "1025", name_id_format="urn:" + "a" * 1021)
READING.say("a_session_index_too_long", "value_too_long", "1025", session_index="a" * 1025)
READING.say("a_transient_name_id", "transient_subject", name_id_format=n.NAMEID_TRANSIENT, name_id="_one-time")
READING.say("no_email", "email_missing", "First Name, Last Name", attributes=ATTRIBUTES[:2], name_id="u-17")
READING.say("no_attributes_and_no_email", "email_missing", "none", attributes=(), name_id="u-17")
READING.say("an_empty_email", "email_missing", attributes=(email_attribute(""),), name_id="u-17")
READING.say("an_email_attribute_without_a_value", "email_missing", attributes=(email_attribute(),), name_id="u-17")
READING.say("two_emails", "ambiguous_email", EVE, attributes=(email_attribute(ANA, EVE),))
READING.say("two_email_attributes", "ambiguous_email", EVE, attributes=(*ATTRIBUTES, email_attribute(EVE, name="mail")))
READING.edit("an_element_in_the_email", "email_invalid", "None", before=put(VALUE, "<b/>"),
             attributes=(AttributeSpec("mail", [ANA], xsi_type=""),))  # fmt: skip
for _name, _value in (
    ("a_blank_behind_the_email", f"{ANA} "),
    ("a_line_break_before_the_email", f"\n{ANA}"),
    ("a_zero_width_blank_in_the_email", f"{ANA}\u200b"),
    ("a_zero_width_joiner_in_the_email", "ana\u200d@customer.example"),
    ("a_cyrillic_look_alike", "\u0430na@customer.example"),
    ("a_full_width_look_alike", "ana\uff20customer.example"),
    ("a_dotless_look_alike", "ana@ma\u0131l.example"),
    ("an_international_domain", "ana@b\u00fccher.example"),
    ("a_quoted_local_part", '"ana"@customer.example'),
    ("a_comment_in_the_address", "ana(eve)@customer.example"),
    ("a_display_name", f"Ana <{ANA}>"),
    ("two_addresses_in_one_value", f"{ANA},{EVE}"),
    ("two_at_signs", "ana@eve@customer.example"),
    ("an_address_literal", "ana@[127.0.0.1]"),
    ("no_top_level_domain", "ana@customer"),
    ("two_dots", "ana..lima@customer.example"),
    ("a_word_for_an_address", "ana"),
    ("an_address_too_long", f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 63}.example"),
    ("a_local_part_too_long", f"{'a' * 65}@customer.example"),
):
    READING.say(_name, "email_invalid", attributes=(email_attribute(_value),))

# --- Meant for us -----------------------------------------------------------------------------------------------------

MEANT = Shelf()


def acs_url(forge: Forge) -> str:
    return forge.party.acs_url


_OTHERS: dict[str, Callable[[Forge], str]] = {
    "elsewhere": lambda forge: "https://elsewhere.example/saml/acs/",
    "without_the_slash": lambda forge: acs_url(forge).rstrip("/"),
    "with_another_slash": lambda forge: acs_url(forge) + "/",
    "with_more_behind": lambda forge: acs_url(forge) + "more",
    "with_a_query": lambda forge: acs_url(forge) + "?x",
    "with_a_fragment": lambda forge: acs_url(forge) + "#",
    "in_capitals": lambda forge: acs_url(forge).upper(),
    "with_a_blank": lambda forge: acs_url(forge) + " ",
    "prefixed": lambda forge: "https://elsewhere.example/?" + acs_url(forge),
    "of_another_scheme": lambda forge: acs_url(forge).replace("http", "ftp", 1),
    "of_another_idp": lambda forge: acs_url(forge).replace("/acs/", "-2/acs/"),
    "of_a_host_behind_ours": lambda forge: acs_url(forge).replace("/saml/", "@evil.example/saml/", 1),
    "empty": lambda forge: "",
}
for _name, _other in _OTHERS.items():
    # The Destination counts where it is not signed, too: it may cause a refusal.
    MEANT.say(f"a_destination_{_name}", "destination_mismatch", destination=_other)
    MEANT.say(f"an_unsigned_destination_{_name}", "destination_mismatch", destination=_other, **ASSERTION_SIGNED)
    MEANT.say(f"a_recipient_{_name}", "recipient_mismatch", recipient=_other)
MEANT.say("no_destination_though_signed", "destination_mismatch", "none", destination=None)
MEANT.say("no_recipient", "recipient_mismatch", "none", recipient=None)


def entity_id(forge: Forge) -> str:
    return forge.party.sp_entity_id


for _name, _audiences in {
    "elsewhere": lambda forge: ["https://elsewhere.example/"],
    "without_the_slash": lambda forge: [entity_id(forge).rstrip("/")],
    "with_more_behind": lambda forge: [entity_id(forge) + "x"],
    "in_capitals": lambda forge: [entity_id(forge).upper()],
    "with_a_blank": lambda forge: [f" {entity_id(forge)}"],
    "empty": lambda forge: [""],
    "list_in_one": lambda forge: [f"{entity_id(forge)} https://elsewhere.example/"],
}.items():
    MEANT.say(f"an_audience_{_name}", "audience_mismatch", audiences=_audiences)
MEANT.say("no_audience", "audience_mismatch", "no AudienceRestriction", audiences=())
MEANT.edit(
    "two_restrictions_and_one_is_not_ours", "audience_mismatch", "https://elsewhere.example/",
    before=put(
        CONDITIONS, "<saml:AudienceRestriction><saml:Audience>https://elsewhere.example/</saml:Audience></saml:AudienceRestriction>"
    ),
)  # fmt: skip
MEANT.edit(
    "our_name_in_a_proxy_restriction_only", "audience_mismatch",
    before=lambda tree: setattr(find(tree, f"{CONDITIONS}/saml:AudienceRestriction"), "tag", n.PROXY_RESTRICTION),
)  # fmt: skip
for _name, _path in (("response", "saml:Issuer"), ("assertion", f"{A}/saml:Issuer")):
    MEANT.edit(f"another_issuer_of_the_{_name}", "issuer_mismatch", "evil", before=text(_path, "https://evil.example/"))
    MEANT.edit(f"an_empty_issuer_of_the_{_name}", "issuer_mismatch", before=text(_path, ""))
    MEANT.edit(
        f"an_issuer_with_a_blank_of_the_{_name}", "issuer_mismatch",
        before=lambda tree, path=_path: setattr(find(tree, path), "text", f"{find(tree, path).text} "),
    )  # fmt: skip
    MEANT.edit(
        f"a_persistent_issuer_of_the_{_name}", "issuer_mismatch", "persistent",
        before=attribute(_path, "Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"),
    )  # fmt: skip
MEANT.say("an_issuer_in_capitals", "issuer_mismatch", issuer=lambda forge: forge.party.entity_id.upper())
MEANT.edit(
    "another_issuer_of_an_unsigned_response", "issuer_mismatch", "evil",
    before=text("saml:Issuer", "https://evil.example/"), **ASSERTION_SIGNED,
)  # fmt: skip
MEANT.say("an_answer_to_nothing", "unknown_request", "r-17", in_response_to="r-17")
MEANT.edit("an_answer_in_the_response_only", "unknown_request", "r-17", before=attribute(".", "InResponseTo", "r-17"))
MEANT.edit(
    "an_answer_in_the_confirmation_only", "unknown_request", "r-17", before=attribute(DATA, "InResponseTo", "r-17")
)
MEANT.edit("an_empty_answer", "unknown_request", before=attribute(".", "InResponseTo", ""))


@MEANT.spoils("unknown_request", "r-17")
def two_answers_that_disagree(forge: Forge) -> bytes:
    return forge.xml(attribute(DATA, "InResponseTo", "r-18"), after=None, in_response_to="r-17")


# --- Confirmation -----------------------------------------------------------------------------------------------------

for _method in ("holder-of-key", "sender-vouches", "Bearer"):
    MEANT.say(
        f"a_confirmation_by_{_method}", "no_bearer_confirmation",
        confirmation_method=f"urn:oasis:names:tc:SAML:2.0:cm:{_method}",
    )  # fmt: skip
MEANT.edit("no_confirmation", "no_bearer_confirmation", "none", before=without(CONFIRMATION))
MEANT.edit("a_confirmation_without_data", "no_bearer_confirmation", "none", before=without(DATA))
MEANT.say("a_confirmation_with_a_beginning", "no_bearer_confirmation",
          confirmation_not_before=lambda forge: forge.now - timedelta(minutes=1))  # fmt: skip
MEANT.say("nobody_authenticated", "authn_statement_missing", authn_instant=None)

# --- Time -------------------------------------------------------------------------------------------------------------

TIME = Shelf()


def at(**delta: float) -> Callable[[Forge], Any]:
    """A moment that many seconds, minutes … from now."""
    return lambda forge: forge.now + timedelta(**delta)


# The tolerance of the identity provider is 120 s; the tests at the door take a second or two.
TIME.say("conditions_not_begun", "not_yet_valid", "ahead of ours", not_before=at(seconds=130))
TIME.say("conditions_over", "expired", "over for", not_on_or_after=at(seconds=-120), not_before=at(minutes=-5))
TIME.say("a_confirmation_over", "expired", "over for", confirmation_not_on_or_after=at(seconds=-120))
TIME.say("issued_in_the_future", "not_yet_valid", "ahead of ours", issue_instant=at(seconds=130))
TIME.say("issued_long_ago", "expired", issue_instant=at(minutes=-10, seconds=-1), not_before=at(minutes=-11))
TIME.edit("a_response_issued_long_ago", "expired", before=attribute(".", "IssueInstant", "2026-01-01T00:00:00Z"))
TIME.edit(
    "an_unsigned_response_issued_long_ago", "expired",
    before=attribute(".", "IssueInstant", "2026-01-01T00:00:00Z"), **ASSERTION_SIGNED,
)  # fmt: skip
TIME.say("authenticated_in_the_future", "not_yet_valid", "ahead of ours", authn_instant=at(seconds=130))
TIME.say("a_session_over", "expired", "over for", session_not_on_or_after=at(seconds=-120))
TIME.say("a_session_over_within_the_tolerance", "expired", session_not_on_or_after=at(seconds=-1))
TIME.say("no_end_of_the_conditions", "time_missing", not_on_or_after=None)
TIME.say("no_end_of_the_confirmation", "time_missing", confirmation_not_on_or_after=None)
TIME.edit("no_conditions", "time_missing", "no Conditions", before=without(CONDITIONS))
TIME.say("conditions_for_a_day_and_more", "lifetime_too_long", not_before=at(), not_on_or_after=at(hours=24, seconds=1))
TIME.say("conditions_without_beginning_for_a_day_and_more", "lifetime_too_long",
         not_before=None, not_on_or_after=at(hours=24, seconds=1))  # fmt: skip
TIME.say(
    "a_confirmation_for_a_day_and_more", "lifetime_too_long", confirmation_not_on_or_after=at(hours=24, seconds=130)
)
TIME.say("a_window_of_no_width", "bad_timestamp", not_before=at(seconds=60), not_on_or_after=at(seconds=60))
TIME.say("a_window_inside_out", "bad_timestamp", not_before=at(seconds=60), not_on_or_after=at(seconds=30))
# What the schema lets pass, and what it does not. Python's own parsers read some of them, and differently.
_YEAR = "2026-11-22"
for _name, _value, _code in (
    ("without_a_zone", f"{_YEAR}T08:00:00", "bad_timestamp"),
    ("of_the_year_9999", "9999-12-31T23:59:59Z", "bad_timestamp"),
    ("of_the_year_12026", "12026-11-22T08:00:00Z", "bad_timestamp"),
    ("before_christ", "-2026-11-22T08:00:00Z", "bad_timestamp"),
    ("of_the_year_1", "0001-01-01T00:00:00+14:00", "bad_timestamp"),
    ("of_hour_24", f"{_YEAR}T24:00:00Z", "bad_timestamp"),
    ("with_fractions_of_a_mile", f"{_YEAR}T08:00:00.{'1' * 41}Z", "bad_timestamp"),
    ("of_a_day_that_is_none", "2026-02-30T08:00:00Z", "schema_invalid"),
    ("of_second_61", f"{_YEAR}T08:00:61Z", "schema_invalid"),
    ("with_a_comma", f"{_YEAR}T08:00:00,5Z", "schema_invalid"),
    ("of_a_word", "yesterday", "schema_invalid"),
    ("of_a_number", "1795334400", "schema_invalid"),
    ("of_nothing", "", "schema_invalid"),
    ("with_a_blank_for_the_t", f"{_YEAR} 08:00:00Z", "schema_invalid"),
    ("with_an_offset_of_99_hours", f"{_YEAR}T08:00:00+99:00", "schema_invalid"),
    ("in_arabic_digits", "٢٠٢٦-١١-٢٢T08:00:00Z", "schema_invalid"),
    ("with_a_small_z", f"{_YEAR}T08:00:00z", "schema_invalid"),
):
    for _path, _attribute, _label in (
        (CONDITIONS, "NotOnOrAfter", "conditions_end"),
        (DATA, "NotOnOrAfter", "confirmations_end"),
        (A, "IssueInstant", "issue_instant"),
        (AUTHN, "SessionNotOnOrAfter", "sessions_end"),
    ):
        TIME.edit(f"a_{_label}_{_name}", _code, before=attribute(_path, _attribute, _value))


def _with_offset(sign: str, hours: int) -> Callable[[Forge], Callable[[etree._Element], None]]:
    def change(forge: Forge) -> Callable[[etree._Element], None]:
        local = forge.now.strftime("%Y-%m-%dT%H:%M:%S") + f"{sign}{hours:02d}:00"
        return attribute(CONDITIONS, "NotOnOrAfter", local)

    return change


# Now, by a clock to the east, was hours ago; to the west it is hours from now. Whoever ignores offsets errs.
TIME.append(
    Spoiled(
        "an_end_that_is_over_by_its_offset",
        "expired",
        "over for",
        lambda forge: forge.xml(_with_offset("+", 3)(forge), not_before=forge.now - timedelta(hours=5)),
    )
)


@TIME.spoils("not_yet_valid", "ahead of ours")
def a_beginning_that_is_to_come_by_its_offset(forge: Forge) -> bytes:
    local = forge.now.strftime("%Y-%m-%dT%H:%M:%S") + "-03:00"
    return forge.xml(attribute(CONDITIONS, "NotBefore", local), not_on_or_after=forge.now + timedelta(hours=6))


SHELVES = {
    "encoding": ENCODING, "markup": MARKUP, "amounts": AMOUNTS, "structure": STRUCTURE, "wrapping": WRAPPING,
    "signatures": SIGNATURES, "reading": READING, "meant": MEANT, "time": TIME,
}  # fmt: skip
