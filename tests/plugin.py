"""Starts PostgreSQL for the tests, before pytest-django reads the settings; loaded by `-p tests.plugin`.

One throw-away server in the process that was called, or in xdist's controller, whose workers inherit its URL.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from config import launcher

RUNS = Path(__file__).parent.parent / "var" / "test"
# What a developer has set for `make run` is not for the tests.
FORGOTTEN = ("PORT", "DEMO_PORT")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Give this run its data folder and its database."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    for name in [name for name in os.environ if name.startswith("PORTICO_") or name in FORGOTTEN]:
        del os.environ[name]
    launcher.sweep(RUNS)
    run = RUNS / f"run-{os.getpid()}"
    os.environ["PORTICO_DATA"] = str(run)
    early_config.add_cleanup(lambda: launcher.discard(run))
    if not os.environ.get("DATABASE_URL"):
        try:
            server = launcher.ensure(run, throw_away=True)
        except launcher.LauncherError as error:
            raise pytest.UsageError(str(error)) from error
        os.environ["DATABASE_URL"] = server.url
        # Refers to the server, and so keeps our share in it: another run would sweep it away.
        early_config.add_cleanup(server.stop)


def pytest_collection_finish() -> None:
    """What thousands of collected tests hold is not looked through again by every garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
