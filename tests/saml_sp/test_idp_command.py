"""`manage.py idp`, as operators and scripts use it."""

from __future__ import annotations

import io
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Session, User
from audit.models import Event
from saml_sp.models import IdentityProvider, IdpCertificate, SamlSession
from tests import factories
from tests.idp_metadata import certificate, endpoint, entity, expired, key_descriptor, role

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db


def idp(*arguments: str) -> str:
    out = io.StringIO()
    call_command("idp", *arguments, stdout=out)
    return out.getvalue()


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        idp(*arguments)
    return str(caught.value)


def kinds() -> list[str]:
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


@pytest.fixture
def metadata(tmp_path: Path) -> str:
    path = tmp_path / "metadata.xml"
    path.write_text(entity())
    return str(path)


@pytest.fixture
def other_metadata(tmp_path: Path) -> str:
    path = tmp_path / "other.xml"
    slo = endpoint(
        "SingleLogoutService", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST", "https://idp.example.com/slo"
    )
    keys = key_descriptor(certificate("next"))
    path.write_text(entity(role(keys=keys, slo=slo), entity_id="https://idp.example.com/other"))
    return str(path)


def bad(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "bad.xml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_import_creates_a_disabled_identity_provider_named_after_its_slug(metadata: str) -> None:
    said = idp("import", "acme", "--metadata", metadata)
    held = IdentityProvider.objects.get()
    assert (held.slug, held.description, held.enabled) == ("acme", "acme", False)
    assert (held.entity_id, held.sso_url) == ("https://idp.example.com/entity", "https://idp.example.com/sso")
    assert (held.jit, held.idp_initiated) == (True, True)
    assert held.certificates.get().sha256 in said
    assert "acme was created." in said
    assert held.acs_url in said
    assert kinds() == ["admin:idp:create"]
    assert Event.objects.get().actor == "manage.py idp import"


def test_import_takes_every_switch_in_one_go(metadata: str) -> None:
    idp(
        "import", "acme", "--metadata", metadata, "--enable", "--no-jit", "--no-idp-initiated",
        "--description", "Acme Okta",
    )  # fmt: skip
    held = IdentityProvider.objects.get()
    assert (held.enabled, held.jit, held.idp_initiated, held.description) == (True, False, False, "Acme Okta")
    assert kinds() == ["admin:idp:create", "admin:idp:enable"]


def test_import_twice_changes_nothing_the_second_time(metadata: str) -> None:
    arguments = ("import", "acme", "--metadata", metadata, "--enable", "--no-jit")
    idp(*arguments)
    before = IdentityProvider.objects.values().get(), list(IdpCertificate.objects.values())
    assert "acme is up to date." in idp(*arguments)
    assert (IdentityProvider.objects.values().get(), list(IdpCertificate.objects.values())) == before
    assert kinds() == ["admin:idp:create", "admin:idp:enable"]


def test_import_again_takes_over_what_changed_and_leaves_what_was_not_named(metadata: str, other_metadata: str) -> None:
    idp("import", "acme", "--metadata", metadata, "--enable", "--no-jit", "--description", "Acme")
    revision = IdentityProvider.objects.get().revision
    idp("import", "acme", "--metadata", other_metadata)
    held = IdentityProvider.objects.get()
    assert (held.entity_id, held.slo_url, held.slo_binding) == (
        "https://idp.example.com/other", "https://idp.example.com/slo", "post",
    )  # fmt: skip
    assert (held.enabled, held.jit, held.description) == (True, False, "Acme")
    assert held.certificates.get().subject == "CN=next"
    assert held.revision != revision
    change = Event.objects.get(kind="admin:idp:change").data["changed"]
    assert change["entity_id"] == {"from": "https://idp.example.com/entity", "to": "https://idp.example.com/other"}
    assert "certificates" in change
    assert "jit" not in change


def test_import_switches_jit_back_on(metadata: str) -> None:
    idp("import", "acme", "--metadata", metadata, "--no-jit", "--no-idp-initiated")
    idp("import", "acme", "--metadata", metadata, "--jit", "--idp-initiated")
    held = IdentityProvider.objects.get()
    assert (held.jit, held.idp_initiated) == (True, True)


def test_import_finds_another_name_when_somebody_has_the_slug_as_description(metadata: str) -> None:
    idp("import", "other", "--metadata", metadata, "--description", "acme")
    idp("import", "acme", "--metadata", metadata)
    assert IdentityProvider.objects.get(slug="acme").description == "acme (2)"


def test_import_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(entity().encode())))
    idp("import", "acme", "--metadata", "-")
    assert IdentityProvider.objects.get().entity_id == "https://idp.example.com/entity"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("rubbish", "not well-formed XML"),
        (b"x" * (5 * 1024 * 1024), "longer than 1 MiB"),
        (entity().encode("utf-16"), "UTF-16"),
        (entity(role(keys="")), "names none"),
        (entity(role(keys=key_descriptor(expired()))), "It was valid from 2019-01-01 to 2020-01-01."),
    ],
)
def test_import_refuses_bad_metadata_and_writes_nothing(tmp_path: Path, content: str | bytes, said: str) -> None:
    sentence = refusal("import", "acme", "--metadata", bad(tmp_path, content), "--enable")
    assert sentence.startswith("acme was not created. ")
    assert said in sentence
    assert not IdentityProvider.objects.exists()
    assert kinds() == []


def test_import_refuses_bad_metadata_and_leaves_what_is_there(tmp_path: Path, metadata: str) -> None:
    idp("import", "acme", "--metadata", metadata)
    before = IdentityProvider.objects.values().get()
    assert "acme was not changed." in refusal(
        "import", "acme", "--metadata", bad(tmp_path, "rubbish"), "--description", "New", "--no-jit", "--enable"
    )
    assert IdentityProvider.objects.values().get() == before


@pytest.mark.parametrize("slug", ["Acme", "a b", "a-", "acs", "x" * 51, "ä"])
def test_import_refuses_a_slug_that_cannot_stand_in_a_url(metadata: str, slug: str) -> None:
    assert f"{slug} was not created. slug: " in refusal("import", slug, "--metadata", metadata)
    assert not IdentityProvider.objects.exists()


def test_import_refuses_a_description_that_another_has(metadata: str) -> None:
    idp("import", "acme", "--metadata", metadata, "--description", "Acme")
    assert "description: " in refusal("import", "other", "--metadata", metadata, "--description", "Acme")


def test_import_refuses_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refusal("import", "acme", "--metadata", str(tmp_path / "none.xml"))
    assert "cannot be read: Is a directory" in refusal("import", "acme", "--metadata", str(tmp_path))


def test_import_tells_which_certificate_it_left_out(tmp_path: Path) -> None:
    keys = key_descriptor(expired()) + key_descriptor(certificate())
    err = io.StringIO()
    path = bad(tmp_path, entity(role(keys=keys)))
    call_command("idp", "import", "acme", "--metadata", path, stdout=io.StringIO(), stderr=err)
    assert "One of its 2 signing certificates was left out." in err.getvalue()


def test_list_says_how_to_begin_when_there_is_none() -> None:
    assert "There is no identity provider yet." in idp("list")


def test_list_names_all_with_state_and_certificate(metadata: str) -> None:
    idp("import", "acme", "--metadata", metadata, "--enable", "--description", "Acme Okta")
    IdentityProvider.objects.draft("beta", "Beta")
    first, second = idp("list").splitlines()
    assert first.split()[:2] == ["acme", "enabled"]
    assert "days left" in first
    assert first.endswith("Acme Okta")
    assert second.split() == ["beta", "disabled", "none", "Beta"]


def test_show_tells_what_to_enter_and_what_is_missing() -> None:
    draft = IdentityProvider.objects.draft("acme", "Acme")
    said = idp("show", "acme")
    for value in (draft.acs_url, draft.sp_entity_id, draft.metadata_url):
        assert value in said
    assert "its entity ID, its SSO URL, a signing certificate that is valid now" in said


def test_show_counts_the_days_of_each_certificate(metadata: str) -> None:
    idp("import", "acme", "--metadata", metadata)
    row = IdpCertificate.objects.get()
    row.not_after = timezone.now() + timedelta(days=12, hours=1)
    row.save()
    assert "12 days left" in idp("show", "acme")


def test_enable_and_disable_throw_the_switch_once(metadata: str) -> None:
    idp("import", "acme", "--metadata", metadata)
    for _ in range(2):
        assert "acme is enabled." in idp("enable", "acme")
    assert IdentityProvider.objects.get().enabled
    for _ in range(2):
        assert "acme is disabled; 0 session(s) ended." in idp("disable", "acme")
    assert not IdentityProvider.objects.get().enabled
    assert kinds() == ["admin:idp:create", "admin:idp:enable", "admin:idp:disable"]


def test_an_idp_that_wants_signed_requests_gets_them_and_a_missing_key_pair_is_said(tmp_path: Path) -> None:
    path = tmp_path / "wants.xml"
    path.write_text(entity(role(more=' WantAuthnRequestsSigned="true"')))
    err = io.StringIO()
    call_command("idp", "import", "acme", "--metadata", str(path), stdout=io.StringIO(), stderr=err)
    assert IdentityProvider.objects.get().sign_requests
    assert "there is no key pair of ours to sign with" in err.getvalue()


def test_an_idp_that_does_not_ask_for_signed_requests_may_get_them_all_the_same(metadata: str) -> None:
    idp("import", "acme", "--metadata", metadata)
    IdentityProvider.objects.update(sign_requests=True)
    idp("import", "acme", "--metadata", metadata)
    assert IdentityProvider.objects.get().sign_requests


def test_enable_refuses_a_draft_and_names_what_is_missing() -> None:
    IdentityProvider.objects.draft("acme")
    sentence = refusal("enable", "acme")
    assert "acme was not changed. It cannot be enabled without its entity ID, its SSO URL and a signing" in sentence
    assert not IdentityProvider.objects.get().enabled


def test_disable_ends_the_sessions_that_it_vouched_for_and_no_other(metadata: str) -> None:
    now = timezone.now()
    person = User.objects.create_user("ada@example.com")
    for slug in ("acme", "beta"):
        idp("import", slug, "--metadata", metadata, "--enable")
        held = IdentityProvider.objects.get(slug=slug)
        Session.objects.create(session_key=slug, session_data="", expire_date=now + timedelta(hours=1), user=person)
        SamlSession.objects.create(
            session_key=slug, idp=held, user=person, name_id="ada", name_id_key="x", expires_at=now + timedelta(hours=1)
        )
    assert "1 session(s) ended" in idp("disable", "acme")
    assert list(Session.objects.values_list("session_key", flat=True)) == ["beta"]
    assert list(SamlSession.objects.values_list("session_key", flat=True)) == ["beta"]


@pytest.mark.parametrize("action", ["show", "enable", "disable"])
def test_an_unknown_slug_is_said_to_be_unknown(action: str) -> None:
    assert "There is no identity provider 'nobody'." in refusal(action, "nobody")


def test_it_refuses_an_unknown_action() -> None:
    assert "invalid choice: 'explode'" in refusal("explode")


# --- What its assertions mean ---------------------------------------------------------------------------------------


def test_mapping_sets_attributes_and_fills_in_a_vendors_on_record() -> None:
    held = factories.idp("acme", attribute_mapping={"roles": ["Old"]})
    said = idp("mapping", "acme", "--preset", "okta", "--set", "groups=groups,memberOf", "--set", "first_name= given ")
    held.refresh_from_db()
    assert held.attribute_mapping["groups"] == ["groups", "memberOf"]
    assert held.attribute_mapping["first_name"] == ["given"]
    assert held.attribute_mapping["roles"] == ["Old"]
    assert held.attribute_mapping["permissions"] == ["Permissions"]
    assert "Filled in for Okta: e-mail, last name, display name, permissions, properties." in said
    event = Event.objects.get()
    assert (event.kind, event.actor) == ("admin:idp:change", "manage.py idp mapping")
    assert event.data["changed"]["attribute_mapping"]["from"] == {"roles": ["Old"]}
    assert "acme is up to date." in idp("mapping", "acme", "--set", "groups=groups,memberOf")
    idp("mapping", "acme", "--set", "roles=")
    held.refresh_from_db()
    assert "roles" not in held.attribute_mapping
    assert len(kinds()) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--set", "groups"), "write TARGET=NAME,NAME"),
        (("--set", "staff=x"), "with one of the targets email, first_name"),
        (("--set", "groups=a,a"), "each attribute name once"),
        (("--set", f"groups={'x' * 201}"), "of 1 to 200 characters"),
        (("--set", "groups=a\x00b"), "of 1 to 200 characters"),
        (("--set", f"groups={','.join(map(str, range(13)))}"), "at most 12 attribute names"),
        (("--preset", "netware"), "invalid choice"),
        (("--show", "--preset", "okta"), "--show changes nothing"),
    ],
)
def test_mapping_refuses_what_is_none_and_changes_nothing(arguments: tuple[str, ...], sentence: str) -> None:
    held = factories.idp("acme")
    assert sentence in refusal("mapping", "acme", *arguments)
    held.refresh_from_db()
    assert held.attribute_mapping == {}
    assert kinds() == []


@pytest.mark.parametrize("arguments", [("mapping", "acme"), ("mapping", "acme", "--show"), ("show", "acme")])
def test_mapping_and_show_print_what_its_assertions_mean(arguments: tuple[str, ...]) -> None:
    held = factories.idp(
        "acme", attribute_mapping={"groups": ["groups", "memberOf"]}, level_ceiling=20,
        level_spellings={"boss": "admin"},
    )  # fmt: skip
    factories.group_rule(held, "acme-*", factories.organization("Acme"), is_pattern=True)
    said = idp(*arguments)
    for line in (
        "Attributes:       e-mail: the usual names",
        "                  groups: groups, memberOf",
        "                  roles: nothing",
        "Ceiling:          admin",
        "Its word:         boss = admin",
        "When missing:     takes away what was given",
        "Unknown values:   are noted",
        "Group rule:       pattern acme-* → member of Acme",
    ):
        assert line in said
    assert kinds() == []
