"""Configurations in files, shown, compared and applied by the client at a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orgs.models import MembershipRole
from saml_sp.models import EmailDomain, IdentityProvider
from tests import factories
from tests.idp_metadata import ENTITY_ID, entity
from tests.tokens.making import token_of

if TYPE_CHECKING:
    from accounts.models import User
    from cli.tests.terminal import Machine

pytestmark = pytest.mark.django_db(transaction=True)
NEW = """\
slug: beta
description: Beta Okta
enabled: true
metadata_file: beta.xml
domains: [Beta.example]
"""


@pytest.fixture
def rich(acme: IdentityProvider) -> IdentityProvider:
    """One of which much is said."""
    acme.attribute_mapping = {"groups": ["http://schemas.xmlsoap.org/claims/Group"], "email": ["Mail", "E-Mail"]}
    acme.level_spellings = {"dxa_admin": "admin"}
    acme.authn_contexts = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
    acme.no_sign_in_days = 30
    acme.contact = "Größe: yes # no\nnull"
    acme.save()
    factories.group_rule(acme, "staff-*", factories.access_group(), is_pattern=True)
    factories.group_rule(acme, "7", factories.organization(), role=MembershipRole.ADMIN)
    EmailDomain.objects.create(idp=acme, domain="acme.example")
    return acme


def test_what_is_shown_can_be_applied_and_changes_nothing(admin: Machine, rich: IdentityProvider) -> None:
    before = rich.revision
    file = admin.home / "acme.yaml"
    file.write_text(admin.run("saml", "show", "acme").out)
    done = admin.run("saml", "diff", "acme.yaml")
    assert (done.code, done.out) == (0, "acme stays as it is\n"), done.err
    done = admin.run("saml", "apply", "acme.yaml")
    assert (done.code, done.out) == (0, "acme stays as it is\n"), done.err
    rich.refresh_from_db()
    assert rich.revision == before
    assert "Acme Okta" in admin.run("saml", "list").out


def test_a_difference_is_told_and_not_made(admin: Machine, rich: IdentityProvider) -> None:
    file = admin.home / "acme.yaml"
    shown = admin.run("saml", "show", "acme").out
    file.write_text(
        shown.replace("description: Acme Okta", "description: Better").replace("- acme.example", "- b.example")
    )
    done = admin.run("saml", "diff", "acme.yaml")
    assert done.code == 10, done.err
    assert 'description: "Acme Okta" -> "Better"' in done.out
    assert "Note: b.example counts once it is verified: add the DNS TXT record" in done.out
    rich.refresh_from_db()
    assert rich.description == "Acme Okta"
    assert EmailDomain.objects.get().domain == "acme.example"


def test_metadata_in_a_file_makes_a_configuration_once(admin: Machine) -> None:
    (admin.home / "beta.xml").write_text(entity())
    (admin.home / "beta.yaml").write_text(NEW)
    done = admin.run("saml", "apply", "--yes", "beta.yaml")
    assert done.code == 0, done.err
    assert done.out.startswith("beta is new\n")
    assert done.out.endswith("Applied: beta.\n")
    made = IdentityProvider.objects.get()
    assert (made.slug, made.entity_id, made.enabled, made.certificates.count()) == ("beta", ENTITY_ID, True, 1)
    assert EmailDomain.objects.get(verified_at=None).domain == "beta.example"
    again = admin.run("saml", "apply", "beta.yaml")
    assert (again.code, again.out) == (0, "beta stays as it is\n"), again.err
    assert IdentityProvider.objects.get().revision == made.revision


def test_what_is_wrong_is_told_with_its_place(admin: Machine) -> None:
    for wrong, words in (
        ("tolerance: 3", "beta (standard input, document 1): A value is wrong: errors says which. tolerance:"),
        ("enabled: true", "It cannot be enabled without its entity ID"),
        ("group_rules: [{value: a, access_group: None here}]", "group_rules.0.access_group: There is no access group"),
        ("domains: [example]", "domains: “example” cannot be claimed."),
    ):
        done = admin.run("saml", "diff", "-", stdin=f"slug: beta\n{wrong}\n")
        assert done.code in {7, 11}, (wrong, done)
        assert words in done.err
    assert not IdentityProvider.objects.exists()


def test_who_was_faster_stays(admin: Machine, rich: IdentityProvider) -> None:
    file = admin.home / "acme.yaml"
    file.write_text(admin.run("saml", "show", "acme").out.replace("description: Acme Okta", "description: Better"))
    terminal = admin.sit_down("saml", "apply", str(file))
    terminal.wait_for("Apply to 1 configuration? [y/N] ")
    rich.description = "Faster"
    rich.save()
    terminal.type("y\r")
    assert terminal.end() == 7
    assert "acme: somebody else changed it after we looked, so it was left as it is now. Nothing was applied." in (
        terminal.text
    )
    rich.refresh_from_db()
    assert rich.description == "Faster"


def test_nobody_without_the_right_sees_a_configuration(admin: Machine, acme: IdentityProvider, lou: User) -> None:
    done = admin.run("saml", "list", "--json", PORTICO_TOKEN=token_of(lou)[1])
    assert (done.code, done.error["code"], done.error["scope"]) == (5, "scope_missing", "admin:saml")
    done = admin.run("saml", "show", "beta")
    assert done.code == 6
