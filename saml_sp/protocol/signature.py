"""The one path from an admitted message to what was signed.

xmlsec decides whether a signature is good, with keys from our database. What is handed on is then parsed anew from our
own canonical form of the signed element, and only if its digest equals the one that xmlsec has just verified: between
what was verified and what is read there is no second reading of the document that could differ.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

import xmlsec
from lxml import etree

from saml_sp.protocol import encryption, gate, toolkit
from saml_sp.protocol import names as n
from saml_sp.protocol.errors import (
    BadSignature,
    EncryptionUnsupported,
    NoCurrentCertificate,
    SamlError,
    SchemaInvalid,
    Unsigned,
)
from saml_sp.protocol.gate import DIGESTS
from saml_sp.protocol.types import SignedAssertion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from saml_sp.protocol.types import Expectation, Message, VerificationKey

# No URI in a message is ever fetched: xmlsec loses its file and network readers when this module is loaded. References
# to #id in the document need none of them.
xmlsec.cleanup_callbacks()


def open_message(message: Message, expectation: Expectation, now: datetime) -> SignedAssertion:
    """Verify every signature of an admitted message and return what they cover.

    `now` (aware) selects the certificates that are within their validity. Raises EncryptionUnsupported, SchemaInvalid,
    NoCurrentCertificate, BadSignature, or DecryptionFailed for whatever is wrong inside something encrypted.
    Specification: Core 5 and 6, XML Signature 3.2.
    """
    if message.encrypted and not expectation.decryption_keys:
        raise EncryptionUnsupported(expected="nothing encrypted: there is no key pair of ours", received="encryption")
    check_schema(message.root)
    keys = [key for key in expectation.idp.keys if key.is_current(now)]
    if not keys:
        raise NoCurrentCertificate(expected="a certificate that is valid now", received="none")
    xmlsec.tree.add_ids(message.root, ["ID"])
    for signature in message.signatures:
        check_signature_value(signature, keys)
    if not message.encrypted:
        return _covered(message)
    sealed = message.assertion.tag == n.ENCRYPTED_ASSERTION
    signed = _unsealed(message, keys, expectation.decryption_keys) if sealed else _covered(message)
    encryption.open_name_id(signed.assertion, expectation.decryption_keys)
    return signed


def _covered(message: Message) -> SignedAssertion:
    """What the outermost verified signature covers."""
    verified = reread(message.signatures[0])  # the gate lists the Response's before the Assertion's
    if verified.tag == n.RESPONSE:
        assertion = gate.child(verified, n.ASSERTION)
        assert assertion is not None  # noqa: S101 - the gate saw exactly one, and the digest says nothing changed
        return SignedAssertion(response=verified, assertion=assertion, response_signed=True)
    return SignedAssertion(response=message.root, assertion=verified, response_signed=False)


def _unsealed(message: Message, keys: Sequence[VerificationKey], ours: Sequence[RSAPrivateKey]) -> SignedAssertion:
    """The assertion inside the EncryptedAssertion, which is taken from the signed response if that is signed.

    From here to a verified signature every fault is one and the same DecryptionFailed.
    """
    response = reread(message.signatures[0]) if message.signatures else message.root
    encrypted = gate.child(response, n.ENCRYPTED_ASSERTION)
    assert encrypted is not None  # noqa: S101 - as in `_covered`
    response_signed = bool(message.signatures)
    try:
        plain = encryption.decrypt(encrypted, ours)
        assertion = _verified_inside(plain, message, keys)
        if assertion is None:
            if not response_signed:
                raise Unsigned(expected="a signature on the Response or the Assertion", received="none")
            assertion = _vouched_for_outside(plain, response, encrypted)
    except SamlError as error:
        raise encryption.failed(error) from None
    return SignedAssertion(response=response, assertion=assertion, response_signed=response_signed)


def _verified_inside(plain: bytes, message: Message, keys: Sequence[VerificationKey]) -> etree._Element | None:
    """The decrypted assertion by its own signature; None if it has none.

    It is read with the namespaces in scope in the document as it came. That part of the document may be signed by
    nobody, but the signature inside covers what is read in the end.
    """
    assertion = encryption.parse_fragment(plain, message.assertion.nsmap)
    signatures = gate.check_decrypted(assertion, message.root)
    if not signatures:
        return None
    check_schema(assertion)
    xmlsec.tree.add_ids(assertion, ["ID"])
    check_signature_value(signatures[0], keys)
    return reread(signatures[0])


def _vouched_for_outside(plain: bytes, response: etree._Element, encrypted: etree._Element) -> etree._Element:
    """The decrypted assertion without a signature of its own, of a verified response.

    Namespaces that it does not declare itself are those of the signed form, or ours: what stands in the document
    beside that could be changed by others and give an element another meaning.
    """
    assertion = encryption.parse_fragment(plain, encryption.WELL_KNOWN | encrypted.nsmap)
    # There is no signature to be found: these namespaces are a part of those that it was read with before.
    gate.check_decrypted(assertion, response)
    check_schema(assertion)
    return assertion


def check_schema(root: etree._Element) -> None:
    """Valid against the SAML 2.0 protocol schema; there is no switch for it."""
    if violation := toolkit.violation(root):
        raise SchemaInvalid(expected="a message valid against the SAML 2.0 schema", received=violation[:300])


def check_signature_value(signature: etree._Element, keys: Sequence[VerificationKey]) -> None:
    """The signature verifies with one of our keys. Its KeyInfo is not consulted."""
    for candidate in keys:
        context = xmlsec.SignatureContext()
        context.key = candidate.key
        try:
            context.verify(signature)
        except xmlsec.Error:
            continue
        return
    raise BadSignature(
        expected=f"a signature by one of {len(keys)} current certificate(s)", received="one that verifies with none"
    )


def reread(signature: etree._Element) -> etree._Element:
    """Parse anew what a verified signature covers: its parent without it, in our own exclusive canonical form.

    Raises BadSignature when the digest of those bytes is not the verified DigestValue.
    """
    parent = signature.getparent()
    assert parent is not None  # noqa: S101 - it was found as a child
    reference = signature[0][2]
    transforms, digest_method, digest_value = reference
    # The document's own element stands alone already and is not needed any more. An inner one is serialised with every
    # namespace in scope, so that prefixes declared further out (InclusiveNamespaces) are kept.
    alone = parent if parent.getparent() is None else _parse(etree.tostring(parent, with_tail=False, encoding="utf-8"))
    _remove_signature(alone)
    canonical = etree.tostring(
        alone,
        method="c14n",
        exclusive=True,
        with_comments=False,
        inclusive_ns_prefixes=_inclusive_prefixes(transforms[1]),
    )
    digest = hashlib.new(DIGESTS[str(digest_method.get("Algorithm"))], canonical).digest()
    if digest != _decoded(digest_value.text or ""):
        raise BadSignature(expected="the digest that was verified", received="another digest of the canonical form")
    return _parse(canonical)


def _remove_signature(element: etree._Element) -> None:
    """Take the signature out and leave the white space behind it where it was."""
    signature = gate.child(element, n.SIGNATURE)
    assert signature is not None  # noqa: S101 - a copy of an element that has one
    tail, before = signature.tail or "", signature.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        element.text = (element.text or "") + tail
    element.remove(signature)


def _inclusive_prefixes(transform: etree._Element) -> list[str] | None:
    for child in transform:
        return (child.get("PrefixList") or "").split() or None
    return None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(b"".join(text.encode("ascii").split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadSignature(expected="a base64 DigestValue", received="something else") from None


def _parse(data: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return etree.fromstring(data, parser)
