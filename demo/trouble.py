"""What goes wrong with sign-ins in real life, one fault at a time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from demo import issuer
from demo.issuer import Signed, Spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.keys import SigningKey


@dataclass(frozen=True)
class Trouble:
    """A fault: how it is shown on the shelf, and the specification that has it."""

    slug: str
    title: str
    about: str
    spoil: Callable[[Spec], Spec]


def _as_it_is(spec: Spec) -> Spec:
    return spec


TROUBLES = {
    trouble.slug: trouble
    for trouble in (
        Trouble(
            "expired", "Expired", "Issued an hour ago and left lying about.",
            lambda spec: spec.shifted(timedelta(hours=-1)),
        ),
        Trouble(
            "early", "Clock ahead", "The clock of this identity provider is ten minutes fast.",
            lambda spec: spec.shifted(timedelta(minutes=10)),
        ),
        Trouble(
            "audience", "Wrong audience", "Meant for another application.",
            lambda spec: dataclasses.replace(spec, audiences=("https://elsewhere.example/saml",)),
        ),
        Trouble("tampered", "Tampered", "The e-mail address was changed after signing.", _as_it_is),
        Trouble("replayed", "Replayed", "The last good response, once more.", _as_it_is),
        Trouble(
            "unsigned", "Unsigned", "Nobody signed it.",
            lambda spec: dataclasses.replace(spec, signed=Signed.NONE),
        ),
        Trouble("stranger", "Another key", "Properly signed, by the key of somebody else.", _as_it_is),
    )
}  # fmt: skip


def spoiled(trouble: Trouble, spec: Spec, key: SigningKey, strangers_key: SigningKey) -> bytes:
    """The response with this fault; a replayed one is not made but sent again."""
    if trouble.slug == "stranger":
        return issuer.issue(spec, strangers_key)
    xml = issuer.issue(trouble.spoil(spec), key)
    if trouble.slug == "tampered":
        return xml.replace(b"@customer.example", b"@attacker.example")
    return xml
