"""People and their sessions."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The room of people and their sessions."""

    name = "accounts"
    verbose_name = "People"
