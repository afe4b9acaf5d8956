"""What no SAML service provider can do without: base64, one parse, each signature verified once with a kept key."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import xmlsec
from lxml import etree

if TYPE_CHECKING:
    from lxml.etree import _Element

SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"


def floor(form_value: str, key: xmlsec.Key) -> _Element:
    """The assertion of a response, given as base64, after every signature in it verified; raises xmlsec.Error else.

    It is no service provider: any signed message passes, whatever it says.
    """
    root = etree.fromstring(base64.b64decode(form_value))
    xmlsec.tree.add_ids(root, ["ID"])
    for signature in root.iter(_SIGNATURE):
        context = xmlsec.SignatureContext()
        context.key = key
        context.verify(signature)
    assertion = root.find(f"{SAML}Assertion")
    assert assertion is not None
    return assertion
