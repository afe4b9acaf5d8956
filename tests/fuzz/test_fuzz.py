"""A short run of `make fuzz`, and the heaviest messages there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saml_sp.protocol import gate
from tests.fuzz import engine, targets, worst
from tests.fuzz.structures import STRATEGIES
from tests.fuzz.targets import Signedness, Target, idp_document

if TYPE_CHECKING:
    from tests.fuzz.targets import Run

SECONDS = 2.0
SEED = 2026


@pytest.fixture(scope="module")
def made() -> Signedness:
    return Signedness()


def test_nothing_but_a_refusal_comes_of_nonsense() -> None:
    found = targets.targets()
    assert {target.name for target in found} == set(STRATEGIES)
    report = engine.fuzz(found, seconds=SECONDS, number=SEED, count=10)
    assert set(report.outcomes) == set(STRATEGIES)


def test_every_seed_is_of_use() -> None:
    for target in targets.targets():
        outcomes = {target.run(data).outcome for data in target.seeds}
        assert "accepted" in outcomes, target.name


def least(target: Target, data: bytes) -> Run:
    """The faster of two runs: other programs share the processor."""
    runs = [target.run(data) for _ in range(2)]
    return min(runs, key=lambda run: run.cpu_s)


def test_no_message_costs_much(made: Signedness) -> None:
    target = Target("message", made.price, ())
    for name, make in worst.messages(made).items():
        xml = make()
        assert len(xml) <= gate.MAX_BYTES, name
        assert least(target, xml).cpu_s < worst.LIMIT_S, name


def test_no_metadata_costs_much() -> None:
    target = Target("metadata", idp_document, ())
    for name, xml in worst.metadata_documents().items():
        assert least(target, xml).cpu_s < worst.LIMIT_S, name


def test_it_refuses_a_list_of_many_prefixes(made: Signedness) -> None:
    target = Target("message", made.document, ())
    assert target.run(worst.messages(made)["inclusive prefixes, as many as fit"]()).outcome == "too_complex"
