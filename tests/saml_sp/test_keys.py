"""Key pairs of ours: their life in the admin and from the command line, and how they are kept."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from accounts.models import User
from audit.models import Event
from demo import keys as demo_keys
from saml_sp import keys
from saml_sp.models import KeyState, SpKeyPair
from saml_sp.protocol import key_pairs
from tests import encrypting, factories
from tests.door import let_in
from tests.encrypting import Ours, our_key
from tests.saml_sp.test_idp_admin import form, page

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings

pytestmark = pytest.mark.django_db

PAGE = "/admin/saml_sp/spkeypair/"


@pytest.fixture
def encryption_key(settings: Settings) -> str:
    key = Fernet.generate_key().decode()
    settings.PORTICO_ENCRYPTION_KEYS = [key]
    return key


@pytest.fixture
def client() -> Client:
    signed_in = Client()
    let_in(signed_in, User.objects.create_superuser("root@example.com"))
    return signed_in


def states() -> dict[str, str]:
    return dict(SpKeyPair.objects.values_list("sha256", "state"))


def kinds() -> list[str]:
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


def spkey(*arguments: str) -> str:
    out = io.StringIO()
    call_command("spkey", *arguments, stdout=out)
    return out.getvalue()


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        spkey(*arguments)
    return str(caught.value)


def press(client: Client, step: str, **fields: object) -> str:
    """Press a button and read the page that follows."""
    answer = client.post(f"{PAGE}{step}/", fields, follow=True)
    return answer.content.decode()


# --- At rest --------------------------------------------------------------------------------------------------------


def raw_rows() -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM saml_sp_spkeypair")
        rows = [[bytes(value) if isinstance(value, memoryview) else value for value in row] for row in cursor]
    return repr(rows).encode()


def test_the_private_key_is_never_in_the_database_in_clear(encryption_key: str) -> None:
    private = our_key(Ours.FIRST).private_pem
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    rows = raw_rows()
    assert b"PRIVATE KEY" not in rows
    assert private.splitlines()[3] not in rows
    secret = encrypting.private(Ours.FIRST).private_numbers()
    assert secret.d.to_bytes(256, "big") not in rows
    assert Fernet(encryption_key).decrypt(bytes(SpKeyPair.objects.get().private_key)) == private


def test_a_key_pair_opened_does_not_print_itself(encryption_key: str) -> None:
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    assert "PRIVATE" not in repr(keys.signer())


def test_rotation_puts_every_key_under_the_first_encryption_key(encryption_key: str, settings: Settings) -> None:
    for which, state in ((Ours.FIRST, KeyState.CURRENT), (Ours.SECOND, KeyState.NEXT), (Ours.THIRD, KeyState.OLD)):
        factories.key_pair(which, state)
    new = Fernet.generate_key().decode()
    settings.PORTICO_ENCRYPTION_KEYS = [new, encryption_key]
    for _ in range(2):  # again makes no difference
        out = io.StringIO()
        call_command("rotate_encryption_keys", stdout=out)
        assert "3 private key(s)" in out.getvalue()
    settings.PORTICO_ENCRYPTION_KEYS = [new]
    assert len(keys.decryption_keys()) == 3
    assert kinds() == ["admin:sp_key:rotate"] * 2


def test_rotation_without_the_key_that_is_needed_changes_nothing(encryption_key: str, settings: Settings) -> None:
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    settings.PORTICO_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    factories.key_pair(Ours.SECOND, KeyState.NEXT)
    before = raw_rows()
    with pytest.raises(CommandError, match=r"Nothing was changed.*cannot be opened"):
        call_command("rotate_encryption_keys")
    assert raw_rows() == before
    assert kinds() == []


def test_rotation_of_nothing_is_fine(encryption_key: str) -> None:
    out = io.StringIO()
    call_command("rotate_encryption_keys", stdout=out)
    assert "0 private key(s)" in out.getvalue()


def test_the_current_key_signs(encryption_key: str, settings: Settings) -> None:
    assert keys.signer() is None
    factories.key_pair(Ours.SECOND, KeyState.NEXT)
    assert keys.signer() is None
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    signer = keys.signer()
    assert signer is not None
    assert signer.private_key == our_key(Ours.FIRST).private_pem
    settings.PORTICO_ENCRYPTION_KEYS = []
    assert keys.signer() is None


def test_the_current_key_is_tried_first(encryption_key: str) -> None:
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    factories.key_pair(Ours.SECOND, KeyState.NEXT)
    first = keys.decryption_keys()[0]
    assert first.private_numbers() == encrypting.private(Ours.FIRST).private_numbers()


# --- The admin ------------------------------------------------------------------------------------------------------


def test_without_an_encryption_key_the_page_says_so_and_refuses(client: Client) -> None:
    shown = client.get(PAGE).content.decode()
    assert "PORTICO_ENCRYPTION_KEYS is not set" in shown
    assert "Generate a key pair" not in shown
    assert "PORTICO_ENCRYPTION_KEYS is not set" in press(client, "generate")
    pem = our_key(Ours.FIRST)
    assert "PORTICO_ENCRYPTION_KEYS is not set" in press(
        client, "import", private_key=pem.private_pem.decode(), certificate=pem.certificate_pem.decode()
    )
    assert states() == {}


def test_each_step_of_a_rollover_is_a_button(client: Client, encryption_key: str) -> None:
    assert "It is published and used at once." in client.get(PAGE).content.decode()
    shown = press(client, "generate")
    assert list(states().values()) == ["current"]
    (first,) = states()
    assert first in shown
    assert "Retire it" not in shown
    assert "Use it from now on" not in shown

    second = our_key(Ours.SECOND)
    shown = press(
        client, "import", private_key=second.private_pem.decode(), certificate=second.certificate_pem.decode()
    )
    assert sorted(states().values()) == ["current", "next"]
    assert "Use it from now on" in shown
    assert "Generate a key pair" not in shown

    shown = press(client, "promote")
    assert states()[first] == "old"
    assert sorted(states().values()) == ["current", "old"]
    assert "Retire it" in shown

    press(client, "retire", pair=SpKeyPair.objects.get(state="old").pk)
    assert first not in states()
    assert kinds() == [f"admin:sp_key:{step}" for step in ("generate", "import", "promote", "retire")]
    assert set(Event.objects.values_list("actor", flat=True)) == {"root@example.com"}


def test_a_generated_key_pair_is_strong_and_bears_our_name(client: Client, encryption_key: str) -> None:
    press(client, "generate")
    row = SpKeyPair.objects.get()
    certificate = x509.load_pem_x509_certificate(row.certificate.encode())
    assert certificate.subject.rfc4514_string() == "CN=127.0.0.1"
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 3072
    assert row.not_after - datetime.now(UTC) > timedelta(days=3600)
    (private,) = keys.decryption_keys()
    assert private.public_key() == public


def test_a_next_key_that_was_never_used_can_be_discarded(client: Client, encryption_key: str) -> None:
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    coming = factories.key_pair(Ours.SECOND, KeyState.NEXT)
    press(client, "retire", pair=coming.pk)
    assert list(states().values()) == ["current"]


def test_a_next_key_is_promoted_where_nothing_was_current(client: Client, encryption_key: str) -> None:
    factories.key_pair(Ours.FIRST, KeyState.NEXT)
    press(client, "promote")
    assert list(states().values()) == ["current"]


def test_a_step_that_cannot_be_done_says_why(client: Client, encryption_key: str) -> None:
    assert "There is no next key pair." in press(client, "promote")
    current = factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    assert "The current key pair is in use." in press(client, "retire", pair=current.pk)
    for nonsense in ("0", "", "x", "-1", "9" * 30, current.pk + 1):
        assert "This key pair is gone already." in press(client, "retire", pair=nonsense)
    factories.key_pair(Ours.SECOND, KeyState.NEXT)
    assert "There is a next key pair already." in press(client, "generate")
    assert sorted(states().values()) == ["current", "next"]
    assert kinds() == []


def test_the_same_key_pair_is_not_held_twice(client: Client, encryption_key: str) -> None:
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    pem = our_key(Ours.FIRST)
    shown = press(client, "import", private_key=pem.private_pem.decode(), certificate=pem.certificate_pem.decode())
    assert "is held here already" in shown
    assert len(states()) == 1


def test_a_key_that_cannot_be_opened_is_not_promoted(client: Client, encryption_key: str, settings: Settings) -> None:
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    factories.key_pair(Ours.SECOND, KeyState.NEXT)
    settings.PORTICO_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    shown = client.get(PAGE).content.decode()
    assert shown.count("cannot be opened with PORTICO_ENCRYPTION_KEYS") == 2
    assert "Use it from now on" not in shown
    assert "cannot be opened with" in press(client, "promote")
    assert sorted(states().values()) == ["current", "next"]


def test_the_private_key_is_on_no_page(client: Client, encryption_key: str) -> None:
    pem = our_key(Ours.FIRST)
    secret = pem.private_pem.decode().splitlines()[3]
    shown = press(client, "import", private_key=pem.private_pem.decode(), certificate="???")
    assert "This is not a certificate." in shown
    assert secret not in shown
    shown = press(
        client,
        "import",
        private_key_file=SimpleUploadedFile("key.pem", pem.private_pem),
        certificate_file=SimpleUploadedFile("certificate.pem", pem.certificate_pem),
    )
    assert list(states().values()) == ["current"]
    assert secret not in shown
    row = SpKeyPair.objects.get()
    assert client.get(f"{PAGE}{row.pk}/change/").headers["Location"] == PAGE
    assert bytes(row.private_key).decode() not in client.get(PAGE).content.decode()


@pytest.mark.parametrize("step", ["generate", "import", "promote", "retire"])
def test_the_buttons_are_posts_with_a_token_by_those_who_may(step: str, encryption_key: str) -> None:
    guard = User.objects.create_user("guard@example.com", is_staff=True)
    guard.user_permissions.add(Permission.objects.get(codename="view_spkeypair"))
    client = Client()
    assert client.post(f"{PAGE}{step}/").status_code == 302
    let_in(client, guard)
    assert "Generate" not in client.get(PAGE).content.decode()
    assert client.post(f"{PAGE}{step}/").status_code == 403
    assert client.get(f"{PAGE}{step}/").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    let_in(strict, User.objects.create_superuser("root@example.com"))
    assert strict.post(f"{PAGE}{step}/").status_code == 403
    assert states() == {}


def test_staff_without_the_permission_do_not_see_the_page() -> None:
    client = Client()
    let_in(client, User.objects.create_user("guard@example.com", is_staff=True))
    assert client.get(PAGE).status_code == 403


def test_metadata_is_set_to_be_signed_only_with_something_to_sign_with(client: Client, encryption_key: str) -> None:
    idp = factories.idp()
    wish = form(idp, sign_metadata="on")
    assert "There is no current key pair of ours to sign with." in client.post(page(idp), wish).content.decode()
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    assert client.post(page(idp), wish).status_code == 302
    idp.refresh_from_db()
    assert idp.sign_metadata


# --- The command ----------------------------------------------------------------------------------------------------


def test_the_command_does_what_the_buttons_do(encryption_key: str, tmp_path: Path) -> None:
    assert "There is no key pair yet" in spkey("list")
    assert " is current." in spkey("generate")
    (first,) = states()
    second = our_key(Ours.SECOND)
    (tmp_path / "key.pem").write_bytes(second.private_pem)
    (tmp_path / "certificate.pem").write_bytes(second.certificate_pem)
    said = spkey("import", "--key", str(tmp_path / "key.pem"), "--certificate", str(tmp_path / "certificate.pem"))
    assert "is next." in said
    assert "Promote it when" in said
    assert spkey("list").count("valid until") == 2
    assert "is current." in spkey("promote")
    assert f"{first[:16]} is gone." in spkey("retire", first[:16].upper())
    assert list(states().values()) == ["current"]
    assert set(Event.objects.values_list("actor", flat=True)) == {
        f"manage.py spkey {step}" for step in ("generate", "import", "promote", "retire")
    }


def test_the_private_key_may_come_from_standard_input(
    encryption_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = our_key(Ours.FIRST)
    (tmp_path / "certificate.pem").write_bytes(pem.certificate_pem)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pem.private_pem)))
    assert "is current." in spkey("import", "--key", "-", "--certificate", str(tmp_path / "certificate.pem"))


def test_the_command_says_what_it_cannot_do(encryption_key: str, settings: Settings, tmp_path: Path) -> None:
    assert "There is no next key pair." in refusal("promote")
    assert "names 0 key pairs" in refusal("retire", "abc")
    missing = str(tmp_path / "none")
    assert "cannot be read" in refusal("import", "--key", missing, "--certificate", missing)
    factories.key_pair(Ours.FIRST, KeyState.CURRENT)
    settings.PORTICO_ENCRYPTION_KEYS = []
    assert "PORTICO_ENCRYPTION_KEYS is not set" in refusal("generate")
    assert "cannot be opened" in spkey("list")


# --- What is brought along ------------------------------------------------------------------------------------------


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def cases() -> dict[str, tuple[bytes, bytes, str]]:
    pem, other = our_key(Ours.FIRST), our_key(Ours.SECOND)
    private = encrypting.private(Ours.FIRST)
    expired = demo_keys.make(
        "expired", key=private, not_before=datetime.now(UTC) - timedelta(9), not_after=datetime.now(UTC) - timedelta(1)
    )
    weak = demo_keys.make("weak", key=rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505 - to be refused
    curve = demo_keys.make("curve", key=ec.generate_private_key(ec.SECP256R1()))
    return {
        "no private key": (b" ", pem.certificate_pem, "give both"),
        "no certificate": (pem.private_pem, b"", "give both"),
        "another certificate": (pem.private_pem, other.certificate_pem, "belongs to another private key"),
        "a passphrase": (pem_of(private, b"secret"), pem.certificate_pem, "encrypted with a passphrase"),
        "a certificate as key": (pem.certificate_pem, pem.certificate_pem, "not a private key in PEM"),
        "a key as certificate": (pem.private_pem, pem.private_pem, "holds a private key"),
        "nonsense": (b"x", b"y", "not a private key in PEM"),
        "too long": (b"x" * (key_pairs.MAX_BYTES + 1), pem.certificate_pem, "bytes long"),
        "a short key": (weak.private_pem, weak.certificate_pem, "1024 bits"),
        "a key on a curve": (curve.private_pem, curve.certificate_pem, "must be RSA"),
        "an expired certificate": (pem.private_pem, expired.certificate_pem, "was valid until"),
    }


def test_what_cannot_be_a_key_pair_is_refused_with_a_sentence(client: Client, encryption_key: str) -> None:
    for name, (private, certificate, sentence) in cases().items():
        answer = client.post(
            f"{PAGE}import/",
            {
                "private_key_file": SimpleUploadedFile("key.pem", private),
                "certificate_file": SimpleUploadedFile("certificate.pem", certificate),
            },
        )
        assert answer.status_code == 400, name
        assert sentence in answer.content.decode(), name
    assert states() == {}


def test_older_pem_and_der_are_read_too(encryption_key: str) -> None:
    private = encrypting.private(Ours.FIRST)
    old = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    der = our_key(Ours.FIRST).certificate.public_bytes(Encoding.DER)
    pair = key_pairs.read(old, der, datetime.now(UTC))
    loaded = load_pem_private_key(pair.private_pem, None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert loaded.private_numbers() == private.private_numbers()
    assert "PRIVATE" not in repr(pair)
