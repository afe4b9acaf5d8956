"""The verdict: each check at its edges, by a clock that stands still."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.issuer import AttributeSpec, Signed
from saml_sp.protocol import names as n
from saml_sp.protocol.assertion import (
    MAX_AGE,
    MAX_LIFETIME,
    MAX_TEXT,
    check_issue_instants,
    check_issuers,
    parse_instant,
)
from saml_sp.protocol.errors import (
    BadTimestamp,
    Expired,
    IdpInitiatedOff,
    InResponseToMismatch,
    IssuerMismatch,
    LifetimeTooLong,
    NotReauthenticated,
    NotYetValid,
    RecipientMismatch,
    SamlError,
    SubjectMissing,
    TimeMissing,
    UnknownRequest,
    ValueTooLong,
    WrongAuthnContext,
)
from saml_sp.protocol.types import SignedAssertion
from tests.idp import ANA, find
from tests.protocol.expecting import FORGE, NOW, PARTY, expectation, judged
from tests.spoilers import AUTHN, CONDITIONS, CONFIRMATION, DATA, SHELVES, A, Spoiled, attribute, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml import etree

LATER = {"transient_subject", "email_missing", "email_invalid", "ambiguous_email"}
BY_THE_VERDICT = [
    spoiled for shelf in ("reading", "meant", "time") for spoiled in SHELVES[shelf]
    if spoiled.code not in LATER and spoiled.name != "an_empty_answer"
]  # fmt: skip
SECOND = timedelta(seconds=1)
TOLERANCE = timedelta(seconds=120)
INSTANT = "%Y-%m-%dT%H:%M:%SZ"


@pytest.mark.parametrize("spoiled", BY_THE_VERDICT, ids=lambda spoiled: spoiled.name)
def test_it_refuses(spoiled: Spoiled) -> None:
    with pytest.raises(SamlError) as caught:
        judged(spoiled.make(FORGE))
    assert caught.value.code == spoiled.code
    assert caught.value.expected
    assert spoiled.received in caught.value.received


def test_it_returns_what_the_assertion_says() -> None:
    ends = NOW + timedelta(hours=2)
    said = judged(
        FORGE.xml(
            assertion_id="a-1",
            session_index="s-1",
            session_not_on_or_after=ends,
            name_qualifier="q",
            sp_name_qualifier="s",
            name_id_format=n.NAMEID_EMAIL,
            attributes=(AttributeSpec("g", ["a", None], friendly_name="f"), AttributeSpec("g", ["b"])),
        )
    )
    assert (said.id, said.issuer, said.session_index, said.session_not_on_or_after) == (
        "a-1",
        PARTY.entity_id,
        "s-1",
        ends,
    )
    name_id = said.name_id
    assert (name_id.value, name_id.format, name_id.name_qualifier, name_id.sp_name_qualifier) == (
        ANA,
        n.NAMEID_EMAIL,
        "q",
        "s",
    )
    assert said.values("g") == ["a", "", "b"]
    assert said.values("f") == said.values("G") == []
    assert said.attributes[0].friendly_name == "f"
    assert said.authn_instant == NOW - timedelta(seconds=5)
    assert said.authn_context.endswith(":PasswordProtectedTransport")
    assert said.expires == NOW + timedelta(minutes=5) + TOLERANCE
    assert said.in_response_to is None


def test_a_value_that_holds_elements_has_no_text() -> None:
    xml = FORGE.xml(
        put(
            A,
            '<saml:AttributeStatement><saml:Attribute Name="x"><saml:AttributeValue>a<b/>c</saml:AttributeValue>'
            "</saml:Attribute></saml:AttributeStatement>",
        )
    )
    assert judged(xml).values("x") == [None]


def test_absent_things_are_empty() -> None:
    said = judged(FORGE.xml(session_index=None, attributes=(), name_id_format=None))
    assert (said.session_index, said.attributes, said.name_id.format, said.session_not_on_or_after) == (
        "",
        (),
        "",
        None,
    )


# --- Time: the last moment that is accepted, and the first that is not ------------------------------------------------

EDGES: dict[str, tuple[dict[str, Callable[[datetime], datetime]], timedelta, type[SamlError]]] = {
    # What is set relative to now, so that it is just accepted; the step that makes it just refused; and as what.
    "not_before": ({"not_before": lambda now: now + TOLERANCE}, SECOND, NotYetValid),
    "not_on_or_after": (
        {"not_on_or_after": lambda now: now - TOLERANCE + SECOND, "not_before": lambda now: now - timedelta(minutes=4)},
        -SECOND, Expired,
    ),
    "confirmation_not_on_or_after": (
        {"confirmation_not_on_or_after": lambda now: now - TOLERANCE + SECOND}, -SECOND, Expired,
    ),
    "issue_instant": ({"issue_instant": lambda now: now + TOLERANCE}, SECOND, NotYetValid),
    "issue_instant_past": (
        {"issue_instant": lambda now: now - MAX_AGE, "not_before": lambda now: now - MAX_AGE}, -SECOND, Expired,
    ),
    "authn_instant": ({"authn_instant": lambda now: now + TOLERANCE}, SECOND, NotYetValid),
    "session_not_on_or_after": ({"session_not_on_or_after": lambda now: now + SECOND}, -SECOND, Expired),
    "lifetime": (
        {"not_on_or_after": lambda now: now + MAX_LIFETIME, "not_before": lambda now: now}, SECOND, LifetimeTooLong,
    ),
    "confirmation_lifetime": (
        {"confirmation_not_on_or_after": lambda now: now + MAX_LIFETIME + TOLERANCE}, SECOND, LifetimeTooLong,
    ),
}  # fmt: skip


@pytest.mark.parametrize("edge", EDGES)
def test_the_edge_is_where_it_should_be(edge: str) -> None:
    changes, step, refusal = EDGES[edge]
    values: dict[str, Any] = {name: value(NOW) for name, value in changes.items()}
    judged(FORGE.xml(**values))
    first = next(iter(values))
    with pytest.raises(refusal):
        judged(FORGE.xml(**(values | {first: values[first] + step})))


@pytest.mark.parametrize("seconds", [0, 30, 180])
def test_the_tolerance_is_the_idps(seconds: int) -> None:
    tolerance = timedelta(seconds=seconds)
    expected = expectation(tolerance=tolerance)
    judged(FORGE.xml(not_before=NOW + tolerance), expected)
    with pytest.raises(NotYetValid) as caught:
        judged(FORGE.xml(not_before=NOW + tolerance + SECOND), expected)
    assert f"at least {seconds + 1} s ahead" in caught.value.received
    early = (NOW + tolerance + SECOND).strftime(INSTANT)
    assert caught.value.public == (
        f"The assertion cannot be used before {early}; our clock says {NOW.strftime(INSTANT)}."
    )


def test_the_assertion_is_remembered_until_nothing_could_accept_it() -> None:
    early, late = NOW + timedelta(minutes=1), NOW + timedelta(minutes=9)
    for conditions, confirmation in ((early, late), (late, early)):
        said = judged(FORGE.xml(not_on_or_after=conditions, confirmation_not_on_or_after=confirmation))
        assert said.expires == late + TOLERANCE


def test_the_earliest_end_of_a_session_counts() -> None:
    def two(tree: etree._Element) -> None:
        other = copy.deepcopy(find(tree, AUTHN))
        other.set("SessionNotOnOrAfter", (NOW + timedelta(hours=1)).strftime(INSTANT))
        find(tree, AUTHN).addnext(other)

    assert judged(
        FORGE.xml(two, session_not_on_or_after=NOW + timedelta(hours=3))
    ).session_not_on_or_after == NOW + timedelta(hours=1)


def test_every_statement_of_an_authentication_must_hold() -> None:
    def two(tree: etree._Element) -> None:
        other = copy.deepcopy(find(tree, AUTHN))
        other.set("AuthnInstant", (NOW + timedelta(hours=1)).strftime(INSTANT))
        find(tree, AUTHN).addnext(other)

    with pytest.raises(NotYetValid):
        judged(FORGE.xml(two))


# --- Answering whom ---------------------------------------------------------------------------------------------------


def test_an_answer_must_name_the_request() -> None:
    expected = expectation(request_id="r-1", unsolicited=False)
    assert judged(FORGE.xml(in_response_to="r-1"), expected).in_response_to == "r-1"
    for xml in (
        FORGE.xml(),
        FORGE.xml(in_response_to="r-2"),
        FORGE.xml(attribute(DATA, "InResponseTo", "r-2"), in_response_to="r-1"),
        FORGE.xml(attribute(DATA, "InResponseTo", None), in_response_to="r-1"),
    ):
        with pytest.raises(InResponseToMismatch):
            judged(xml, expected)


def test_an_unsolicited_response_answers_nothing_and_must_be_wanted() -> None:
    with pytest.raises(UnknownRequest):
        judged(FORGE.xml(in_response_to="r-1"))
    with pytest.raises(UnknownRequest):
        judged(FORGE.xml(attribute(DATA, "InResponseTo", "r-1")))
    with pytest.raises(IdpInitiatedOff):
        judged(FORGE.xml(), expectation(unsolicited=False))


def test_who_asks_for_a_fresh_authentication_gets_one() -> None:
    since = NOW - timedelta(minutes=1)
    expected = expectation(request_id="r-1", force_authn_since=since)
    judged(FORGE.xml(in_response_to="r-1", authn_instant=since - TOLERANCE), expected)
    with pytest.raises(NotReauthenticated):
        judged(FORGE.xml(in_response_to="r-1", authn_instant=since - TOLERANCE - SECOND), expected)


def test_who_asks_for_a_context_gets_one_of_those() -> None:
    expected = expectation(request_id="r-1", authn_contexts=("urn:a", "urn:b"))
    judged(FORGE.xml(in_response_to="r-1", authn_context="urn:b"), expected)
    for context in ("urn:c", "urn:a ", ""):
        with pytest.raises(WrongAuthnContext):
            judged(FORGE.xml(in_response_to="r-1", authn_context=context), expected)


# --- Confirmations ----------------------------------------------------------------------------------------------------


def second_confirmation(**attributes: str) -> Callable[[etree._Element], None]:
    def add(tree: etree._Element) -> None:
        first = find(tree, CONFIRMATION)
        other = copy.deepcopy(first)
        for name, value in attributes.items():
            other[0].set(name, value)
        first.addprevious(other)

    return add


def test_one_confirmation_that_holds_is_enough() -> None:
    judged(FORGE.xml(second_confirmation(Recipient="https://other.example/")))
    judged(FORGE.xml(second_confirmation(NotOnOrAfter="2020-01-01T00:00:00Z")))
    judged(FORGE.xml(second_confirmation(InResponseTo="r-1")))


def test_of_several_that_fail_the_first_ones_reason_is_told() -> None:
    with pytest.raises(RecipientMismatch):
        judged(
            FORGE.xml(
                second_confirmation(Recipient="https://other.example/"),
                confirmation_not_on_or_after=NOW - timedelta(hours=1),
            )
        )


def test_a_confirmation_by_other_means_does_not_count() -> None:
    with pytest.raises(SamlError) as caught:
        judged(FORGE.xml(confirmation_method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"))
    assert caught.value.code == "no_bearer_confirmation"


# --- Equality ---------------------------------------------------------------------------------------------------------


def test_an_issuer_must_be_there() -> None:
    """The schema sees to it in an assertion; the check does not rely on that."""
    tree = FORGE.tree(signed=Signed.NONE)
    assertion = find(tree, A)
    assertion.remove(assertion[0])
    with pytest.raises(IssuerMismatch, match="no Issuer"):
        check_issuers(SignedAssertion(response=tree, assertion=assertion, response_signed=False), expectation())


@pytest.mark.parametrize(
    "value", ["eve\u200b", "\u00a0eve", "eve\n", "\teve", "e\u202eve", "\u2028", "\ue000", "a\u0085b"]
)
def test_a_name_with_something_invisible_is_none(value: str) -> None:
    with pytest.raises(SubjectMissing):
        judged(FORGE.xml(name_id=value))


@pytest.mark.parametrize("value", ["u 1", "用户", "a" * MAX_TEXT, "\U0001f600", "DOMAIN\\user", "x" * 3 + "é"])
def test_a_name_may_be_anything_that_can_be_seen(value: str) -> None:
    assert judged(FORGE.xml(name_id=value)).name_id.value == value


@pytest.mark.parametrize("field", ["name_id", "name_id_format", "name_qualifier", "sp_name_qualifier", "session_index"])
def test_what_identifies_is_never_shortened(field: str) -> None:
    longest: dict[str, Any] = {field: "a" * MAX_TEXT}
    judged(FORGE.xml(**longest))
    with pytest.raises(ValueTooLong):
        judged(FORGE.xml(**{field: longest[field] + "a"}))


def test_an_issue_instant_must_be_there() -> None:
    """The schema sees to it; the check does not rely on that."""
    tree = FORGE.tree(attribute(A, "IssueInstant", None), signed=Signed.NONE)
    with pytest.raises(TimeMissing):
        check_issue_instants(SignedAssertion(tree, find(tree, A), response_signed=False), expectation(), NOW)


def test_white_space_in_an_audience_counts() -> None:
    for audience in (f"{PARTY.sp_entity_id}\n", f"\n{PARTY.sp_entity_id}", PARTY.sp_entity_id.upper()):
        with pytest.raises(SamlError) as caught:
            judged(FORGE.xml(audiences=[audience]))
        assert caught.value.code == "audience_mismatch"


def test_what_is_shown_to_the_administrator_is_short_and_printable() -> None:
    with pytest.raises(IssuerMismatch) as caught:
        judged(FORGE.xml(issuer="\u202ex" * 500))
    assert caught.value.received == "·x" * 150
    for destination, shown in (("", "an empty value"), (None, "none")):
        with pytest.raises(SamlError) as caught_too:
            judged(FORGE.xml(destination=destination))
        assert caught_too.value.received == shown


# --- Timestamps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "moment"), [
    ("2026-11-22T08:00:00Z", (2026, 11, 22, 8)),
    ("2026-11-22T08:00:00.5Z", (2026, 11, 22, 8, 0, 0, 500_000)),
    ("2026-11-22T08:00:00.1234567Z", (2026, 11, 22, 8, 0, 0, 123_456)),
    ("2026-11-22T08:00:00.9999999999Z", (2026, 11, 22, 8, 0, 0, 999_999)),
    ("2026-11-22T08:00:00.000000000000000000000000000000000000001Z", (2026, 11, 22, 8)),
    ("2026-11-22T08:00:00+00:00", (2026, 11, 22, 8)),
    ("2026-11-22T08:00:00-00:00", (2026, 11, 22, 8)),
    ("2026-11-22T08:00:00+02:00", (2026, 11, 22, 6)),
    ("2026-11-22T08:00:00-05:30", (2026, 11, 22, 13, 30)),
    ("2026-01-01T00:00:00+14:00", (2025, 12, 31, 10)),
    ("2024-02-29T00:00:00Z", (2024, 2, 29)),
])  # fmt: skip
def test_it_reads_a_moment(text: str, moment: tuple[int, ...]) -> None:
    assert parse_instant(text) == datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type, misc]  # year, month, day and more


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-22",
        "2026-11-22T08:00Z",
        "2026-11-22T08:00:00",
        "2026-11-22 08:00:00Z",
        "2026-11-22T08:00:00z",
        "2026-11-22t08:00:00Z",
        "2026-11-22T08:00:00.Z",
        "2026-11-22T08:00:00,5Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T08:60:00Z",
        "2026-11-22T08:00:60Z",
        "2026-13-22T08:00:00Z",
        "2026-00-22T08:00:00Z",
        "2026-02-30T08:00:00Z",
        "2025-02-29T08:00:00Z",
        "1999-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "-2026-11-22T08:00:00Z",
        "+2026-11-22T08:00:00Z",
        "12026-11-22T08:00:00Z",
        "2026-11-22T08:00:00+24:00",
        "2026-11-22T08:00:00+99:99",
        "2026-11-22T08:00:00+01:60",
        "2026-11-22T08:00:00+0100",
        "2026-11-22T08:00:00+01",
        "2026-11-22T08:00:00 Z",
        " 2026-11-22T08:00:00Z",
        "2026-11-22T08:00:00Z\n",
        "2026-11-22T08:00:00ZZ",
        "٢٠٢٦-11-22T08:00:00Z",
        "２０２６-11-22T08:00:00Z",
        f"2026-11-22T08:00:00.{'1' * 41}Z",
        "20261122T080000Z",
        "2026-W47-7T08:00:00Z",
    ],
)
def test_it_reads_nothing_else_as_a_moment(text: str) -> None:
    with pytest.raises(BadTimestamp):
        parse_instant(text)


@given(
    moment=st.datetimes(datetime(2000, 1, 2), datetime(2199, 12, 30)), minutes=st.integers(-14 * 60, 14 * 60),  # noqa: DTZ001 - the zone is added
    digits=st.integers(6, 40),
)  # fmt: skip
def test_it_reads_every_moment_as_python_does(moment: datetime, minutes: int, digits: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = local.isoformat(timespec="microseconds")
    fraction = text[20:26].ljust(digits, "0")
    assert parse_instant(f"{text[:20]}{fraction}{text[26:]}") == local


@given(st.text(st.sampled_from("0123456789-+:.TZtz "), max_size=40))
def test_it_never_crashes_on_a_timestamp(text: str) -> None:
    try:
        value: Any = parse_instant(text)
    except BadTimestamp:
        return
    assert value.tzinfo is UTC
    assert 2000 <= value.year < 2200


@pytest.mark.parametrize("path", [CONDITIONS, DATA])
def test_an_offset_counts_everywhere(path: str) -> None:
    """Three hours east of Greenwich, this is over."""
    local = (NOW + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S+03:00")
    with pytest.raises(Expired):
        judged(FORGE.xml(attribute(path, "NotOnOrAfter", local), not_before=NOW - timedelta(hours=9)))
