"""Decryption of what an identity provider has encrypted for us (XML Encryption 1.1, SAML Core 6).

What comes in has passed the gate: one EncryptedData, RSA-OAEP and AES of the allow-lists, the keys to it inside or
beside. The arithmetic is the `cryptography` package's; no XML library ever sees a key of ours, follows a reference or
puts anything into the tree. What comes out is bytes, which are parsed by the gate like any others.

Every fault is the same DecryptionFailed. CBC has no integrity of its own, so that whoever can tell bad padding from bad
XML from a bad signature can read the plain text by asking often enough (Jager and Somorovsky, 2011).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import quoteattr

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from saml_sp.protocol import gate
from saml_sp.protocol import names as n
from saml_sp.protocol.errors import BadStructure, DecryptionFailed, SamlError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_HASHES: Final = {"sha1": hashes.SHA1, "sha256": hashes.SHA256}
_BLOCK: Final = 16
_NONCE: Final = 12
_TAG: Final = 16
# What a fragment may rely on without declaring it: fixed here, so that nobody else decides what they mean.
WELL_KNOWN: Final[dict[str | None, str]] = {"xs": n.XS, "xsi": n.XSI}


def decrypt(encrypted: etree._Element, keys: Sequence[RSAPrivateKey]) -> bytes:
    """The plain text of an EncryptedAssertion or EncryptedID that passed the gate.

    Each of our keys is tried on each EncryptedKey: key names and hints in the message are not believed. Raises
    DecryptionFailed.
    """
    data = encrypted[0]
    algorithm = str(data[0].get("Algorithm"))
    sealed = _cipher_value(data)
    for encrypted_key in encrypted.iter(n.ENCRYPTED_KEY):
        for key in keys:
            try:
                return _decrypt_data(algorithm, _unwrap(encrypted_key, key), sealed)
            except (ValueError, InvalidTag):
                continue
    raise DecryptionFailed(expected=f"something for one of {len(keys)} key(s) of ours", received="nothing readable")


def parse_fragment(plain: bytes, namespaces: Mapping[str | None, str]) -> etree._Element:
    """The one element that plain text holds, as a document of its own, its prefixes as they were written.

    `namespaces` are those in scope where it was encrypted: an element encrypted in its document may rely on prefixes
    that were declared further out (XML Encryption 1.1, 4.3.3). Raises a GateRefused.
    """
    declarations = "".join(
        f" {f'xmlns:{prefix}' if prefix else 'xmlns'}={quoteattr(uri)}" for prefix, uri in namespaces.items()
    )
    # The plain text cannot leave the scope element: behind its end there may be nothing but the end of the document.
    scope = gate.parse(f"<scope{declarations}>".encode() + plain + b"</scope>", strict=True)
    if len(scope) != 1 or (scope.text or "").strip() or (scope[0].tail or "").strip():
        raise BadStructure(expected="one element", received=f"{len(scope)} elements, or text around one")
    return gate.parse(etree.tostring(scope[0], with_tail=False, encoding="utf-8"), strict=True)


def open_name_id(assertion: etree._Element, keys: Sequence[RSAPrivateKey]) -> None:
    """Put the NameID in the place of the subject's EncryptedID, if it has one, in a verified assertion (Core 2.2.4).

    Raises DecryptionFailed.
    """
    encrypted = assertion.find(gate.ENCRYPTED_SUBJECT)
    if encrypted is not None:
        name_id = decrypt_name_id(encrypted, keys)
        name_id.tail = encrypted.tail
        subject = encrypted.getparent()
        assert subject is not None  # noqa: S101 - it was found below one
        subject.replace(encrypted, name_id)


def decrypt_name_id(encrypted: etree._Element, keys: Sequence[RSAPrivateKey]) -> etree._Element:
    """The NameID inside an EncryptedID that passed the gate and stands in a verified message.

    Raises DecryptionFailed.
    """
    try:
        name_id = parse_fragment(decrypt(encrypted, keys), WELL_KNOWN | encrypted.nsmap)
        if name_id.tag != n.NAME_ID:
            raise BadStructure(expected="a NameID inside EncryptedID", received="another element")
        gate.check_tree(name_id)
    except SamlError as error:
        raise failed(error) from None
    return name_id


def failed(error: SamlError) -> DecryptionFailed:
    """The one public outcome. What was wrong inside is named to the administrator by its code, never quoted."""
    if isinstance(error, DecryptionFailed):
        return error
    return DecryptionFailed(expected=error.expected, received=f"{error.code}, inside what was encrypted")


def _unwrap(encrypted_key: etree._Element, key: RSAPrivateKey) -> bytes:
    """The data key. Raises ValueError."""
    method = encrypted_key[0]
    digest, mask = "sha1", "sha1"  # the defaults; of rsa-oaep-mgf1p the mask's is fixed (XML Encryption 1.1, 5.5.2)
    for child in method:
        if child.tag == n.DIGEST_METHOD:
            digest = gate.OAEP_DIGESTS[str(child.get("Algorithm"))]
        else:
            mask = gate.MASK_GENERATIONS[str(child.get("Algorithm"))]
    oaep = padding.OAEP(mgf=padding.MGF1(_HASHES[mask]()), algorithm=_HASHES[digest](), label=None)
    return key.decrypt(_cipher_value(encrypted_key), oaep)


def _decrypt_data(algorithm: str, key: bytes, sealed: bytes) -> bytes:
    """AES in GCM (nonce first, tag last) or CBC (initialisation vector first). Raises ValueError or InvalidTag."""
    if len(key) != (gate.CBC | gate.GCM)[algorithm]:
        raise ValueError(algorithm)
    if algorithm in gate.GCM:
        if len(sealed) < _NONCE + _TAG:
            raise ValueError(algorithm)
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(sealed[:_BLOCK])).decryptor()
    padded = decryptor.update(sealed[_BLOCK:]) + decryptor.finalize()
    # Only the last byte says how much is padding, the others may be anything (XML Encryption 1.1, 5.2).
    if not padded or not 0 < padded[-1] <= _BLOCK:
        raise ValueError(algorithm)
    return padded[: -padded[-1]]


def _cipher_value(element: etree._Element) -> bytes:
    """The octets of an EncryptedData or EncryptedKey; none for what is not base64, which then decrypts to nothing."""
    text = element.findtext(f"{n.CIPHER_DATA}/{n.CIPHER_VALUE}") or ""
    try:
        return base64.b64decode(b"".join(text.encode("ascii").split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
