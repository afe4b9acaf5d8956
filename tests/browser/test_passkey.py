"""Passkeys in Chromium, with an authenticator that exists in it alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.portico import ADMIN, PASSWORD, Portico, running_portico

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import CDPSession, Page

    from tests.system.chromium import Visitor


@pytest.fixture(scope="module")
def portico() -> Iterator[Portico]:
    """A site with a name: browsers keep no passkeys for an address in numbers. A passkey does not mind the port."""
    with running_portico(Path(os.environ["PORTICO_DATA"]) / "passkeys", "http://localhost") as running:
        yield running


@pytest.fixture
def authenticator(visitor: Visitor) -> CDPSession:
    """A device of the browser's own that says yes to everything, as with a finger on it."""
    protocol = visitor.page.context.new_cdp_session(visitor.page)
    protocol.send("WebAuthn.enable")
    protocol.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
                "isUserVerified": True, "automaticPresenceSimulation": True,
            }
        },
    )  # fmt: skip
    return protocol


def at(portico: Portico, path: str) -> str:
    return f"http://localhost:{portico.port}{path}"


def by_password(portico: Portico, page: Page) -> None:
    page.goto(at(portico, "/sign-in/?local=1"))
    page.get_by_label("E-mail").fill(ADMIN)
    page.get_by_label("Password:", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_passkey_is_kept_then_asked_for_then_signs_in_alone(
    portico: Portico, visitor: Visitor, authenticator: CDPSession
) -> None:
    page = visitor.page
    by_password(portico, page)
    page.wait_for_url(at(portico, "/"))

    page.goto(at(portico, "/account/second-factor/"))
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("My laptop")
    page.get_by_role("button", name="Add it").click()
    page.wait_for_url("**/recovery-codes/")
    assert page.locator(".recovery-codes li").count() == 10
    page.goto(at(portico, "/account/second-factor/webauthn/"))
    assert "My laptop signs in alone" in visitor.words()

    page.context.clear_cookies()
    by_password(portico, page)
    page.wait_for_url("**/authenticate/")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(at(portico, "/"))
    assert "Welcome" in visitor.words()

    page.context.clear_cookies()
    page.goto(at(portico, "/sign-in/?local=1&next=/profile/"))
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(at(portico, "/profile/"))
    assert "Second factor on" in visitor.words()


def test_a_removed_passkey_opens_nothing(portico: Portico, visitor: Visitor, authenticator: CDPSession) -> None:
    page = visitor.page
    portico.manage("shell", "--command", "from allauth.mfa.models import Authenticator as A; A.objects.all().delete()")
    by_password(portico, page)
    page.goto(at(portico, "/account/second-factor/webauthn/add/"))
    page.get_by_role("button", name="Add it").click()
    page.wait_for_url("**/recovery-codes/")
    page.goto(at(portico, "/account/second-factor/webauthn/"))
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove it").click()
    page.wait_for_url("**/webauthn/")
    assert "You have none yet." in visitor.words()

    page.context.clear_cookies()
    page.goto(at(portico, "/sign-in/?local=1"))
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/sign-in/?local=1")
    page.get_by_role("status").wait_for()
    assert "This passkey was not accepted." in visitor.words()
