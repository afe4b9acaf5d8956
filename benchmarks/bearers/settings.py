"""Portico's settings, with the tables of the libraries beside its own; the middleware is everybody's."""

from __future__ import annotations

from config.settings import *  # noqa: F403 - a settings file on top of another
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework", "rest_framework.authtoken", "knox"]
ROOT_URLCONF = "benchmarks.bearers.urls"
