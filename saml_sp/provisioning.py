"""Who somebody is, and whether they may come in.

`plan` answers with a frozen value and changes nothing; `provision` applies that value in the login's transaction.
Identity is (IdP, subject). An account that exists is reached through its identity, through a pending identity that an
administrator made, or by an e-mail address in a domain that is verified for this identity provider, and then only if
nobody else has a claim to it: never staff, never somebody with a password here, never another provider's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from django.db import DatabaseError, IntegrityError
from django.db.models import Exists, F

from accounts import addresses
from accounts.models import User
from audit.kinds import Kind
from audit.log import record
from audit.statements import Given, Select, Update
from orgs import grants
from saml_sp import mapping, rights
from saml_sp.mapping import Reading, Target
from saml_sp.models import EmailDomain, FederatedIdentity, IdentityProvider
from saml_sp.protocol import names as n
from saml_sp.protocol.errors import (
    AccountDeactivated,
    AccountIsLocal,
    AccountIsService,
    AccountIsStaff,
    AccountIsSuperuser,
    AccountOfAnotherIdp,
    AccountRefused,
    AmbiguousEmail,
    EmailInvalid,
    EmailMissing,
    EmailTaken,
    ForeignDomain,
    JitOff,
    StableSubjectMissing,
    SubjectChanged,
    TransientSubject,
)

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from saml_sp.protocol.types import Assertion, NameId

MAX_NAME = 150
MAX_DISPLAY_NAME = 200
MAX_SUBJECT = 1024


class Step(StrEnum):
    """What a login does about the account."""

    RETURN = "return"
    COMPLETE = "complete"
    LINK = "link"
    CREATE = "create"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who the identity provider says this is: the NameID, or the value of the attribute that stands in for it."""

    value: str
    attribute: str
    name_id: NameId

    @property
    def key(self) -> str:
        """The digest under which it is compared: SHA-256 in hexadecimal."""
        if self.attribute:
            # Two parts, where a NameID has three: neither can be made to look like the other.
            return digest(self.attribute, self.value)
        return subject_key(self.name_id)


@dataclass(frozen=True, slots=True)
class Profile:
    """What an assertion says of a person, read and checked; `readings` are for the record: what came from where."""

    subject: Subject
    email: str | None
    first_name: str
    last_name: str
    display_name: str = ""
    readings: dict[Target, Reading] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen at a login.

    `identity` is the one that is found or completed; `user` the account, None where it is yet to be made. `new_email`
    replaces the account's address. `rights` is what the identity provider's mapping gives and takes. `notes` are for
    the administrator's record.
    """

    step: Step
    idp: IdentityProvider
    profile: Profile
    identity: FederatedIdentity | None = None
    user: User | None = None
    new_email: str | None = None
    rights: rights.Rights = field(default_factory=rights.Rights)
    notes: tuple[str, ...] = ()


def plan(idp: IdentityProvider, assertion: Assertion, *, to_apply: bool = False) -> Plan:
    """Find out who this is, whether they may come in, and what they then hold; changes nothing.

    To be applied in the same transaction it locks the person who comes back: of two sign-ins at once the later one
    plans from what the earlier one left. Raises an AccountRefused. Two queries for somebody who has been here before,
    whose address is the same and to whom nothing is mapped.
    """
    profile = read_profile(idp, assertion)
    planned = _plan_account(idp, profile, assertion, _HELD_LOCKED if to_apply else _HELD)
    # After the account: who is refused there need not know what else is wrong.
    wished = rights.wish(idp, assertion)
    holding = grants.held(planned.user, idp.pk) if planned.user is not None else []
    return replace(planned, rights=rights.plan(wished, holding))


def _plan_account(
    idp: IdentityProvider, profile: Profile, assertion: Assertion, find: Select[FederatedIdentity]
) -> Plan:
    facts = {"idp": idp.pk, "subject_key": profile.subject.key}
    identity = find.first(**facts)
    if identity is None:
        try:
            return _plan_unknown(idp, profile, assertion)
        except AccountRefused:
            # Each query sees what is committed by then: the address may be this very subject's, since a moment ago.
            identity = find.first(**facts)
            if identity is None:
                raise
    return _plan_return(idp, profile, identity)


def _known() -> QuerySet[FederatedIdentity]:
    return FederatedIdentity.objects.select_related("user").filter(idp=Given("idp"), subject_key=Given("subject_key"))


_HELD = Select(_known)
_HELD_LOCKED = Select(lambda: _known().select_for_update(of=("user",)))
_GREET = Update(
    lambda: User.objects.filter(pk=Given("user")),
    first_name=Given("first_name"), last_name=Given("last_name"), display_name=Given("display_name"),
    sso_label=Given("sso_label"), sso_valid_until=Given("valid_until"), last_login=Given("now"),
    # Asked of the row, not of what was read when the sign-in began: somebody may have disabled it meanwhile.
    sso_suspended=~Exists(IdentityProvider.objects.filter(pk=Given("idp"), enabled=True)),
)  # fmt: skip
# Somebody may have unlinked, rebound or moved the identity, or switched the account off, since it was read.
_SIGNED_IN = Update(
    lambda: FederatedIdentity.objects.filter(
        pk=Given("identity"), subject_key=Given("subject_key"), user=Given("user"), user__is_active=True
    ),
    last_sign_in=Given("now"),
)


def _plan_unknown(idp: IdentityProvider, profile: Profile, assertion: Assertion) -> Plan:
    """A subject that is new here: one that is awaited, one that took another's place, or one for `_plan_new`."""
    if profile.email is None:
        raise EmailMissing(expected="an e-mail address for a new identity", received=attribute_names(assertion))
    held = FederatedIdentity.objects.select_related("user").filter(idp=idp, email_key=addresses.key(profile.email))
    same_address = list(held)
    for candidate in same_address:
        if candidate.pending:
            check_active(candidate.user, profile.email)
            return Plan(Step.COMPLETE, idp, profile, identity=candidate, user=candidate.user)
    if same_address:
        raise SubjectChanged(
            expected="the subject that this address had before", received=f"another subject for {profile.email}"
        )
    return _plan_new(idp, profile, profile.email)


def _plan_return(idp: IdentityProvider, profile: Profile, identity: FederatedIdentity) -> Plan:
    """Somebody who has been here before; a new address is taken over where its domain is this provider's."""
    user, email = identity.user, profile.email
    check_active(user, email)
    returning = Plan(Step.RETURN, idp, profile, identity=identity, user=user)
    if email is None or addresses.key(email) == user.email_key:
        return returning
    if EmailDomain.objects.owner_of(email) != idp:
        return replace(
            returning, notes=(f"The new address {email} is not taken over: its domain is not verified here.",)
        )
    if User.objects.filter(email_key=addresses.key(email)).exists():
        return replace(returning, notes=(f"The new address {email} is not taken over: another account has it.",))
    if _held_by_others(identity, email):
        return replace(returning, notes=(f"The new address {email} is not taken over: another identity has it.",))
    return replace(returning, new_email=email)


def _held_by_others(identity: FederatedIdentity, email: str) -> bool:
    """Whether the address is that of somebody else at the same identity provider, perhaps of one who is awaited."""
    same = FederatedIdentity.objects.filter(idp=identity.idp_id, email_key=addresses.key(email))
    return same.exclude(pk=identity.pk).exists()


def _plan_new(idp: IdentityProvider, profile: Profile, email: str) -> Plan:
    """An identity that is new here: for an account that exists, if it may be linked, else for a new one."""
    owner = EmailDomain.objects.owner_of(email)
    if owner is not None and owner != idp:
        raise ForeignDomain(expected=f"an address outside {addresses.domain(email)}", received=email)
    user = User.objects.filter(email_key=addresses.key(email)).first()
    if user is not None:
        check_linkable(user, idp, email, owns_domain=owner == idp)
        return Plan(Step.LINK, idp, profile, user=user)
    if not idp.jit:
        raise JitOff(expected="an account made by an administrator", received=email)
    return Plan(Step.CREATE, idp, profile)


def check_linkable(user: User, idp: IdentityProvider, email: str, *, owns_domain: bool) -> None:
    """An account is linked by its address only if nobody else has a claim to it. The rank of an account comes first."""
    check_active(user, email)
    if user.is_service_account:
        raise AccountIsService(expected="the account of a person", received=email)
    if user.is_superuser:
        raise AccountIsSuperuser(expected="an account without rights over this site", received=email)
    if user.is_staff:
        raise AccountIsStaff(expected="an account without rights over this site", received=email)
    bound_to = set(user.identities.values_list("idp_id", flat=True))
    if idp.pk in bound_to:
        raise SubjectChanged(expected="the subject that this account has", received=f"another subject for {email}")
    if bound_to:
        raise AccountOfAnotherIdp(expected="an account that no identity provider vouches for", received=email)
    if user.has_usable_password():
        raise AccountIsLocal(expected="an account without a password here", received=email)
    if not owns_domain:
        raise EmailTaken(expected="an address that no account has, or one of a verified domain", received=email)


def check_active(user: User, email: str | None) -> None:
    """Signing in never switches an account on again."""
    if not user.is_active:
        raise AccountDeactivated(expected="an active account", received=f"{email or user.email}, switched off")


def manager_of(email: str) -> IdentityProvider | None:
    """The enabled identity provider that manages the account of this address; None for a local account, and for nobody.

    An account is managed if it has no password here, or if an identity provider has vouched for it: staff excepted, who
    keep theirs for the day that the identity provider is down.
    """
    held = FederatedIdentity.objects.select_related("idp", "user")
    latest = F("last_sign_in").desc(nulls_last=True)
    identity = held.filter(user__email_key=addresses.key(email), idp__enabled=True).order_by(latest, "pk").first()
    if identity is None:
        return None
    user = identity.user
    local = user.has_usable_password() and (user.is_staff or not user.sso_label)
    return None if local else identity.idp


@dataclass(frozen=True, slots=True)
class WayIn:
    """Through which identity provider somebody signs in; `by_domain` says that everybody with such an address does."""

    idp: IdentityProvider
    by_domain: bool


def way_in(email: str) -> WayIn | None:
    """Where the sign-in page sends whoever enters this address; None where its own form is all there is.

    To the enabled identity provider that manages the account, else to the one that owns the address's domain, whether
    there is such an account or not. Never a break-glass administrator, who must get in when it does not answer.
    """
    if not addresses.is_address(email):
        return None
    owner = EmailDomain.objects.owner_of(email)
    idp = manager_of(email) or owner
    if idp is None or not idp.enabled:
        return None
    if User.objects.filter(email_key=addresses.key(email), is_break_glass=True).exists():
        return None
    return WayIn(idp, by_domain=idp == owner)


def registered_via_sso(email: str) -> bool:
    """Whether whoever has this address signs in through an identity provider: a program is refused its password.

    So it is for each address of a domain that is verified for one, whether there is such an account or not, and for
    each account that one vouches for or is to: also while that one is disabled, which makes nobody a local account.
    Never for a break-glass administrator. Three queries at most.
    """
    key = addresses.key(email)
    user = User.objects.filter(email_key=key).first()
    if user is not None and user.is_break_glass:
        return False
    if user is not None and (user.sso_label or user.identities.exists()):
        return True
    if EmailDomain.objects.owner_of(email) is not None:
        return True
    return user is None and FederatedIdentity.objects.filter(email_key=key).exists()


def provision(planned: Plan, now: datetime) -> User:
    """Apply a plan in the caller's transaction: make or find the account, bring names and address up to date.

    Raises django.db.IntegrityError when another login made or took the same account a moment ago: plan again. Raises an
    AccountRefused where an account that was to be linked has become one that must not be.
    """
    idp, profile = planned.idp, planned.profile
    user = _lock(planned) if planned.step is Step.LINK else planned.user or _create(profile, now)
    if planned.step is not Step.RETURN:
        _bind(planned, user, now)
        record(
            _KINDS[planned.step], now=now, actor=idp, actor_id=idp.pk,
            subject_type="user", subject_id=user.pk, subject=user,
        )  # fmt: skip
    if planned.new_email is not None:
        record(
            Kind.SSO_EMAIL_CHANGED, now=now, actor=idp, actor_id=idp.pk, subject_type="user", subject_id=user.pk,
            subject=user, data={"from": user.email, "to": planned.new_email},
        )  # fmt: skip
        user.email = planned.new_email
    user.first_name = profile.first_name or user.first_name
    user.last_name = profile.last_name or user.last_name
    user.display_name = profile.display_name or user.display_name
    user.sso_label = idp.description
    user.sso_valid_until = idp.valid_until(now)
    user.last_login = now
    if planned.new_email is not None:
        _save_address(user)
    _GREET.run(
        user=user.pk, first_name=user.first_name, last_name=user.last_name, display_name=user.display_name,
        sso_label=user.sso_label, valid_until=user.sso_valid_until, now=now, idp=idp.pk,
    )  # fmt: skip
    if planned.step is Step.RETURN and planned.identity is not None:
        _note_return(planned, planned.identity, user, now)
    rights.apply(planned.rights, user, idp, now)
    return user


def _save_address(user: User) -> None:
    try:
        user.save(update_fields={"email"})
    except IntegrityError:
        raise
    except DatabaseError as error:  # Django's word for a row that is not there any more
        raise IntegrityError("the account was deleted a moment ago") from error


def _note_return(planned: Plan, identity: FederatedIdentity, user: User, now: datetime) -> None:
    """Write down that the identity was used, if it still is what it was; the account's row is locked by now."""
    key = planned.profile.subject.key
    if not _SIGNED_IN.run(identity=identity.pk, subject_key=key, user=user.pk, now=now):
        raise IntegrityError("the identity was taken away a moment ago")
    if planned.new_email is not None:
        FederatedIdentity.objects.filter(pk=identity.pk).update(email_key=addresses.key(planned.new_email))


_KINDS = {
    Step.COMPLETE: Kind.SSO_IDENTITY_COMPLETED,
    Step.LINK: Kind.SSO_ACCOUNT_LINKED,
    Step.CREATE: Kind.SSO_ACCOUNT_CREATED,
}


def _lock(planned: Plan) -> User:
    """The account to be linked, held until the transaction ends.

    No constraint forbids an account several identities, so two subjects that assert its address at once meet here; and
    an administrator may have changed what it is since the plan was made.
    """
    assert planned.user is not None  # noqa: S101 - a plan to link has one
    assert planned.profile.email is not None  # noqa: S101 - as above
    user = User.objects.select_for_update().filter(pk=planned.user.pk).first()
    if user is None or user.identities.exists():
        raise IntegrityError("the account was linked or removed a moment ago")
    check_linkable(user, planned.idp, planned.profile.email, owns_domain=True)
    return user


def _create(profile: Profile, now: datetime) -> User:
    assert profile.email is not None  # noqa: S101 - a plan to create has one
    user = User(email=profile.email, date_joined=now)
    user.set_unusable_password()
    user.save(force_insert=True)
    return user


def _bind(planned: Plan, user: User, now: datetime) -> None:
    """Write the subject down: from now on it is what names this person, not the address."""
    subject = planned.profile.subject
    facts = {
        "subject": subject.value,
        "subject_attribute": subject.attribute,
        "name_id_format": subject.name_id.format,
        "name_qualifier": subject.name_id.name_qualifier,
        "sp_name_qualifier": subject.name_id.sp_name_qualifier,
        "subject_key": subject.key,
        "last_sign_in": now,
    }
    if planned.identity is None:
        assert planned.profile.email is not None  # noqa: S101 - a plan for a new identity has one
        FederatedIdentity.objects.create(
            idp=planned.idp, user=user, email_key=planned.profile.email, created_at=now, **facts
        )
        return
    # Of two subjects that claim one pending identity at once, the second must not take the first one's place.
    still_pending = FederatedIdentity.objects.filter(pk=planned.identity.pk, subject__isnull=True)
    if not still_pending.update(**facts):
        raise IntegrityError("the pending identity was completed a moment ago")


def read_subject(idp: IdentityProvider, assertion: Assertion) -> Subject:
    """The NameID, or the one value of the stable subject attribute where the identity provider has one.

    Raises TransientSubject for a transient NameID without such an attribute (Core 8.3.8), StableSubjectMissing where
    the attribute has no value or several.
    """
    if not idp.subject_attribute:
        if assertion.name_id.format == n.NAMEID_TRANSIENT:
            raise TransientSubject(expected="a NameID that stays, or a stable subject attribute", received="transient")
        return Subject(value=assertion.name_id.value, attribute="", name_id=assertion.name_id)
    values = set(assertion.values(idp.subject_attribute))
    value = values.pop() if len(values) == 1 else None
    if not value or value != value.strip() or not value.isprintable() or len(value) > MAX_SUBJECT:
        raise StableSubjectMissing(
            expected=f"one plain value of the attribute {idp.subject_attribute}", received=attribute_names(assertion)
        )
    return Subject(value=value, attribute=idp.subject_attribute, name_id=assertion.name_id)


def subject_key(name_id: NameId) -> str:
    """The digest under which a NameID and its qualifiers are compared: SHA-256 in hexadecimal.

    The format is left out: identity providers rename it (unspecified, e-mail) without meaning somebody else.
    """
    return digest(name_id.value, name_id.name_qualifier, name_id.sp_name_qualifier)


def digest(*parts: str) -> str:
    """SHA-256 of texts, kept apart by a character that XML cannot hold."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def read_profile(idp: IdentityProvider, assertion: Assertion) -> Profile:
    """Who this is and what they are called. Raises what `read_subject` and `read_email` raise."""
    subject, email = read_subject(idp, assertion), read_email(idp, assertion)
    names = {
        target: mapping.read(assertion, mapping.names_for(target, idp.attribute_mapping))
        for target in (Target.FIRST_NAME, Target.LAST_NAME, Target.DISPLAY_NAME)
    }
    parts = (names[Target.FIRST_NAME], names[Target.LAST_NAME])
    if not idp.attribute_mapping.get(Target.DISPLAY_NAME) and any(part.values for part in parts):
        # Unless somebody wants it, a whole name is for where there are no parts: some send a placeholder beside them.
        names[Target.DISPLAY_NAME] = Reading()
    return Profile(
        subject=subject,
        email=email,
        first_name=_shown(names[Target.FIRST_NAME], MAX_NAME),
        last_name=_shown(names[Target.LAST_NAME], MAX_NAME),
        display_name=_shown(names[Target.DISPLAY_NAME], MAX_DISPLAY_NAME),
        readings={Target.EMAIL: _address_reading(idp, assertion, email), **names},
    )


def read_email(idp: IdentityProvider, assertion: Assertion) -> str | None:
    """The one e-mail address of an assertion, strictly parsed: from an attribute, else from an e-mail-shaped NameID.

    Where an administrator has said which attributes hold it, the first of them that has a value counts; otherwise all
    that are called like one must agree. None when there is neither. Raises AmbiguousEmail for several different ones
    (case apart) and EmailInvalid for a value that is not an address as it stands: nothing is trimmed or repaired.
    """
    values = _email_values(idp, assertion)
    if not values:
        return assertion.name_id.value if addresses.is_address(assertion.name_id.value) else None
    for value in values:
        if value is None or not addresses.is_address(value):
            raise EmailInvalid(expected="a plain ASCII address", received=repr(value)[:300])
    addresses_found = [value for value in values if value is not None]
    if len({addresses.key(value) for value in addresses_found}) > 1:
        raise AmbiguousEmail(expected="one e-mail address", received=", ".join(addresses_found)[:300])
    return addresses_found[0]


def _address_reading(idp: IdentityProvider, assertion: Assertion, email: str | None) -> Reading:
    """Where the address came from, for the record."""
    if email is None:
        return Reading()
    names = mapping.names_for(Target.EMAIL, idp.attribute_mapping)
    source = next((name for name in names if email in mapping.values_of(assertion, name)), "NameID")
    return Reading(source, (email,))


def _email_values(idp: IdentityProvider, assertion: Assertion) -> list[str | None]:
    """The values that are meant to be addresses, with what is at fault: a blank one, one that holds elements."""
    configured = idp.attribute_mapping.get(Target.EMAIL)
    if not configured:
        names = mapping.DEFAULTS[Target.EMAIL]
        return [value for name in names for value in assertion.values(name) if value != ""]
    for name in configured:
        if values := [value for value in mapping.values_of(assertion, name) if value != ""]:
            return values
    return []


def _shown(reading: Reading, longest: int) -> str:
    """The first value, shortened where it is too long: a name identifies nobody."""
    return reading.values[0].strip()[:longest] if reading.values else ""


def attribute_names(assertion: Assertion) -> str:
    """For the administrator's record: what came instead."""
    return "attributes " + (", ".join(attribute.name for attribute in assertion.attributes)[:300] or "none")
