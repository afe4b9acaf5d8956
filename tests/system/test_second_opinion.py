"""pysaml2's opinion, with Debian's xmlsec1, on the messages that python3-saml is asked about in `make test`."""

from __future__ import annotations

from tests.differential import comparison, table

COUNT = 1000
SEED = 20261122


def test_every_disagreement_with_pysaml2_has_an_explanation() -> None:
    counted = comparison.compare(table.PYSAML2, seed=SEED, count=COUNT)
    assert counted.unexplained == []
    assert counted.asked == COUNT
    assert counted.both_accepted > COUNT / 10
