"""The way to the server: addresses, certificates, proxies, redirects, and servers that break every rule."""

from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import ssl
import time
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .server import Canned, Portico, minted, proxy, raw, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .terminal import Machine

HTML = b"<!doctype html><title>Sign in to the network</title>"


def http(status: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""])
    return head.encode() + body


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that vouches for itself, with its key: one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Portico]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running(context) as server:
        server.person()
        yield server


@pytest.mark.parametrize(
    "host",
    [
        "http://portico.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.1:8000",
        "http://2130706433",
        "http://0177.0.0.1",
        "ftp://127.0.0.1",
        "https://user:pass@portico.example",
        "http://portico.example@127.0.0.1",
        "https://",
        "https://portico.example?x=1",
        "https://portico.example#x",
        "https://portico.example:x",
        "https://[::1",
        "https://portico.example/a b",
        "https://portico.example/../x",
        "https://portico\x1b.example",
        "https://-",
        " ",
    ],
)
def test_an_address_that_is_none_or_not_secure_is_refused(machine: Machine, host: str) -> None:
    done = machine.run("whoami", "--host", host, PORTICO_TOKEN=minted("x"))
    assert done.code == 2
    assert len(done.err.splitlines()) == 2
    assert "\x1b" not in done.err


@pytest.mark.parametrize("host", ["localhost:1", "https://LOCALHOST:1/", "http://127.8.8.8:1", "http://[::1]:1/x/"])
def test_an_address_that_nobody_answers_is_a_network_error(machine: Machine, host: str) -> None:
    done = machine.run("whoami", "--host", host, "--timeout", "2", PORTICO_TOKEN=minted("x"))
    assert done.code == 8
    assert "cannot be reached" in done.err
    assert len(done.err.splitlines()) == 2


def test_a_name_that_does_not_exist_is_a_network_error(machine: Machine) -> None:
    done = machine.run("whoami", "--host", "https://nowhere.invalid", "--timeout", "5", PORTICO_TOKEN=minted("x"))
    assert done.code == 8


def test_a_portico_below_a_path_is_found_there(machine: Machine, portico: Portico) -> None:
    done = machine.run("whoami", "--host", f"{portico.url}/below/", PORTICO_TOKEN=portico.token())
    assert portico.seen[0].path == "/below/api/v1/whoami"
    assert done.code == 6


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_the_token(machine: Machine, portico: Portico, token: str, status: int) -> None:
    with running() as other:
        portico.canned["GET", "/whoami"] = Canned(status, b"", {"Location": f"{other.url}/api/v1/whoami"})
        done = machine.run("whoami")
        assert done.code == 8
        assert other.url in done.err
        assert other.seen == []
        assert len(portico.seen) == 1


def test_a_certificate_nobody_vouches_for_is_refused(machine: Machine, secure: Portico) -> None:
    done = machine.run("whoami", "--host", secure.url, PORTICO_TOKEN=secure.token())
    assert done.code == 8
    assert "certificate that is not trusted" in done.err
    assert "--ca-file" in done.err
    assert secure.seen == []


def test_a_certificate_of_one_s_own_is_trusted_when_named(machine: Machine, secure: Portico, certificate: Path) -> None:
    token = secure.token()
    where = {"PORTICO_TOKEN": token, "PORTICO_HOST": secure.url}
    assert machine.run("whoami", "--ca-file", str(certificate), **where).code == 0
    assert machine.run("whoami", PORTICO_CA_FILE=str(certificate), **where).code == 0
    assert machine.run("whoami", SSL_CERT_FILE=str(certificate), **where).code == 0
    args = ["login", "--host", secure.url, "--with-token", "--ca-file", str(certificate)]
    assert machine.run(*args, stdin=token).code == 0
    assert machine.run("whoami").code == 0, "it is remembered"


def test_a_certificate_for_another_name_is_refused(machine: Machine, secure: Portico, certificate: Path) -> None:
    other = secure.url.replace("localhost", "127.0.0.1")
    done = machine.run("whoami", "--host", other, "--ca-file", str(certificate), PORTICO_TOKEN=secure.token())
    assert done.code == 8
    assert "IP address mismatch" in done.err


def test_a_file_without_certificates_is_told(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("nope.pem", str(tmp_path), str(tmp_path / "empty.pem")):
        where = {"PORTICO_TOKEN": minted("x"), "PORTICO_HOST": "https://localhost:1"}
        done = machine.run("whoami", "--ca-file", name, **where)
        assert done.code == 2
        assert "No certificates can be read" in done.err
        assert machine.run("whoami", SSL_CERT_FILE=name, **where).code == 2


def test_plain_http_to_a_tls_port_and_the_other_way_round(machine: Machine, secure: Portico, portico: Portico) -> None:
    wrong = secure.url.replace("https", "http")
    assert machine.run("whoami", "--host", wrong, "--timeout", "3", PORTICO_TOKEN=secure.token()).code in {8, 9}
    wrong = portico.url.replace("http", "https")
    assert machine.run("whoami", "--host", wrong, "--timeout", "3", PORTICO_TOKEN=portico.token()).code == 8
    assert portico.seen == []


def test_the_proxy_of_the_environment_carries_but_cannot_read(
    machine: Machine, secure: Portico, certificate: Path
) -> None:
    token = secure.token()
    where = {"PORTICO_TOKEN": token, "PORTICO_HOST": secure.url, "PORTICO_CA_FILE": str(certificate)}
    with proxy() as between:
        assert machine.run("whoami", HTTPS_PROXY=between.url, **where).code == 0
        assert between.asked == [f"CONNECT {secure.url.removeprefix('https://')}"]
        assert token.encode() not in b"".join(between.carried)
        assert machine.run("whoami", HTTPS_PROXY=between.url, NO_PROXY="localhost", **where).code == 0
        assert len(between.asked) == 1


def test_a_proxy_never_sees_what_is_spoken_without_tls(machine: Machine, portico: Portico, token: str) -> None:
    with proxy() as between:
        done = machine.run("whoami", HTTP_PROXY=between.url, http_proxy=between.url, ALL_PROXY=between.url)
        assert done.code == 0
        assert between.asked == []


def test_a_proxy_that_refuses_or_is_none_is_told(machine: Machine, secure: Portico, certificate: Path) -> None:
    where = {"PORTICO_TOKEN": secure.token(), "PORTICO_HOST": secure.url, "PORTICO_CA_FILE": str(certificate)}
    with proxy(refuse=True) as between:
        done = machine.run("whoami", HTTPS_PROXY=between.url, **where)
        assert done.code == 8
        assert "proxy" in done.err
    for address in ("http://127.0.0.1:1", "nonsense://x", "socks5://127.0.0.1:1", "http://[", "http://x:y"):
        done = machine.run("whoami", "--timeout", "3", HTTPS_PROXY=address, **where)
        assert done.code == 8, address
        assert len(done.err.splitlines()) == 2
    assert secure.seen == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", 9),
        (b"\x00\xff\x00 garbage\r\n\r\n", 9),
        (b"HTTP/1.1 200 OK\r\nContent-Le", 9),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", 9),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", 9),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 9),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, 9),
        (http("200 OK", b""), 9),
        (http("200 OK", HTML, "Content-Type: text/html"), 9),
        (http("200 OK", b"{"), 9),
        (http("200 OK", b"[]"), 9),
        (http("200 OK", b"null"), 9),
        (http("200 OK", b'{"a": "\xff"}'), 9),
        (http("200 OK", b'{"a":' * 100_000), 9),
        (http("200 OK", b"9" * 100_000), 9),
        (http("200 OK", b"no gzip", "Content-Encoding: gzip"), 9),
        (http("200 OK", gzip.compress(b" " * 200_000_000), "Content-Encoding: gzip"), 9),
        (http("200 OK", b"x" * 17 * 1024 * 1024), 9),
        (http("204 No Content", b""), 9),
        (http("500 Oops", HTML, "Content-Type: text/html"), 9),
        (http("502 Bad Gateway", b"\xff\xfe"), 9),
        (http("404 Not Found", HTML, "Content-Type: text/html"), 9),
        (http("403 Forbidden", b'{"code": 7}'), 9),
        (http("403 Forbidden", b'{"code": "x", "detail": {"a": 1}, "errors": [5, {}]}'), 5),
        (http("999 What", b"{}"), 9),
        (http("304 Not Modified", b""), 8),
        (http("302 Found", b"", "Location: \x1b[31mhttps://evil.example"), 9),
    ],
    ids=range(27),
)
def test_whatever_a_server_answers_is_two_lines_on_standard_error(machine: Machine, answer: bytes, code: int) -> None:
    with raw(answer) as server:
        done = machine.run("whoami", "--timeout", "20", "--host", server.url, PORTICO_TOKEN=minted("x"))
    assert done.code == code, done.err
    assert done.out == ""
    assert len(done.err.splitlines()) == 2
    assert "\x1b" not in done.err
    assert len(done.err) < 2500


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_server_that_keeps_silent_is_not_waited_for_longer_than_said(machine: Machine, answer: bytes) -> None:
    with raw(answer, then_wait=True) as server:
        began = time.monotonic()
        done = machine.run("whoami", "--host", server.url, "--timeout", "0.5", PORTICO_TOKEN=minted("x"))
        assert time.monotonic() - began < 15
    assert done.code == 8
    assert "within 0.5 seconds" in done.err
    assert "--timeout" in done.err


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"items": 5}',
        b'{"items": [5], "next": null}',
        b'{"items": [], "next": 7}',
        b'{"items": [], "next": "round"}',
    ],
)
def test_a_list_that_is_none_or_has_no_end_is_told(machine: Machine, portico: Portico, token: str, body: bytes) -> None:
    portico.canned["GET", "/tokens"] = Canned(200, body)
    done = machine.run("tokens", "list")
    assert done.code == 9
    assert len(portico.seen) <= 2


@pytest.mark.parametrize("body", [b'{"items": [{}], "next": null}', b'{"items": [{"name": {"a": [1]}, "id": 5}]}'])
def test_a_list_with_odd_rows_is_shown_as_well_as_can_be(
    machine: Machine, portico: Portico, token: str, body: bytes
) -> None:
    for path, command in (("/tokens", "tokens"), ("/organizations", "orgs"), ("/saml-config", "saml")):
        portico.canned["GET", path] = Canned(200, body)
        assert machine.run(command, "list").code == 0


@pytest.mark.parametrize("body", [b"{}", b'{"user": 5, "organizations": 7, "roles": {"a": 1}, "token": []}'])
def test_an_odd_whoami_is_shown_as_well_as_can_be(machine: Machine, portico: Portico, token: str, body: bytes) -> None:
    portico.canned["GET", "/whoami"] = Canned(200, body)
    assert machine.run("whoami").code == 0
