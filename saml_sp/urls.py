"""The SAML endpoints. What stands under a slug is registered at identity providers and never changes."""

from __future__ import annotations

from django.urls import path

from saml_sp import login, logos, slo, views

app_name = "saml"

urlpatterns = [
    path("continue/", views.continue_, name="continue"),
    path("login/", login.login_by_default, name="login_by_default"),
    path("<slug:slug>/login/", login.login, name="login"),
    path("<slug:slug>/logo/<slug:place>/", logos.logo, name="logo"),
    path("<slug:slug>/acs/", views.acs, name="acs"),
    path("<slug:slug>/slo/", slo.slo, name="slo"),
    path("<slug:slug>/metadata/", views.sp_metadata, name="metadata"),
]
