"""The page about mapping in the documentation says what the code does."""

from __future__ import annotations

from pathlib import Path

from saml_sp.ledger import LONGEST_VALUE, MOST_VALUES
from saml_sp.mapping import PRESETS, Target
from saml_sp.mapping_admin import MOST_INLINE
from saml_sp.rehearsal import RECENT, SEARCHED

PAGE = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text()


def test_its_table_of_presets_is_that_of_the_code() -> None:
    rows = PAGE.partition("| vendor | read as |")[2].partition("\n\n")[0].splitlines()[2:]
    told: dict[str, dict[str, tuple[str, ...]]] = {}
    vendor = ""
    for row in rows:
        first, target, names = (cell.strip() for cell in row.strip("|").split("|"))
        vendor = first or vendor
        told.setdefault(vendor, {})[target] = tuple(name.strip("`") for name in names.split(", "))
    assert told == {
        f"{preset.vendor} (`{key}`)": {target.label: names for target, names in preset.names.items()}
        for key, preset in PRESETS.items()
    }


def test_it_explains_every_target_and_vendor() -> None:
    table = PAGE.partition("| read as | what comes of it |")[2].partition("\n\n")[0]
    for target in Target:
        assert target.label in table
    for preset in PRESETS.values():
        assert f"**{preset.vendor}.**" in PAGE


def test_its_numbers_are_those_of_the_code() -> None:
    words = " ".join(PAGE.split())
    for sentence in (
        f"the last {SEARCHED} sign-ins",
        f"one of the last {RECENT}",
        f"first {LONGEST_VALUE} characters of a value and the first {MOST_VALUES} values",
        f"Beyond {MOST_INLINE} rules",
    ):
        assert sentence in words
