"""A whole configuration of an identity provider as one document: written down, compared, carried out.

What is done to the rows is done by `saml_sp.configuration`, as on the admin page. Here a document becomes those calls,
in one transaction that holds the identity provider's row.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Prefetch, ProtectedError

from api.payloads import Config, ConfigIn, ConfigOut, Domain, GroupRuleIo, Mapping, ReadOnly
from api.problems import WRONG_VALUE, Code, Fault, Refused, invalid, not_found
from orgs.models import AccessGroup, AccessLevel, MembershipRole, Organization
from saml_sp import configuration, domains, keys
from saml_sp.mapping import Target
from saml_sp.models import SLUG, EmailDomain, GroupRule, IdentityProvider, validate_slug
from saml_sp.protocol import certificates, metadata
from saml_sp.protocol.errors import CertificateRefused, ConfigurationRefused, MetadataRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

    from api.access import Caller

# Members that are columns under the same name, and those whose column is called otherwise.
_SAME = (
    "entity_id", "sso_url", "sso_binding", "slo_url", "slo_binding", "slo_response_url", "idp_initiated",
    "sp_initiated", "is_default", "show_on_sign_in", "name_id_format", "force_authn", "sign_requests", "sign_metadata",
    "subject_attribute", "portal_url", "contact", "tolerance_s", "session_hours", "no_sign_in_days",
    "level_spellings", "keep_when_missing", "refuse_unknown",
)  # fmt: skip
_CALLED = {"jit": "auto_create_users", "attribute_mapping": "mapping"}
_READ_ONLY = tuple(ReadOnly.model_fields)


@dataclass
class Outcome:
    """What came of a change: the document and its ETag before (None: there was none) and after (None: gone)."""

    before: ConfigOut | None
    after: ConfigOut | None = None
    etag: str = ""
    notes: list[str] = field(default_factory=list)

    def changes(self) -> list[dict[str, Any]]:
        """Member by member, what is different."""
        old = self.before.model_dump(mode="json") if self.before else {}
        new = self.after.model_dump(mode="json") if self.after else {}
        names = [name for name in ConfigOut.model_fields if old.get(name) != new.get(name)]
        return [{"field": name, "from": old.get(name), "to": new.get(name)} for name in names]


# --- Written down ---------------------------------------------------------------------------------------------------


def whole() -> QuerySet[IdentityProvider]:
    """Identity providers with all that their documents show: four queries, however many."""
    rules = GroupRule.objects.select_related("access_group", "organization")
    return IdentityProvider.objects.prefetch_related(
        "certificates", "domains", Prefetch("group_rules", rules)
    )  # fmt: skip


def find(slug: str) -> IdentityProvider:
    """The one of this slug. Raises Refused."""
    idp = whole().filter(slug=slug).first() if SLUG.fullmatch(slug) else None
    if idp is None:
        raise not_found()
    return idp


def document(idp: IdentityProvider) -> ConfigOut:
    """The configuration as it is; `idp` comes from `whole`."""
    held = sorted(idp.certificates.all(), key=lambda row: (-row.not_after.timestamp(), row.sha256))
    # Not validated again: what the rows hold is what it is.
    return ConfigOut.model_construct(
        slug=idp.slug,
        description=idp.description,
        enabled=idp.enabled,
        auto_create_users=idp.jit,
        certificates=[row.pem for row in held],
        authn_contexts=list(idp.requested_contexts()),
        mapping=_mapping(idp),
        level_ceiling=AccessLevel(idp.level_ceiling).label,
        group_rules=[_rule(row) for row in idp.group_rules.all()],
        domains=[
            Domain.model_construct(domain=row.domain, verified=row.verified_at is not None) for row in idp.domains.all()
        ],
        acs_url=idp.acs_url,
        sp_entity_id=idp.sp_entity_id,
        metadata_url=idp.metadata_url,
        login_url=idp.login_url,
        **{name: getattr(idp, name) for name in _SAME},
    )


def _mapping(idp: IdentityProvider) -> Mapping:
    names: dict[str, Any] = {target.value: list(idp.attribute_mapping.get(target.value, ())) for target in Target}
    return Mapping.model_construct(**names)


def _rule(row: GroupRule) -> GroupRuleIo:
    place = row.organization is not None
    return GroupRuleIo.model_construct(
        value=row.value, pattern=row.is_pattern, access_group=row.access_group.name if row.access_group else None,
        organization=row.organization.external_id if row.organization else None,
        role=row.get_role_display() if place else None,
    )  # fmt: skip


def etag_of(idp: IdentityProvider, shown: ConfigOut) -> str:
    """A strong validator (RFC 9110 8.8.1): of the row's revision, and of what the document shows besides."""
    text = json.dumps([str(idp.revision), shown.model_dump(mode="json")], sort_keys=True)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


# --- Carried out ----------------------------------------------------------------------------------------------------


def put(slug: str, wanted: ConfigIn, *, caller: Caller, check: Callable[[str | None], None], dry_run: bool) -> Outcome:
    """Make the identity provider what the document says, or make it anew.

    `check` is called with the ETag that there is (None: none), the row locked, and may raise Refused. One transaction,
    which a dry run takes back. Raises Refused; then nothing has changed.
    """
    return _transact(lambda: _put(_locked(slug), slug, wanted, caller, check), dry_run=dry_run)


def patch(
    slug: str, changes: dict[str, Any], *, caller: Caller, check: Callable[[str | None], None], dry_run: bool
) -> Outcome:
    """Change what is named, by the rules of JSON Merge Patch (RFC 7396). As `put`."""

    def carry_out() -> Outcome:
        idp = _locked(slug)
        if idp is None:
            raise not_found()
        return _put(idp, slug, merged(document(idp), changes), caller, check)

    return _transact(carry_out, dry_run=dry_run)


def delete(slug: str, *, caller: Caller, check: Callable[[str | None], None], dry_run: bool) -> Outcome:
    """Remove one that has no identities. As `put`."""

    def carry_out() -> Outcome:
        idp = _locked(slug)
        if idp is None:
            raise not_found()
        shown = document(idp)
        check(etag_of(idp, shown))
        try:
            configuration.remove(idp, now=caller.now, actor=caller.actor)
        except ProtectedError:
            count = idp.identities.count()
            raise Refused(
                Code.CONFLICT,
                f"{idp} cannot be deleted: {count} {'identity belongs' if count == 1 else 'identities belong'} to it. "
                "Disable it, or remove its identities first.",
            ) from None
        return Outcome(before=shown)

    return _transact(carry_out, dry_run=dry_run)


def _transact(carry_out: Callable[[], Outcome], *, dry_run: bool) -> Outcome:
    try:
        with transaction.atomic():
            outcome = carry_out()
            transaction.set_rollback(dry_run)
    except IntegrityError:
        raise Refused(
            Code.CONFLICT,
            "Somebody else was changing identity providers at this moment. Read it again, then try again.",
        ) from None
    return outcome


def _locked(slug: str) -> IdentityProvider | None:
    """The row, locked until the transaction ends, then read with all that belongs to it."""
    row = IdentityProvider.objects.filter(slug=slug).first() if SLUG.fullmatch(slug) else None
    try:
        return whole().get(pk=configuration.locked(row).pk) if row else None
    except IdentityProvider.DoesNotExist:
        return None  # deleted since


def merged(shown: ConfigOut, changes: dict[str, Any]) -> ConfigIn:
    """The whole configuration that a merge patch makes of one. Raises Refused, and pydantic's ValidationError."""
    for name, value in changes.items():
        if name not in ConfigIn.model_fields:
            raise invalid(name, "There is no such member.")
        if value is None and name in {"description", "domains", *_READ_ONLY}:
            raise invalid(name, "It has no default to go back to.")
    return ConfigIn.model_validate(_merge(shown.model_dump(mode="json"), changes))


def _merge(target: Any, changes: Any) -> Any:
    """RFC 7396 section 2."""
    if not isinstance(changes, dict):
        return changes
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge(result.get(name), value)
    return result


def _put(
    idp: IdentityProvider | None, slug: str, wanted: ConfigIn, caller: Caller, check: Callable[[str | None], None]
) -> Outcome:
    shown = document(idp) if idp else None
    check(etag_of(idp, shown) if idp and shown else None)
    if idp is None:
        caller.check(caller.user.has_perm("saml_sp.add_identityprovider"), "add identity providers")
        _check_slug(slug)
    outcome = Outcome(before=shown)
    _apply(idp or IdentityProvider(slug=slug, description=slug, created_at=caller.now), wanted, caller, outcome)
    after = find(slug)
    outcome.after = document(after)
    outcome.etag = etag_of(after, outcome.after)
    return outcome


def _apply(idp: IdentityProvider, wanted: ConfigIn, caller: Caller, outcome: Outcome) -> None:
    """In the order of the admin page: columns, certificates and rules, the audit record, domains, then the switch."""
    now, actor = caller.now, caller.actor
    _check_read_only(idp, wanted)
    before = configuration.snapshot(idp) if outcome.before else {}
    _set_columns(idp, wanted, caller, outcome)
    brought = _certificates(idp, wanted, caller, outcome)
    rules = _rules(idp, wanted.group_rules)
    _validate(idp)
    if not before or configuration.snapshot(idp) != before:
        idp.save()
    if configuration.fingerprints(idp) != sorted(brought):
        idp.set_certificates(brought.values())
    if _replace_rules(idp, rules, caller):
        idp.save(update_fields=["revision"])
    configuration.record_difference(idp, before, now=now, actor=actor)
    if wanted.domains is not None:
        _settle_domains(idp, wanted.domains, caller, outcome)
    if wanted.enabled:
        try:
            configuration.enable(idp, now=now, actor=actor)
        except ConfigurationRefused as refusal:
            raise Refused(Code.CONFLICT, str(refusal)) from refusal
    elif idp.enabled:
        ended = configuration.disable(idp, now=now, actor=actor)
        outcome.notes.append(f"Nobody can sign in through it any more; {ended} session(s) that it vouched for end.")


def _check_slug(slug: str) -> None:
    """Before anything is made of it: it stands in URLs. Raises Refused."""
    try:
        validate_slug(slug)
    except ValidationError as refusal:
        raise invalid("slug", " ".join(refusal.messages)) from refusal


def _check_read_only(idp: IdentityProvider, wanted: ConfigIn) -> None:
    """What this site decides may come back as it was read. Raises Refused."""
    for name in _READ_ONLY:
        value = getattr(wanted, name)
        if value is not None and value != getattr(idp, name):
            raise invalid(name, f"This is not yours to choose: it is {getattr(idp, name)}.")


def _set_columns(idp: IdentityProvider, wanted: ConfigIn, caller: Caller, outcome: Outcome) -> None:
    held = outcome.before or Config()
    for name in ("sign_requests", "sign_metadata"):
        if getattr(wanted, name) and not getattr(held, name) and keys.signer() is None:
            raise invalid(name, keys.NOTHING_TO_SIGN_WITH)
    ceiling = AccessLevel.named(wanted.level_ceiling)
    assert ceiling is not None  # noqa: S101 - the payload has one of the names
    if ceiling == AccessLevel.SUPER_ADMIN != idp.level_ceiling:
        caller.check(caller.user.is_superuser, "let an identity provider grant super_admin: superusers do")
    idp.level_ceiling = ceiling
    idp.jit = wanted.auto_create_users
    if wanted.description is not None:
        idp.description = wanted.description
    if idp.requested_contexts() != tuple(wanted.authn_contexts):
        if any(context.split() != [context] for context in wanted.authn_contexts):
            raise invalid("authn_contexts", "An authentication context is a URI, without blanks.")
        idp.authn_contexts = "\n".join(wanted.authn_contexts)
    names = wanted.mapping.model_dump()
    if names != {target: list(idp.attribute_mapping.get(target, ())) for target in names}:
        idp.attribute_mapping = {target: value for target, value in names.items() if value}
    for name in _SAME:
        setattr(idp, name, getattr(wanted, name))


def _certificates(idp: IdentityProvider, wanted: ConfigIn, caller: Caller, outcome: Outcome) -> dict[str, bytes]:
    """The signing certificates (DER) that it is to have, by fingerprint; metadata sets the columns that it names."""
    if wanted.metadata is not None:
        try:
            found = metadata.read_idp(wanted.metadata.encode(), caller.now)
        except MetadataRefused as refusal:
            raise invalid("metadata", str(refusal)) from refusal
        configuration.apply_endpoints(idp, found)
        outcome.notes += configuration.notes_on(found)
        return {certificates.describe(der).sha256: der for der in found.certificates}
    brought: dict[str, bytes] = {}
    for index, text in enumerate(wanted.certificates):
        try:
            der = certificates.read_one(text.encode())
            sha256 = certificates.describe(der).sha256
        except CertificateRefused as refusal:
            raise invalid(f"certificates.{index}", str(refusal)) from refusal
        if sha256 in brought:
            raise invalid(f"certificates.{index}", "This certificate stands here twice.")
        brought[sha256] = der
    return brought


def _validate(idp: IdentityProvider) -> None:
    """The model's own rules, in words. Raises Refused."""
    try:
        idp.full_clean()
    except ValidationError as refusal:
        raise _faults(refusal) from refusal


def _faults(refusal: ValidationError, within: str = "") -> Refused:
    faults = [
        Fault(within + ("" if name == NON_FIELD_ERRORS else _CALLED.get(name, name)), " ".join(texts))
        for name, texts in refusal.message_dict.items()
    ]
    return Refused(Code.INVALID, WRONG_VALUE, faults=faults)


# --- Group rules ----------------------------------------------------------------------------------------------------


def _rules(idp: IdentityProvider, wanted: list[GroupRuleIo]) -> list[GroupRule]:
    """Unsaved rows, each looked at. Two queries. Raises Refused."""
    groups = {row.name: row for row in AccessGroup.objects.filter(name__in={item.access_group for item in wanted})}
    ids = {item.organization for item in wanted}
    places = {row.external_id: row for row in Organization.objects.filter(external_id__in=ids)}
    rows: dict[tuple[Any, ...], GroupRule] = {}
    for index, item in enumerate(wanted):
        at = f"group_rules.{index}"
        if item.access_group is not None and item.access_group not in groups:
            raise invalid(f"{at}.access_group", "There is no access group of this name.")
        if item.organization is not None and item.organization not in places:
            raise invalid(f"{at}.organization", "There is no organisation of this ID.")
        if (item.access_group is None) == (item.organization is None):
            raise invalid(at, "Name an access group, or an organisation: one of the two.")
        if item.role is not None and item.organization is None:
            raise invalid(f"{at}.role", "A role is one in an organisation.")
        row = GroupRule(
            idp=idp, value=item.value, is_pattern=item.pattern, access_group=groups.get(item.access_group or ""),
            organization=places.get(item.organization or ""), role=MembershipRole[(item.role or "member").upper()],
        )  # fmt: skip
        try:
            row.clean_fields(exclude={"idp"})
            row.clean()
        except ValidationError as refusal:
            raise _faults(refusal, f"{at}.") from refusal
        if _key(row) in rows:
            raise invalid(at, "There is such a rule already.")
        rows[_key(row)] = row
    return list(rows.values())


def _key(row: GroupRule) -> tuple[Any, ...]:
    return (row.value, row.is_pattern, row.access_group_id, row.organization_id)


def _replace_rules(idp: IdentityProvider, wanted: list[GroupRule], caller: Caller) -> bool:
    """Hold exactly these; False if they are held already. Raises Refused for what the caller may not do."""
    held = {(*_key(row), row.role): row.pk for row in GroupRule.objects.filter(idp=idp)}
    new = {(*_key(row), row.role): row for row in wanted}
    gone = [pk for key, pk in held.items() if key not in new]
    if gone:
        caller.check(caller.user.has_perm("saml_sp.delete_grouprule"), "remove group rules")
    if new.keys() - held.keys():
        caller.check(caller.user.has_perm("saml_sp.add_grouprule"), "make group rules")
    GroupRule.objects.filter(pk__in=gone).delete()
    # One by one would cost a statement each; `clean` has been called for all of them.
    made = GroupRule.objects.bulk_create([row for key, row in new.items() if key not in held])
    return bool(gone or made)


# --- E-mail domains -------------------------------------------------------------------------------------------------


def _settle_domains(idp: IdentityProvider, wanted: list[Domain], caller: Caller, outcome: Outcome) -> None:
    """Claim those that are new, give up those that are not named. Verifying is not done at this door."""
    held = {row.domain: row for row in EmailDomain.objects.filter(idp=idp)}
    names = {item.domain.lower() for item in wanted}
    for index, item in enumerate(wanted):
        row = held.get(item.domain.lower())
        if item.verified is not None and item.verified != (row is not None and row.verified_at is not None):
            raise invalid(
                f"domains.{index}.verified",
                "A domain is verified by its DNS, or by an administrator in the administration.",
            )
    for row in held.values():
        if row.domain not in names:
            caller.check(caller.user.has_perm("saml_sp.delete_emaildomain"), "give e-mail domains up")
            domains.release(row, now=caller.now, actor=caller.actor)
    for name in sorted(names - held.keys()):
        caller.check(caller.user.has_perm("saml_sp.add_emaildomain"), "claim e-mail domains")
        try:
            row = domains.claim(idp, name, now=caller.now, actor=caller.actor)
        except domains.DomainRefused as refusal:
            raise invalid("domains", str(refusal)) from refusal
        outcome.notes.append(
            f"{row.domain} counts once it is verified: add the DNS TXT record {row.record_name} = {row.record_value}"
        )
