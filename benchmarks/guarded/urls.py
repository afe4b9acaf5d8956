"""One URL."""

from __future__ import annotations

from django.urls import path

from benchmarks.guarded.views import acs

urlpatterns = [path("acs/", acs)]
