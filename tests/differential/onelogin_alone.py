"""python3-saml by itself, as its own process: reads messages from standard input, writes its verdicts.

Nothing of ours that handles XML is imported here, so that it runs as it would in somebody else's service provider, with
its own readers of files and networks. One line of JSON each way; the first one is the configuration.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings

POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"


def settings(facts: dict[str, Any]) -> OneLogin_Saml2_Settings:
    """Strict, with what it can check switched on, but for what we do not ask for either.

    The Response's signature or the Assertion's is enough; an AttributeStatement may be absent, and a Name repeated.
    """
    return OneLogin_Saml2_Settings({
        "strict": True,
        "sp": {
            "entityId": facts["sp_entity_id"],
            "assertionConsumerService": {"url": facts["acs_url"], "binding": POST},
            "privateKey": facts["private_key"],
            "x509cert": facts["our_certificate"],
        },
        "idp": {
            "entityId": facts["entity_id"],
            "singleSignOnService": {"url": "https://idp.example/sso", "binding": REDIRECT},
            "x509certMulti": {"signing": facts["certificates"]},
        },
        "security": {
            "wantNameId": True,
            "wantAssertionsSigned": False,
            "wantMessagesSigned": False,
            "wantAttributeStatement": False,
            "allowRepeatAttributeName": True,
            "rejectDeprecatedAlgorithm": True,
            "requestedAuthnContext": False,
        },
    })  # fmt: skip


def verdict(
    configured: OneLogin_Saml2_Settings, request: dict[str, str], message: str, request_id: str | None
) -> dict[str, Any]:
    """`identity` when it accepts, else `refused` with its reason; `raised` for what is no reason of its own."""
    try:
        response = OneLogin_Saml2_Response(configured, message)
        response.is_valid(request, request_id, raise_exceptions=True)
        return {"identity": [response.get_nameid(), response.get_attributes()]}
    except Exception as error:  # noqa: BLE001 - whatever it raises is its verdict
        kind = type(error).__name__
        its_own = kind in {"OneLogin_Saml2_ValidationError", "OneLogin_Saml2_Error"}
        return {"refused" if its_own else "raised": f"{getattr(error, 'code', kind)} {error}"[:300]}


def main() -> None:
    """Until standard input ends."""
    facts = json.loads(sys.stdin.readline())
    configured = settings(facts)
    scheme, _, rest = facts["acs_url"].partition("://")
    host, _, path = rest.partition("/")
    request = {"https": "on" if scheme == "https" else "off", "http_host": host, "script_name": f"/{path}"}
    for line in sys.stdin:
        asked = json.loads(line)
        message = asked["message"]
        base64.b64decode(message)  # ours to have made it
        sys.stdout.write(json.dumps(verdict(configured, request, message, asked["request_id"])) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
