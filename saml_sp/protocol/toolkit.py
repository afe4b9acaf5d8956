"""The only module that knows python3-saml: its XML schemas, compiled once, and its signing of what we send."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

import onelogin.saml2
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

if TYPE_CHECKING:
    from saml_sp.protocol.types import Signer

_FOLDER = Path(onelogin.saml2.__file__).parent / "schemas"
_OURS = Path(__file__).parent / "schemas"
# What the set of schemas leaves out and messages hold: namespace to file name.
_ADDED = {
    "http://www.w3.org/2009/xmlenc11#": "xenc-schema-11-mgf.xsd",
    "http://www.w3.org/2001/10/xml-exc-c14n#": "xml-exc-c14n.xsd",
}


# libxml2 makes its table of built-in types while it compiles the first schema, with no lock of its own: two threads
# that begin together crash the process. And a schema has one error log, whichever thread validates.
_one_at_a_time = RLock()


def schema(name: str) -> etree.XMLSchema:
    """A schema of the SAML 2.0 set, by file name, compiled from the installed package: no network is asked."""
    with _one_at_a_time:
        return _compiled(name)


@cache
def _compiled(name: str) -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True, resolve_entities=False)
    return etree.XMLSchema(etree.parse(_FOLDER / name, parser))


def protocol_schema() -> etree.XMLSchema:
    """The schema of protocol messages (Core 1.2, saml-schema-protocol-2.0) and of what newer specifications add."""
    with _one_at_a_time:
        return _compiled_protocol()


@cache
def _compiled_protocol() -> etree.XMLSchema:
    added = "".join(
        f'<import namespace="{namespace}" schemaLocation="{(_OURS / name).as_uri()}"/>'
        for namespace, name in _ADDED.items()
    )
    all_of_it = f"""<schema xmlns="http://www.w3.org/2001/XMLSchema">
      <import namespace="urn:oasis:names:tc:SAML:2.0:protocol" schemaLocation="saml-schema-protocol-2.0.xsd"/>{added}
    </schema>"""
    parser = etree.XMLParser(no_network=True, resolve_entities=False)
    return etree.XMLSchema(etree.fromstring(all_of_it, parser, base_url=(_FOLDER / "portico.xsd").as_uri()))


def metadata_schema() -> etree.XMLSchema:
    """The schema of metadata (Metadata 1.1, saml-schema-metadata-2.0)."""
    return schema("saml-schema-metadata-2.0.xsd")


def violation(root: etree._Element) -> str:
    """The first thing in which a message breaks the schema of protocol messages; empty when it is valid."""
    compiled = protocol_schema()
    with _one_at_a_time:
        return "" if compiled.validate(root) else compiled.error_log[0].message  # type: ignore[index]  # a list, which its stub does not say


def sign_bytes(data: bytes, signer: Signer) -> bytes:
    """A detached RSA-SHA256 signature, as the HTTP-Redirect binding wants it."""
    signature: bytes = OneLogin_Saml2_Utils.sign_binary(data, signer.private_key)
    return signature


def sign_element(xml: bytes, signer: Signer) -> bytes:
    """The message with an enveloped RSA-SHA256 signature behind its Issuer, our certificate in its KeyInfo."""
    signed: bytes = OneLogin_Saml2_Utils.add_sign(xml, signer.private_key, signer.certificate)
    return signed
