"""The page behind a link that was made on the server's shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts import break_glass
from accounts.origins import Origin

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_http_methods(["GET", "HEAD", "POST"])
def enter(request: HttpRequest, token: str) -> HttpResponse:
    """Opening the link only asks: mail scanners and previews open links too. The button signs in, once."""
    now = timezone.now()
    if request.method == "POST" and break_glass.use(request, token, origin=Origin.of(request), now=now):
        return redirect("admin:index")
    link = break_glass.find(token, now)
    return render(request, "pages/break_glass.html", {"link": link}, status=200 if link else 404)
