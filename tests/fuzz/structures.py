"""Inputs that are put together by hypothesis from what the fields are made of, rather than changed from valid ones."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st

from saml_sp.protocol import names as n
from tests.mutations import TOKENS

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_TAGS = (
    "samlp:Response", "samlp:Status", "samlp:StatusCode", "samlp:StatusDetail", "samlp:Extensions", "saml:Assertion",
    "saml:Issuer",
    "saml:Subject", "saml:NameID", "saml:EncryptedID", "saml:EncryptedAssertion", "saml:SubjectConfirmation",
    "saml:Conditions",
    "saml:SubjectConfirmationData", "saml:AudienceRestriction", "saml:Audience", "saml:AuthnStatement",
    "saml:AuthnContext",
    "saml:AttributeStatement", "saml:Attribute", "saml:AttributeValue", "saml:Advice", "ds:Signature", "ds:SignedInfo",
    "ds:CanonicalizationMethod", "ds:SignatureMethod", "ds:Reference", "ds:Transforms", "ds:Transform",
    "ds:DigestMethod",
    "ds:DigestValue", "ds:SignatureValue", "ds:KeyInfo", "ds:X509Data", "ds:X509Certificate", "ds:RetrievalMethod",
    "xenc:EncryptedData", "xenc:EncryptedKey", "xenc:EncryptionMethod", "xenc:CipherData", "xenc:CipherValue",
    "ec:InclusiveNamespaces", "samlp:LogoutRequest", "samlp:SessionIndex", "md:EntityDescriptor",
    "md:EntitiesDescriptor",
    "md:IDPSSODescriptor", "md:KeyDescriptor", "md:SingleSignOnService", "md:SingleLogoutService", "x:thing",
)  # fmt: skip
_NAMES = (
    "ID", "Id", "Version", "IssueInstant", "Destination", "InResponseTo", "Algorithm", "URI", "Method", "Recipient",
    "NotBefore",
    "NotOnOrAfter", "Format", "Value", "Name", "FriendlyName", "PrefixList", "Type", "AuthnInstant", "SessionIndex",
    "entityID",
    "protocolSupportEnumeration", "use", "Binding", "Location", "ResponseLocation", "validUntil", "xsi:type",
    "xml:id", "xml:space",
)  # fmt: skip
_VALUES = (
    "2.0", "#a", "a", "b", n.STATUS_SUCCESS, n.EXCLUSIVE, n.ENVELOPED_SIGNATURE, n.CM_BEARER, n.NAMEID_ENTITY,
    n.SAMLP, "signing",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256",
    "2026-11-22T08:00:00Z",
    f"{n.XENC}rsa-oaep-mgf1p", f"{n.XENC}aes256-cbc", n.TYPE_ELEMENT, "https://idp.customer.example/metadata", "xs ds",
    "https://portico.example/saml/customer/acs/", "https://portico.example/saml/customer/slo/",
    "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
)  # fmt: skip
_SPACES = {
    "samlp": n.SAMLP, "saml": n.SAML, "ds": n.DS, "xenc": n.XENC, "ec": n.EXC_C14N, "md": n.MD, "xsi": n.XSI,
    "xs": n.XS, "x": "urn:x",
}  # fmt: skip
_DECLARED = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _SPACES.items())
_TEXT = st.one_of(st.sampled_from((*_VALUES, "", "AAAA", "ana@customer.example")), st.text(max_size=20))
_FIELDS = (
    "SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding", "x", "", "samlrequest",
    "SAMLRequest[]",
)  # fmt: skip


def _element(tag: str, attributes: dict[str, str], inner: str) -> str:
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{tag}{written}>{inner}</{tag}>"


_ATTRIBUTES = st.dictionaries(st.sampled_from(_NAMES), _TEXT, max_size=4)
_TREES: SearchStrategy[str] = st.recursive(
    st.builds(_element, st.sampled_from(_TAGS), _ATTRIBUTES, _TEXT.map(escape)),
    lambda inner: st.builds(_element, st.sampled_from(_TAGS), _ATTRIBUTES, st.lists(inner, max_size=5).map("".join)),
    max_leaves=25,
)


def documents(*roots: str) -> SearchStrategy[bytes]:
    """XML of the vocabulary of SAML, below one of these roots."""

    def document(root: str, attributes: dict[str, str], inner: list[str]) -> bytes:
        declared = _element(root, attributes, "".join(inner)).replace(f"<{root}", f"<{root}{_DECLARED}", 1)
        return declared.encode("utf-8", "replace")

    return st.builds(document, st.sampled_from(roots), _ATTRIBUTES, st.lists(_TREES, max_size=6))


_ENCODED = st.one_of(
    st.text(alphabet="AZaz09+/=%&-_ \r\n", max_size=60), st.binary(max_size=40).map(lambda data: data.hex()), _TEXT
)
QUERIES: SearchStrategy[bytes] = st.lists(st.tuples(st.sampled_from(_FIELDS), _ENCODED), max_size=8).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "surrogatepass")
)
_PIECES = (
    "/", "//", "\\", ":", "@", "?", "#", ".", "..", "%", "%2f", "%5C", "%252F", "%00", "%0d%0a", "\t", "\n", " ",
    "\u3000", "\uff0f",
    "a", "evil.example", "https:", "javascript:", "data:", "portico.example", "[", "]", ";", "é", "\u202e", "-", "+",
    "=", "1",
)  # fmt: skip
TEXTS: SearchStrategy[bytes] = st.one_of(
    st.lists(st.one_of(st.sampled_from(_PIECES), st.characters()), max_size=14).map("".join), st.text(max_size=300)
).map(lambda text: text.encode("utf-8", "surrogatepass"))
MOMENTS: SearchStrategy[bytes] = st.one_of(
    st.datetimes().map(lambda value: f"{value.isoformat()}Z".encode()),
    st.from_regex(r"\A\d{4,5}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,45})?(Z|[+-]\d\d:\d\d)?\Z").map(str.encode),
    st.text(alphabet="0123456789TZ:.+-٠١ ", max_size=40).map(str.encode),
)
TOKEN_SOUP: SearchStrategy[bytes] = st.lists(
    st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8),
    st.sampled_from(_TAGS).map(lambda tag: f"<{tag}>".encode())),
    max_size=30,
).map(b"".join)  # fmt: skip

# By the name of the target.
STRATEGIES: dict[str, SearchStrategy[bytes]] = {
    "message": st.one_of(documents("samlp:Response"), TOKEN_SOUP),
    "form field": st.one_of(st.binary(max_size=200), TEXTS),
    "plain text": st.one_of(documents("saml:Assertion"), TOKEN_SOUP),
    "logout message": documents("samlp:LogoutRequest", "samlp:LogoutResponse"),
    "query string": QUERIES,
    "metadata": documents("md:EntityDescriptor", "md:EntitiesDescriptor"),
    "certificate": st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(
        lambda data: b"-----BEGIN CERTIFICATE-----" + data + b"-----END CERTIFICATE-----"
    )),
    "relay state": TEXTS,
    "endpoint": st.one_of(TEXTS, TEXTS.map(lambda text: b"https://" + text)),
    "address": st.one_of(TEXTS, st.emails().map(str.encode)),
    "moment": MOMENTS,
}  # fmt: skip
