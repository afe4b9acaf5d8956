"""System checks: what would make sign-ins fail later is said before the server starts.

The length of the secret key is Django's own deploy check (security.W009).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name for it

from saml_sp.protocol import libraries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.apps import AppConfig


@register(Tags.compatibility)
def check_libraries(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:  # noqa: ARG001 - the framework's signature
    """Lxml and xmlsec must carry the same libxml2."""
    lxml, xmlsec = libraries.libxml2_versions()
    if lxml == xmlsec:
        return []
    return [
        Error(
            f"lxml carries libxml2 {lxml} and xmlsec carries {xmlsec}.",
            hint="Install both at the versions in requirements/, which were built with the same libxml2.",
            id="saml_sp.E001",
        )
    ]


@register(Tags.security, deploy=True)
def check_schemas(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:  # noqa: ARG001 - the framework's signature
    """The SAML schemas compile, offline."""
    if not (problem := libraries.schema_problem()):
        return []
    return [
        Error(
            f"The SAML schemas cannot be compiled: {problem}",
            hint="They come with python3-saml; install it anew.",
            id="saml_sp.E002",
        )
    ]


@register(Tags.security, deploy=True)
def check_base_url(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:  # noqa: ARG001 - the framework's signature
    """In production, identity providers and browsers reach us by https."""
    if not settings.PRODUCTION or settings.PORTICO_BASE_URL.startswith("https://"):
        return []
    return [
        Error(
            f"PORTICO_BASE_URL is {settings.PORTICO_BASE_URL}: assertions would travel unencrypted.",
            hint="Set it to the public https:// origin, before its URLs are registered at identity providers.",
            id="saml_sp.E003",
        )
    ]


@register(Tags.security, deploy=True)
def check_contact(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:  # noqa: ARG001 - the framework's signature
    """Whoever cannot get in is told whom to ask."""
    if not settings.PRODUCTION or settings.PORTICO_CONTACT != "your administrator":
        return []
    return [
        Warning(
            "PORTICO_CONTACT is not set: error pages cannot say whom to ask.",
            hint="Set it to a name, an e-mail address or a telephone number.",
            id="saml_sp.W001",
        )
    ]
