"""Our own verdict on a message, by the protocol alone: from the form field to the accepted assertion, no database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from demo.issuer import encode
from saml_sp.protocol import gate, signature
from saml_sp.protocol.assertion import accept
from saml_sp.protocol.certificates import verification_key
from saml_sp.protocol.errors import SamlError
from saml_sp.protocol.types import Expectation, IdpProfile, SpProfile
from tests.encrypting import Ours, private
from tests.idp import Kind, key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from saml_sp.protocol.types import Assertion
    from tests.idp import Counterpart

SIGNERS = (Kind.RSA, Kind.EC)


def expectation(party: Counterpart, *, kinds: Sequence[Kind] = SIGNERS, request_id: str | None = None) -> Expectation:
    """What a message of this identity provider is held against. It signs with keys of these kinds."""
    certificates = [key(kind).certificate for kind in kinds]
    return Expectation(
        idp=IdpProfile(
            entity_id=party.entity_id,
            keys=tuple(
                verification_key(
                    key(kind).certificate_pem.decode(),
                    certificate.not_valid_before_utc,
                    certificate.not_valid_after_utc,
                )
                for kind, certificate in zip(kinds, certificates, strict=True)
            ),
            tolerance=timedelta(seconds=120),
            unsolicited=True,
        ),
        sp=SpProfile(entity_id=party.sp_entity_id, acs_url=party.acs_url),
        request_id=request_id,
        decryption_keys=(private(Ours.FIRST),),
    )


@dataclass(frozen=True)
class Verdict:
    """An accepted assertion, or the refusal."""

    assertion: Assertion | None
    refusal: SamlError | None

    @property
    def code(self) -> str:
        """The refusal's code, empty when accepted."""
        return self.refusal.code if self.refusal else ""


def open_and_accept(form_value: str, expected: Expectation, now: datetime) -> Assertion:
    """The way of a login through the protocol. Raises SamlError."""
    return accept(signature.open_message(gate.admit(form_value), expected, now), expected, now)


def judge(xml: bytes, expected: Expectation, now: datetime) -> Verdict:
    """Our verdict on a document. Whatever comes out but a SamlError is a mistake of ours."""
    try:
        return Verdict(open_and_accept(encode(xml), expected, now), None)
    except SamlError as refusal:
        return Verdict(None, refusal)
