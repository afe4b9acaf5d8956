"""The room of what people see."""

from __future__ import annotations

from django.apps import AppConfig


class PagesConfig(AppConfig):
    """Pages that need several rooms at once: landing, sign-in, profile, errors, and the administration of people."""

    name = "pages"
