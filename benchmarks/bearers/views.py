"""Equal views: each hands the request to one library's check and answers with the address of the token's owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import JsonResponse
from django.utils import timezone
from knox.auth import TokenAuthentication as Knox
from rest_framework.authentication import TokenAuthentication

from accounts.origins import Origin
from tokens import bearer

if TYPE_CHECKING:
    from django.http import HttpRequest


def portico(request: HttpRequest) -> JsonResponse:
    """Ours."""
    header = request.headers.get("Authorization", "")
    token = bearer.authenticate(header, now=timezone.now(), origin=Origin.of(request))
    return JsonResponse({"email": token.user.email})


def authtoken(request: HttpRequest) -> JsonResponse:
    """Django REST framework's own, which keeps tokens as they are."""
    user, _token = TokenAuthentication().authenticate(request)
    return JsonResponse({"email": user.email})


def knox(request: HttpRequest) -> JsonResponse:
    """django-rest-knox, which keeps digests."""
    user, _token = Knox().authenticate(request)
    return JsonResponse({"email": user.email})
