"""One view: the floor, a user, a session and a replay row, in one transaction."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import xmlsec
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from django.http import HttpResponseRedirect

from benchmarks.floor import SAML, floor
from benchmarks.guarded.models import Spent

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_KEY = xmlsec.Key.from_file(os.environ["GUARDED_CERTIFICATE"], xmlsec.constants.KeyDataFormatCertPem)


def acs(request: HttpRequest) -> HttpResponse:
    """Sign in whoever the response names."""
    assertion = floor(request.POST["SAMLResponse"], _KEY)
    name = assertion.findtext(f"{SAML}Subject/{SAML}NameID") or ""
    with transaction.atomic():
        Spent.objects.create(assertion_id=assertion.get("ID"))
        user, _created = User.objects.get_or_create(username=name)
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
    response = HttpResponseRedirect("/")
    response.set_cookie("sessionid", session.session_key or "", secure=True, httponly=True, samesite="Lax")
    return response
