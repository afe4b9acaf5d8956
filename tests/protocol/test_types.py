"""The values that the protocol takes and returns."""

from __future__ import annotations

import dataclasses

import pytest

from saml_sp.protocol.types import Attribute, Binding, NameId, NameIdFormat, SpProfile
from tests.protocol.expecting import FORGE, expectation, judged


def test_bindings_have_uris_and_names() -> None:
    assert [binding.uri for binding in Binding] == [
        "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
        "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
    ]
    assert Binding.choices() == [("redirect", "HTTP-Redirect"), ("post", "HTTP-POST")]


def test_name_id_formats_have_uris_and_names() -> None:
    assert all(member.uri.startswith("urn:oasis:names:tc:SAML:") for member in NameIdFormat)
    assert [value for value, _label in NameIdFormat.choices()] == [member.value for member in NameIdFormat]


@pytest.mark.parametrize("value", [NameId("a"), Attribute("a", "", ()), SpProfile("a", "b")])
def test_values_cannot_be_changed(value: NameId) -> None:
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "b")


def test_an_accepted_assertion_is_a_value_without_a_tree() -> None:
    first, second = (
        judged(FORGE.xml(assertion_id="a", session_index="s")),
        judged(FORGE.xml(assertion_id="a", session_index="s")),
    )
    assert first == second
    assert hash(first) == hash(second)


def test_an_expectation_shows_no_key() -> None:
    assert "PRIVATE" not in repr(expectation())
