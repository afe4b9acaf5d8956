"""Addresses below /api/: the routes, their description, the page that shows it, and a 404 for the rest."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path

from api import description, door

routes, _app, namespace = door.api.urls


def guarded(patterns: list[URLPattern | URLResolver]) -> list[URLPattern | URLResolver]:
    """Ninja's patterns, each behind `door.guarded`; its root, which shows nothing, is left out."""
    return [
        URLPattern(entry.pattern, door.guarded(entry.callback), entry.default_args, entry.name)
        for entry in patterns
        if isinstance(entry, URLPattern) and entry.name != "api-root"
    ]


urlpatterns = [
    path("v1/", (guarded(routes), "ninja", namespace)),
    path("openapi.json", door.guarded(description.openapi), name="api-openapi"),
    path("docs", door.guarded(description.docs), name="api-docs"),
    re_path(r"", door.nowhere),
]
