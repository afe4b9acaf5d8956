"""Single logout, the part that the database remembers: which sessions end, which requests are answered or used up.

What is refused is an audit event with its trace ID, as what is done is: sign-in attempts are about signing in.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from audit.kinds import Kind
from audit.log import record
from saml_sp import configuration, keys
from saml_sp.models import LogoutAttempt, SamlSession, SpentAssertion
from saml_sp.protocol import logout as protocol
from saml_sp.protocol.bindings import printable
from saml_sp.protocol.errors import LogoutReplayed, UnknownLogout
from saml_sp.protocol.types import NameId
from saml_sp.provisioning import subject_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from accounts.models import User
    from saml_sp.models import IdentityProvider
    from saml_sp.protocol.errors import SamlError
    from saml_sp.protocol.logout import LogoutRequest, LogoutResponse
    from saml_sp.protocol.types import Signer


_ID = re.compile(r"_[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One logout message on its way through here, as the audit log will know it."""

    trace_id: str
    ip: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Farewell:
    """What is left to do after a session ended here: ask the identity provider that began it, if it can be asked.

    `request_id` and `xml` are empty where it cannot: it has no SLO URL, or wants signatures that we cannot make.
    """

    idp: IdentityProvider
    request_id: str = ""
    xml: bytes = b""
    signer: Signer | None = field(default=None, repr=False)


def new_id() -> str:
    """An ID for a message of ours: an xs:ID of 160 random bits (Core 1.3.4)."""
    return f"_{secrets.token_hex(20)}"


def carry_out(idp: IdentityProvider, asked: LogoutRequest, exchange: Exchange) -> int:
    """End exactly the sessions that a verified request names, on every node; returns how many.

    One transaction. To name none that lives is no error: the sessions are over, which is what was asked for.
    Raises LogoutReplayed, on whatever node, for a request that was carried out before. Specification: Core 3.7.3.2.
    """
    with transaction.atomic():
        spend(idp, asked)
        named = SamlSession.objects.filter(idp=idp, name_id_key__in=name_id_keys(idp, asked.name_id))
        if asked.session_indexes:
            named = named.filter(session_index__in=asked.session_indexes)
        # Locked in one order: two requests that name the same sessions must not wait for one another.
        locked = list(named.select_related("user").select_for_update(of=("self",)).order_by("session_key"))
        ended = configuration.end_sessions(SamlSession.objects.filter(session_key__in=[row.pk for row in locked]))
        people = sorted({row.user for row in locked}, key=lambda user: user.email_key)
        _record(
            Kind.SSO_LOGOUT_CARRIED_OUT, idp, exchange, people=people,
            data={
                "request_id": asked.id, "name_id": asked.name_id.value, "sessions_ended": ended,
                "session_indexes": list(asked.session_indexes[:50]),
            },
        )  # fmt: skip
    return ended


def spend(idp: IdentityProvider, asked: LogoutRequest) -> None:
    """Use the request up, in the caller's transaction, beside the assertions that were. Raises LogoutReplayed."""
    # Hashed, for an ID may be as long as the column; the colon keeps it apart from every assertion's ID.
    digest = hashlib.sha256(asked.id.encode()).hexdigest()
    try:
        SpentAssertion.objects.create(idp=idp, assertion_id=f"logout:{digest}", expires_at=asked.spent_until)
    except IntegrityError:
        raise LogoutReplayed(expected="a logout request that was never carried out", received=asked.id) from None


def name_id_keys(idp: IdentityProvider, name_id: NameId) -> set[str]:
    """The digests under which sessions of this NameID are kept.

    An absent NameQualifier means the identity provider and an absent SPNameQualifier means us (Core 8.3.7): some send
    them in the assertion and leave them out here, or the other way round. Any other qualifier is another name.
    """
    return {
        subject_key(NameId(value=name_id.value, name_qualifier=name_qualifier, sp_name_qualifier=sp_name_qualifier))
        for name_qualifier in _spellings(name_id.name_qualifier, idp.entity_id)
        for sp_name_qualifier in _spellings(name_id.sp_name_qualifier, idp.sp_entity_id)
    }


def _spellings(qualifier: str, default: str) -> set[str]:
    return {"", default} if qualifier in {"", default} else {qualifier}


def follow(before: str, after: str) -> None:
    """A session got another key: what the identity provider may name is that one from now on."""
    SamlSession.objects.filter(session_key=before).update(session_key=after)


def begin(session_key: str | None, *, now: datetime, ip: str | None) -> Farewell | None:
    """Forget that this session came from an identity provider, and write down that it will be asked to end its own.

    None for a session that began here. In the transaction that ends the session; what is returned is then sent.
    """
    link = SamlSession.objects.select_related("idp", "user").filter(session_key=session_key).first()
    if link is None:
        return None
    link.delete()
    idp, signer = link.idp, keys.signer()
    if not (idp.enabled and idp.slo_url) or (idp.sign_requests and signer is None):
        return Farewell(idp)
    attempt = LogoutAttempt.objects.create(
        request_id=new_id(), idp=idp, user_label=link.user.email, at=now, expires_at=now + protocol.VALIDITY
    )
    record(
        Kind.SSO_LOGOUT_ASKED, now=now, actor=link.user, actor_id=link.user.pk, subject_type="idp", subject_id=idp.pk,
        subject=idp, ip=ip, data={"request_id": attempt.request_id},
    )  # fmt: skip
    xml = protocol.logout_request(
        request_id=attempt.request_id, now=now, destination=idp.slo_url, sp=idp.sp_profile(),
        name_id=NameId(link.name_id, link.name_id_format, link.name_qualifier, link.sp_name_qualifier),
        session_index=link.session_index,
    )  # fmt: skip
    return Farewell(idp, attempt.request_id, xml, signer)


def attempt_of(request_id: str) -> LogoutAttempt | None:
    """The request of ours with this ID, for the page that says what came of it; the ID is what opens that page."""
    if not _ID.fullmatch(request_id):
        return None
    return LogoutAttempt.objects.select_related("idp").filter(request_id=request_id).first()


def take_answer(idp: IdentityProvider, answer: LogoutResponse, exchange: Exchange) -> None:
    """Write down what came of a request of ours, once. Raises UnknownLogout for an answer to anything else."""
    outstanding = LogoutAttempt.objects.filter(
        request_id=answer.in_response_to, idp=idp, answered_at__isnull=True, expires_at__gt=exchange.now
    )
    with transaction.atomic():
        if not outstanding.update(answered_at=exchange.now, partial=not answer.complete):
            received = printable(answer.in_response_to)
            raise UnknownLogout(expected="the ID of an outstanding logout request of ours", received=received)
        status = [printable(code) for code in answer.status[:3]]
        _record(
            Kind.SSO_LOGOUT_ANSWERED, idp, exchange,
            data={"request_id": answer.in_response_to, "complete": answer.complete, "status": status},
        )  # fmt: skip


def refuse(idp: IdentityProvider | None, slug: str, refusal: SamlError, exchange: Exchange) -> None:
    """Write the refusal down with its full reason."""
    reason = (type(refusal).__doc__ or "").partition("\n")[0]
    data = {
        "slug": slug[:50], "code": refusal.code, "reason": reason, "expected": printable(refusal.expected),
        "received": printable(refusal.received), "cure": refusal.cure,
    }  # fmt: skip
    _record(Kind.SSO_LOGOUT_REFUSED, idp, exchange, data=data)


def _record(
    kind: Kind, idp: IdentityProvider | None, exchange: Exchange, *, data: dict[str, Any], people: Sequence[User] = ()
) -> None:
    """One event for each person whose sessions ended, else one about the identity provider."""
    about: list[tuple[str, object, object]] = [("user", user.pk, user) for user in people]
    if not about:
        about = [("idp", idp.pk, idp) if idp else ("", "", "")]
    for subject_type, subject_id, subject in about:
        record(
            kind, now=exchange.now, actor=idp or "", actor_id=idp.pk if idp else "", subject_type=subject_type,
            subject_id=subject_id, subject=subject, trace_id=exchange.trace_id, ip=exchange.ip, data=data,
        )  # fmt: skip
