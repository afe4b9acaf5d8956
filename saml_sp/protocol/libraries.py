"""Whether the libraries underneath fit together: asked by the system checks, before anybody signs in."""

from __future__ import annotations

import xmlsec
from lxml import etree

from saml_sp.protocol import toolkit


def libxml2_versions() -> tuple[str, str]:
    """The libxml2 that lxml carries, and the one that xmlsec carries.

    They hand trees to one another in memory, so two versions in one process end in crashes or in wrong digests.
    """
    return _dotted(etree.LIBXML_VERSION), _dotted(xmlsec.get_libxml_version())


def schema_problem() -> str:
    """Why the SAML schemas cannot be compiled; empty when they can."""
    try:
        toolkit.protocol_schema()
        toolkit.metadata_schema()
    except (etree.LxmlError, OSError) as error:
        return str(error)
    return ""


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in version)
