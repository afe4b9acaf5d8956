"""Portico behind nginx, which ends TLS: everything derives from PORTICO_BASE_URL, whatever a request says of itself."""

from __future__ import annotations

import http.client
import shutil
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.system.identity_providers import running_pysaml2
from tests.system.portico import ADMIN, PASSWORD, running_portico
from tests.system.programs import free_port, started
from tests.system.surfer import Surfer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.chromium import Chromium
    from tests.system.identity_providers import Pysaml2
    from tests.system.portico import Portico

CONF = Path(__file__).parent / "nginx.conf"


@dataclass(frozen=True)
class Behind:
    """A Portico behind nginx. `http_port` is nginx's without TLS."""

    portico: Portico
    idp: Pysaml2
    tls: ssl.SSLContext
    http_port: int

    def surfer(self) -> Surfer:
        """Somebody who trusts the certificate."""
        return Surfer(tls=self.tls)


@pytest.fixture(scope="module")
def behind(folder: Path) -> Iterator[Behind]:
    place = folder / "nginx"
    place.mkdir(parents=True, exist_ok=True)
    certificate = make_certificate(place)
    https, plain = free_port(), free_port()
    # Another host name, port and scheme than where gunicorn listens.
    base_url = f"https://localhost:{https}"
    trust = ssl.create_default_context(cafile=str(certificate))
    with (
        running_portico(folder / "behind", base_url, PORTICO_PROXY_HOPS="1") as portico,
        running_nginx(place, base_url, https, plain, portico.port),
        running_pysaml2(
            portico, "proxied", folder / "proxied", "--strict", "--slo", "post", "--trust", str(certificate)
        ) as idp,
    ):
        portico.connect("proxied", idp.metadata(), description="Proxied IdP")
        yield Behind(portico, idp, trust, plain)


@contextmanager
def running_nginx(folder: Path, base_url: str, https: int, plain: int, portico: int) -> Iterator[None]:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert nginx, "nginx is not installed; .ci/run installs what the system tests need"
    conf = CONF.read_text()
    values = {"FOLDER": folder, "BASE_URL": base_url, "HTTPS": https, "HTTP": plain, "PORTICO": portico}
    for name, value in values.items():
        conf = conf.replace(f"@{name}@", str(value))
    (folder / "nginx.conf").write_text(conf)
    command = [nginx, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with started("nginx", command, folder) as program:
        program.wait_for_port(https)
        yield


def make_certificate(folder: Path) -> Path:
    """A certificate for localhost that signs itself, and its key; thrown away afterwards."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_metadata_names_only_the_public_urls(behind: Behind) -> None:
    page = behind.surfer().get(behind.portico.url("/saml/proxied/metadata/"))
    document = page.body.decode()
    assert f'entityID="{behind.portico.base_url}/saml/proxied/metadata/"' in document
    assert f'Location="{behind.portico.base_url}/saml/proxied/acs/"' in document
    assert f'Location="{behind.portico.base_url}/saml/proxied/slo/"' in document
    assert str(behind.portico.port) not in document
    assert "http://" not in document.replace("http://www.w3.org/", "")


@pytest.mark.parametrize(
    "claims",
    [
        {"Host": "127.0.0.1"},
        {"X-Forwarded-Host": "attacker.example"},
        {"X-Forwarded-Proto": "http"},
        {"X-Forwarded-Port": "1"},
        {"Forwarded": "host=attacker.example;proto=http"},
    ],
    ids=lambda claims: next(iter(claims)),
)
def test_no_header_changes_any_url(behind: Behind, claims: dict[str, str]) -> None:
    """Straight to gunicorn, past nginx, which would overwrite some of these."""
    expected = behind.surfer().get(behind.portico.url("/saml/proxied/metadata/")).body.decode()
    connection = http.client.HTTPConnection("127.0.0.1", behind.portico.port, timeout=20)
    headers = {"Host": f"localhost:{behind.portico.base_url.rpartition(':')[2]}"} | claims
    connection.request("GET", "/saml/proxied/metadata/", headers=headers)
    with connection.getresponse() as response:
        assert response.status == 200
        assert without_dates(response.read().decode()) == without_dates(expected)
    connection.close()


def test_a_foreign_host_gets_no_answer(behind: Behind) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", behind.portico.port, timeout=20)
    connection.request("GET", "/sign-in/", headers={"Host": "attacker.example"})
    with connection.getresponse() as response:
        assert response.status == 400
        assert b"attacker.example" not in response.read()
    connection.close()


def test_plain_http_is_sent_to_the_base_url_and_https_says_to_stay(behind: Behind) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", behind.http_port, timeout=20)
    connection.request("GET", "/saml/proxied/metadata/")
    with connection.getresponse() as response:
        assert response.status == 308
        assert response.headers["Location"] == behind.portico.url("/saml/proxied/metadata/")
    connection.close()
    page = behind.surfer().get(behind.portico.url("/sign-in/"))
    assert "max-age=31536000" in page.headers["Strict-Transport-Security"]


def test_a_sign_in_from_the_portal_ends_on_the_public_site(behind: Behind) -> None:
    surfer = behind.surfer()
    page = surfer.settle(surfer.get(f"{behind.idp.url}/start?person=ana"))
    assert page.url == behind.portico.url("/")
    assert behind.idp.ana in page.text
    assert behind.idp.last("response")["to"] == behind.portico.url("/saml/proxied/acs/")
    assert all(
        visit.partition(" ")[2].startswith((behind.portico.base_url, behind.idp.url)) for visit in surfer.visited
    )


def test_a_password_form_passes_its_checks_behind_the_proxy(behind: Behind) -> None:
    surfer = behind.surfer()
    page = surfer.get(behind.portico.url("/sign-in/?local=1&next=/profile/"))
    form = page.form("password")
    login = next(name for name in form.fields if name in {"login", "username", "email"})
    page = surfer.submit(page, form, **{login: ADMIN, "password": PASSWORD})
    assert page.url == behind.portico.url("/profile/")
    assert ADMIN in page.text
    assert "from 127.0.0.1" in page.text


def test_chromium_signs_in_and_out_over_tls(behind: Behind, chromium: Chromium) -> None:
    with chromium.window(ignore_https_errors=True) as visitor:
        visitor.forgiven = {behind.idp.url}
        page = visitor.page
        page.goto(behind.portico.url("/saml/proxied/login/?next=/profile/"))
        page.get_by_role("button", name="ana").click()
        page.wait_for_url(behind.portico.url("/profile/"))
        assert behind.idp.ana in visitor.words()
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.wait_for_url(f"{behind.portico.base_url}/signed-out/?logout=*")
        assert "has ended its session too" in visitor.words()


def without_dates(document: str) -> str:
    """Metadata without what changes from one second to the next."""
    head, _, rest = document.partition('validUntil="')
    return head + rest.partition('"')[2]
