"""Addresses of endpoints, and the paths that a login may lead to."""

from __future__ import annotations

from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saml_sp.protocol.errors import UrlRefused
from saml_sp.protocol.urls import MAX_URL, RELAY_STATE_MAX, check_endpoint, local_path


@pytest.mark.parametrize("url", [
    "https://idp.example/sso", "https://idp.example", "https://idp.example:8443/a/b?c=d&e=%20", "https://192.0.2.1/sso",
    "https://[2001:db8::1]/sso", "http://127.0.0.1:8100/sso", "http://localhost/sso", "http://[::1]:80/sso",
    "https://idp.example/" + "a" * (MAX_URL - 20),
])  # fmt: skip
def test_it_accepts_an_endpoint(url: str) -> None:
    check_endpoint(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "idp.example/sso",
        "//idp.example/sso",
        "/sso",
        "http://idp.example/sso",
        "http://127.0.0.1.evil.example/",
        "http://127.1/",
        "ftp://idp.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "https://",
        "https:///sso",
        "https://:443/",
        "https://user@idp.example/",
        "https://user:secret@idp.example/",
        "https://@idp.example/",
        "https://idp.example/#x",
        "https:idp.example",
        "https://idp.example/ sso",
        " https://idp.example/",
        "https://idp.example/\n",
        "https://idp.example/\\x",
        "https://idp.example/<x>",
        'https://idp.example/"x"',
        "https://idp.example/é",
        "https://bücher.example/",
        "https://idp.example:port/",
        "https://idp.example:99999/",
        "https://[2001:db8::1/",
        "https://idp.example/`x`",
        "https://idp.example;script-src/",
        "https://idp.example,x/",
        "https://a'b.example/",
        "https://*/",
        "https://a*b/",
        "https://a%2eb/",
        "https://a=b/",
        "https://idp.example/{x}",
        "https://idp.example/" + "a" * MAX_URL,
    ],
)
def test_it_refuses_another_endpoint_with_a_sentence(url: str) -> None:
    with pytest.raises(UrlRefused) as caught:
        check_endpoint(url)
    assert str(caught.value).endswith(".")


def test_a_path_of_two_kibibytes_is_the_longest() -> None:
    assert local_path("/" + "a" * (RELAY_STATE_MAX - 1))
    assert local_path("/" + "a" * RELAY_STATE_MAX) is None
    assert local_path("/" + "é" * (RELAY_STATE_MAX // 2)) is None
    assert local_path("/\ud800") is None


@pytest.mark.parametrize(
    "path", ["/", "/a/b/", "/a?b=c", "/a?next=//x", "/a#b", "/a%20b", "/a?b=%26%3D", "/a%C3%A9", "/~a/;b=c", "/100%"]
)
def test_it_returns_a_path_as_it_came(path: str) -> None:
    assert local_path(path) == path


def test_it_gives_up_on_what_is_encoded_over_and_over() -> None:
    path = "/a b"
    for _ in range(3):
        path = quote(path, safe="/")
    assert local_path(path) == path
    assert local_path(quote(path, safe="/")) is None


AWKWARD = st.text(st.sampled_from("/\\%25fF0aA9d.:@?#;&=\t\n\r\x00 jx-_~é\u2028\u202e\uff0f"), max_size=30)


@given(AWKWARD | st.text(max_size=40))
def test_whatever_it_returns_stays_on_this_site(relay_state: str) -> None:
    """As a browser resolves it, decoded once or more, with the characters left out that browsers leave out."""
    path = local_path(relay_state)
    if path is None:
        return
    form = path
    for _ in range(5):
        assert form.startswith("/")
        assert not form.startswith(("//", "/\\"))
        assert not set(form) & set("\\\t\r\n\x00")
        target = urlsplit(urljoin("https://portico.example/saml/continue/", form))
        assert (target.scheme, target.netloc) == ("https", "portico.example")
        form = unquote(form)
