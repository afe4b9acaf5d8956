"""The AuthnRequest, with which a sign-in begins here."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from lxml import etree

from saml_sp.protocol import names as n
from saml_sp.protocol.types import Binding, NameIdFormat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from saml_sp.protocol.types import SpProfile


def authn_request(  # noqa: PLR0913 - what a request may ask for, all keyword-only
    *,
    request_id: str,
    issue_instant: datetime,
    destination: str,
    sp: SpProfile,
    name_id_format: NameIdFormat | None = None,
    force_authn: bool = False,
    authn_contexts: Sequence[str] = (),
) -> bytes:
    """An unsigned AuthnRequest as UTF-8 XML, the answer to be posted to our ACS (Core 3.4.1, Profiles 4.1.4.1).

    `request_id` is an xs:ID, `issue_instant` is aware, `destination` the identity provider's SSO URL. What is not asked
    for is left out: identity providers answer an empty wish with their own defaults and refuse many others.
    """
    request = etree.Element(
        f"{{{n.SAMLP}}}AuthnRequest",
        {
            "ID": request_id,
            "Version": "2.0",
            "IssueInstant": f"{issue_instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "Destination": destination,
            "ProtocolBinding": Binding.POST.uri,
            "AssertionConsumerServiceURL": sp.acs_url,
        },
        nsmap={"samlp": n.SAMLP, "saml": n.SAML},
    )
    if force_authn:
        request.set("ForceAuthn", "true")
    etree.SubElement(request, n.ISSUER).text = sp.entity_id
    if name_id_format is not None:
        policy = etree.SubElement(request, f"{{{n.SAMLP}}}NameIDPolicy", {"Format": name_id_format.uri})
        # With a transient identifier, which is made anew each time, it must not be used (errata E14 to Core 3.4.1.1).
        if name_id_format is not NameIdFormat.TRANSIENT:
            policy.set("AllowCreate", "true")
    if authn_contexts:
        # Exact: the answer names one of these (Core 3.3.2.2.1). Nobody agrees on which context is better than which.
        requested = etree.SubElement(request, f"{{{n.SAMLP}}}RequestedAuthnContext", {"Comparison": "exact"})
        for uri in authn_contexts:
            etree.SubElement(requested, n.AUTHN_CONTEXT_CLASS_REF).text = uri
    return etree.tostring(request)
