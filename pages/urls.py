"""The pages at the root of the site."""

from __future__ import annotations

from django.urls import include, path

from pages import again, api_tokens, break_glass, organizations, views

urlpatterns = [
    path("", views.landing, name="landing"),
    path("sign-in/", views.sign_in, name="sign_in"),
    path("sign-in/again/", again.sign_in_again, name="sign_in_again"),
    path("sign-out/", views.sign_out, name="sign_out"),
    path("signed-out/", views.signed_out, name="signed_out"),
    path("break-glass/<str:token>/", break_glass.enter, name="break_glass"),
    path("profile/", views.profile, name="profile"),
    path("profile/tokens/", include(api_tokens.urlpatterns)),
    path("account/", include("pages.account")),
    path("organizations/", organizations.organizations, name="organizations"),
    path("organizations/<external_id:external_id>/people/", organizations.people, name="people"),
]
