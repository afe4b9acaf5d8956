"""The doors of SAML: each view parses, calls and answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.db import IntegrityError, transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from accounts import sessions
from accounts.origins import Origin
from audit.kinds import Kind
from audit.log import record
from audit.statements import Given, Select, together
from saml_sp import keys, ledger, provisioning, rights, transport
from saml_sp.models import IdentityProvider, SamlSession
from saml_sp.protocol import gate, metadata, signature
from saml_sp.protocol.assertion import accept
from saml_sp.protocol.errors import ForeignDomain, Replayed, SamlError, TryAgain
from saml_sp.protocol.urls import local_path

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from accounts.models import User
    from saml_sp.models import SignInAttempt
    from saml_sp.protocol.types import Assertion
    from saml_sp.provisioning import Plan

HANDOVER_COOKIE = "portico_handover"
# Two first logins meet once; somebody who deletes roles meanwhile may be met more often.
_TRIES = 5
_VOUCHED_FOR = Select(
    lambda: SamlSession.objects.only("session_key").filter(session_key=Given("key"), idp__enabled=True)
)


class SeeOther(HttpResponseRedirect):
    """303: whatever the request was, the next one is a GET (RFC 9110 15.4.4)."""

    status_code = 303


@csrf_exempt  # the form comes from the identity provider's site; what it carries is signed, matched and used once
def acs(request: HttpRequest, slug: str) -> HttpResponse:
    """The assertion consumer service: the story of a login (Profiles 4.1.4.3; docs/architecture.md)."""
    now = timezone.now()
    origin = Origin.of(request)
    attempt = ledger.begin_attempt(slug, origin, now)
    assertion = None
    try:
        transport.check_method_and_size(request)
        idp = attempt.idp = IdentityProvider.objects.answering(slug)
        form = transport.read_form(request)
        message = gate.admit(form.saml_response)
        asked = ledger.find_attempt(attempt, idp, message.in_response_to, transport.browser_of(request), now)
        # Asked for only when they are needed: it is a statement more.
        expectation = asked.expectation(keys.decryption_keys() if message.encrypted else ())
        signed = signature.open_message(message, expectation, now)
        assertion = accept(signed, expectation, now)
        # A request of ours knows where it leads; what came along with its answer is not asked (and not signed).
        target = asked.target or local_path(form.relay_state) or reverse("landing")
        key = sign_in(idp, assertion, asked, origin=origin, target=target, now=now)
    except SamlError as refusal:
        ledger.refuse(attempt, refusal, assertion)
        return refused(request, attempt, refusal)
    response = SeeOther(reverse("saml:continue"))
    return hand_over(response, key, sessions.HANDOVER)


def sign_in(  # noqa: PLR0913 - one login, all its facts keyword-only
    idp: IdentityProvider, assertion: Assertion, attempt: SignInAttempt, *, origin: Origin, target: str, now: datetime
) -> str:
    """Spend, provision, open, record: one transaction, all or nothing. Returns the new session's key.

    Two first logins of one person at the same moment meet at a unique constraint; the later one plans again and finds
    the account that the earlier one made.
    """
    ends = [now + timedelta(hours=idp.session_hours), assertion.session_not_on_or_after]
    expires = min(end for end in ends if end is not None)
    for _ in range(_TRIES):
        try:
            with transaction.atomic():
                ledger.spend(idp, assertion)
                planned = provisioning.plan(idp, assertion, to_apply=True)
                user = provisioning.provision(planned, now)
                with together():
                    key = sessions.open_session(
                        user, now=now, expires=expires, label=idp.description, origin=origin, target=target,
                        solicited=attempt.solicited,
                    )  # fmt: skip
                    ledger.remember_session(key=key, idp=idp, user=user, assertion=assertion, expires=expires)
                    ledger.accept(attempt, user, assertion, planned)
                    record_sign_in(user, idp, attempt, planned, now=now)
        except IntegrityError:
            rights.reread_ceiling(idp)
            continue
        return key
    raise TryAgain(expected="a quiet moment", received="the same account made by several logins at once")


def record_sign_in(user: User, idp: IdentityProvider, attempt: SignInAttempt, planned: Plan, *, now: datetime) -> None:
    """The audit record of a login, and one of what it gave and took, where it did."""
    facts: dict[str, Any] = {
        "now": now, "actor": idp, "actor_id": idp.pk, "subject_type": "user", "subject_id": user.pk, "subject": user,
        "trace_id": attempt.trace_id, "ip": attempt.ip,
    }  # fmt: skip
    record(Kind.SSO_SIGN_IN, **facts)
    if planned.rights.change.granted or planned.rights.change.revoked:
        record(Kind.SSO_RIGHTS_CHANGED, **facts, data=planned.rights.report())


def refused(request: HttpRequest, attempt: SignInAttempt, refusal: SamlError) -> HttpResponse:
    """The one page for every refusal: nothing of the message but re-formatted values of a verified one."""
    idp = attempt.idp
    response = render(
        request,
        "saml_sp/refused.html",
        {
            "headline": refusal.headline,
            "hint": refusal.hint,
            "public": refusal.public,
            "code": refusal.code,
            "trace_id": attempt.trace_id,
            "idp_name": idp.description if idp else "",
            "contact": idp.contact if idp else "",
            "portal_url": idp.portal_url if idp else "",
            "way_on": isinstance(refusal, Replayed),
            "again_url": "" if isinstance(refusal, Replayed | ForeignDomain) else again_url(attempt),
            "elsewhere": isinstance(refusal, ForeignDomain),
            "signed_in_as": request.user.email if request.user.is_authenticated else "",
        },
        status=refusal.http_status,
    )
    if refusal.http_status == 405:  # noqa: PLR2004 - RFC 9110 15.5.6 wants the header with it
        response.headers["Allow"] = "POST"
    return response


def again_url(attempt: SignInAttempt) -> str:
    """Where somebody begins anew whose answer to a request from here was refused; empty where that cannot help."""
    idp = attempt.idp
    if idp is None or not idp.sp_initiated or "in_response_to" not in attempt.detail:
        return ""
    query = f"?{urlencode({'next': attempt.target})}" if attempt.target else ""
    return reverse("saml:login", args=[idp.slug]) + query


def hand_over(response: HttpResponse, key: str, lifetime: timedelta) -> HttpResponse:
    """Send the new session's key to the one page that adopts it."""
    response.set_cookie(
        HANDOVER_COOKIE,
        key,
        max_age=int(lifetime.total_seconds()),
        path=reverse("saml:continue"),
        secure=True,
        httponly=True,
        samesite="Lax",
    )
    return response


@require_http_methods(["GET", "POST"])
def continue_(request: HttpRequest) -> HttpResponse:
    """Take the new session up, in the first request that shows the browser's own cookie.

    An unsolicited login over somebody else's session asks first: otherwise a page could sign a person in as somebody
    else without their noticing (login CSRF).
    """
    now = timezone.now()
    waiting = sessions.waiting_session(request.COOKIES.get(HANDOVER_COOKIE, ""), now)
    # An identity provider that was disabled while the login was on its way vouches for nobody any more.
    if waiting is None or not _VOUCHED_FOR.first(key=waiting.key):
        return lost(request)
    current = request.user
    if current.is_authenticated and current.pk != waiting.user.pk and not waiting.solicited:
        answer = request.POST.get("answer")
        if answer == "stay":
            sessions.discard(waiting.key)
            record(Kind.SSO_SESSION_DECLINED, now=now, actor=current, actor_id=current.pk, subject=waiting.user)
            return without_handover(SeeOther(reverse("landing")))
        if answer != "continue":
            sessions.keep_waiting(waiting.key, now)
            context = {"current_email": current.email, "new_email": waiting.user.email, "new_label": waiting.label}
            page = render(request, "saml_sp/question.html", context)
            return hand_over(page, waiting.key, sessions.HANDOVER_WHILE_ASKING)
    if not sessions.adopt(request, waiting, now):
        return lost(request)
    response = without_handover(SeeOther(waiting.target))
    sessions.set_cookie(response, waiting, now)
    return response


def without_handover(response: HttpResponse) -> HttpResponse:
    """The hand-over is done."""
    response.delete_cookie(HANDOVER_COOKIE, path=reverse("saml:continue"), samesite="Lax")
    return response


def lost(request: HttpRequest) -> HttpResponse:
    """Nothing waits: it came too late, or twice. Whoever is signed in goes on; others are told how to start again."""
    if request.user.is_authenticated:
        return without_handover(SeeOther(reverse("landing")))
    return without_handover(render(request, "saml_sp/lost.html", {"signed_in_as": ""}, status=403))


@require_GET
def sp_metadata(request: HttpRequest, slug: str) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Our metadata towards this identity provider; a draft has it already, for it is needed to complete the draft."""
    idp = get_object_or_404(IdentityProvider, slug=slug)
    description = idp.sp_description(*keys.published_certificates())
    xml = metadata.sp_metadata(description, timezone.now(), keys.signer() if idp.sign_metadata else None)
    return HttpResponse(xml, content_type="application/samlmetadata+xml")
