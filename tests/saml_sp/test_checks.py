"""What `manage.py check` says before anybody signs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.checks import run_checks

from saml_sp.protocol import libraries

if TYPE_CHECKING:
    from pytest_django import Settings


def ids() -> set[str | None]:
    return {message.id for message in run_checks(include_deployment_checks=True)}


def ours() -> set[str | None]:
    return {name for name in ids() if name and name.startswith("saml_sp.")}


def test_all_is_well_here() -> None:
    assert ours() == set()


def test_the_libraries_carry_one_libxml2_and_the_schemas_compile() -> None:
    lxml, xmlsec = libraries.libxml2_versions()
    assert lxml == xmlsec
    assert libraries.schema_problem() == ""


def test_production_wants_https_and_somebody_to_ask(settings: Settings) -> None:
    settings.PRODUCTION = True
    assert ours() == {"saml_sp.E003", "saml_sp.W001"}
    settings.PORTICO_BASE_URL = "https://portico.example"
    settings.PORTICO_CONTACT = "help@portico.example"
    assert ours() == set()
