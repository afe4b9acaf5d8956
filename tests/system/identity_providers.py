"""Identity providers that were not written here, as running programs."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from demo import keys
from saml_sp.protocol import names
from tests.system.programs import CLONE, free_port, started
from tests.system.surfer import Surfer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.portico import Portico

SAML_IDP = CLONE / "tests" / "interop" / "saml_idp" / "node_modules" / "saml-idp" / "bin" / "run.js"


@dataclass(frozen=True)
class Pysaml2:
    """A running tests/interop/pysaml2_idp.py."""

    url: str
    domain: str

    @property
    def ana(self) -> str:
        """The e-mail address of its Ana."""
        return f"ana@{self.domain}"

    def metadata(self) -> bytes:
        """Its metadata document."""
        page = Surfer().get(f"{self.url}/metadata")
        assert page.status == 200, page.body.decode()
        return page.body

    def events(self) -> list[dict[str, Any]]:
        """What happened there so far."""
        found: list[dict[str, Any]] = json.loads(Surfer().get(f"{self.url}/events").body)
        return found

    def last(self, event: str) -> dict[str, Any]:
        """The newest event of this name."""
        found = [entry for entry in self.events() if entry["event"] == event]
        assert found, f"no {event!r} among {self.events()}"
        return found[-1]


@contextmanager
def running_pysaml2(portico: Portico, slug: str, folder: Path, *options: str) -> Iterator[Pysaml2]:
    """pysaml2's Server, knowing Portico by its metadata for this slug."""
    port, domain = free_port(), f"{slug}.example"
    command = [
        sys.executable, "-m", "tests.interop.pysaml2_idp", "--port", str(port), "--keys", str(folder),
        "--service", portico.url(f"/saml/{slug}/metadata/"), "--domain", domain, *options,
    ]  # fmt: skip
    with started(f"pysaml2-{slug}", command, folder) as program:
        program.wait_for_port(port)
        yield Pysaml2(f"http://localhost:{port}", domain)


@dataclass(frozen=True)
class SamlIdp:
    """A running saml-idp, the npm package. It has one user for everybody, and no password."""

    url: str

    def metadata(self) -> bytes:
        """Its metadata document."""
        page = Surfer().get(f"{self.url}/metadata")
        assert page.status == 200, page.body.decode()
        return page.body


@contextmanager
def running_saml_idp(portico: Portico, slug: str, folder: Path, *, encrypt: bool = False) -> Iterator[SamlIdp]:
    """saml-idp, told about Portico by its command line: it reads no metadata."""
    node = shutil.which("node")
    assert node, "node is not installed; .ci/run installs what the system tests need"
    assert SAML_IDP.exists(), "saml-idp is not installed; make test-system does that"
    port = free_port()
    key = keys.kept(folder, "saml-idp")
    (folder / "key.pem").write_bytes(key.private_pem)
    (folder / "certificate.pem").write_bytes(key.certificate_pem)
    command = [
        node, str(SAML_IDP), "--host", "localhost", "--port", str(port), "--issuer", f"http://localhost:{port}/metadata",
        "--cert", str(folder / "certificate.pem"), "--key", str(folder / "key.pem"),
        "--audience", portico.url(f"/saml/{slug}/metadata/"), "--acsUrl", portico.url(f"/saml/{slug}/acs/"),
        "--sloUrl", portico.url(f"/saml/{slug}/slo/"),
    ]  # fmt: skip
    if encrypt:
        certificate, public_key = encryption_key(portico, slug, folder)
        command += ["--encryptAssertion", "--encryptionCert", certificate, "--encryptionPublicKey", public_key]
    with started(f"saml-idp-{slug}", command, folder) as program:
        program.wait_for_words("IdP server ready at")
        yield SamlIdp(f"http://localhost:{port}")


def encryption_key(portico: Portico, slug: str, folder: Path) -> tuple[str, str]:
    """Files with the certificate and the public key that Portico's metadata offers to encrypt with."""
    page = Surfer().get(portico.url(f"/saml/{slug}/metadata/"))
    path = f".//{{{names.MD}}}KeyDescriptor[@use='encryption']//{{{names.DS}}}X509Certificate"
    text = etree.fromstring(page.body).findtext(path)
    assert text, page.body.decode()
    certificate = x509.load_der_x509_certificate(base64.b64decode(text))
    public_key = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "ours.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "ours.pub").write_bytes(public_key)
    return str(folder / "ours.pem"), str(folder / "ours.pub")
