"""Asks us and somebody else about the same messages, and explains every disagreement or fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.differential.corpus import cases
from tests.differential.opinion import Judge
from tests.differential.ours import expectation, judge
from tests.differential.table import ONELOGIN, explanation
from tests.idp import Party

if TYPE_CHECKING:
    from tests.differential.corpus import Case
    from tests.differential.opinion import Opinion
    from tests.differential.ours import Verdict

MODULES = {"python3-saml": "tests.differential.onelogin_alone", "pysaml2": "tests.differential.pysaml2_alone"}
BATCHES = {"python3-saml": 300, "pysaml2": 60}  # the second one starts a program for each signature
KEPT = Path(__file__).parent.parent.parent / "var" / "differential"


@dataclass
class Count:
    """How often who said what, and which row explained how many disagreements."""

    asked: int = 0
    ours_accepted: int = 0
    theirs_accepted: int = 0
    both_accepted: int = 0
    raised: int = 0
    hung: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.asked} messages; accepted by both {self.both_accepted}, by us {self.ours_accepted}, by them "
            f"{self.theirs_accepted}; of the others they raised what is no refusal for {self.raised} and hung on "
            f"{self.hung}; {len(self.unexplained)} disagreements without an explanation"
        )


def compare(who: str, *, seed: int, count: int, part: int = 0, parts: int = 1) -> Count:
    """Ask about so many messages. What nobody can explain is kept in var/differential."""
    party = Party()
    expected = expectation(party)
    counted = Count()
    with Judge(MODULES[who], party) as other:
        for case in cases(party, seed, count, part=part, parts=parts, batch=BATCHES[who]):
            verdict, opinion = judge(case.xml, expected, case.now), other.ask(case.xml)
            _tally(counted, who, case, verdict, opinion)
    return counted


def _tally(counted: Count, who: str, case: Case, verdict: Verdict, opinion: Opinion) -> None:
    counted.asked += 1
    counted.ours_accepted += verdict.assertion is not None
    counted.theirs_accepted += opinion.accepted
    counted.raised += opinion.raised
    counted.hung += opinion.hung
    if verdict.assertion is not None and opinion.identity is not None:
        counted.both_accepted += 1
        if difference := _difference(who, verdict, opinion):
            _keep(counted, case, difference)
    elif (verdict.assertion is not None) is not opinion.accepted:
        row = explanation(who, case.xml, verdict, opinion)
        if row is None:
            _keep(counted, case, f"we: {verdict.refusal or 'accept'}; they: {opinion.reason or 'accept'}")
        else:
            counted.rows[row.title] += 1


def _difference(who: str, verdict: Verdict, opinion: Opinion) -> str:
    """What two readers of one accepted message read differently; empty when it is the same person.

    python3-saml trims values and leaves empty ones out; values that hold elements are not ours to read. pysaml2 gives
    attributes names of its own, so that there only the NameID is compared.
    """
    assert verdict.assertion is not None
    assert opinion.identity is not None
    name_id, theirs = opinion.identity
    if verdict.assertion.name_id.value != name_id:
        return f"NameID {verdict.assertion.name_id.value!r}, {name_id!r}"
    if who != ONELOGIN:
        return ""
    for attribute in verdict.assertion.attributes:
        values = verdict.assertion.values(attribute.name)
        if None in values:
            continue
        ours = [value.strip() for value in values if value is not None and value.strip()]
        if ours != [value for value in theirs.get(attribute.name, []) if isinstance(value, str)]:
            return f"{attribute.name} {ours!r}, {theirs.get(attribute.name)!r}"
    return ""


def _keep(counted: Count, case: Case, what: str) -> None:
    counted.unexplained.append(f"{case.name}: {what}"[:500])
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{len(counted.unexplained)}.xml").write_bytes(case.xml)
