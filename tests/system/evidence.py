"""What a failed system test shows: last words of every program, newest records, and where each browser window is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Error

from tests.system import chromium, portico, programs

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add sections to the report of a failure."""
    report = yield
    if report.failed:
        for program in programs.running:
            said = program.said()
            report.sections.append((f"{program.name} ({program.log})", said[program.shown :][-programs.TAIL :]))
        for service in portico.running:
            report.sections.append(("Portico's newest records", service.record()))
        for visitor in chromium.opened:
            try:
                report.sections.append((f"Chromium at {visitor.page.url}", visitor.words()[: programs.TAIL]))
            except Error as error:
                report.sections.append(("Chromium", str(error)))
    if report.when == "teardown":
        for program in programs.running:
            program.shown = len(program.said())
    return report
