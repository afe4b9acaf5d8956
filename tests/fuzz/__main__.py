"""`make fuzz`: as long as FUZZ_SECONDS says (60), by FUZZ_SEED (the clock's).

Prints what came of it, and what took long. An input that breaks something is written to var/fuzz, and the run ends with
status 1.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from pathlib import Path

from tests.fuzz import engine, targets, worst

FOLDER = Path(__file__).parent.parent.parent / "var" / "fuzz"
HANGS_AFTER_S = 60


def main() -> int:
    """The run. Returns the exit status."""
    seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
    number = int(os.environ.get("FUZZ_SEED", str(time.time_ns() % 10**9)))
    print(f"Fuzzing for {seconds:.0f} s, FUZZ_SEED={number}")
    made = targets.Signedness()
    heavy = engine.Report()
    message = targets.Target("message", made.price, ())
    try:
        for name, make in worst.messages(made).items():
            heavy.add(_named(message, name, make()))
        for name, xml in worst.metadata_documents().items():
            heavy.add(_named(targets.Target("metadata", targets.idp_document, ()), name, xml))
        # Something that hangs in C is shown with its stack, and ends the run.
        report = engine.fuzz(
            targets.targets(),
            seconds=seconds,
            number=number,
            each=lambda: faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True),
        )
    except engine.Fault as fault:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / fault.file).write_bytes(fault.data)
        print(f"{fault}\nThe input is in {FOLDER / fault.file}; run again with FUZZ_SEED={number}.")
        return 1
    faulthandler.cancel_dump_traceback_later()
    for name, outcomes in report.outcomes.items():
        most = ", ".join(f"{outcome} {count}" for outcome, count in outcomes.most_common(6))
        print(f"{name:15} {outcomes.total():8} inputs: {most}")
    print(f"\n{'CPU ms':>8} {'bytes':>8}  the slowest inputs, made to be slow and found by chance")
    for cpu_s, name, size, outcome in sorted([*heavy.slowest, *report.slowest], reverse=True)[: engine.KEPT]:
        print(f"{cpu_s * 1000:8.1f} {size:8}  {outcome:18} {name}")
    return 0


def _named(target: targets.Target, name: str, data: bytes) -> targets.Run:
    run = min((target.run(data) for _ in range(3)), key=lambda run: run.cpu_s)
    return targets.Run(name, run.size, run.outcome, run.cpu_s)


if __name__ == "__main__":
    sys.exit(main())
