"""Things usable once, and the record of every attempt.

An assertion is spent by inserting it under a unique constraint, in the transaction that opens the session: of two
requests with the same one, on whatever node, exactly one commits.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import IntegrityError, transaction

from audit.statements import insert
from saml_sp import rights
from saml_sp.models import Outcome, SamlSession, SignInAttempt, SpentAssertion
from saml_sp.protocol.errors import Replayed, UnknownRequest
from saml_sp.provisioning import subject_key

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.models import User
    from accounts.origins import Origin
    from saml_sp.models import IdentityProvider
    from saml_sp.protocol.errors import SamlError
    from saml_sp.protocol.types import Assertion
    from saml_sp.provisioning import Plan

ANSWER_WITHIN: Final = timedelta(minutes=15)
# Long enough after that for the record to say why a late answer was refused.
FORGOTTEN_AFTER: Final = timedelta(hours=1)
# Tabs of one browser that wait for their identity providers at the same time.
MOST_OUTSTANDING: Final = 20
_SWEPT_AT_ONCE: Final = 5
# What the record of an attempt keeps of an assertion.
MOST_ATTRIBUTES: Final = 100
MOST_VALUES: Final = 50
LONGEST_VALUE: Final = 200

# Crockford's base 32: no letter that is taken for another when somebody reads it out on the telephone.
_TRACE_ALPHABET = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TO_LETTER = bytes(_TRACE_ALPHABET[byte % 32] for byte in range(256))


def new_trace_id() -> str:
    """Ten random characters in two groups (50 bits), to be quoted by people."""
    letters = secrets.token_bytes(10).translate(_TO_LETTER).decode()
    return f"{letters[:5]}-{letters[5:]}"


def begin_attempt(slug: str, origin: Origin, now: datetime) -> SignInAttempt:
    """An unsaved attempt with a trace ID, before anything is known of it."""
    return SignInAttempt(
        trace_id=new_trace_id(), slug=slug[:50], at=now, outcome=Outcome.REFUSED,
        ip=origin.ip, user_agent=origin.user_agent,
    )  # fmt: skip


def ask(  # noqa: PLR0913 - the facts of a request, all keyword-only
    attempt: SignInAttempt, idp: IdentityProvider, *, browser: str, target: str, from_elsewhere: bool, now: datetime
) -> SignInAttempt:
    """Make the attempt an outstanding request to this identity provider, with an ID that answers must name; save it.

    `browser` is the secret in the one browser that may bring the answer, `target` a path on this site to go to then;
    `from_elsewhere` says that a link on another site began it. Anybody may ask without signing in, so the rows are
    bounded: a browser's oldest ones give way, and each request sweeps a few that are over. No address is held back,
    for behind one there may be a whole company.
    """
    attempt.idp = idp
    attempt.outcome = Outcome.OUTSTANDING
    attempt.request_id = f"_{secrets.token_hex(20)}"
    attempt.browser_digest = _browser_digest(browser)
    attempt.target = target
    attempt.force_authn = idp.force_authn
    attempt.authn_contexts = "\n".join(idp.requested_contexts())
    attempt.expires_at = now + ANSWER_WITHIN
    attempt.detail = {"from_elsewhere": True} if from_elsewhere else {}
    outstanding = SignInAttempt.objects.filter(outcome=Outcome.OUTSTANDING)
    over = outstanding.filter(expires_at__lt=now - FORGOTTEN_AFTER).order_by("expires_at")
    surplus = outstanding.filter(browser_digest=attempt.browser_digest).order_by("-at")
    with transaction.atomic():
        # Two requests that sweep at once must not wait for one another.
        for doomed in (over[:_SWEPT_AT_ONCE], surplus[MOST_OUTSTANDING - 1 :]):
            SignInAttempt.objects.filter(pk__in=doomed.select_for_update(skip_locked=True).values("pk")).delete()
        attempt.save(force_insert=True)
    return attempt


def find_attempt(
    attempt: SignInAttempt, idp: IdentityProvider, in_response_to: str | None, browser: str, now: datetime
) -> SignInAttempt:
    """The attempt that the message answers: the outstanding one, or `attempt` itself when nothing was asked.

    `browser` is the secret that came with the message, empty for none. The attempt that was asked for stays outstanding
    whatever becomes of this message: only a good answer uses it up, so nobody can spoil somebody else's sign-in with a
    bad one. `attempt` is the record of this message if it is refused. Raises UnknownRequest, or Replayed if that
    attempt was answered already. Specification: Profiles 4.1.4.3, 4.1.5.
    """
    attempt.idp = idp
    if in_response_to is None:
        return attempt
    attempt.detail = {"in_response_to": in_response_to[:256]}
    asked = SignInAttempt.objects.filter(request_id=in_response_to[:256]).first()
    expected = f"an answer to an outstanding request to {idp.slug} of this browser"
    if asked is None:
        raise UnknownRequest(expected=expected, received=f"{in_response_to[:256]}, which is no request of ours")
    if asked.idp_id != idp.pk:
        raise UnknownRequest(expected=expected, received=f"{asked.request_id}, which was sent to {asked.slug}")
    attempt.target = asked.target
    if asked.outcome != Outcome.OUTSTANDING:
        raise Replayed(expected="the first answer to a request", received=f"another one to {asked.request_id}")
    if not hmac.compare_digest(asked.browser_digest, _browser_digest(browser)):
        came = "with the cookie of another browser" if browser else "without the cookie of the browser that asked"
        raise UnknownRequest(expected=expected, received=f"{asked.request_id}, {came}")
    if asked.expires_at is None or asked.expires_at <= now:
        over = f"which expired at {asked.expires_at:%FT%TZ}"
        raise UnknownRequest(expected=expected, received=f"{asked.request_id}, {over}")
    asked.idp = idp
    return asked


def _browser_digest(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()


def spend(idp: IdentityProvider, assertion: Assertion) -> None:
    """Use the assertion up, in the caller's transaction. Raises Replayed if it was used before (Profiles 4.1.4.5)."""
    try:
        insert(SpentAssertion(idp=idp, assertion_id=assertion.id, expires_at=assertion.expires))
    except IntegrityError:
        raise Replayed(expected="an assertion that was never used", received=assertion.id) from None


def accept(attempt: SignInAttempt, user: User, assertion: Assertion, planned: Plan) -> None:
    """Write the attempt down as good, in the caller's transaction, with what it gave and what one should know.

    Of two answers to one request, on whatever nodes, one UPDATE wins; the other raises Replayed.
    """
    facts = {"outcome": Outcome.ACCEPTED, "user": user, "email": user.email, **_said(assertion)}
    if notes := (*planned.notes, *planned.rights.notes):
        facts["detail"] = {**facts["detail"], "notes": list(notes)}
    facts["detail"] = {
        **facts["detail"],
        "read": rights.told({**planned.profile.readings, **planned.rights.readings}),
        **({"rights": report} if (report := planned.rights.report()) else {}),
    }
    if attempt.request_id is None:
        for name, value in facts.items():
            setattr(attempt, name, value)
        insert(attempt)
    elif not SignInAttempt.objects.filter(pk=attempt.pk, outcome=Outcome.OUTSTANDING).update(**facts):
        raise Replayed(expected="the first answer to a request", received=f"another one to {attempt.request_id}")


def refuse(attempt: SignInAttempt, refusal: SamlError, assertion: Assertion | None) -> None:
    """Write the attempt down as refused, with the full reason; what a verified assertion said stands beside it."""
    attempt.outcome = Outcome.REFUSED
    attempt.user = None
    attempt.code = refusal.code
    attempt.reason = (type(refusal).__doc__ or "").partition("\n")[0][:300]
    attempt.expected = refusal.expected
    # What came may hold a NUL (in a header, say), and PostgreSQL takes none in a text.
    attempt.received = refusal.received.replace("\x00", "·")
    attempt.cure = refusal.cure
    if assertion is not None:
        said = _said(assertion)
        attempt.detail = attempt.detail | said.pop("detail")
        for name, value in said.items():
            setattr(attempt, name, value)
    attempt.save(force_insert=True)


def _said(assertion: Assertion) -> dict[str, Any]:
    """What a verified assertion said, by the columns that keep it."""
    return {
        "name_id": assertion.name_id.value,
        "assertion_id": assertion.id,
        "issuer": assertion.issuer,
        "detail": {
            "name_id_format": assertion.name_id.format,
            "authn_instant": assertion.authn_instant.isoformat(),
            "authn_context": assertion.authn_context[:300],
            "session_index": assertion.session_index,
            **_attributes(assertion),
        },
    }


def _attributes(assertion: Assertion) -> dict[str, Any]:
    """The values by the attribute's name, those of a repeated one together; and the friendly names that came."""
    values: dict[str, list[str | None]] = {}
    friendly: dict[str, str] = {}
    for attribute in assertion.attributes[:MOST_ATTRIBUTES]:
        held = values.setdefault(attribute.name[:LONGEST_VALUE], [])
        room = MOST_VALUES - len(held)
        held += [None if value is None else value[:LONGEST_VALUE] for value in attribute.values[:room]]
        if attribute.friendly_name:
            friendly[attribute.name[:LONGEST_VALUE]] = attribute.friendly_name[:LONGEST_VALUE]
    return {"attributes": values} | ({"friendly_names": friendly} if friendly else {})


def remember_session(*, key: str, idp: IdentityProvider, user: User, assertion: Assertion, expires: datetime) -> None:
    """Keep which browser session this assertion began, for the LogoutRequest that may name it (Profiles 4.4)."""
    name_id = assertion.name_id
    begun = SamlSession(
        session_key=key,
        idp=idp,
        user=user,
        name_id=name_id.value,
        name_id_format=name_id.format,
        name_qualifier=name_id.name_qualifier,
        sp_name_qualifier=name_id.sp_name_qualifier,
        name_id_key=subject_key(name_id),
        session_index=assertion.session_index,
        expires_at=expires,
    )
    insert(begun)
