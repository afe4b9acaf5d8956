"""Sending a message of ours through the browser to an identity provider: the HTTP side of the two bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.http import HttpResponse
from django.shortcuts import render

from saml_sp.protocol import bindings
from saml_sp.protocol.types import Binding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest

    from saml_sp.protocol.types import Signer


class Away(HttpResponse):
    """A redirect to an identity provider.

    Django's own stops at 2048 characters, which a signed message in a query string exceeds; the address is not from the
    request but from the configuration, where it was checked.
    """

    status_code = 303

    def __init__(self, url: str) -> None:
        super().__init__(headers={"Location": url})


def send(  # noqa: PLR0913 - a message and where it goes, all keyword-only
    request: HttpRequest,
    *,
    endpoint: str,
    binding: str,
    field: str,
    xml: bytes,
    signer: Signer | None,
    recipient: str,
    relay_state: str = "",
) -> HttpResponse:
    """Send the message to `endpoint`: a redirect, or a page with a form that sends itself (Bindings 3.4, 3.5).

    `field` is SAMLRequest or SAMLResponse, `recipient` the identity provider's name for people. The page works without
    a script too, by its button.
    """
    if binding == Binding.REDIRECT:
        return Away(bindings.redirect_url(endpoint, field, xml, relay_state, signer))
    context = {
        "endpoint": endpoint,
        "field": field,
        "value": bindings.post_field(xml, signer),
        "relay_state": relay_state,
        "recipient": recipient,
    }
    return allow_forms_to(render(request, "saml_sp/send.html", context), [endpoint])


def allow_forms_to(response: HttpResponse, endpoints: Iterable[str]) -> HttpResponse:
    """Let the forms of this one page lead to the origins of these endpoints, directly or by a redirect.

    The site's policy is form-action 'self', which browsers hold against redirects as well.
    """
    origins = sorted({f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, endpoints) if parts.netloc})
    # What django-csp's decorator sets, which knows no values that come with the request.
    response._csp_update = {"form-action": origins}  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    return response
