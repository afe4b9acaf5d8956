"""A browser before the HTTP door: Django's test client, with the cookie rules that matter to a sign-in.

It holds back SameSite=Lax cookies from a cross-site POST and sends a cookie only below its path, as browsers do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.utils import timezone

from accounts.models import Session
from demo.issuer import encode
from saml_sp.views import HANDOVER_COOKIE

if TYPE_CHECKING:
    from http.cookies import Morsel

    from django.http import HttpResponse

    from accounts.models import User
    from saml_sp.models import IdentityProvider

CONTINUE = "/saml/continue/"


@dataclass
class Browser:
    """One browser, one jar of cookies. CSRF tokens are checked as for everybody."""

    jar: dict[str, Morsel[str]] = field(default_factory=dict)

    def get(self, path: str, **extra: Any) -> HttpResponse:
        """A navigation: Lax cookies travel along."""
        return self._send("get", path, cross_site=False, **extra)

    def post(self, path: str, data: Any = None, *, cross_site: bool = False, **extra: Any) -> HttpResponse:
        """Submit a form, from this site or from another one."""
        return self._send("post", path, cross_site=cross_site, data=data, **extra)

    def request(self, method: str, path: str, **extra: Any) -> HttpResponse:
        """Any method, from this site."""
        return self._send(method, path, cross_site=False, **extra)

    def send(self, idp: IdentityProvider, xml: bytes, relay_state: str | None = None, **extra: Any) -> HttpResponse:
        """Post a SAML Response to the identity provider's ACS, as a page of its site makes the browser do."""
        form = {"SAMLResponse": encode(xml)} | ({} if relay_state is None else {"RelayState": relay_state})
        return self.post(acs(idp), form, cross_site=True, **extra)

    def sign_in(self, idp: IdentityProvider, xml: bytes, relay_state: str | None = None, **extra: Any) -> HttpResponse:
        """Send a Response and follow to the page behind it, which is returned. Fails unless it signs in."""
        posted = self.send(idp, xml, relay_state, **extra)
        assert (posted.status_code, posted.headers.get("Location")) == (303, CONTINUE), posted.content.decode()
        adopted = self.get(CONTINUE)
        assert adopted.status_code == 303, adopted.content.decode()
        return self.get(adopted.headers["Location"])

    @property
    def session_key(self) -> str | None:
        """The key in the session cookie."""
        morsel = self.jar.get(settings.SESSION_COOKIE_NAME)
        return morsel.value if morsel else None

    @property
    def user(self) -> User | None:
        """Who is signed in here, by the session's row and by what Django reads in it."""
        row = Session.objects.select_related("user").filter(
            session_key=self.session_key, adopted_at__isnull=False, expire_date__gt=timezone.now()
        ).first()  # fmt: skip
        if row is None:
            return None
        assert row.get_decoded().get(SESSION_KEY) == (str(row.user_id) if row.user_id else None)
        return row.user

    def _send(self, method: str, path: str, *, cross_site: bool, **extra: Any) -> HttpResponse:
        client = _client()
        client.cookies.clear()
        for name, morsel in self.jar.items():
            lax = morsel["samesite"].lower() != "none"
            if path.startswith(morsel["path"]) and not (lax and cross_site and method == "post"):
                client.cookies[name] = morsel.value
        if isinstance(extra.get("data"), bytes):
            # As they are, whatever the content type says.
            response: HttpResponse = client.generic(method.upper(), path, **extra)  # type: ignore[assignment]  # its own subclass
        else:
            response = getattr(client, method)(path, **extra)
        for name, morsel in response.cookies.items():
            if morsel["max-age"] == 0 or not morsel.value:
                self.jar.pop(name, None)
            else:
                self.jar[name] = morsel
        return response


@cache
def _client() -> Client:
    """One for all browsers: each makes the middleware anew, and one of those looks through all static files."""
    return Client(enforce_csrf_checks=True, raise_request_exception=False)


def acs(idp: IdentityProvider) -> str:
    """The path of its assertion consumer service."""
    return f"/saml/{idp.slug}/acs/"


def holds_nothing(response: HttpResponse) -> bool:
    """Whether the response hands out neither a session nor the way to one."""
    # A cookie that is being deleted has no value.
    return not any(
        response.cookies[name].value
        for name in (settings.SESSION_COOKIE_NAME, HANDOVER_COOKIE)
        if name in response.cookies
    )


def let_in(client: Client, user: User) -> None:
    """Give a client a session that began here just now."""
    client.force_login(user)
    session = client.session
    session["portico"] = {"began_at": timezone.now().isoformat(), "door": "local"}
    session.save()
