"""What the last sign-in through an identity provider did to somebody's rights, for the person to read.

Of what the identity provider sent, only names that are known here are told; what is not is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orgs.models import AccessLevel
from saml_sp.mapping import RIGHTS
from saml_sp.models import Outcome, SamlSession, SignInAttempt
from saml_sp.rights import MOST_REPORTED

if TYPE_CHECKING:
    from accounts.models import Session
    from orgs.holdings import Holdings
    from saml_sp.models import IdentityProvider


@dataclass(frozen=True, slots=True)
class Arrival:
    """The identity provider that vouches in this session, and what came of the last sign-in through it.

    `unknown` says how many of its values name nothing that there is, and `unknown_or_more` that there were more than
    were kept. `granted` and `revoked` are what changed since the sign-in before; of the first one they are empty.
    """

    idp: IdentityProvider
    trace_id: str = ""
    unknown: int = 0
    unknown_or_more: bool = False
    granted: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()

    @property
    def gives_rights(self) -> bool:
        """Whether anything that it sends can mean something here."""
        return any(self.idp.attribute_mapping.get(target) for target in RIGHTS)

    def caps(self, held: Holdings) -> bool:
        """Whether its word stands for a higher level than it is allowed to give."""
        spellings, ceiling = self.idp.level_spellings, AccessLevel(self.idp.level_ceiling)
        words = [why.value for why in held.level_whys if why.given_by == self.idp.description]
        asserted = [AccessLevel.named(spellings.get(word, word)) for word in words]
        return any(level is not None and level > ceiling for level in asserted)


def arrival(session: Session | None) -> Arrival | None:
    """How somebody came into this session; None where no identity provider vouched. Two queries."""
    if session is None:
        return None
    link = SamlSession.objects.select_related("idp").filter(session_key=session.session_key).first()
    if link is None:
        return None
    attempts = SignInAttempt.objects.filter(user=link.user_id, idp=link.idp_id, outcome=Outcome.ACCEPTED)
    # The details hold all that was sent; of those nothing but the report leaves the database.
    last, *before = (*attempts.values_list("trace_id", "detail__rights")[:2], ("", None))
    trace_id, report = last
    report = report or {}
    came_before = any(earlier for earlier, _report in before)
    unknown = report.get("unknown", [])
    return Arrival(
        link.idp,
        trace_id,
        min(len(unknown), MOST_REPORTED),
        len(unknown) > MOST_REPORTED,
        tuple(report.get("granted", ())) if came_before else (),
        tuple(report.get("revoked", ())) if came_before else (),
    )
