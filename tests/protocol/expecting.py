"""What the pure tests hold messages against: no database, no clock."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding

from demo.issuer import encode
from saml_sp.protocol import certificates, gate, signature
from saml_sp.protocol.assertion import accept
from saml_sp.protocol.types import Expectation, IdpProfile, SpProfile
from tests.idp import Forge, Kind, Party, key

if TYPE_CHECKING:
    from saml_sp.protocol.types import Assertion, SignedAssertion, VerificationKey

PARTY = Party()
NOW = datetime.now(UTC).replace(microsecond=0)
FORGE = Forge(PARTY, NOW)


@cache
def verification_key(kind: Kind = Kind.RSA) -> VerificationKey:
    """The public half, as the service provider keeps it."""
    facts = certificates.describe(key(kind).certificate.public_bytes(Encoding.DER))
    return certificates.verification_key(facts.pem, facts.not_before, facts.not_after)


def expectation(
    *kinds: Kind, tolerance: timedelta = timedelta(seconds=120), unsolicited: bool = True, **changes: Any
) -> Expectation:
    """What a message of `PARTY` must be, signed by the keys of these kinds (RSA unless given)."""
    keys = tuple(verification_key(kind) for kind in kinds or (Kind.RSA,))
    profile = IdpProfile(PARTY.entity_id, keys, tolerance, unsolicited)
    return dataclasses.replace(Expectation(profile, SpProfile(PARTY.sp_entity_id, PARTY.acs_url)), **changes)


def opened(xml: bytes, expected: Expectation | None = None, now: datetime = NOW) -> SignedAssertion:
    """Through the gate and the signatures."""
    return signature.open_message(gate.admit(encode(xml)), expected or expectation(), now)


def judged(xml: bytes, expected: Expectation | None = None, now: datetime = NOW) -> Assertion:
    """All the way."""
    return accept(opened(xml, expected, now), expected or expectation(), now)
