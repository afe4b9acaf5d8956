"""Which room says that something went wrong: pages to people, problem details to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api import door
from api.problems import Code, Refused, answer
from pages import views

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


def for_program(request: HttpRequest) -> bool:
    """Whether this was a call of the REST door."""
    return request.path.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400, before any view was asked: a Host that is not ours, above all."""
    if for_program(request):
        return answer(door.refusal_of(exception or Refused(Code.MALFORMED, "The request cannot be read.")))
    return views.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404, with nothing of what was asked for."""
    return door.nowhere(request) if for_program(request) else views.not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500; Django has written down what broke."""
    if for_program(request):
        return answer(Refused(Code.INTERNAL, "Something broke here. It is on record; try again later."))
    return views.server_error(request)
