"""Runs inputs against the targets for as long as there is time, and remembers what took longest."""

from __future__ import annotations

import hashlib
import heapq
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.structures import STRATEGIES
from tests.mutations import Mutator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.targets import Run, Target

KEPT = 20
# To each input that hypothesis puts together, which takes longer than anything that is done with it.
MUTATED = 20


@dataclass
class Report:
    """What came of the inputs."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    slowest: list[tuple[float, str, int, str]] = field(default_factory=list)

    def add(self, run: Run) -> None:
        """Count it, and keep it when it was slow."""
        self.outcomes.setdefault(run.target, Counter())[run.outcome] += 1
        entry = (run.cpu_s, run.target, run.size, run.outcome)
        if len(self.slowest) < KEPT:
            heapq.heappush(self.slowest, entry)
        else:
            heapq.heappushpop(self.slowest, entry)


class Fault(AssertionError):
    """An input that broke something, with all it takes to see it again."""

    def __init__(self, target: Target, data: bytes, error: BaseException) -> None:
        self.target, self.data, self.error = target, data, error
        digest = hashlib.sha256(data).hexdigest()[:12]
        self.file = f"{target.name.replace(' ', '-')}-{digest}"
        super().__init__(f"{target.name}: {type(error).__name__}: {error} ({len(data)} bytes, {digest}) {data[:300]!r}")


def attempt(target: Target, data: bytes, report: Report) -> None:
    """One input. Raises Fault."""
    try:
        report.add(target.run(data))
    except Exception as error:
        raise Fault(target, data, error) from error


def mutate(target: Target, rng: random.Random, count: int, report: Report) -> None:
    """So many inputs that are changed seeds."""
    mutator = Mutator(rng, target.seeds)
    change: Callable[[bytes], bytes] = mutator.mutate if target.xml else mutator.change_bytes
    for _ in range(count):
        data = rng.choice(target.seeds)
        for _ in range(rng.choice((1, 1, 2, 3))):
            data = change(data)
        attempt(target, data, report)


def build(target: Target, number: int, count: int, report: Report) -> None:
    """So many inputs that hypothesis puts together, by this seed."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(STRATEGIES[target.name])
    def one(data: bytes) -> None:
        attempt(target, data, report)

    one()


def fuzz(
    found: list[Target], *, seconds: float, number: int, count: int = 30, each: Callable[[], None] = lambda: None
) -> Report:
    """Go round the targets until time is over, at least once. Raises Fault."""
    report, end, step = Report(), time.monotonic() + seconds, 0
    while step == 0 or time.monotonic() < end:
        for target in found:
            each()
            mutate(target, random.Random(f"{number} {step} {target.name}"), MUTATED * count, report)
            build(target, number + step, count, report)
            if step and time.monotonic() > end:
                break
        step += 1
    return report
