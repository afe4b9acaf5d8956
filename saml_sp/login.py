"""Where a sign-in begins on this site: the request to the identity provider (SP-initiated, Profiles 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.origins import Origin
from saml_sp import keys, ledger, outgoing, transport
from saml_sp.models import IdentityProvider
from saml_sp.protocol.authn_request import authn_request
from saml_sp.protocol.errors import NoSigningKey, SamlError, SpInitiatedOff
from saml_sp.protocol.types import NameIdFormat
from saml_sp.protocol.urls import local_path
from saml_sp.views import refused

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from saml_sp.models import SignInAttempt
    from saml_sp.protocol.types import Signer


@require_GET
def login(request: HttpRequest, slug: str) -> HttpResponse:
    """Send an AuthnRequest to this identity provider, and remember what was asked, by whom, and the page it is for."""
    now = timezone.now()
    attempt = ledger.begin_attempt(slug, Origin.of(request), now)
    target = local_path(request.GET.get("next", "")) or reverse("landing")
    try:
        idp = attempt.idp = IdentityProvider.objects.answering(slug)
        check_offered(idp)
        signer = signer_for(idp)
    except SamlError as refusal:
        ledger.refuse(attempt, refusal, None)
        return refused(request, attempt, refusal)
    browser = transport.browser_of(request) or transport.new_browser()
    ledger.ask(attempt, idp, browser=browser, target=target, from_elsewhere=came_from_elsewhere(request), now=now)
    response = outgoing.send(
        request, endpoint=idp.sso_url, binding=idp.sso_binding, field="SAMLRequest", xml=message(attempt, idp),
        signer=signer, recipient=idp.description,
    )  # fmt: skip
    transport.keep_browser(response, browser, ledger.ANSWER_WITHIN)
    return response


@require_GET
def login_by_default(request: HttpRequest) -> HttpResponse:
    """To the default identity provider; without one that can be asked, to the sign-in page."""
    target = local_path(request.GET.get("next", ""))
    query = f"?{urlencode({'next': target})}" if target else ""
    idp = IdentityProvider.objects.default()
    where = reverse("saml:login", args=[idp.slug]) if idp and idp.sp_initiated else reverse("sign_in")
    return HttpResponseRedirect(where + query)


def check_offered(idp: IdentityProvider) -> None:
    """People may begin here, not only at the portal. Raises SpInitiatedOff, which names the portal."""
    if not idp.sp_initiated:
        raise SpInitiatedOff(
            expected="sign-in from this site switched on",
            received="switched off",
            public=f"Open the page where {idp} lists your applications, and choose this site there.",
        )


def signer_for(idp: IdentityProvider) -> Signer | None:
    """The key to sign with, None where nothing is to be signed. Raises NoSigningKey: never unsigned instead."""
    if not idp.sign_requests:
        return None
    signer = keys.signer()
    if signer is None:
        raise NoSigningKey(expected="a current key pair of ours", received="none")
    return signer


def message(attempt: SignInAttempt, idp: IdentityProvider) -> bytes:
    """The AuthnRequest of an outstanding attempt."""
    assert attempt.request_id  # noqa: S101 - it is outstanding
    return authn_request(
        request_id=attempt.request_id,
        issue_instant=attempt.at,
        destination=idp.sso_url,
        sp=idp.sp_profile(),
        name_id_format=NameIdFormat(idp.name_id_format) if idp.name_id_format else None,
        force_authn=attempt.force_authn,
        authn_contexts=idp.requested_contexts(),
    )


def came_from_elsewhere(request: HttpRequest) -> bool:
    """Whether another site led the browser here, by what the browser says of itself (Fetch Metadata).

    Such a sign-in is answered like any other, but does not replace somebody else's session unasked (login CSRF).
    """
    return request.headers.get("Sec-Fetch-Site", "none") in {"cross-site", "same-site"}
