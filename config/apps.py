"""The admin site as an app config of our own, so that its look and its order are ours."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class PorticoAdmin(AdminConfig):
    """Django's admin, with the product's name in its headings."""

    default_site = "pages.admin_site.PorticoAdminSite"
