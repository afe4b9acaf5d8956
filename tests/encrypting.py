"""Encryption as identity providers do it, in every combination, and wrong in any way one asks for.

The octets are made by the `cryptography` package; `by_xmlsec` has libxmlsec make the whole thing, which does not repeat
the prefixes that were declared further out.
"""

from __future__ import annotations

import base64
import dataclasses
import os
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, Any

import xmlsec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from demo import issuer, keys
from demo.issuer import Signed
from saml_sp.protocol import names
from tests.idp import Kind, find, fragment, key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from demo.keys import SigningKey
    from tests.idp import Forge

XENC, XENC11, DS = names.XENC, names.XENC11, names.DS
AES_CBC = {bits: f"{XENC}aes{bits}-cbc" for bits in (128, 192, 256)}
AES_GCM = {bits: f"{XENC11}aes{bits}-gcm" for bits in (128, 192, 256)}
TRIPLE_DES = f"{XENC}tripledes-cbc"
MGF1P, OAEP, RSA_15 = f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep", f"{XENC}rsa-1_5"
SHA1, SHA256, SHA512 = f"{DS}sha1", f"{XENC}sha256", f"{XENC}sha512"
MGF_SHA1, MGF_SHA256 = f"{XENC11}mgf1sha1", f"{XENC11}mgf1sha256"
_HASHES: dict[str, type[hashes.SHA1 | hashes.SHA256 | hashes.SHA512]] = {
    SHA1: hashes.SHA1, SHA256: hashes.SHA256, SHA512: hashes.SHA512,
    MGF_SHA1: hashes.SHA1, MGF_SHA256: hashes.SHA256,
}  # fmt: skip


class Ours(Enum):
    """Key pairs of the service provider."""

    FIRST = auto()
    SECOND = auto()
    THIRD = auto()


@cache
def our_key(which: Ours) -> SigningKey:
    """A key pair of the service provider, made once per process."""
    return keys.make(f"portico.example {which.name}")


def private(which: Ours) -> rsa.RSAPrivateKey:
    """Its private key."""
    key = load_pem_private_key(our_key(which).private_pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


class Place(Enum):
    """Where the EncryptedKey stands."""

    INSIDE = auto()
    BESIDE = auto()
    RETRIEVED = auto()


@dataclass(frozen=True)
class Lock:
    """How something is encrypted. Attributes with a dash hold what is written, and done, instead of the right thing."""

    to: Sequence[rsa.RSAPublicKey]
    algorithm: str = AES_GCM[256]
    transport: str = MGF1P
    digest: str | None = None
    mgf: str | None = None
    place: Place = Place.INSIDE
    spoil: Callable[[bytes], bytes] = bytes

    def changed(self, **changes: Any) -> Lock:
        """Another one."""
        return dataclasses.replace(self, **changes)


def lock(which: Ours = Ours.FIRST, **changes: Any) -> Lock:
    """For one of our keys."""
    return Lock(to=[private(which).public_key()], **changes)


def seal(plain: bytes, lock: Lock, *, tag: str = names.ENCRYPTED_ASSERTION, prefix: str = "saml2") -> etree._Element:
    """An EncryptedAssertion (or EncryptedID) that holds the plain text."""
    key, octets = _encrypt_data(plain, lock.algorithm)
    sealed = etree.Element(tag, nsmap={prefix: names.SAML, "xenc": XENC, "ds": DS})
    data = etree.SubElement(sealed, names.ENCRYPTED_DATA, Type=names.TYPE_ELEMENT)
    etree.SubElement(data, names.ENCRYPTION_METHOD, Algorithm=lock.algorithm)
    key_info = etree.SubElement(data, names.KEY_INFO)
    _add_octets(data, lock.spoil(octets))
    for number, public in enumerate(lock.to):
        encrypted_key = _encrypted_key(key, public, lock)
        if lock.place is Place.INSIDE:
            key_info.append(encrypted_key)
        else:
            encrypted_key.set("Id", f"key-{number}")
            sealed.append(encrypted_key)
        if lock.place is Place.RETRIEVED:
            where = {"Type": f"{XENC}EncryptedKey", "URI": f"#key-{number}"}
            etree.SubElement(key_info, names.RETRIEVAL_METHOD, where)
    if not len(key_info):
        data.remove(key_info)
    return sealed


def _encrypt_data(plain: bytes, algorithm: str) -> tuple[bytes, bytes]:
    bits = 192 if algorithm == TRIPLE_DES else int(algorithm.partition("#aes")[2][:3])
    key = os.urandom(bits // 8)
    if algorithm in AES_GCM.values():
        nonce = os.urandom(12)
        return key, nonce + AESGCM(key).encrypt(nonce, plain, None)
    vector = os.urandom(16)
    count = 16 - len(plain) % 16
    # The specification lets all padding but its last byte be anything.
    return key, vector + _cbc(key, vector, plain + os.urandom(count - 1) + bytes([count]))


def _cbc(key: bytes, vector: bytes, blocks: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()


def _encrypted_key(key: bytes, public: rsa.RSAPublicKey, lock: Lock) -> etree._Element:
    element = etree.Element(names.ENCRYPTED_KEY, nsmap={"xenc": XENC, "ds": DS})
    method = etree.SubElement(element, names.ENCRYPTION_METHOD, Algorithm=lock.transport)
    if lock.digest:
        etree.SubElement(method, names.DIGEST_METHOD, Algorithm=lock.digest)
    if lock.mgf:
        etree.SubElement(method, names.MGF, {"Algorithm": lock.mgf}, nsmap={"xenc11": XENC11})
    if lock.transport == RSA_15:
        wrapped = public.encrypt(key, padding.PKCS1v15())
    else:
        mask = padding.MGF1(_HASHES[lock.mgf or MGF_SHA1]())
        wrapped = public.encrypt(key, padding.OAEP(mgf=mask, algorithm=_HASHES[lock.digest or SHA1](), label=None))
    _add_octets(element, wrapped)
    return element


def _add_octets(element: etree._Element, octets: bytes) -> None:
    cipher_data = etree.SubElement(element, names.CIPHER_DATA)
    etree.SubElement(cipher_data, names.CIPHER_VALUE).text = base64.b64encode(octets).decode()


def sealed_tree(
    forge: Forge,
    lock: Lock,
    *,
    before: Callable[[etree._Element], object] | None = None,
    plain: Callable[[bytes], bytes] = bytes,
    by: SigningKey | None = None,
    **changes: Any,
) -> etree._Element:
    """A Response whose assertion is encrypted, signed as `signed` says: the assertion inside, the Response around it.

    `before` changes the tree before anything is signed; `plain` changes the assertion's text before it is encrypted.
    """
    spec = forge.spec(**changes)
    tree = issuer.build_tree(spec)
    if before:
        before(tree)
    assertion = find(tree, "saml:Assertion")
    if spec.signed in {Signed.ASSERTION, Signed.BOTH}:
        issuer.sign(assertion, by or forge.key, inclusive_prefixes=spec.inclusive_prefixes)
    sealed = seal(plain(etree.tostring(assertion, with_tail=False)), lock)
    tree.replace(assertion, sealed)
    if spec.signed in {Signed.RESPONSE, Signed.BOTH}:
        issuer.sign(tree, forge.key)
    return tree


def sealed_xml(forge: Forge, lock: Lock, **changes: Any) -> bytes:
    """The same, serialised."""
    return issuer.serialise(sealed_tree(forge, lock, **changes))


def by_xmlsec(assertion: etree._Element, certificate_pem: bytes) -> None:
    """Have libxmlsec encrypt an assertion where it stands: AES-128-CBC, RSA-OAEP, as Debian's xmlsec1 does."""
    parent = assertion.getparent()
    assert parent is not None
    template = xmlsec.template.encrypted_data_create(
        parent, xmlsec.constants.TransformAes128Cbc, type=xmlsec.constants.TypeEncElement, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(template)
    key_info = xmlsec.template.encrypted_data_ensure_key_info(template, ns="ds")
    encrypted_key = xmlsec.template.add_encrypted_key(key_info, xmlsec.constants.TransformRsaOaep)
    xmlsec.template.encrypted_data_ensure_cipher_value(encrypted_key)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(certificate_pem, xmlsec.constants.KeyDataFormatCertPem))
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(xmlsec.constants.KeyDataAes, 128, xmlsec.constants.KeyDataTypeSession)
    wrapper = etree.Element(names.ENCRYPTED_ASSERTION, nsmap={"saml2": names.SAML})
    parent.replace(assertion, wrapper)
    wrapper.append(assertion)
    wrapper.append(context.encrypt_xml(template, assertion))


def encrypted_id(lock: Lock, name_id: str | None = None) -> Callable[[etree._Element], None]:
    """Puts an EncryptedID in the place of the NameID; `name_id` is other XML to hold."""

    def change(tree: etree._Element) -> None:
        element = find(tree, ".//saml:NameID")
        plain = name_id.encode() if name_id else etree.tostring(element, with_tail=False)
        parent = element.getparent()
        assert parent is not None
        parent.replace(element, seal(plain, lock, tag=names.ENCRYPTED_ID))

    return change


def _flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda octets: octets[:at] + bytes([octets[at] ^ 1]) + octets[at:][1:]


def _inside(**changes: Any) -> Callable[[Forge], bytes]:
    """The assertion alone is signed, unless told otherwise; encrypted for the first of our keys."""
    key_and_more = changes.pop("with_lock", {})
    return lambda forge: sealed_xml(forge, lock(**key_and_more), **{"signed": Signed.ASSERTION} | changes)


def _octets(algorithm: str, spoil: Callable[[bytes], bytes]) -> Callable[[Forge], bytes]:
    return _inside(with_lock={"algorithm": algorithm, "spoil": spoil})


def _with(path: str, change: Callable[[etree._Element], object], **changes: Any) -> Callable[[Forge], bytes]:
    """Something in the assertion is changed, which is signed then."""
    return _inside(before=lambda tree: change(find(tree, path)), **changes)


def _other_octets(forge: Forge, path: str, octets: bytes) -> bytes:
    tree = sealed_tree(forge, lock(algorithm=CBC), signed=Signed.ASSERTION)
    find(tree, f".//{path}/xenc:CipherData/xenc:CipherValue").text = base64.b64encode(octets).decode()
    return issuer.serialise(tree)


def _padded(last: int) -> Callable[[Forge], bytes]:
    def build(forge: Forge) -> bytes:
        data_key, vector = os.urandom(32), os.urandom(16)
        wrapped = _encrypted_key(data_key, private(Ours.FIRST).public_key(), lock())
        tree = sealed_tree(forge, lock(algorithm=CBC), signed=Signed.ASSERTION)
        plain = b"<a/>" * 4 + bytes(15) + bytes([last])
        octets = vector + _cbc(data_key, vector, plain)
        find(tree, ".//xenc:EncryptedData/xenc:CipherData/xenc:CipherValue").text = base64.b64encode(octets).decode()
        old = find(tree, ".//xenc:EncryptedKey")
        parent = old.getparent()
        assert parent is not None
        parent.replace(old, wrapped)
        return issuer.serialise(tree)

    return build


def _as_if_256(forge: Forge) -> bytes:
    tree = sealed_tree(forge, lock(algorithm=AES_CBC[128]), signed=Signed.ASSERTION)
    find(tree, ".//xenc:EncryptedData/xenc:EncryptionMethod").set("Algorithm", AES_CBC[256])
    return issuer.serialise(tree)


def _same_id_outside(forge: Forge) -> bytes:
    tree = sealed_tree(forge, lock(), signed=Signed.ASSERTION, assertion_id="twice")
    find(tree, ".//xenc:EncryptedData").set("Id", "twice")
    return issuer.serialise(tree)


def _add(xml: str) -> Callable[[etree._Element], None]:
    return lambda parent: parent.append(fragment(xml))


def _plain(change: Callable[[bytes], bytes]) -> Callable[[Forge], bytes]:
    return _inside(plain=change)


CBC, GCM = AES_CBC[256], AES_GCM[256]


def _value(content: str) -> Callable[[etree._Element], None]:
    """Adds an attribute with a value that holds this."""
    value = f"<saml:AttributeValue>{content}</saml:AttributeValue>"
    attribute = f'<saml:Attribute Name="more">{value}</saml:Attribute>'
    return _add(f"<saml:AttributeStatement>{attribute}</saml:AttributeStatement>")


# Everything that can go wrong between an EncryptedData and a verified signature inside.
FAULTS: dict[str, Callable[[Forge], bytes]] = {
    "for a key that is not ours": lambda forge: sealed_xml(forge, lock(Ours.THIRD), signed=Signed.ASSERTION),
    "a key of no meaning": lambda forge: _other_octets(forge, "xenc:EncryptedKey", os.urandom(256)),
    "a key too short": lambda forge: _other_octets(forge, "xenc:EncryptedKey", b"\0"),
    "another length of key": _as_if_256,
    "no octets in CBC": _octets(CBC, lambda _octets: b""),
    "a vector only": _octets(CBC, lambda octets: octets[:16]),
    "half a block": _octets(CBC, lambda octets: octets[:-8]),
    "a block less": _octets(CBC, lambda octets: octets[:-16]),
    "a bit in the vector": _octets(CBC, _flipped(0)),
    "a bit in the padding": _octets(CBC, _flipped(-17)),
    "a bit in the last block": _octets(CBC, _flipped(-1)),
    "padding of no byte": _padded(0),
    "padding of 17 bytes": _padded(17),
    "padding of 255 bytes": _padded(255),
    "good padding, another text": _padded(16),
    "no octets in GCM": _octets(GCM, lambda _octets: b""),
    "a nonce and half a tag": _octets(GCM, lambda octets: octets[:20]),
    "a bit in the nonce": _octets(GCM, _flipped(0)),
    "a bit in GCM": _octets(GCM, _flipped(40)),
    "a bit in the tag": _octets(GCM, _flipped(-1)),
    "nothing": _plain(lambda _xml: b""),
    "blanks": _plain(lambda _xml: b"  \n"),
    "text": _plain(lambda _xml: b"what is this?"),
    "not UTF-8": _plain(lambda xml: xml.replace(b"Ana", b"\xff")),
    "not well-formed": _plain(lambda xml: xml[:-5]),
    "a way out of the scope": _plain(lambda xml: xml + b"</scope><scope>"),
    "an undeclared prefix": _plain(lambda xml: xml.replace(b"<saml2:Subject>", b"<other:Subject>", 1)),
    "text before": _plain(lambda xml: b"x" + xml),
    "text behind": _plain(lambda xml: xml + b"x"),
    "twice": _plain(lambda xml: xml + xml),
    "an XML declaration": _plain(lambda xml: b'<?xml version="1.0"?>' + xml),
    "a document type": _plain(lambda xml: b"<!DOCTYPE a>" + xml),
    "a comment": _plain(lambda xml: xml.replace(b"Ana", b"A<!-- -->na", 1)),
    "a processing instruction": _plain(lambda xml: xml.replace(b"Ana", b"A<?p?>na", 1)),
    "another element": _plain(lambda _xml: f'<saml:NameID xmlns:saml="{names.SAML}">ana</saml:NameID>'.encode()),
    "a response": _plain(
        lambda xml: f'<samlp:Response xmlns:samlp="{names.SAMLP}">'.encode() + xml + b"</samlp:Response>"
    ),
    "encrypted twice": _plain(lambda xml: etree.tostring(seal(xml, lock()))),
    "unsigned": _inside(signed=Signed.NONE),
    "signed by a stranger": _inside(by=key(Kind.STRANGER)),
    "changed after it was signed": _plain(lambda xml: xml.replace(b">Ana<", b">Bob<", 1)),
    "a broken signature under a good one": lambda forge: sealed_xml(
        forge, lock(), signed=Signed.BOTH, plain=lambda xml: xml.replace(b">Ana<", b">Bob<", 1)
    ),
    "a weak algorithm": _plain(lambda xml: xml.replace(b"xmldsig-more#rsa-sha256", b"xmldsig-more#rsa-md5", 1)),
    "a second reference": _plain(lambda xml: xml.replace(b"<ds:DigestValue>", b"<ds:Other/><ds:DigestValue>", 1)),
    "a key in the signature": _plain(
        lambda xml: xml.replace(b"<ds:KeyInfo>", f'<ds:KeyInfo><e:EncryptedKey xmlns:e="{XENC}"/>'.encode(), 1)
    ),
    "no version": _with("saml:Assertion", lambda assertion: assertion.attrib.pop("Version")),
    "no ID": _plain(lambda xml: xml.replace(b" ID=", b" Other=", 1)),
    "an ID twice inside": _with("saml:Assertion", _value('<a ID="x"/><b ID="x"/>')),
    "an ID inside and outside": _same_id_outside,
    "not valid": _with("saml:Assertion/saml:Subject", lambda subject: subject.set("Unknown", "1")),
    "not valid under a signed response": _with(
        "saml:Assertion/saml:Subject", lambda subject: subject.set("Unknown", "1"), signed=Signed.RESPONSE
    ),
    "an assertion in a value": _with("saml:Assertion", _value("<saml:Assertion/>")),
    "too deep": _with("saml:Assertion", _value(f"{'<a>' * 30}{'</a>' * 30}")),
    "too many elements": _with("saml:Assertion", _value("<a/>" * 5000)),
    "a hint to a schema": _with(
        "saml:Assertion", lambda assertion: assertion.set(f"{{{names.XSI}}}schemaLocation", "a b")
    ),
    "an encrypted attribute": _with("saml:Assertion/saml:AttributeStatement", _add("<saml:EncryptedAttribute/>")),
    "a subject for another key": _inside(before=encrypted_id(lock(Ours.THIRD))),
    "a subject of another kind": _inside(before=encrypted_id(lock(), f'<saml:BaseID xmlns:saml="{names.SAML}"/>')),
    "a subject with markup": _inside(
        before=encrypted_id(lock(), f'<saml:NameID xmlns:saml="{names.SAML}">ana<b/></saml:NameID>')
    ),
}
