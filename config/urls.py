"""Which URL leads to which room."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("api.urls")),
    path("saml/", include("saml_sp.urls")),
    path("", include("pages.urls")),
]

handler400 = "config.faults.bad_request"
handler403 = "pages.views.forbidden"
handler404 = "config.faults.not_found"
handler429 = "pages.views.too_many"  # allauth's rate limits look for it here
handler500 = "config.faults.server_error"
