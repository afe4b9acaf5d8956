"""Settings of the barest project: PostgreSQL, users, sessions, no middleware at all."""

from __future__ import annotations

import os

import dj_database_url

SECRET_KEY = os.environ["GUARDED_SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "benchmarks.guarded",
]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "benchmarks.guarded.urls"
# The connection is kept, as Portico keeps its own.
DATABASES = {
    "default": dj_database_url.parse(
        os.environ["DATABASE_URL"], engine="django.db.backends.postgresql", conn_max_age=60
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_I18N = False
USE_TZ = True
