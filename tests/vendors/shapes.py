"""Every vendor's every shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.idp import Kind
from tests.vendors import (
    adfs,
    auth0,
    dotnet,
    entra,
    google,
    jumpcloud,
    keycloak,
    okta,
    onelogin,
    pingone,
    shibboleth,
)

if TYPE_CHECKING:
    from tests.vendors.scene import Builder

_MODULES = {
    "adfs": adfs, "auth0": auth0, "dotnet": dotnet, "entra": entra, "google": google, "jumpcloud": jumpcloud,
    "keycloak": keycloak, "okta": okta, "onelogin": onelogin, "pingone": pingone, "shibboleth": shibboleth,
}  # fmt: skip

# Vendor and shape to the builder, and the kind of key that it signs with.
SHAPES: dict[tuple[str, str], tuple[Builder, Kind]] = {
    (vendor, shape): (build, Kind.RSA) for vendor, module in _MODULES.items() for shape, build in module.SHAPES.items()
} | {
    (vendor, shape): (build, Kind.EC)
    for vendor, shapes in (("pingone", pingone.EC_SHAPES), ("shibboleth", shibboleth.EC_SHAPES))
    for shape, build in shapes.items()
}
