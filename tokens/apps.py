"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class TokensConfig(AppConfig):
    """API tokens: what acts for somebody who is not at a browser."""

    name = "tokens"
    verbose_name = "API tokens"
