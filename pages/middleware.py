"""What every answer gets that is not a static file."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


class ContentSecurityPolicy(CSPMiddleware):
    """The site's policy, whose text is made once: for most answers it is the same, and making it takes a while."""

    @cached_property
    def _plain(self) -> str:
        return build_policy()

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Django-csp's hook. Where a view has asked for another policy, or a page for a nonce, it makes one."""
        if hasattr(request, "_csp_nonce") or any(name.startswith("_csp") for name in vars(response)):
            return super().process_response(request, response)
        response.headers.setdefault(HEADER, self._plain)
        return response


def no_store(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Forbid every cache, the browser's included, to keep an answer: after signing out, “back” shows nothing.

    Static files never come here: the middleware that serves them stands before this one. What a view has declared
    public (a logo) may be kept.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if not response.headers.get("Cache-Control", "").startswith("public"):
            response.headers["Cache-Control"] = "no-store"
        return response

    return middleware
