"""Fixtures of the browser tests: the demo as `make run` starts it, and Chromium."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.demonstration import Demo, running_demo
from tests.system.chromium import Chromium, Visitor, running_chromium
from tests.system.evidence import pytest_runtest_makereport

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pytest_runtest_makereport"]


@pytest.fixture(scope="package")
def demo() -> Iterator[Demo]:
    with running_demo(Path(os.environ["PORTICO_DATA"]) / "demo") as running:
        yield running


@pytest.fixture(scope="package")
def chromium() -> Iterator[Chromium]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def visitor(chromium: Chromium) -> Iterator[Visitor]:
    """A fresh window, whose complaints fail the test."""
    with chromium.window() as opened:
        yield opened
