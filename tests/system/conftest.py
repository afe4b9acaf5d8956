"""Fixtures of the system tests: one Portico, one Chromium, identity providers that were not written here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.chromium import Chromium, running_chromium
from tests.system.evidence import pytest_runtest_makereport
from tests.system.identity_providers import Pysaml2, SamlIdp, running_pysaml2, running_saml_idp
from tests.system.portico import Portico, running_portico

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pytest_runtest_makereport"]


@pytest.fixture(scope="package")
def folder() -> Path:
    """Where programs keep their files and logs."""
    return Path(os.environ["PORTICO_DATA"]) / "system"


@pytest.fixture(scope="package")
def chromium() -> Iterator[Chromium]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def portico(folder: Path) -> Iterator[Portico]:
    with running_portico(folder / "portico") as running:
        yield running


@pytest.fixture(scope="package")
def easy(portico: Portico, folder: Path) -> Iterator[Pysaml2]:
    """pysaml2 as it likes it: requests by redirect, unsigned; logout by redirect."""
    with running_pysaml2(portico, "easy", folder / "easy") as idp:
        portico.connect("easy", idp.metadata(), description="Easy IdP")
        yield idp


@pytest.fixture(scope="package")
def strict(portico: Portico, folder: Path) -> Iterator[Pysaml2]:
    """pysaml2, wanting signed requests by POST (as its metadata says), encrypting what it says; logout by POST."""
    with running_pysaml2(portico, "strict", folder / "strict", "--strict", "--slo", "post") as idp:
        portico.connect("strict", idp.metadata(), description="Strict IdP")
        yield idp


@pytest.fixture(scope="package")
def npm(portico: Portico, folder: Path) -> Iterator[SamlIdp]:
    """saml-idp as it comes."""
    with running_saml_idp(portico, "npm", folder / "npm") as idp:
        # It offers HTTP-Redirect for logout too, but does not inflate what comes that way.
        portico.connect("npm", idp.metadata(), description="npm IdP", slo_binding="post")
        yield idp


@pytest.fixture(scope="package")
def npm_encrypting(portico: Portico, folder: Path) -> Iterator[SamlIdp]:
    """saml-idp, encrypting what it says. Portico's certificate must be known before it starts: hence the draft."""
    portico.draft("npm-encrypting")
    with running_saml_idp(portico, "npm-encrypting", folder / "npm-encrypting", encrypt=True) as idp:
        portico.connect("npm-encrypting", idp.metadata(), description="encrypting npm IdP", sign_requests=True)
        yield idp
