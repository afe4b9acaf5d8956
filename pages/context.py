"""What every template may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

from saml_sp import logos

if TYPE_CHECKING:
    from django.http import HttpRequest

PRODUCT = "Portico"


def site(request: HttpRequest | None = None) -> dict[str, Any]:
    """The product's name, and whom to ask where no identity provider says otherwise.

    `header_logo` asks the database, once, where a template uses it: the logo of the identity provider that began this
    session.
    """
    return {
        "product": PRODUCT,
        "site_contact": settings.PORTICO_CONTACT,
        "sends_mail": settings.PORTICO_SENDS_MAIL,
        "header_logo": lambda: logos.header_logo(request.session.session_key) if request else None,
    }
