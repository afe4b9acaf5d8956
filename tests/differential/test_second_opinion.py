"""python3-saml's opinion on thousands of messages: where it differs from ours, we know why.

pysaml2's is among the system tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential import comparison, table

PARTS = 2
COUNT = 1000  # for each part
SEED = 20261122
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "security.md"


@pytest.mark.parametrize("part", range(PARTS))
def test_every_disagreement_with_python3_saml_has_an_explanation(part: int) -> None:
    counted = comparison.compare(table.ONELOGIN, seed=SEED, count=COUNT, part=part, parts=PARTS)
    assert counted.unexplained == []
    assert counted.asked == COUNT
    assert counted.both_accepted > COUNT / 10


def test_the_table_is_the_one_in_the_documentation() -> None:
    assert table.markdown() in DOCUMENT.read_text()


def test_no_two_rows_have_one_title() -> None:
    titles = [row.title for row in table.ROWS]
    assert len(titles) == len(set(titles))
