"""What the server itself makes of a request, before any page is asked."""

from __future__ import annotations

import io
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.signals import request_started
from django.db import close_old_connections
from django.utils import timezone

from demo.issuer import encode
from saml_sp.models import SignInAttempt
from tests import factories
from tests.door import acs
from tests.idp import Forge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def connection_of_the_test() -> Iterator[None]:
    """A request would begin with a new connection, which does not see the test's transaction."""
    request_started.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)


def status(path: str, *, content_type: str, query: str = "", body: bytes | None = None) -> int:
    """What the application answers to a request as gunicorn hands it over."""
    from config.wsgi import application  # noqa: PLC0415 - it sets Django up

    environ = {
        "REQUEST_METHOD": "GET" if body is None else "POST", "PATH_INFO": path, "QUERY_STRING": query,
        "CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body or b"")), "wsgi.input": io.BytesIO(body or b""),
        "HTTP_HOST": "127.0.0.1",
    }  # fmt: skip
    setup_testing_defaults(environ)
    found: list[str] = []

    def start_response(line: str, _headers: Any, _trouble: Any = None, /) -> Callable[[bytes], object]:
        found.append(line)
        return lambda _data: None

    b"".join(application(environ, start_response))
    return int(found[0].partition(" ")[0])


@pytest.mark.parametrize("charset", ["zlib", "hex", "undefined", "punycode", "idna", "utf-16", "no-such-thing"])
@pytest.mark.parametrize("path", ["/saml/customer/slo/", "/sign-in/", "/no-such-page/"])
def test_no_charset_of_a_content_type_makes_it_fail(path: str, charset: str) -> None:
    factories.idp("customer")
    for content_type in (f"{FORM}; charset={charset}", f"{FORM}; x*={charset}''y", f"{FORM}; charset*={charset}'en'y"):
        assert status(path, content_type=content_type, query="SAMLRequest=%ff&next=%ff") < 500
        assert status(path, content_type=content_type, query="next=%ff", body=b"a=%ff&csrfmiddlewaretoken=x") < 500
    multipart = f"multipart/form-data; boundary=b; charset={charset}"
    body = b'--b\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\nx\r\n--b--\r\n'
    assert status(path, content_type=multipart, body=body) < 500


def test_a_response_in_a_form_that_claims_another_charset_is_refused() -> None:
    idp = factories.idp("customer")
    body = urlencode({"SAMLResponse": encode(Forge(idp, timezone.now()).xml())}).encode()
    for charset in ("latin-1", "zlib", "utf-16"):
        assert status(acs(idp), content_type=f"{FORM}; charset={charset}", body=body) == 403
        assert SignInAttempt.objects.latest("pk").code == "transport"
    assert status(acs(idp), content_type=f'{FORM}; charset="UTF-8"', body=body) == 303


def test_no_header_moves_our_urls() -> None:
    settings = runpy.run_path(str(Path(__file__).parents[2] / "config" / "gunicorn.conf.py"))
    # gunicorn's default lets whoever connects from loopback set SCRIPT_NAME, by which Django prefixes every URL.
    assert settings["forwarder_headers"] == ""
