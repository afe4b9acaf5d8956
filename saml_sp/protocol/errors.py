"""Every refusal, each with a code that never changes.

Codes are quoted by users to support staff and matched by tests and dashboards. `headline` and `cure` are what the
person sees; `expected` and `received` are for the administrator and may quote the message.
"""

from __future__ import annotations

from typing import ClassVar


class SamlError(Exception):
    """A message, or a piece of configuration, is refused.

    `expected` and `received` are short texts for the administrator's record; they never reach the person's page.
    `http_status` is what the door answers.
    """

    code: ClassVar[str] = "saml_error"
    http_status: ClassVar[int] = 403
    headline: ClassVar[str] = "We could not sign you in."
    hint: ClassVar[str] = "Go back to your identity provider's portal and try once more."
    cure: ClassVar[str] = "Compare the expected and the received value, and correct the side that is wrong."

    def __init__(self, *, expected: str = "", received: str = "", public: str = "") -> None:
        """`public` is a further sentence that the person may see: only ever made of re-formatted verified values."""
        self.expected = expected
        self.received = received
        self.public = public
        super().__init__(self.code)

    def __str__(self) -> str:
        parts = [self.code]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.received:
            parts.append(f"received {self.received}")
        return "; ".join(parts)


# --- The door: transport ------------------------------------------------------------------------------------------


class TransportRefused(SamlError):
    """The HTTP request is not a form POST with one SAMLResponse (Bindings 3.5)."""

    code = "transport"
    cure = "The identity provider must use the HTTP-POST binding: one form field SAMLResponse, base64, and RelayState."


class MethodNotAllowed(TransportRefused):
    """Something other than POST came to the ACS."""

    code = "method_not_allowed"
    http_status = 405
    headline = "This address only receives sign-ins."
    hint = "Start from your identity provider's portal."


class MessageTooLarge(TransportRefused):
    """More than 256 KiB decoded, or a body that could not hold less."""

    code = "message_too_large"
    http_status = 413
    cure = "Let the identity provider send fewer or shorter attributes: a message may be 256 KiB at most."


class NotBase64(TransportRefused):
    """SAMLResponse is not plain base64."""

    code = "not_base64"
    cure = "SAMLResponse must be base64 (RFC 4648 4); line breaks are allowed, nothing else."


class UnknownIdp(SamlError):
    """The slug in the URL names no identity provider, or one that is disabled. Both look alike from outside."""

    code = "unknown_idp"
    http_status = 404
    headline = "There is no sign-in at this address."
    hint = "Check the address, or start from your identity provider's portal."
    cure = "Check the slug in the URL registered at the identity provider, and that this provider is enabled here."


# --- The gate: shape ----------------------------------------------------------------------------------------------


class GateRefused(SamlError):
    """The message is not of a shape that we look at."""

    code = "gate"
    cure = "The message is not one that a conforming identity provider sends. See the received value."


class NotUtf8(GateRefused):
    """The document is not UTF-8, or says that it is something else."""

    code = "not_utf8"


class ForbiddenMarkup(GateRefused):
    """A document type, comment, processing instruction or CDATA section."""

    code = "forbidden_markup"
    cure = "SAML messages need no DTD, comment, processing instruction or CDATA section; something added one."


class NotXml(GateRefused):
    """The document is not well-formed XML with namespaces."""

    code = "not_xml"


class TooComplex(GateRefused):
    """More elements, depth, attributes or namespaces than any sign-in needs."""

    code = "too_complex"
    cure = "Let the identity provider send fewer groups or attributes."


class BadStructure(GateRefused):
    """An element, attribute or namespace where none of that name belongs, or one missing."""

    code = "bad_structure"


class DuplicateId(GateRefused):
    """Two elements claim the same ID, or one is unusable."""

    code = "duplicate_id"


class AssertionCount(GateRefused):
    """Not exactly one assertion as a child of the response."""

    code = "assertion_count"
    cure = "A response must carry exactly one assertion, as a child of the Response."


class StatusNotSuccess(SamlError):
    """The identity provider itself says no (Core 3.2.2.2)."""

    code = "status_not_success"
    headline = "Your identity provider did not sign you in."
    hint = "It reported a problem of its own. Try again there, or ask whoever runs it."
    cure = "The identity provider refused; its own log says why. The status it sent is under “received”."


class EncryptionUnsupported(SamlError):
    """Something is encrypted, and there is no key here to read it with."""

    code = "encryption_unsupported"
    cure = "Make a key pair of ours and give the identity provider our metadata anew, or switch encryption off there."


class DecryptionFailed(SamlError):
    """What is encrypted did not lead to a verified assertion: the one outcome for every reason.

    Whether the key, the padding, the XML inside or its signature was wrong shows nowhere outside: who could tell them
    apart could read the assertion by asking often enough (Jager and Somorovsky, "How to Break XML Encryption", 2011).
    """

    code = "decryption_failed"
    cure = (
        "Give the identity provider our current metadata: it may encrypt for a key that is gone. "
        "Otherwise the message was altered, or what it holds is refused for the reason under “received”."
    )


# --- Signature ----------------------------------------------------------------------------------------------------


class SignatureRefused(SamlError):
    """A signature is missing, is of a shape or algorithm that we do not accept, or does not verify."""

    code = "signature"


class Unsigned(SignatureRefused):
    """Neither the response nor the assertion is signed."""

    code = "unsigned"
    cure = "Switch on signing of the assertion, of the response, or both at the identity provider."


class SignatureShape(SignatureRefused):
    """A signature that does not cover exactly its parent by one reference, or holds what it should not."""

    code = "signature_shape"


class WeakAlgorithm(SignatureRefused):
    """An algorithm outside the allow-list: SHA-1, MD5, HMAC, RSA 1.5."""

    code = "weak_algorithm"
    cure = "Set the identity provider to RSA or ECDSA with SHA-256 (or 384, 512), and exclusive canonicalisation."


class BadSignature(SignatureRefused):
    """A signature verifies with none of the certificates that we hold for this identity provider."""

    code = "bad_signature"
    cure = (
        "If the identity provider changed its signing certificate, add the new one here; else the message was altered."
    )


class SchemaInvalid(SamlError):
    """The message is not valid against the SAML 2.0 schema."""

    code = "schema_invalid"


class NoCurrentCertificate(SamlError):
    """Every certificate that we hold for this identity provider is expired or not yet valid."""

    code = "no_current_certificate"
    cure = "Add the identity provider's current signing certificate, from its metadata."


# --- The verdict --------------------------------------------------------------------------------------------------


class VerdictRefused(SamlError):
    """A verified message that is not meant for us, not now, or not for this browser."""

    code = "verdict"


class IssuerMismatch(VerdictRefused):
    """Another identity provider speaks (Profiles 4.1.4.2)."""

    code = "issuer_mismatch"
    cure = "The entity ID configured here must equal the Issuer that the identity provider sends, letter by letter."


class DestinationMismatch(VerdictRefused):
    """Addressed to another URL, or a signed response without an address (Bindings 3.5.5.2)."""

    code = "destination_mismatch"
    cure = "Register exactly our ACS URL at the identity provider (Reply URL, Single sign-on URL, Destination)."


class RecipientMismatch(VerdictRefused):
    """No bearer confirmation names our ACS URL as its Recipient (Profiles 4.1.4.2)."""

    code = "recipient_mismatch"
    cure = "Register exactly our ACS URL at the identity provider (also called Recipient URL)."


class AudienceMismatch(VerdictRefused):
    """Not for us: no audience restriction, or one that does not name us (Core 2.5.1.4)."""

    code = "audience_mismatch"
    cure = "Register exactly our entity ID at the identity provider (Audience URI, Relying party trust identifier)."


class NoBearerConfirmation(VerdictRefused):
    """No usable bearer confirmation (Profiles 4.1.4.2)."""

    code = "no_bearer_confirmation"


class BadTimestamp(VerdictRefused):
    """A time that cannot be read, or is absurd."""

    code = "bad_timestamp"


class NotYetValid(VerdictRefused):
    """The assertion, or a part of it, lies in the future beyond the tolerance."""

    code = "not_yet_valid"
    headline = "The clocks disagree."
    hint = "Your identity provider's clock and ours differ too much. Please pass the code below on to whoever runs it."
    cure = "Synchronise the identity provider's clock (NTP), and this server's; then widen the tolerance if you must."


class Expired(VerdictRefused):
    """The time to use the assertion is over."""

    code = "expired"
    headline = "This sign-in came too late."
    hint = "It was valid for a few minutes only. Go back to your identity provider's portal and try once more."
    cure = "If it happens at once and to everybody, synchronise both clocks (NTP)."


class LifetimeTooLong(VerdictRefused):
    """The assertion claims to be usable for more than a day, or was issued too long ago."""

    code = "lifetime_too_long"
    cure = "Set the assertion's lifetime at the identity provider to a few minutes."


class TimeMissing(VerdictRefused):
    """A limit that must be there is not (Profiles 4.1.4.2)."""

    code = "time_missing"


class SubjectMissing(VerdictRefused):
    """No Subject with a NameID, or one that is unusable."""

    code = "subject_missing"


class AuthnStatementMissing(VerdictRefused):
    """The assertion does not say that anybody authenticated (Profiles 4.1.4.2)."""

    code = "authn_statement_missing"


class IdpInitiatedOff(VerdictRefused):
    """An unsolicited response where the identity provider is set to accept none."""

    code = "idp_initiated_off"
    headline = "Sign-in from the portal is switched off."
    hint = "Start at this site instead of at your identity provider's portal."
    cure = "Switch on “sign-in from the IdP's portal” for this identity provider, if it is wanted."


class UnknownRequest(VerdictRefused):
    """The message answers a request that is not outstanding for this identity provider and this browser."""

    code = "unknown_request"
    headline = "We did not expect this sign-in."
    hint = "It answers a request that this browser did not make, or that is over. Please start again."
    cure = "An unsolicited response must carry no InResponseTo; some identity providers copy an old one into it."


class InResponseToMismatch(VerdictRefused):
    """Response and confirmation disagree about what they answer."""

    code = "in_response_to_mismatch"


class NotReauthenticated(VerdictRefused):
    """A fresh authentication was asked for (ForceAuthn), and the one in the assertion is older (Core 3.4.1)."""

    code = "not_reauthenticated"
    hint = "Your identity provider was asked to check your password again and did not. Please start again."
    cure = "Let the identity provider honour ForceAuthn, or stop asking for a fresh sign-in."


class WrongAuthnContext(VerdictRefused):
    """The assertion names none of the authentication contexts that were asked for (Core 3.3.2.2.1)."""

    code = "wrong_authn_context"
    hint = "Your identity provider let you in by another method than this site asks for."
    cure = "Correct the authentication contexts to ask for, or ask for none: then every method is accepted."


class Replayed(VerdictRefused):
    """The assertion has signed somebody in already (Profiles 4.1.4.5)."""

    code = "replayed"
    headline = "This sign-in was used already."
    hint = "A sign-in works once. If you came here with the back button or by reloading, you can simply go on."
    cure = "Nothing is wrong if somebody reloaded the page; many of these at once may be an attack."


# --- Where a sign-in begins ---------------------------------------------------------------------------------------


class SpInitiatedOff(SamlError):
    """Sign-in from this site is switched off for this identity provider: its portal is the only way in."""

    code = "sp_initiated_off"
    headline = "Sign in from your company's portal."
    hint = "This site is opened from there."
    cure = "Give people the portal's address, or switch on “sign-in from this site” for this identity provider."


class NoSigningKey(SamlError):
    """Requests to this identity provider are to be signed, and there is no key pair of ours to sign with."""

    code = "no_signing_key"
    headline = "Sign-in through this company is not ready yet."
    hint = "The administrator of this site has yet to complete its settings."
    cure = "Make a key pair of ours, or switch off “sign what we send” for this identity provider."


# --- The account --------------------------------------------------------------------------------------------------


class AccountRefused(SamlError):
    """The message is good, but there is no account that it may sign in to."""

    code = "account"
    hint = "Please pass the code below on to whoever runs this site for you."


class TransientSubject(AccountRefused):
    """A transient NameID is another one at each login, so it cannot name an account (Core 8.3.8)."""

    code = "transient_subject"
    cure = (
        "Let the identity provider send a persistent or e-mail NameID, or name a stable subject attribute for it here."
    )


class ValueTooLong(AccountRefused):
    """A value that identifies somebody is longer than we keep; it is never shortened."""

    code = "value_too_long"


class AmbiguousEmail(AccountRefused):
    """Several different e-mail addresses in one assertion."""

    code = "ambiguous_email"
    cure = "Let the identity provider send exactly one e-mail address."


class EmailInvalid(AccountRefused):
    """The e-mail address is not one that we accept as it stands."""

    code = "email_invalid"
    cure = "Send one plain ASCII e-mail address, without blanks or invisible characters around it."


class EmailMissing(AccountRefused):
    """A new identity without an e-mail address."""

    code = "email_missing"
    cure = "Release an attribute named Email (or mail, or the e-mail address claim) to this service provider."


class JitOff(AccountRefused):
    """No account yet, and accounts are not created by signing in."""

    code = "jit_off"
    headline = "You have no account here yet."
    hint = "An administrator must create an account for you first."
    cure = "Create the account with this identity provider, or switch on “create accounts at first sign-in”."


class EmailTaken(AccountRefused):
    """The e-mail address belongs to another account, and nothing shows that it is the same person's."""

    code = "email_taken"
    cure = "If it is the same person, make a pending identity for the account with this identity provider."


class ForeignDomain(AccountRefused):
    """The e-mail address is of a domain that belongs to another identity provider."""

    code = "foreign_domain"
    # Whose it is, the person learns at the sign-in page if they enter the address there, and nobody else from here.
    hint = "Your organisation signs in through its own identity provider."
    cure = "Sign in through the identity provider of that domain, or correct the address at this one."


class AccountOfAnotherIdp(AccountRefused):
    """The e-mail address belongs to an account that another identity provider vouches for."""

    code = "account_of_another_idp"
    cure = "If the person has moved, unlink the account from the other identity provider first."


class AccountIsLocal(AccountRefused):
    """The e-mail address belongs to somebody who signs in here with a password."""

    code = "account_is_local"
    cure = "If the person shall sign in through this identity provider, choose it in their account."


class AccountIsService(AccountRefused):
    """The e-mail address belongs to a service account, which is no person's."""

    code = "account_is_service"
    cure = "Service accounts have API tokens and never sign in. Correct the address at the identity provider."


class AccountIsStaff(AccountRefused):
    """The e-mail address belongs to a member of staff."""

    code = "account_is_staff"
    cure = "Staff are never linked by address. If it is intended, choose this identity provider in their account."


class AccountIsSuperuser(AccountRefused):
    """The e-mail address belongs to somebody with every right."""

    code = "account_is_superuser"
    cure = "Superusers are never linked by address. If it is intended, choose this identity provider in their account."


class StableSubjectMissing(AccountRefused):
    """The attribute that shall name the person has no value, or several."""

    code = "stable_subject_missing"
    cure = "Let the identity provider send the attribute with exactly one value, or name another one here."


class SubjectChanged(AccountRefused):
    """The identity provider now names somebody else by an address that it asserted before for another subject."""

    code = "subject_changed"
    cure = "If the identity provider re-created the person, rebind the identity: its page here explains how."


class AccountDeactivated(AccountRefused):
    """The account exists and is switched off."""

    code = "account_deactivated"
    headline = "Your account is switched off."
    cure = "Only an administrator can switch it on again; signing in never does."


class UnknownRights(AccountRefused):
    """The assertion names a role, property, permission or group that is not known here, and that is not let pass."""

    code = "unknown_rights"
    cure = (
        "Add what is missing here, take it away at the identity provider, or let unknown values of this identity "
        "provider be noted instead of refused."
    )


class TryAgain(AccountRefused):
    """Two first logins collided, twice over."""

    code = "try_again"


# --- Single logout ------------------------------------------------------------------------------------------------


class QueryRefused(TransportRefused):
    """The query string is not one of the HTTP-Redirect binding (Bindings 3.4)."""

    code = "query"
    cure = "The identity provider must send one SAMLRequest or SAMLResponse, deflated, in base64, percent-encoded."


class LogoutFormRefused(TransportRefused):
    """The form does not hold exactly one logout message (Bindings 3.5)."""

    code = "logout_form"
    cure = "The identity provider must post one form field, SAMLRequest or SAMLResponse, in base64, and RelayState."


class LogoutUnsigned(Unsigned):
    """A logout message without a signature (Profiles 4.4.3.1, 4.4.3.2)."""

    code = "logout_unsigned"
    cure = "Switch on signing of logout requests and logout responses at the identity provider."


class LogoutDestinationMismatch(DestinationMismatch):
    """A logout message addressed to another URL, or to none (Bindings 3.4.5.2, 3.5.5.2)."""

    code = "logout_destination_mismatch"
    cure = "Register exactly our single logout URL at the identity provider."


class LogoutReplayed(Replayed):
    """The logout request has been carried out already."""

    code = "logout_replayed"
    cure = "Nothing is wrong if somebody reloaded the page; many of these at once may be an attack."


class UnknownLogout(UnknownRequest):
    """The logout response answers no request of ours to this identity provider that is outstanding."""

    code = "unknown_logout"
    cure = "Nothing is wrong if it came late or twice; else the identity provider must answer with our request's ID."


# --- Configuration ------------------------------------------------------------------------------------------------


class ConfigurationRefused(SamlError):
    """Something that an administrator entered cannot be used; `str()` is a sentence for them."""

    code = "configuration"

    def __init__(self, sentence: str) -> None:
        super().__init__(received=sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class MetadataRefused(ConfigurationRefused):
    """The metadata document cannot be used."""

    code = "metadata"


class CertificateRefused(ConfigurationRefused):
    """The certificate cannot be used."""

    code = "certificate"


class KeyPairRefused(ConfigurationRefused):
    """The key pair of ours cannot be made, taken over or moved on."""

    code = "key_pair"


class UrlRefused(ConfigurationRefused):
    """The URL cannot be an endpoint."""

    code = "url"
