"""The refusals: a code that never changes, and words for two readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saml_sp.protocol import errors
from saml_sp.protocol.errors import AudienceMismatch, ConfigurationRefused, SamlError, UrlRefused

if TYPE_CHECKING:
    from collections.abc import Iterator


def tree(root: type[SamlError] = SamlError) -> Iterator[type[SamlError]]:
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from tree(child)


REFUSALS = list(tree())
# Quoted by people and matched by dashboards: a code may be added here, never changed or taken away.
AT_THE_ACS = {
    "transport": 403,
    "method_not_allowed": 405,
    "message_too_large": 413,
    "not_base64": 403,
    "unknown_idp": 404,
    "not_utf8": 403,
    "forbidden_markup": 403,
    "not_xml": 403,
    "too_complex": 403,
    "bad_structure": 403,
    "duplicate_id": 403,
    "assertion_count": 403,
    "status_not_success": 403,
    "encryption_unsupported": 403,
    "unsigned": 403,
    "signature_shape": 403,
    "weak_algorithm": 403,
    "bad_signature": 403,
    "schema_invalid": 403,
    "no_current_certificate": 403,
    "issuer_mismatch": 403,
    "destination_mismatch": 403,
    "recipient_mismatch": 403,
    "audience_mismatch": 403,
    "no_bearer_confirmation": 403,
    "bad_timestamp": 403,
    "not_yet_valid": 403,
    "expired": 403,
    "lifetime_too_long": 403,
    "time_missing": 403,
    "subject_missing": 403,
    "authn_statement_missing": 403,
    "idp_initiated_off": 403,
    "unknown_request": 403,
    "in_response_to_mismatch": 403,
    "replayed": 403,
    "transient_subject": 403,
    "value_too_long": 403,
    "ambiguous_email": 403,
    "email_invalid": 403,
    "email_missing": 403,
    "jit_off": 403,
    "email_taken": 403,
    "subject_changed": 403,
    "account_deactivated": 403,
    "unknown_rights": 403,
    "try_again": 403,
}


def test_every_code_is_used_once() -> None:
    codes = [refusal.code for refusal in REFUSALS]
    assert len(codes) == len(set(codes))
    assert SamlError.code not in codes


def test_the_codes_that_people_quote_stay_as_they_are() -> None:
    by_code = {refusal.code: refusal.http_status for refusal in REFUSALS}
    assert AT_THE_ACS.items() <= by_code.items()


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.code)
def test_every_refusal_has_words_for_both_readers(refusal: type[SamlError]) -> None:
    assert refusal.__doc__
    assert refusal.headline.endswith((".", "?"))
    assert refusal.hint
    assert refusal.cure.endswith(".")
    assert refusal.code.replace("_", "").isalnum()
    assert 400 <= refusal.http_status < 500


def test_it_prints_what_was_expected_and_received() -> None:
    assert str(AudienceMismatch(expected="us", received="them")) == "audience_mismatch; expected us; received them"
    assert str(AudienceMismatch()) == "audience_mismatch"
    assert str(AudienceMismatch(received="them")) == "audience_mismatch; received them"
    assert AudienceMismatch(public="You may read this.").public == "You may read this."


def test_a_refusal_of_configuration_is_a_sentence() -> None:
    refusal = UrlRefused("Enter a full URL.")
    assert isinstance(refusal, ConfigurationRefused)
    assert str(refusal) == refusal.sentence == refusal.received == "Enter a full URL."
