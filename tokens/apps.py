"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class TokensConfig(AppConfig):
    """API tokens: what acts for somebody who is not at a browser."""

    name = "tokens"
    verbose_name = "API tokens"

    def ready(self) -> None:
        """Register what ends with a switched-off account.

        Nothing moves when two accounts become one: the account that goes is switched off, and its tokens end with it.
        """
        from accounts import deactivation  # noqa: PLC0415 - not before the apps are ready
        from tokens import issuing  # noqa: PLC0415 - as above

        deactivation.on_deactivate("API tokens", issuing.revoke_all_of)
