"""The single logout service: the door for logout messages of both bindings, and the way out of a session of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from accounts.origins import Origin
from saml_sp import keys, ledger, logout, outgoing, transport
from saml_sp.logout import Exchange
from saml_sp.models import IdentityProvider
from saml_sp.protocol import bindings
from saml_sp.protocol import logout as protocol
from saml_sp.protocol.errors import SamlError
from saml_sp.protocol.types import Binding
from saml_sp.protocol.urls import RELAY_STATE_MAX
from saml_sp.views import SeeOther

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from saml_sp.logout import Farewell
    from saml_sp.protocol.logout import SignedLogout

NOT_ASKED = "not-asked"


@csrf_exempt  # the messages come from the identity provider's site; what they carry is signed, matched and used once
def slo(request: HttpRequest, slug: str) -> HttpResponse:
    """A logout message of an identity provider: its request, or its answer to ours (Profiles 4.4.3).

    No cookie is needed: it comes by a cross-site POST or in a frame, and the sessions are found by what it names.
    """
    exchange = Exchange(trace_id=ledger.new_trace_id(), ip=Origin.of(request).ip, now=timezone.now())
    idp = None
    try:
        transport.check_logout_request(request)
        idp = IdentityProvider.objects.answering(slug)
        field, signed, relay_state = receive(request, idp, exchange)
        if field == protocol.REQUEST_FIELD:
            response = do_as_asked(request, idp, signed, relay_state, exchange)
        else:
            response = take_answer(idp, signed, exchange)
    except SamlError as refusal:
        logout.refuse(idp, slug, refusal, exchange)
        response = refused(request, idp, refusal, exchange)
    return frameable(response, idp) if idp else response


def receive(request: HttpRequest, idp: IdentityProvider, exchange: Exchange) -> tuple[str, SignedLogout, str]:
    """The field that the message came in, the message, verified, and the RelayState beside it."""
    if request.method == "GET":
        query = bindings.read_redirect(request.META.get("QUERY_STRING", ""))
        return query.field, protocol.open_redirect(query, idp.profile(), exchange.now), query.relay_state
    form = transport.read_logout_form(request)
    return form.field, protocol.open_post(form.field, form.value, idp.profile(), exchange.now), form.relay_state


def do_as_asked(
    request: HttpRequest, idp: IdentityProvider, signed: SignedLogout, relay_state: str, exchange: Exchange
) -> HttpResponse:
    """End the sessions that are named, and answer that they are over (Profiles 4.4.3.4)."""
    ours = keys.decryption_keys() if signed.encrypted else ()
    asked = protocol.accept_request(signed, idp.profile(), idp.sp_profile(), exchange.now, ours)
    logout.carry_out(idp, asked, exchange)
    endpoint = idp.slo_response_url or idp.slo_url
    if not endpoint:
        return SeeOther(reverse("signed_out"))
    xml = protocol.logout_response(
        response_id=logout.new_id(),
        now=exchange.now,
        destination=endpoint,
        sp=idp.sp_profile(),
        in_response_to=asked.id,
    )
    response = outgoing.send(
        request, endpoint=endpoint, binding=idp.slo_binding, field=protocol.RESPONSE_FIELD, xml=xml,
        signer=keys.signer(), recipient=idp.description, relay_state=echoed(relay_state),
    )  # fmt: skip
    return outgoing.allow_forms_to(response, endpoints(idp))


def echoed(relay_state: str) -> str:
    """The RelayState as it came, which the answer must carry (Bindings 3.4.3); one beyond all measure is left out."""
    return relay_state if len(relay_state.encode("utf-8", "surrogatepass")) <= RELAY_STATE_MAX else ""


def take_answer(idp: IdentityProvider, signed: SignedLogout, exchange: Exchange) -> HttpResponse:
    """The identity provider's answer to our request: on to the page that says what came of it."""
    answer = protocol.accept_response(signed, idp.profile(), idp.sp_profile(), exchange.now)
    logout.take_answer(idp, answer, exchange)
    return SeeOther(signed_out_url(answer.in_response_to))


def refused(request: HttpRequest, idp: IdentityProvider | None, refusal: SamlError, exchange: Exchange) -> HttpResponse:
    """The one page for every refused logout message: nothing of the message, and nobody was signed out by it."""
    context = {"code": refusal.code, "trace_id": exchange.trace_id, "contact": idp.contact if idp else ""}
    response = render(request, "saml_sp/logout_refused.html", context, status=refusal.http_status)
    if refusal.http_status == 405:  # noqa: PLR2004 - RFC 9110 15.5.6 wants the header with it
        response.headers["Allow"] = "GET, POST"
    return response


def depart(request: HttpRequest, farewell: Farewell | None) -> HttpResponse:
    """The answer to somebody whose session here has just ended: done, or on to the identity provider to end its own.

    A page that moves on by itself, also for HTTP-Redirect: a browser holds form-action of the page where the button was
    against every redirect that follows, and an identity provider may redirect to hosts that nobody has told us of.
    """
    if farewell is None:
        return HttpResponseRedirect(reverse("signed_out"))
    idp = farewell.idp
    if not farewell.request_id:
        return HttpResponseRedirect(f"{reverse('signed_out')}?{urlencode({'idp': NOT_ASKED})}")
    context = {"idp_name": idp.description, "endpoint": idp.slo_url, "stop_url": signed_out_url(farewell.request_id)}
    if idp.slo_binding == Binding.POST:
        context |= {"field": protocol.REQUEST_FIELD, "value": bindings.post_field(farewell.xml, farewell.signer)}
    else:
        context["url"] = bindings.redirect_url(
            idp.slo_url, protocol.REQUEST_FIELD, farewell.xml, relay_state="", signer=farewell.signer
        )
    return outgoing.allow_forms_to(render(request, "saml_sp/depart.html", context), endpoints(idp))


def signed_out_url(request_id: str) -> str:
    """The page that says what came of a logout request of ours."""
    return f"{reverse('signed_out')}?{urlencode({'logout': request_id})}"


def endpoints(idp: IdentityProvider) -> list[str]:
    """Every address that is registered for an identity provider."""
    return [url for url in (idp.sso_url, idp.slo_url, idp.slo_response_url, idp.portal_url) if url]


def frameable(response: HttpResponse, idp: IdentityProvider) -> HttpResponse:
    """Let the identity provider's registered origins show this in a frame: many send logout messages in one."""
    origins = sorted({f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, endpoints(idp))})
    # What django-csp's and Django's decorators set, which know no values that come with the request.
    response._csp_replace = {"frame-ancestors": origins}  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    response.xframe_options_exempt = True
    return response
