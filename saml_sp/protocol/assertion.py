"""The verdict: ordered checks of verified claims, one function each.

Equality, never prefix or substring; what must be there and is not refuses.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from saml_sp.protocol import names as n
from saml_sp.protocol.errors import (
    AudienceMismatch,
    AuthnStatementMissing,
    BadTimestamp,
    DestinationMismatch,
    Expired,
    IdpInitiatedOff,
    InResponseToMismatch,
    IssuerMismatch,
    LifetimeTooLong,
    NoBearerConfirmation,
    NotReauthenticated,
    NotYetValid,
    RecipientMismatch,
    SubjectMissing,
    TimeMissing,
    UnknownRequest,
    ValueTooLong,
    VerdictRefused,
    WrongAuthnContext,
)
from saml_sp.protocol.gate import child
from saml_sp.protocol.types import Assertion, Attribute, NameId

if TYPE_CHECKING:
    from lxml import etree

    from saml_sp.protocol.types import Expectation, SignedAssertion

MAX_AGE: Final = timedelta(minutes=10)
MAX_LIFETIME: Final = timedelta(hours=24)
MAX_TEXT: Final = 1024

_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,40}))?(?:(Z)|([+-])(\d\d):([0-5]\d))", re.ASCII
)
_YEARS: Final = range(2000, 2200)


def accept(signed: SignedAssertion, expectation: Expectation, now: datetime) -> Assertion:
    """Hold a verified message against what is expected, and return what it says.

    `now` is aware. Raises a VerdictRefused. Specification: Profiles 4.1.4.2 and 4.1.4.3, Core 2.
    """
    response, assertion = signed.response, signed.assertion
    check_issuers(signed, expectation)
    check_destination(signed, expectation)
    check_in_response_to(response.get("InResponseTo"), expectation)
    expires = check_conditions(assertion, expectation, now)
    check_audience(assertion, expectation)
    check_issue_instants(signed, expectation, now)
    name_id = read_subject(assertion)
    expires = max(expires, check_confirmations(assertion, expectation, now))
    statements = check_authn_statements(assertion, expectation, now)
    check_force_authn(statements, expectation)
    check_authn_contexts(statements, expectation)
    return Assertion(
        id=_required(assertion, "ID"),
        issuer=expectation.idp.entity_id,
        name_id=name_id,
        attributes=read_attributes(assertion),
        authn_instant=_instant(statements[0], "AuthnInstant"),
        session_index=_bounded(statements[0].get("SessionIndex") or "", "SessionIndex"),
        session_not_on_or_after=_session_end(statements),
        authn_context=_authn_context(statements[0]) or "",
        expires=expires + expectation.idp.tolerance,
        in_response_to=expectation.request_id,
    )


def check_issuers(signed: SignedAssertion, expectation: Expectation) -> None:
    """Issuer equals the configured entity ID: in the assertion, and in the response where present (Core 2.2.5)."""
    issuer = child(signed.assertion, n.ISSUER)
    if issuer is None:
        raise IssuerMismatch(expected=expectation.idp.entity_id, received="no Issuer")
    for element in (issuer, child(signed.response, n.ISSUER)):
        if element is None:
            continue
        if (element.text or "") != expectation.idp.entity_id:
            raise IssuerMismatch(expected=expectation.idp.entity_id, received=_shown(element.text))
        if element.get("Format", n.NAMEID_ENTITY) != n.NAMEID_ENTITY:
            raise IssuerMismatch(expected="an Issuer of format entity", received=_shown(element.get("Format")))


def check_destination(signed: SignedAssertion, expectation: Expectation) -> None:
    """Destination equals our ACS URL; a signed response must have one (Bindings 3.5.5.2)."""
    destination = signed.response.get("Destination")
    if destination is None and not signed.response_signed:
        return
    if destination != expectation.sp.acs_url:
        raise DestinationMismatch(expected=expectation.sp.acs_url, received=_shown(destination))


def check_in_response_to(received: str | None, expectation: Expectation) -> None:
    """The response answers the outstanding request, or, unasked, none (Profiles 4.1.4.3, 4.1.5)."""
    if expectation.request_id is None:
        if received is not None:
            raise UnknownRequest(expected="no InResponseTo in an unsolicited response", received=_shown(received))
        if not expectation.idp.unsolicited:
            raise IdpInitiatedOff(expected="an answer to a request from here", received="an unsolicited response")
    elif received != expectation.request_id:
        raise InResponseToMismatch(expected=expectation.request_id, received=_shown(received))


def check_conditions(assertion: etree._Element, expectation: Expectation, now: datetime) -> datetime:
    """Conditions are there, and now is within their window (Core 2.5.1.2); returns their NotOnOrAfter."""
    conditions = child(assertion, n.CONDITIONS)
    if conditions is None:
        raise TimeMissing(expected="Conditions with NotOnOrAfter", received="no Conditions")
    not_before = _optional_instant(conditions, "NotBefore")
    not_on_or_after = _window_end(conditions, "Conditions")
    if not_before is not None:
        check_not_before(not_before, expectation, now)
        if not_before >= not_on_or_after:
            raise BadTimestamp(expected="NotBefore before NotOnOrAfter", received=f"{not_before:%FT%TZ} and later")
    check_not_on_or_after(not_on_or_after, expectation, now)
    if not_on_or_after - (not_before or _instant(assertion, "IssueInstant")) > MAX_LIFETIME:
        raise LifetimeTooLong(expected=f"at most {MAX_LIFETIME}", received=f"until {not_on_or_after:%FT%TZ}")
    return not_on_or_after


def check_not_before(instant: datetime, expectation: Expectation, now: datetime) -> None:
    """Not in the future by more than the tolerance; the refusal says by how much."""
    if now + expectation.idp.tolerance < instant:
        raise NotYetValid(
            expected=f"a time not after {now:%FT%TZ} by more than {expectation.idp.tolerance.total_seconds():.0f} s",
            received=f"{instant:%FT%TZ}: the identity provider's clock is at least "
            f"{(instant - now).total_seconds():.0f} s ahead of ours, or ours is behind",
            public=f"The assertion cannot be used before {instant:%Y-%m-%dT%H:%M:%SZ}; "
            f"our clock says {now:%Y-%m-%dT%H:%M:%SZ}.",
        )


def check_not_on_or_after(instant: datetime, expectation: Expectation, now: datetime) -> None:
    """Not over by more than the tolerance."""
    if now >= instant + expectation.idp.tolerance:
        raise Expired(
            expected=f"a time after {now:%FT%TZ}, with {expectation.idp.tolerance.total_seconds():.0f} s of tolerance",
            received=f"{instant:%FT%TZ}: over for {(now - instant).total_seconds():.0f} s",
            public=f"It was valid until {instant:%Y-%m-%dT%H:%M:%SZ}; our clock says {now:%Y-%m-%dT%H:%M:%SZ}.",
        )


def check_audience(assertion: etree._Element, expectation: Expectation) -> None:
    """At least one AudienceRestriction, and each names us, among others perhaps (Core 2.5.1.4)."""
    restrictions = [
        restriction
        for conditions in assertion.iterchildren(n.CONDITIONS)
        for restriction in conditions.iterchildren(n.AUDIENCE_RESTRICTION)
    ]
    if not restrictions:
        raise AudienceMismatch(expected=expectation.sp.entity_id, received="no AudienceRestriction")
    for restriction in restrictions:
        audiences = [audience.text or "" for audience in restriction.iterchildren(n.AUDIENCE)]
        if expectation.sp.entity_id not in audiences:
            raise AudienceMismatch(expected=expectation.sp.entity_id, received=_shown(", ".join(audiences)))


def check_issue_instants(signed: SignedAssertion, expectation: Expectation, now: datetime) -> None:
    """Issued a short while ago: the assertion, and the response around it."""
    for element in (signed.assertion, signed.response):
        issued = _instant(element, "IssueInstant")
        check_not_before(issued, expectation, now)
        if now - issued > MAX_AGE:
            raise Expired(
                expected=f"an IssueInstant at most {MAX_AGE.total_seconds() / 60:.0f} minutes old",
                received=f"{issued:%FT%TZ}",
            )


def read_subject(assertion: etree._Element) -> NameId:
    """The NameID of the subject, as it stands: not trimmed, not shortened (Core 2.2.3, 2.4.1)."""
    subject = child(assertion, n.SUBJECT)
    element = None if subject is None else child(subject, n.NAME_ID)
    if element is None:
        raise SubjectMissing(expected="a Subject with a NameID", received="none")
    return read_name_id(element)


def read_name_id(element: etree._Element) -> NameId:
    """A NameID and its qualifiers (Core 2.2.3). Raises SubjectMissing or ValueTooLong."""
    value = element.text or ""
    if not value:
        raise SubjectMissing(expected="a NameID", received="an empty one")
    if value != value.strip() or not value.isprintable():
        raise SubjectMissing(
            expected="a NameID without blanks around it or invisible characters", received=repr(value)[:200]
        )
    return NameId(
        value=_bounded(value, "NameID"),
        format=_bounded(element.get("Format") or "", "NameID Format"),
        name_qualifier=_bounded(element.get("NameQualifier") or "", "NameQualifier"),
        sp_name_qualifier=_bounded(element.get("SPNameQualifier") or "", "SPNameQualifier"),
    )


def check_confirmations(assertion: etree._Element, expectation: Expectation, now: datetime) -> datetime:
    """One bearer confirmation holds (Profiles 4.1.4.2); returns its NotOnOrAfter. Else the first refusal stands."""
    refusal: VerdictRefused | None = None
    for confirmation in assertion.iter(n.SUBJECT_CONFIRMATION):
        if confirmation.get("Method") != n.CM_BEARER:
            continue
        try:
            return check_bearer(confirmation, expectation, now)
        except VerdictRefused as error:
            refusal = refusal or error
    raise refusal or NoBearerConfirmation(expected="a bearer SubjectConfirmation", received="none")


def check_bearer(confirmation: etree._Element, expectation: Expectation, now: datetime) -> datetime:
    """Recipient, window and InResponseTo of one bearer confirmation; it must have no NotBefore."""
    data = child(confirmation, n.SUBJECT_CONFIRMATION_DATA)
    if data is None:
        raise NoBearerConfirmation(expected="SubjectConfirmationData", received="none")
    if data.get("Recipient") != expectation.sp.acs_url:
        raise RecipientMismatch(expected=expectation.sp.acs_url, received=_shown(data.get("Recipient")))
    if data.get("NotBefore") is not None:
        raise NoBearerConfirmation(
            expected="no NotBefore on a bearer confirmation", received=_shown(data.get("NotBefore"))
        )
    not_on_or_after = _window_end(data, "SubjectConfirmationData")
    check_not_on_or_after(not_on_or_after, expectation, now)
    if not_on_or_after - now > MAX_LIFETIME + expectation.idp.tolerance:
        raise LifetimeTooLong(expected=f"at most {MAX_LIFETIME}", received=f"until {not_on_or_after:%FT%TZ}")
    received = data.get("InResponseTo")
    if expectation.request_id is None and received is not None:
        raise UnknownRequest(expected="no InResponseTo in an unsolicited response", received=_shown(received))
    if received != expectation.request_id:
        raise InResponseToMismatch(expected=str(expectation.request_id), received=_shown(received))
    return not_on_or_after


def check_authn_statements(assertion: etree._Element, expectation: Expectation, now: datetime) -> list[etree._Element]:
    """Somebody authenticated, not in the future, in a session that is not over (Core 2.7.2)."""
    statements = list(assertion.iterchildren(n.AUTHN_STATEMENT))
    if not statements:
        raise AuthnStatementMissing(expected="an AuthnStatement", received="none")
    for statement in statements:
        check_not_before(_instant(statement, "AuthnInstant"), expectation, now)
        end = _optional_instant(statement, "SessionNotOnOrAfter")
        if end is not None:
            check_not_on_or_after(end, expectation, now)
            if end <= now:
                # Within the tolerance, but a session that is over by our own clock cannot be opened.
                raise Expired(expected=f"a session that ends after {now:%FT%TZ}", received=f"{end:%FT%TZ}")
    return statements


def check_force_authn(statements: list[etree._Element], expectation: Expectation) -> None:
    """After a ForceAuthn request nobody authenticated before it was made, within the tolerance (Core 3.4.1)."""
    since = expectation.force_authn_since
    if since is None:
        return
    # In whole seconds, as many identity providers write it and as the request did.
    earliest = since.replace(microsecond=0) - expectation.idp.tolerance
    for statement in statements:
        instant = _instant(statement, "AuthnInstant")
        if instant < earliest:
            raise NotReauthenticated(
                expected=f"an AuthnInstant not before {earliest:%FT%TZ}", received=f"{instant:%FT%TZ}"
            )


def check_authn_contexts(statements: list[etree._Element], expectation: Expectation) -> None:
    """Where contexts were asked for, each statement names exactly one of them (Core 3.3.2.2.1)."""
    asked = expectation.authn_contexts
    if not asked:
        return
    for statement in statements:
        context = _authn_context(statement)
        if context not in asked:
            raise WrongAuthnContext(expected=" or ".join(asked), received=_shown(context))


def _authn_context(statement: etree._Element) -> str | None:
    context = child(statement, n.AUTHN_CONTEXT)
    reference = None if context is None else child(context, n.AUTHN_CONTEXT_CLASS_REF)
    return None if reference is None else reference.text


def _session_end(statements: list[etree._Element]) -> datetime | None:
    ends = [_optional_instant(statement, "SessionNotOnOrAfter") for statement in statements]
    return min((end for end in ends if end is not None), default=None)


def read_attributes(assertion: etree._Element) -> tuple[Attribute, ...]:
    """The attributes in document order. A value that holds elements has no text of its own and becomes None."""
    return tuple(
        Attribute(
            name=attribute.get("Name") or "",
            friendly_name=attribute.get("FriendlyName") or "",
            values=tuple(
                None if len(value) else value.text or "" for value in attribute.iterchildren(n.ATTRIBUTE_VALUE)
            ),
        )
        for statement in assertion.iterchildren(n.ATTRIBUTE_STATEMENT)
        for attribute in statement.iterchildren(n.ATTRIBUTE)
    )


def parse_instant(text: str) -> datetime:
    """An xs:dateTime with a zone, as aware UTC: any number of fractional digits (cut to six), offsets computed.

    Raises BadTimestamp for anything else, a missing zone and absurd years included (Core 1.3.3).
    """
    match = _DATE_TIME.fullmatch(text)
    if not match:
        raise BadTimestamp(expected="YYYY-MM-DDThh:mm:ssZ", received=_shown(text))
    year, month, day, hour, minute, second, fraction, zulu, sign, offset_hours, offset_minutes = match.groups()
    try:
        zone: timezone = UTC
        if not zulu:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
            zone = timezone(-offset if sign == "-" else offset)
        microsecond = int(fraction[:6].ljust(6, "0")) if fraction else 0
        value = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond, tzinfo=zone
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadTimestamp(expected="a moment that exists", received=_shown(text)) from None
    if value.year not in _YEARS:
        raise BadTimestamp(expected="a year of this century", received=_shown(text))
    return value


def _instant(element: etree._Element, attribute: str) -> datetime:
    text = element.get(attribute)
    if text is None:
        raise TimeMissing(expected=attribute, received="none")
    return parse_instant(text)


def _optional_instant(element: etree._Element, attribute: str) -> datetime | None:
    text = element.get(attribute)
    return None if text is None else parse_instant(text)


def _window_end(element: etree._Element, where: str) -> datetime:
    if element.get("NotOnOrAfter") is None:
        raise TimeMissing(expected=f"NotOnOrAfter on {where}", received="none")
    return _instant(element, "NotOnOrAfter")


def _required(element: etree._Element, attribute: str) -> str:
    value = element.get(attribute)
    assert value  # noqa: S101 - the gate and the schema have seen it
    return value


def _bounded(value: str, what: str) -> str:
    if len(value) > MAX_TEXT:
        raise ValueTooLong(expected=f"{what} of at most {MAX_TEXT} characters", received=f"{len(value)}")
    return value


def _shown(value: str | None) -> str:
    """For the administrator's record: short, and printable."""
    if value is None:
        return "none"
    return "".join(character if character.isprintable() else "·" for character in value[:300]) or "an empty value"
