"""The messages that every service provider is asked about: valid, spoiled, mutated.

The seed decides about all but keys, IDs and times.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from demo import issuer
from demo.issuer import AttributeSpec, Signed
from saml_sp.protocol import names as n
from tests.encrypting import (
    AES_CBC,
    AES_GCM,
    FAULTS,
    MGF1P,
    MGF_SHA256,
    OAEP,
    SHA256,
    Place,
    encrypted_id,
    lock,
    sealed_tree,
    sealed_xml,
)
from tests.idp import ANA, Forge, find, key
from tests.mutations import EVE, Mutator
from tests.spoilers import SHELVES
from tests.vendors import shibboleth
from tests.vendors.scene import Scene
from tests.vendors.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.idp import Counterpart

# Of those of chance.
SAID, REWRITTEN = 0.12, 0.15


@dataclass(frozen=True)
class Case:
    """A message, how it came about, and when: it is fresh then."""

    name: str
    xml: bytes
    now: datetime


def cases(
    party: Counterpart, seed: int, count: int, *, part: int = 0, parts: int = 1, batch: int = 300
) -> Iterator[Case]:
    """The valid and spoiled ones, of several parts this one's, and of chance as many more as it takes to be `count`.

    Made in batches, each by its own clock: a message that lasts a minute is asked about before it is over, if a minute
    is enough for `batch` of them.
    """
    fixed = sorted({*_fixed(Corpus(party, datetime.now(UTC), seed))})[part::parts]
    for begin in range(0, max(count, len(fixed)), batch):
        corpus = Corpus(party, datetime.now(UTC), seed * 1000 + part * 100_000 + begin)
        makers = _fixed(corpus)
        for name in fixed[begin : begin + batch]:
            yield Case(name, makers[name](), corpus.now)
        for number in range(max(begin, len(fixed)), min(begin + batch, count)):
            name, xml = corpus.chance()
            yield Case(f"{name} ({part}-{number})", xml, corpus.now)


def _fixed(corpus: Corpus) -> dict[str, Callable[[], bytes]]:
    """By name, what does not depend on chance."""
    makers: dict[str, Callable[[], bytes]] = {name: partial(corpus.valid.__getitem__, name) for name in corpus.valid}
    for shelf, spoilers in SHELVES.items():
        makers |= {f"{shelf}: {spoiled.name}": partial(spoiled.make, corpus.forge) for spoiled in spoilers}
    return makers | {f"encryption: {name}": partial(make, corpus.forge) for name, make in FAULTS.items()}


class Corpus:
    """Messages of one identity provider at one moment."""

    def __init__(self, party: Counterpart, now: datetime, seed: int) -> None:
        self.rng = random.Random(seed)
        self.party = party
        self.now = now
        self.forge = Forge(party, now)
        self.lock = lock()
        self.valid = self._vendors() | self._encrypted() | self._edges()
        self.mutator = Mutator(self.rng, list(self.valid.values()))

    def _vendors(self) -> dict[str, bytes]:
        scene = Scene(self.party, self.now, self.forge.key)
        shapes = {
            f"{vendor} {shape}": build(dataclasses.replace(scene, key=key(kind)))
            for (vendor, shape), (build, kind) in SHAPES.items()
        }
        return shapes | {
            "shibboleth encrypted": shibboleth.encrypted(scene),
            "shibboleth transient": shibboleth.transient(scene),
        }

    def _encrypted(self) -> dict[str, bytes]:
        transports = {
            "mgf1p sha1": {"transport": MGF1P}, "mgf1p sha256": {"transport": MGF1P, "digest": SHA256},
            "oaep sha256": {"transport": OAEP, "digest": SHA256, "mgf": MGF_SHA256},
        }  # fmt: skip
        locks = {
            f"{algorithm.rpartition('#')[2]} {name}": self.lock.changed(algorithm=algorithm, **how)
            for algorithm in (AES_CBC[128], AES_CBC[256], AES_GCM[128], AES_GCM[256])
            for name, how in transports.items()
        } | {f"key {place.name.lower()}": self.lock.changed(place=place) for place in Place}
        made = {
            f"encrypted {name}, {signed}": sealed_xml(self.forge, how, signed=signed)
            for (name, how), signed in zip(locks.items(), itertools.cycle([*Signed][:3]), strict=False)
        }
        return made | {"encrypted subject": self.forge.xml(encrypted_id(self.lock))}

    def _edges(self) -> dict[str, bytes]:
        """What not everybody takes."""
        late = self.now - timedelta(seconds=60)
        untyped = sealed_tree(self.forge, self.lock, signed=Signed.ASSERTION)
        del find(untyped, ".//xenc:EncryptedData").attrib["Type"]
        return {
            "a late confirmation": self.forge.xml(confirmation_not_on_or_after=late),
            "late conditions": self.forge.xml(not_on_or_after=late),
            "encrypted without a type": issuer.serialise(untyped),
            "encrypted, self-contained, other prefixes": sealed_xml(
                self.forge, self.lock, signed=Signed.ASSERTION, assertion_prefix="ns1", protocol_prefix="ns0"
            ),
            "encrypted, self-contained, no prefix": sealed_xml(
                self.forge, self.lock, signed=Signed.ASSERTION, assertion_prefix=None, protocol_prefix="samlp"
            ),
            "no issuer of the response": self.forge.xml(response_issuer=False),
        }

    def chance(self) -> tuple[str, bytes]:
        """The next one that the seed decides about, and its name."""
        kind = self.rng.random()
        if kind < SAID:
            return "said by chance", self.forge.xml(**self._facts())
        name, xml = self.rng.choice(list(self.valid.items()))
        if kind < SAID + REWRITTEN:
            return f"rewritten {name}", self.mutator.rewrite(xml)
        return f"mutated {name}", self.mutator.mutate(xml)

    def _facts(self) -> dict[str, Any]:
        """What a message says: valid, or with one thing in three wrong in a way that an honest key would sign."""
        rng = self.rng

        def moment(low: int, high: int) -> datetime:
            return self.now + timedelta(seconds=rng.randint(low, high))

        facts: dict[str, Any] = {
            "signed": rng.choice([*Signed][:3]),
            "protocol_prefix": rng.choice(("saml2p", "samlp", None, "p")),
            "assertion_prefix": rng.choice(("saml2", "saml", None, "a")),
            "inclusive_prefixes": rng.choice(((), ("xs",), ("xs", "xsi"))),
            "name_id": rng.choice((ANA, "u-17", "Ana Lima", "9f8e7d")),
            "name_id_format": rng.choice((n.NAMEID_EMAIL, n.NAMEID_PERSISTENT, n.NAMEID_UNSPECIFIED, None)),
            "session_index": rng.choice((None, "s-1")),
            "audiences": rng.choice(((self.party.sp_entity_id,), ("urn:other", self.party.sp_entity_id))),
            "attributes": [
                AttributeSpec(f"name {number}", [rng.choice(("x", "ana lima", "é", "a\nb", "", None, " x ", "<&>"))])
                for number in range(rng.randint(0, 6))
            ],
            "session_not_on_or_after": rng.choice((None, moment(60, 40_000))),
        }
        wrong: list[tuple[str, Any]] = [
            ("issuer", rng.choice(("https://evil.example/", "", self.party.entity_id.upper()))),
            ("destination", rng.choice((None, "", "https://evil.example/", self.party.acs_url + "more"))),
            ("recipient", rng.choice((None, "", "https://evil.example/", self.party.acs_url + "more"))),
            ("audiences", rng.choice(((), ("urn:other",), (self.party.sp_entity_id.upper(),)))),
            ("not_before", moment(-1000, 1000)),
            ("not_on_or_after", rng.choice((None, moment(-1000, 100_000)))),
            ("confirmation_not_on_or_after", rng.choice((None, moment(-1000, 100_000)))),
            ("confirmation_not_before", moment(-1000, 1000)),
            ("issue_instant", moment(-3000, 1000)),
            ("authn_instant", rng.choice((None, moment(-100_000, 1000)))),
            ("session_not_on_or_after", moment(-1000, 1000)),
            ("in_response_to", "r-17"),
            ("confirmation_method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"),
            ("name_id", rng.choice((None, "", f" {ANA}", EVE))),
            ("name_id_format", n.NAMEID_TRANSIENT),
            ("issuer_format", rng.choice((None, n.NAMEID_PERSISTENT))),
            ("response_issuer", False),
            ("signed", Signed.NONE),
        ]
        if rng.random() < 0.5:
            facts |= dict(rng.sample(wrong, rng.choice((1, 1, 2))))
        return facts
