"""What we are willing to look at. Allow-lists only, before any cryptography.

`admit` takes the form value to a Message whose size, encoding, structure and algorithms are known. Nothing in it is
verified. Everything that has broken service providers before (wrapped assertions, comments inside names, second
references, duplicate IDs, external entities, foreign transforms) is a shape that does not pass here.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from lxml import etree

from saml_sp.protocol import names as n
from saml_sp.protocol.errors import (
    AssertionCount,
    BadStructure,
    DuplicateId,
    EncryptionUnsupported,
    ForbiddenMarkup,
    GateRefused,
    MessageTooLarge,
    NotBase64,
    NotUtf8,
    NotXml,
    SignatureShape,
    StatusNotSuccess,
    TooComplex,
    Unsigned,
    WeakAlgorithm,
)
from saml_sp.protocol.types import Message

if TYPE_CHECKING:
    from collections.abc import Container

MAX_BYTES: Final = 256 * 1024
MAX_NODES: Final = 5000
MAX_DEPTH: Final = 30
MAX_ATTRIBUTES: Final = 24
MAX_NAMESPACES: Final = 24
MAX_PREFIX_LIST: Final = 512
MAX_ID: Final = 256

# Line breaks every 64 or 76 characters lengthen base64 by less than a twentieth (CRLF at 64: 1/32).
_MAX_ENCODED: Final = MAX_BYTES * 4 // 3 + MAX_BYTES // 16
_BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]++={0,2}[\r\n]*+")  # possessive: else quadratic in trailing line breaks
_DECLARATION = re.compile(r"<\?xml[ \t\r\n](?:[^?<>]*)\?>")
_ENCODING = re.compile(r"""encoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z0-9._-]*)["']""")
_XML_VERSION = re.compile(r"""version[ \t\r\n]*=[ \t\r\n]*["']1\.0["']""")
_NC_NAME = re.compile(r"[^\W\d][\w.\-·]*")
# A prefix has no colon: without that, "xmlns:xmlns:…" would be searched from each xmlns to the end of the text.
_NAMESPACE = re.compile(r"""xmlns(:[^\s=:]*+)?\s*+=\s*+("[^"]*"|'[^']*')""")
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

# Which children each element may have. The schema (checked later) says in which order and how often; this table says
# that nothing else is there at all, wildcards of the schema included.
_CHILDREN: Final[dict[str, frozenset[str]]] = {
    n.RESPONSE: frozenset({n.ISSUER, n.SIGNATURE, n.EXTENSIONS, n.STATUS, n.ASSERTION, n.ENCRYPTED_ASSERTION}),
    n.LOGOUT_REQUEST: frozenset({n.ISSUER, n.SIGNATURE, n.EXTENSIONS, n.NAME_ID, n.ENCRYPTED_ID, n.SESSION_INDEX}),
    n.LOGOUT_RESPONSE: frozenset({n.ISSUER, n.SIGNATURE, n.EXTENSIONS, n.STATUS}),
    n.SESSION_INDEX: frozenset(),
    n.STATUS: frozenset({n.STATUS_CODE, n.STATUS_MESSAGE, n.STATUS_DETAIL}),
    n.STATUS_CODE: frozenset({n.STATUS_CODE}),
    n.STATUS_MESSAGE: frozenset(),
    n.ISSUER: frozenset(),
    n.ASSERTION: frozenset(
        {n.ISSUER, n.SIGNATURE, n.SUBJECT, n.CONDITIONS, n.ADVICE, n.AUTHN_STATEMENT, n.ATTRIBUTE_STATEMENT}
    ),
    n.SUBJECT: frozenset({n.NAME_ID, n.ENCRYPTED_ID, n.SUBJECT_CONFIRMATION}),
    n.NAME_ID: frozenset(),
    n.SUBJECT_CONFIRMATION: frozenset({n.NAME_ID, n.SUBJECT_CONFIRMATION_DATA}),
    n.SUBJECT_CONFIRMATION_DATA: frozenset(),
    n.CONDITIONS: frozenset({n.AUDIENCE_RESTRICTION, n.ONE_TIME_USE, n.PROXY_RESTRICTION}),
    n.AUDIENCE_RESTRICTION: frozenset({n.AUDIENCE}),
    n.AUDIENCE: frozenset(),
    n.ONE_TIME_USE: frozenset(),
    n.PROXY_RESTRICTION: frozenset({n.AUDIENCE}),
    n.AUTHN_STATEMENT: frozenset({n.SUBJECT_LOCALITY, n.AUTHN_CONTEXT}),
    n.SUBJECT_LOCALITY: frozenset(),
    n.AUTHN_CONTEXT: frozenset(
        {n.AUTHN_CONTEXT_CLASS_REF, n.AUTHN_CONTEXT_DECL, n.AUTHN_CONTEXT_DECL_REF, n.AUTHENTICATING_AUTHORITY}
    ),
    n.AUTHN_CONTEXT_CLASS_REF: frozenset(),
    n.AUTHN_CONTEXT_DECL_REF: frozenset(),
    n.AUTHENTICATING_AUTHORITY: frozenset(),
    n.ATTRIBUTE_STATEMENT: frozenset({n.ATTRIBUTE, n.ENCRYPTED_ATTRIBUTE}),
    n.ATTRIBUTE: frozenset({n.ATTRIBUTE_VALUE}),
    n.SIGNATURE: frozenset({n.SIGNED_INFO, n.SIGNATURE_VALUE, n.KEY_INFO}),
    n.SIGNED_INFO: frozenset({n.CANONICALIZATION_METHOD, n.SIGNATURE_METHOD, n.REFERENCE}),
    n.CANONICALIZATION_METHOD: frozenset({n.INCLUSIVE_NAMESPACES}),
    n.SIGNATURE_METHOD: frozenset(),
    n.REFERENCE: frozenset({n.TRANSFORMS, n.DIGEST_METHOD, n.DIGEST_VALUE}),
    n.TRANSFORMS: frozenset({n.TRANSFORM}),
    n.TRANSFORM: frozenset({n.INCLUSIVE_NAMESPACES}),
    n.INCLUSIVE_NAMESPACES: frozenset(),
    n.DIGEST_METHOD: frozenset(),
    n.DIGEST_VALUE: frozenset(),
    n.SIGNATURE_VALUE: frozenset(),
    # The last three belong to encryption; `check_signature` refuses them.
    n.KEY_INFO: frozenset(
        {
            f"{{{n.DS}}}X509Data", f"{{{n.DS}}}KeyName", f"{{{n.DS}}}KeyValue", f"{{{n.DS11}}}DEREncodedKeyValue",
            n.ENCRYPTED_KEY, n.RETRIEVAL_METHOD, n.SECURITY_TOKEN_REFERENCE,
        }
    ),
    n.SECURITY_TOKEN_REFERENCE: frozenset({f"{{{n.DS}}}X509Data", n.KEY_IDENTIFIER}),
    n.ENCRYPTED_ASSERTION: frozenset({n.ENCRYPTED_DATA, n.ENCRYPTED_KEY}),
    n.ENCRYPTED_ID: frozenset({n.ENCRYPTED_DATA, n.ENCRYPTED_KEY}),
    n.ENCRYPTED_DATA: frozenset({n.ENCRYPTION_METHOD, n.KEY_INFO, n.CIPHER_DATA}),
    n.ENCRYPTED_KEY: frozenset(
        {n.ENCRYPTION_METHOD, n.KEY_INFO, n.CIPHER_DATA, n.REFERENCE_LIST, n.CARRIED_KEY_NAME}
    ),
    n.ENCRYPTION_METHOD: frozenset({n.DIGEST_METHOD, n.MGF}),
    n.CIPHER_DATA: frozenset({n.CIPHER_VALUE}),
    n.REFERENCE_LIST: frozenset({n.DATA_REFERENCE}),
    f"{{{n.DS}}}X509Data": frozenset(
        f"{{{n.DS}}}{name}"
        for name in ("X509Certificate", "X509IssuerSerial", "X509SubjectName", "X509SKI", "X509CRL")
    ) | {f"{{{n.DS11}}}X509Digest"},
    f"{{{n.DS}}}X509IssuerSerial": frozenset({f"{{{n.DS}}}X509IssuerName", f"{{{n.DS}}}X509SerialNumber"}),
    f"{{{n.DS}}}KeyValue": frozenset({f"{{{n.DS}}}RSAKeyValue", f"{{{n.DS11}}}ECKeyValue"}),
    f"{{{n.DS11}}}ECKeyValue": frozenset({f"{{{n.DS11}}}NamedCurve", f"{{{n.DS11}}}PublicKey"}),
    f"{{{n.DS}}}RSAKeyValue": frozenset({f"{{{n.DS}}}Modulus", f"{{{n.DS}}}Exponent"}),
} | {
    leaf: frozenset()
    for leaf in (n.CIPHER_VALUE, n.DATA_REFERENCE, n.CARRIED_KEY_NAME, n.MGF, n.RETRIEVAL_METHOD, n.KEY_IDENTIFIER)
} | {
    f"{{{n.DS}}}{leaf}": frozenset()
    for leaf in (
        "X509Certificate", "X509SubjectName", "X509SKI", "X509CRL", "X509IssuerName", "X509SerialNumber", "KeyName",
        "Modulus", "Exponent",
    )
} | {
    f"{{{n.DS11}}}{leaf}": frozenset() for leaf in ("DEREncodedKeyValue", "X509Digest", "NamedCurve", "PublicKey")
}  # fmt: skip

# Every other element is opaque: Extensions, StatusDetail, Advice, AuthnContextDecl, AttributeValue and what is in
# them. It is somebody else's vocabulary, which we never read; only text of an AttributeValue is.
_AT_HOME_IN_OPAQUE: Final = frozenset({
    n.NAME_ID, n.ISSUER, n.AUDIENCE, n.ATTRIBUTE, n.AUTHENTICATING_AUTHORITY, n.ASSERTION_ID_REF, n.ASSERTION_URI_REF,
})  # fmt: skip
_REFUSED_WHOLE: Final = frozenset({n.ENCRYPTED_ATTRIBUTE})
_ID_ATTRIBUTES: Final = frozenset({"id", "assertionid", "responseid", "requestid"})
_OURS: Final = tuple(f"{{{namespace}" for namespace in (n.SAML, n.SAMLP, n.DS, n.XENC, n.XENC11))
_IN_ENCRYPTION: Final = frozenset({n.ENCRYPTED_KEY, n.RETRIEVAL_METHOD, n.SECURITY_TOKEN_REFERENCE})
ENCRYPTED_SUBJECT: Final = f"{n.SUBJECT}/{n.ENCRYPTED_ID}"
_XSI_PREFIX: Final = f"{{{n.XSI}}}"
_XSI_TYPE: Final = f"{{{n.XSI}}}type"
# Most of the attributes of a message: known to be neither IDs nor of XSI, so that no more need be asked about them.
_PLAIN_ATTRIBUTES: Final = frozenset(
    {
        "Algorithm", "AuthnInstant", "Destination", "Format", "FriendlyName", "InResponseTo", "IssueInstant", "Method",
        "Name", "NameFormat", "NameQualifier", "NotBefore", "NotOnOrAfter", "Recipient", "SPNameQualifier",
        "SessionIndex", "SessionNotOnOrAfter", "URI", "Value", "Version",
    }
)  # fmt: skip

_SIGNATURE_ALGORITHMS: Final = frozenset(
    f"http://www.w3.org/2001/04/xmldsig-more#{kind}-{digest}"
    for kind in ("rsa", "ecdsa")
    for digest in ("sha256", "sha384", "sha512")
)
DIGESTS: Final = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
# Requirements of the house: RSA-OAEP only, AES only. RSA 1.5 and 3DES are not on the lists (XML Encryption 1.1, 5.1.1).
KEY_TRANSPORTS: Final = frozenset({n.RSA_OAEP_MGF1P, n.RSA_OAEP})
OAEP_DIGESTS: Final = {f"{n.DS}sha1": "sha1", f"{n.XENC}sha256": "sha256"}
MASK_GENERATIONS: Final = {f"{n.XENC11}mgf1sha1": "sha1", f"{n.XENC11}mgf1sha256": "sha256"}
# Algorithm to the length of its key, in bytes.
CBC: Final = {f"{n.XENC}aes{bits}-cbc": bits // 8 for bits in (128, 192, 256)}
GCM: Final = {f"{n.XENC11}aes{bits}-gcm": bits // 8 for bits in (128, 192, 256)}
MAX_ENCRYPTED_KEYS: Final = 4
_CANONICALIZATIONS: Final = frozenset({n.EXCLUSIVE, n.EXCLUSIVE_WITH_COMMENTS})


def admit(form_value: str) -> Message:
    """Take the SAMLResponse form value to a Message of known shape.

    Raises a GateRefused, TransportRefused, SignatureRefused, StatusNotSuccess or EncryptionUnsupported.
    Specification: Bindings 3.5.4, Core 3.3.3 and 5.4, XML Signature 4.
    """
    root = parse(decode(form_value), strict=True)
    return check_response(root)


def decode(form_value: str) -> bytes:
    """Undo the base64 of a form field: the plain alphabet and line breaks, at most MAX_BYTES decoded."""
    if len(form_value) > _MAX_ENCODED:
        raise MessageTooLarge(expected=f"at most {MAX_BYTES} bytes", received=f"{len(form_value)} characters of base64")
    try:
        data = binascii.a2b_base64(form_value.replace("\r", "").replace("\n", ""), strict_mode=True)
    except ValueError:  # binascii.Error, or a character that is not ASCII
        raise NotBase64(expected="base64", received=_excerpt(form_value)) from None
    if len(data) > MAX_BYTES:
        raise MessageTooLarge(expected=f"at most {MAX_BYTES} bytes", received=f"{len(data)} bytes")
    return data


def parse(data: bytes, *, strict: bool) -> etree._Element:
    """Parse a document once, hardened: UTF-8, no DTD, entity or network, within the caps; returns its root.

    `strict` also refuses comments, processing instructions and CDATA, which signed messages have no use for and
    metadata files do; without it comments and processing instructions are dropped.
    """
    text = _as_utf8(data)
    check_markup(text, strict=strict)
    # Counted in the text, so that nothing hostile makes the XML library build a tree first.
    if strict:
        check_amounts(text)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=not strict,
        remove_pis=not strict,
        encoding="utf-8",
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise NotXml(expected="well-formed XML", received=str(error)[:200]) from None


def _as_utf8(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8(expected="UTF-8", received=f"a byte that is not, at position {error.start}") from None
    if "\x00" in text:
        raise NotUtf8(expected="UTF-8", received="a NUL character, as UTF-16 has them")
    return text


def check_markup(text: str, *, strict: bool) -> None:
    """Refuse every `<!…` and `<?…` that is not the XML declaration. `<` cannot stand in XML text for anything else."""
    start = 0
    if declaration := _DECLARATION.match(text):
        start = declaration.end()
        encoding = _ENCODING.search(declaration[0])
        if encoding and encoding[1].lower() not in {"utf-8", "utf8", "us-ascii", "ascii"}:
            raise NotUtf8(expected="UTF-8", received=f"encoding {_excerpt(encoding[1])}")
        if not _XML_VERSION.search(declaration[0]):
            raise NotXml(expected="XML 1.0", received=_excerpt(declaration[0]))
    # Most messages hold neither character, and looking for one character is ten times quicker than for two.
    if "!" not in text and "?" not in text[start:]:
        return
    forbidden = ("<!", "<?") if strict else ("<!DOCTYPE", "<!ENTITY", "<!ELEMENT", "<!ATTLIST")
    for markup in forbidden:
        if (found := text.find(markup, start)) >= 0:
            raise ForbiddenMarkup(expected="elements and text only", received=_excerpt(text[found : found + 40]))


def check_amounts(text: str) -> None:
    """Caps on tags and namespaces, and absolute namespace names only (canonicalisation fails on relative ones)."""
    if (tags := text.count("<")) > 2 * MAX_NODES:
        raise TooComplex(expected=f"at most {MAX_NODES} elements", received=f"{tags} tags")
    namespaces = set(_NAMESPACE.findall(text))
    if len(namespaces) > MAX_NAMESPACES:
        raise TooComplex(expected=f"at most {MAX_NAMESPACES} namespaces", received=f"{len(namespaces)}")
    for _prefix, quoted in namespaces:
        if (uri := quoted[1:-1]) and not _ABSOLUTE_URI.match(uri):
            raise BadStructure(expected="absolute namespace names", received=_excerpt(uri))


def check_response(root: etree._Element) -> Message:
    """The structure of a Response: ordered checks, each on the whole tree."""
    if root.tag != n.RESPONSE:
        raise BadStructure(expected="samlp:Response", received=str(root.tag)[:200])
    check_tree(root)
    check_version(root)
    check_status(root)
    assertions = [child for child in root if child.tag in {n.ASSERTION, n.ENCRYPTED_ASSERTION}]
    if len(assertions) != 1:
        raise AssertionCount(expected="one Assertion", received=f"{len(assertions)}")
    assertion = assertions[0]
    sealed = assertion.tag == n.ENCRYPTED_ASSERTION
    if sealed:
        check_encrypted(assertion)
    else:
        check_assertion(assertion)
    signatures = tuple(signature for parent in (root, assertion) for signature in parent.iterchildren(n.SIGNATURE))
    if not signatures and not sealed:  # what is inside may be signed
        raise Unsigned(expected="a signature on the Response or the Assertion", received="none")
    for signature in signatures:
        check_signature(signature)
    return Message(
        root=root, assertion=assertion, signatures=signatures, in_response_to=root.get("InResponseTo"),
        encrypted=sealed or has_encrypted_subject(assertion),
    )  # fmt: skip


def child(element: etree._Element, tag: str) -> etree._Element | None:
    """The first child of that name, as `find` has it, only quicker: no path to be read."""
    return next(element.iterchildren(tag), None)


def has_encrypted_subject(assertion: etree._Element) -> bool:
    """Whether there is an EncryptedID in place of the subject's NameID (Core 2.4.1)."""
    return any(True for subject in assertion.iterchildren(n.SUBJECT) for _ in subject.iterchildren(n.ENCRYPTED_ID))


def check_assertion(assertion: etree._Element) -> None:
    """Its version, its ID, and what of it is encrypted: the subject's identifier may be, attributes may not."""
    check_version(assertion)
    for encrypted in assertion.iter(n.ENCRYPTED_ID, n.ENCRYPTED_ATTRIBUTE):
        if encrypted.tag == n.ENCRYPTED_ATTRIBUTE:
            raise EncryptionUnsupported(expected="plain attributes", received="EncryptedAttribute")
        check_encrypted(encrypted)


def check_decrypted(assertion: etree._Element, outer: etree._Element) -> tuple[etree._Element, ...]:
    """What was inside an EncryptedAssertion of `outer`: once more all that `check_response` asks of an assertion.

    IDs are unique over both. Returns its signatures, one or none. Raises as `check_response`.
    """
    if assertion.tag != n.ASSERTION:
        raise BadStructure(expected="an Assertion inside EncryptedAssertion", received=_short(assertion.tag))
    check_tree(outer, assertion)
    check_assertion(assertion)
    signatures = tuple(assertion.iterchildren(n.SIGNATURE))
    for signature in signatures:
        check_signature(signature)
    return signatures


def check_encrypted(encrypted: etree._Element) -> None:
    """An EncryptedAssertion or EncryptedID: one EncryptedData, the keys to it inside or beside (Core 2.2.4, 6.1)."""
    data = encrypted[0] if len(encrypted) else None
    beside = list(encrypted)[1:]
    if data is None or data.tag != n.ENCRYPTED_DATA or any(child.tag != n.ENCRYPTED_KEY for child in beside):
        raise BadStructure(expected="EncryptedData, then EncryptedKey", received=_tags(encrypted))
    if data.get("Type", n.TYPE_ELEMENT) != n.TYPE_ELEMENT:
        raise BadStructure(expected="an encrypted element", received=_excerpt(str(data.get("Type"))))
    method, key_info = _check_encrypted_type(data, ())
    if len(method):
        raise BadStructure(expected="an empty EncryptionMethod", received=_tags(method))
    _check_algorithm(method, CBC | GCM)
    inside = [] if key_info is None else [child for child in key_info if child.tag == n.ENCRYPTED_KEY]
    if not 0 < len(inside) + len(beside) <= MAX_ENCRYPTED_KEYS:
        raise BadStructure(expected=f"1 to {MAX_ENCRYPTED_KEYS} EncryptedKey", received=f"{len(inside) + len(beside)}")
    for key in (*inside, *beside):
        check_encrypted_key(key)
    if key_info is not None:
        for retrieval in key_info.iterchildren(n.RETRIEVAL_METHOD):
            check_retrieval(retrieval, beside)


def check_encrypted_key(key: etree._Element) -> None:
    """RSA-OAEP with the digests of the allow-lists; no key in a key (XML Encryption 1.1, 3.5.1 and 5.5.2)."""
    method, key_info = _check_encrypted_type(key, (n.REFERENCE_LIST, n.CARRIED_KEY_NAME))
    _check_algorithm(method, KEY_TRANSPORTS)
    tags = [str(child.tag) for child in method]
    if len(tags) != len(set(tags)) or (n.MGF in tags and method.get("Algorithm") != n.RSA_OAEP):
        raise BadStructure(expected="one DigestMethod, one MGF of xmlenc11#rsa-oaep", received=_tags(method))
    for child in method:
        _check_algorithm(child, OAEP_DIGESTS if child.tag == n.DIGEST_METHOD else MASK_GENERATIONS)
    if key_info is not None and any(child.tag in {n.ENCRYPTED_KEY, n.RETRIEVAL_METHOD} for child in key_info):
        raise BadStructure(expected="names of a key in an EncryptedKey", received=_tags(key_info))


def check_retrieval(retrieval: etree._Element, beside: list[etree._Element]) -> None:
    """A RetrievalMethod points to an EncryptedKey beside: nothing is fetched from elsewhere (XML Signature 4.5.3)."""
    uri, kind = retrieval.get("URI"), retrieval.get("Type", n.TYPE_ENCRYPTED_KEY)
    if kind != n.TYPE_ENCRYPTED_KEY or uri not in {f"#{key.get('Id')}" for key in beside if key.get("Id")}:
        raise BadStructure(expected="a RetrievalMethod for the EncryptedKey beside", received=_excerpt(f"{uri} {kind}"))


def _check_encrypted_type(
    element: etree._Element, more: tuple[str, ...]
) -> tuple[etree._Element, etree._Element | None]:
    """EncryptedData or EncryptedKey: EncryptionMethod, KeyInfo if any, CipherData by value; returns the first two."""
    tags = [str(child.tag) for child in element]
    while tags and tags[-1] in more:
        tags.pop()
    if tags not in ([n.ENCRYPTION_METHOD, n.CIPHER_DATA], [n.ENCRYPTION_METHOD, n.KEY_INFO, n.CIPHER_DATA]):
        raise BadStructure(expected="EncryptionMethod, KeyInfo, CipherData", received=_tags(element))
    if [str(child.tag) for child in element[len(tags) - 1]] != [n.CIPHER_VALUE]:
        raise BadStructure(expected="one CipherValue", received=_tags(element[len(tags) - 1]))
    return element[0], element[1] if n.KEY_INFO in tags else None


@dataclass(slots=True)
class _Tally:
    """What is counted and collected on the one walk over the tree."""

    elements: int = 0
    ids: set[str] = field(default_factory=set)


def check_tree(*roots: etree._Element) -> None:
    """One walk: caps, only the children that the table allows, unique IDs over every ID-like attribute, no hints.

    Below opaque elements anything may stand but what must not hide there.
    """
    tally = _Tally()
    for root in roots:
        tally.elements += 1
        _check_attributes(root, tally)
        _check_element(root, 1, tally)


def _check_element(element: etree._Element, depth: int, tally: _Tally) -> None:
    """The children of one element; `_CHILDREN` has no entry for opaque elements and what is in them."""
    tally.elements += len(element)
    if tally.elements > MAX_NODES:
        raise TooComplex(expected=f"at most {MAX_NODES} elements", received=f"element {MAX_NODES + 1}")
    if depth > MAX_DEPTH:
        raise TooComplex(expected=f"at most {MAX_DEPTH} levels", received="more")
    allowed = _CHILDREN.get(element.tag)
    for child in element:
        tag = child.tag
        if allowed is None:
            if str(tag).startswith(_OURS) and tag not in _AT_HOME_IN_OPAQUE:
                # A NameID is at home there (eduPersonTargetedID); an assertion, a signature or a key never is.
                raise _misplaced(tag, element)
        elif tag not in allowed:
            raise _misplaced(tag, element)
        _check_attributes(child, tally)
        if len(child) and tag not in _REFUSED_WHOLE:
            _check_element(child, depth + 1, tally)


def _check_attributes(element: etree._Element, tally: _Tally) -> None:
    # Counted before they are read, for lxml looks each of them up from the first one on.
    if (count := len(element.attrib)) > MAX_ATTRIBUTES:
        raise TooComplex(expected=f"at most {MAX_ATTRIBUTES} attributes", received=f"{count}")
    for name, value in cast("list[tuple[str, str]]", element.items()):
        if name in _PLAIN_ATTRIBUTES or (name == _XSI_TYPE and element.tag not in _CHILDREN):
            continue
        local = name.rpartition("}")[2].lower()
        if local in _ID_ATTRIBUTES:
            _claim_id(value, tally.ids)
        elif name.startswith(_XSI_PREFIX):
            if local in {"schemalocation", "nonamespaceschemalocation"}:
                raise BadStructure(expected="no schema hints", received=local)
            if element.tag in _CHILDREN:
                # It would let the schema see another type than the name says.
                raise BadStructure(expected="no xsi attributes here", received=f"{local} on {_short(element.tag)}")


def _claim_id(value: str, ids: set[str]) -> None:
    if value in ids:
        raise DuplicateId(expected="unique IDs", received=_excerpt(value))
    if len(value) > MAX_ID or not _NC_NAME.fullmatch(value):
        raise DuplicateId(expected=f"an NCName of at most {MAX_ID} characters", received=_excerpt(value))
    ids.add(value)


def _misplaced(tag: object, parent: etree._Element) -> GateRefused:
    received = f"{_short(tag)} in {_short(parent.tag)}"
    if tag in {n.ASSERTION, n.ENCRYPTED_ASSERTION}:
        return AssertionCount(expected="the assertion as a child of the Response only", received=received)
    return BadStructure(expected="only the children that the specification names", received=received)


def check_version(element: etree._Element) -> None:
    """Version is 2.0 and there is an ID (Core 1.3.4, 2.3.3, 3.2.2)."""
    if element.get("Version") != "2.0":
        raise BadStructure(expected='Version="2.0"', received=_excerpt(str(element.get("Version"))))
    if not element.get("ID"):
        raise BadStructure(expected="an ID", received=f"none on {_short(element.tag)}")


def check_status(root: etree._Element) -> None:
    """Exactly one Status, exactly Success (Core 3.2.2.1)."""
    statuses = list(root.iterchildren(n.STATUS))
    if len(statuses) != 1:
        raise BadStructure(expected="one Status", received=f"{len(statuses)}")
    codes = list(statuses[0].iterchildren(n.STATUS_CODE))
    if len(codes) != 1:
        raise BadStructure(expected="one StatusCode", received=f"{len(codes)}")
    if codes[0].get("Value") != n.STATUS_SUCCESS:
        values = [str(code.get("Value")) for code in statuses[0].iter(n.STATUS_CODE)]
        message = statuses[0].findtext(n.STATUS_MESSAGE) or ""
        received = " / ".join(value.removeprefix("urn:oasis:names:tc:SAML:2.0:status:")[:100] for value in values[:3])
        raise StatusNotSuccess(expected="Success", received=f"{received} {message[:200]}".strip())


def check_signature(signature: etree._Element) -> None:
    """One Reference to the parent, the two transforms, strong algorithms, nothing more (Core 5.4, XML Signature 4)."""
    parent = signature.getparent()
    assert parent is not None  # noqa: S101 - it was found as a child
    children = [str(child.tag) for child in signature]
    if children not in ([n.SIGNED_INFO, n.SIGNATURE_VALUE], [n.SIGNED_INFO, n.SIGNATURE_VALUE, n.KEY_INFO]):
        raise SignatureShape(expected="SignedInfo, SignatureValue, KeyInfo", received=_tags(signature))
    if not _IN_ENCRYPTION.isdisjoint(str(child.tag) for child in signature[-1]):
        raise SignatureShape(expected="a KeyInfo that names a key", received=_tags(signature[-1]))
    if sum(1 for _ in parent.iterchildren(n.SIGNATURE)) > 1:
        raise SignatureShape(expected="one Signature", received=f"several in {_short(parent.tag)}")
    signed_info = signature[0]
    if [str(child.tag) for child in signed_info] != [n.CANONICALIZATION_METHOD, n.SIGNATURE_METHOD, n.REFERENCE]:
        raise SignatureShape(expected="one Reference", received=_tags(signed_info))
    canonicalization, method, reference = signed_info
    for inclusive in signed_info.iter(n.INCLUSIVE_NAMESPACES):
        check_prefixes(inclusive)
    _check_algorithm(canonicalization, _CANONICALIZATIONS)
    _check_algorithm(method, _SIGNATURE_ALGORITHMS)
    check_reference(reference, parent)


def check_prefixes(inclusive: etree._Element) -> None:
    """A short PrefixList: each prefix is searched for from each element, before a signature is known to be good."""
    listed = inclusive.get("PrefixList") or ""
    if len(listed) > MAX_PREFIX_LIST or len(listed.split()) > MAX_NAMESPACES:
        raise TooComplex(
            expected=f"a PrefixList of at most {MAX_NAMESPACES} prefixes, {MAX_PREFIX_LIST} characters",
            received=f"{len(listed.split())} prefixes, {len(listed)} characters",
        )


def check_reference(reference: etree._Element, parent: etree._Element) -> None:
    """The one Reference covers exactly the signature's parent, by exactly the two transforms."""
    uri = reference.get("URI")
    if uri is None or uri != f"#{parent.get('ID')}":
        raise SignatureShape(expected="a Reference to the signature's parent", received=_excerpt(str(uri)))
    if [str(child.tag) for child in reference] != [n.TRANSFORMS, n.DIGEST_METHOD, n.DIGEST_VALUE]:
        raise SignatureShape(expected="Transforms, DigestMethod, DigestValue", received=_tags(reference))
    transforms, digest, _value = reference
    algorithms = [transform.get("Algorithm") for transform in transforms]
    if len(algorithms) != 2 or algorithms[0] != n.ENVELOPED_SIGNATURE or algorithms[1] not in _CANONICALIZATIONS:  # noqa: PLR2004
        raise SignatureShape(
            expected="enveloped-signature, then exclusive canonicalisation", received=_excerpt(str(algorithms))
        )
    if len(transforms[0]) or len(transforms[1]) > 1:
        raise SignatureShape(expected="at most one InclusiveNamespaces", received=_tags(transforms[1]))
    _check_algorithm(digest, DIGESTS)


def _check_algorithm(element: etree._Element, allowed: Container[str]) -> None:
    algorithm = element.get("Algorithm")
    if algorithm is None or algorithm not in allowed:
        raise WeakAlgorithm(expected="an algorithm of the allow-list", received=_excerpt(str(algorithm)))


def _short(tag: object) -> str:
    return str(tag).rpartition("}")[2][:60]


def _tags(element: etree._Element) -> str:
    return ", ".join(_short(child.tag) for child in element)[:200] or "nothing"


def _excerpt(text: str) -> str:
    """For the administrator's record: short, and printable."""
    return "".join(character if character.isprintable() else "·" for character in text[:120]) or "an empty value"
