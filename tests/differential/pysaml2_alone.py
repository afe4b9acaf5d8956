"""pysaml2 by itself, with the xmlsec1 program, as its own process: reads messages, writes its verdicts.

One line of JSON each way; the first one is the configuration.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.client import Saml2Client
from saml2.config import SPConfig

_METADATA = """<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{entity_id}">
<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{keys}
<SingleSignOnService Binding="{binding}" Location="https://idp.example/sso"/></IDPSSODescriptor></EntityDescriptor>"""
_KEY = """<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>{}
</X509Certificate></X509Data></KeyInfo></KeyDescriptor>"""


def client(facts: dict[str, Any], folder: Path) -> Saml2Client:
    """With the Response's signature or the Assertion's required, a tolerance like ours, and our key to decrypt with."""
    (folder / "key.pem").write_text(facts["private_key"])
    pem = f"-----BEGIN CERTIFICATE-----\n{facts['our_certificate']}\n-----END CERTIFICATE-----\n"
    (folder / "certificate.pem").write_text(pem)
    keys = "".join(_KEY.format(certificate) for certificate in facts["certificates"])
    pair = {"key_file": str(folder / "key.pem"), "cert_file": str(folder / "certificate.pem")}
    config = SPConfig().load({
        "entityid": facts["sp_entity_id"],
        "xmlsec_binary": shutil.which("xmlsec1"),
        "service": {
            "sp": {
                "endpoints": {"assertion_consumer_service": [(facts["acs_url"], BINDING_HTTP_POST)]},
                "allow_unsolicited": True,
                "allow_unknown_attributes": True,
                "want_response_signed": False,
                "want_assertions_signed": False,
                "want_assertions_or_response_signed": True,
            }
        },
        "metadata": {
            "inline": [_METADATA.format(entity_id=facts["entity_id"], keys=keys, binding=BINDING_HTTP_REDIRECT)]
        },
        **pair,
        "encryption_keypairs": [pair],
        "accepted_time_diff": 120,
        "delete_tmpfiles": True,
    })  # fmt: skip
    return Saml2Client(config=config)


def verdict(service_provider: Saml2Client, message: str, request_id: str | None) -> dict[str, Any]:
    """`identity` when it accepts, else `refused` with its reason; `raised` for what is no exception of its own."""
    outstanding = {request_id: "/"} if request_id else None
    try:
        response = service_provider.parse_authn_request_response(message, BINDING_HTTP_POST, outstanding)
        name_id = response.get_subject()
        identity = [name_id.text if name_id is not None else "", response.ava]
    except Exception as error:  # noqa: BLE001 - whatever it raises is its verdict
        kind = type(error)
        key = "refused" if kind.__module__.startswith("saml2") else "raised"
        return {key: f"{kind.__name__} {error}"[:300]}
    return {"identity": identity}


def main() -> None:
    """Until standard input ends."""
    logging.disable(logging.CRITICAL)
    facts = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory() as folder:
        service_provider = client(facts, Path(folder))
        for line in sys.stdin:
            asked = json.loads(line)
            sys.stdout.write(json.dumps(verdict(service_provider, asked["message"], asked["request_id"])) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
