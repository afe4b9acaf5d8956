"""The WSGI application that gunicorn serves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class Request(WSGIRequest):
    """A request whose query and form are read as UTF-8, as browsers send them, whatever its Content-Type says."""

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        """Django's hook, called before any handler is there that could answer an error.

        Its own decodes by any codec of Python that the header names, those that are no text encodings included, and
        fails at parameters in a charset that is none (RFC 2231).
        """
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    """Django's own, with our requests."""

    request_class = Request


django.setup(set_prefix=False)
application = Handler()
