"""One URL for each library, beside all of Portico's."""

from __future__ import annotations

from django.urls import path

from benchmarks.bearers import views
from config.urls import urlpatterns as whole_site

urlpatterns = [
    path("bench/portico/", views.portico),
    path("bench/authtoken/", views.authtoken),
    path("bench/knox/", views.knox),
    *whole_site,
]
