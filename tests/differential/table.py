"""Every disagreement there may be between us and others, and why ours is right; docs/security.md has the same table.

Each row says whose verdicts it explains, and by what a disagreement of that sort is known. One that no row knows is a
mistake: ours, theirs that somebody has yet to understand, or of the row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saml_sp.protocol.errors import DecryptionFailed

if TYPE_CHECKING:
    from tests.differential.opinion import Opinion
    from tests.differential.ours import Verdict

ONELOGIN, PYSAML2 = "python3-saml", "pysaml2"
BOTH = frozenset({ONELOGIN, PYSAML2})
ONLY_ONELOGIN, ONLY_PYSAML2 = frozenset({ONELOGIN}), frozenset({PYSAML2})


@dataclass(frozen=True)
class Row:
    """One sort of disagreement.

    Where we refuse: our `codes`, and a pattern in what we expected or received. Where they refuse: a pattern in their
    reason, and bytes that stand in the message.
    """

    title: str
    who: frozenset[str]
    why: str
    codes: frozenset[str] = frozenset()
    ours: str = ""
    theirs: str = ""
    holds: str = ""

    @property
    def we_refuse(self) -> bool:
        """Whether it is we who refuse."""
        return bool(self.codes)

    def knows(self, who: str, xml: bytes, verdict: Verdict, opinion: Opinion) -> bool:
        """Whether this disagreement is of this sort."""
        if who not in self.who or self.we_refuse is not opinion.accepted:
            return False
        if verdict.refusal is None:
            return bool(re.search(self.theirs, opinion.reason)) and bool(re.search(self.holds.encode(), xml, re.DOTALL))
        expected, received = verdict.refusal.expected, verdict.refusal.received
        code = verdict.code
        if isinstance(verdict.refusal, DecryptionFailed) and ", inside what was encrypted" in received:
            code = received.partition(",")[0]
        return code in self.codes and bool(re.search(self.ours, f"{expected} | {received}"))


def refuses(title: str, who: frozenset[str], codes: str, why: str, ours: str = "") -> Row:
    """We refuse what they accept."""
    return Row(title, who, why, codes=frozenset(codes.split()), ours=ours)


def accepts(title: str, who: frozenset[str], why: str, theirs: str, holds: str = "") -> Row:
    """They refuse what we accept."""
    return Row(title, who, why, theirs=theirs, holds=holds)


ROWS = (
    refuses(
        "another encoding than UTF-8, or XML 1.1", BOTH, "not_utf8 not_xml",
        "SAML is UTF-8 in practice; where the encoding is to be guessed, two readers may read two texts.",
        ours=r"UTF-8|XML 1\.0",
    ),
    refuses(
        "comments, processing instructions, CDATA, document types", BOTH, "forbidden_markup",
        "They are no part of what is signed, and have cut names in two (CVE-2017-11427). No identity provider needs any.",
    ),
    refuses(
        "more elements, attributes, depth or namespaces than a sign-in needs", BOTH, "too_complex",
        "What costs much is refused before it is read.",
    ),
    refuses(
        "two assertions, one of them encrypted", ONLY_PYSAML2, "assertion_count",
        "Which of the two was meant is a question that wrapping attacks ask.", ours="one Assertion",
    ),
    refuses(
        "elements and attributes where the specification has none", BOTH, "bad_structure assertion_count",
        "The schema has wildcards, and what may stand anywhere is where attacks hide (Somorovsky et al.).",
        ours="only the children|no xsi|as a child of the Response|names a key|one element|EncryptedData|an Assertion in"
        "|a NameID inside|EncryptionMethod|EncryptedKey|CipherData|CipherValue|RetrievalMethod|one DigestMethod"
        "|absolute namespace",
    ),
    refuses(
        "hints to a schema", BOTH, "bad_structure", "They ask the reader to fetch another schema.",
        ours="no schema hints"
    ),
    refuses(
        "a version other than 2.0, or none, or no ID", BOTH, "bad_structure",
        "Core 2.3.3 and 3.2.2 fix the version; without an ID nothing can be signed or used once.",
        ours='Version="2\\.0"|an ID',
    ),
    refuses(
        "a second status, or none", ONLY_PYSAML2, "bad_structure status_not_success",
        "Core 3.2.2.1: one Status, and its outermost code decides.", ours="one Status|Success",
    ),
    refuses(
        "an ID twice, or one that is no NCName or longer than 256", BOTH, "duplicate_id",
        "A reference to an ID that two elements bear, under whatever name, is to one of them for one reader, to the "
        "other for another.",
    ),
    refuses(
        "not valid against the schema", ONLY_PYSAML2, "schema_invalid",
        "pysaml2 validates its own rewriting of what is signed, and nothing of the rest (Core 1.2).",
    ),
    refuses(
        "references, transforms, canonicalisations and algorithms beside the list", BOTH,
        "signature_shape weak_algorithm",
        "Core 5.4 allows one reference and two transforms; SHA-1 is broken, inclusive canonicalisation takes in what "
        "stands outside of the signed element.",
    ),
    refuses(
        "another Destination, or none on a signed response", BOTH, "destination_mismatch",
        "Bindings 3.5.5.2 asks for equality with the URL it was sent to; python3-saml compares beginnings, and pysaml2 "
        "lets an empty one pass.",
    ),
    refuses(
        "another Recipient, or none", BOTH, "recipient_mismatch",
        "Profiles 4.1.4.2: it must be there and equal; python3-saml looks for it anywhere inside, or not at all.",
    ),
    refuses(
        "no audience, or an empty one, or one restriction of several that is not ours", BOTH, "audience_mismatch",
        "Profiles 4.1.4.2 asks for one, and Core 2.5.1.4 for every restriction to be met.",
    ),
    refuses(
        "an Issuer that is empty, differs, or is not of format entity", BOTH, "issuer_mismatch",
        "Profiles 4.1.4.2; an Issuer that is empty is not one that is absent.",
    ),
    refuses(
        "an answer to a question that nobody asked", BOTH, "unknown_request in_response_to_mismatch",
        "Profiles 4.1.5: an unsolicited response has no InResponseTo, neither outside nor inside. One that has one was "
        "meant for another browser.",
    ),
    refuses(
        "a bearer confirmation that is none, or has a beginning", BOTH, "no_bearer_confirmation",
        "Profiles 4.1.4.2: Method bearer, with data, without NotBefore.",
    ),
    refuses(
        "times without a zone, of no calendar, of no century of ours, or in the wrong order", BOTH, "bad_timestamp",
        "Core 1.3.3 wants UTC. A time that is read in two ways is valid for two periods.",
    ),
    refuses(
        "no end where one must be, or no Conditions", BOTH, "time_missing",
        "Profiles 4.1.4.2 and 4.1.4.5: without an end an assertion could be used for ever, and its ID would have to be "
        "remembered as long.",
    ),
    refuses(
        "what is usable for more than a day", BOTH, "lifetime_too_long",
        "A sign-in takes seconds; what is valid longer is worth stealing.",
    ),
    refuses(
        "what was issued long ago, is in the future, or over by less than their tolerance", BOTH,
        "expired not_yet_valid",
        "Our tolerance is 120 s; python3-saml's is 300 s, and neither looks at IssueInstant and AuthnInstant as we do.",
    ),
    refuses(
        "a NameID that is empty, absent, or has blanks or invisible characters around it", BOTH, "subject_missing",
        "Trimmed, two people become one; invisible, one looks like another.",
    ),
    refuses(
        "a NameID, qualifier, format or session index of more than 1024 characters", BOTH, "value_too_long",
        "They are kept as they are or not at all.",
    ),
    accepts(
        "RSA-OAEP with a mask of its own (XML Encryption 1.1)", ONLY_ONELOGIN,
        "Its schemas know XML Encryption 1.0 only, and refuse the element that names the mask.",
        theirs="Not match the saml-schema-protocol", holds="xmlenc11#rsa-oaep",
    ),
    accepts(
        "an EncryptedKey beside EncryptedData, without a RetrievalMethod", BOTH,
        "Core 6.1 allows both places; with one key and one datum there is nothing to retrieve.",
        theirs="No KeyInfo present|Missing assertion", holds=r"EncryptedData>\s*<[\w:]*EncryptedKey",
    ),
    accepts(
        "RSA-OAEP with SHA-256", ONLY_PYSAML2,
        "Debian's xmlsec1 1.2 knows SHA-1 there only; it is XML Encryption 1.1's.",
        theirs="Missing assertion",
        holds="oaep.*DigestMethod[^<]*xmlenc#sha256.*CipherValue",
    ),
    accepts(
        "attribute values that are empty or hold elements", ONLY_PYSAML2,
        "It validates its own rewriting of them, which is not valid; as they came they are.",
        theirs="Invalid document format",
    ),
    accepts(
        "a signed response that does not name its Issuer", ONLY_PYSAML2,
        "The errata of Profiles 4.1.4.2 ask for it, but nothing hangs on it here: the assertion names its Issuer, and the "
        "URL decides whose keys count.",
        theirs="MissingKey",
    ),
    accepts(
        "EncryptedData without a Type", BOTH,
        "Type is optional (XML Encryption 3.1); in an EncryptedAssertion there can be nothing but an element.",
        theirs="TypeError|no attribute 'encrypted_assertion'", holds="EncryptedData",
    ),
    accepts(
        "moments with an offset", BOTH,
        "Core 1.3.3 asks identity providers for UTC; an offset is computed rather than ignored. They raise what is no "
        "refusal of theirs.",
        theirs=r"does not match format|no attribute 'version'", holds=r"T\d\d:\d\d:\d\d[.\d]*[+-]\d\d:\d\d",
    ),
    accepts(
        "a confirmation that is over by less than our tolerance", ONLY_ONELOGIN,
        "It tolerates a clock that is wrong for Conditions only.",
        theirs="A valid SubjectConfirmation was not found",
    ),
)  # fmt: skip


def explanation(who: str, xml: bytes, verdict: Verdict, opinion: Opinion) -> Row | None:
    """The row that knows this disagreement."""
    return next((row for row in ROWS if row.knows(who, xml, verdict, opinion)), None)


def markdown() -> str:
    """The table as docs/security.md has it."""
    lines = ["| disagreement | with | why ours is right |", "|---|---|---|"]
    for wanted, verb in ((True, "we refuse"), (False, "we accept")):
        lines += [
            f"| {verb} {row.title} | {', '.join(sorted(row.who, reverse=True))} | {row.why} |"
            for row in ROWS
            if row.we_refuse is wanted
        ]
    return "\n".join(lines)
