"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class SamlSpConfig(AppConfig):
    """Single sign-on: identity providers, identities, attempts."""

    name = "saml_sp"
    verbose_name = "Single sign-on"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and what follows a session's new key, a switched-off account and a merged one."""
        from accounts import deactivation, merging, sessions  # noqa: PLC0415 - not before the apps are ready
        from saml_sp import checks, logout, moving  # noqa: F401, PLC0415 - importing checks registers them; as above

        sessions.followers.append(logout.follow)
        deactivation.on_deactivate("sessions at identity providers", moving.end_of)
        merging.on_merge("identities", moving.identities_of, moving.take_over)
