"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class OrgsConfig(AppConfig):
    """Organisations, and what people were given: by hand, or by an identity provider's word."""

    name = "orgs"
    verbose_name = "Organisations"

    def ready(self) -> None:
        """Register what moves when two accounts become one."""
        from accounts import merging  # noqa: PLC0415 - not before the apps are ready
        from orgs import grants  # noqa: PLC0415 - as above

        merging.on_merge("assignments", grants.described, grants.take_over)
