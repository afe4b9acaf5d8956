"""Logos: what is accepted as one, and where it is shown."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts.models import User
from audit.models import Event
from saml_sp import configuration, logos
from saml_sp.models import IdpLogo
from tests import factories
from tests.door import Browser, let_in
from tests.idp import Forge
from tests.saml_sp.test_idp_admin import form, page

if TYPE_CHECKING:
    from saml_sp.models import IdentityProvider

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 2, height: int = 2, *, more: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    image = chunk(b"IDAT", zlib.compress(b"\x00" * (width + 1) * height))
    return SIGNATURE + header + more + image + chunk(b"IEND", b"")


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


LOSSY = (b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", 100, 40) + b"\x00" * 8)
LOSSLESS = (b"VP8L", b"\x2f" + struct.pack("<I", 99 | 39 << 14) + b"\x00" * 4)
EXTENDED = (b"VP8X", b"\x00" * 4 + (99).to_bytes(3, "little") + (39).to_bytes(3, "little"))

GOOD = {
    "png": (png(100, 40), "image/png"),
    "png with text": (png(100, 40, more=chunk(b"tEXt", b"Title\x00x")), "image/png"),
    "webp lossy": (webp(LOSSY), "image/webp"),
    "webp lossless": (webp(LOSSLESS), "image/webp"),
    "webp extended": (webp(EXTENDED, (b"ALPH", b"\x00\x01\x02"), LOSSY), "image/webp"),
}
BAD = {
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "neither a PNG nor a WebP"),
    "gif": (b"GIF89a\x01\x00\x01\x00", "neither a PNG nor a WebP"),
    "nothing of a picture": (b"hello", "neither a PNG nor a WebP"),
    "five megabytes": (png(more=chunk(b"tEXt", b"x" * 5_000_000)), "larger than 64 KiB"),
    "one byte too many": (png(more=chunk(b"tEXt", b"x" * (64 * 1024 - len(png()) - 11))), "larger than 64 KiB"),
    "only a signature": (SIGNATURE, "ends too early"),
    "cut in the image": (png(100, 40)[:-20], "damaged"),
    "cut before its end": (png()[:-12], "ends too early"),
    "a wrong checksum": (png().replace(b"IDAT", b"IDAU"), "checksum"),
    "no header first": (SIGNATURE + chunk(b"IDAT", b"") + chunk(b"IEND", b""), "does not begin as a PNG"),
    "no image": (SIGNATURE + chunk(b"IHDR", b"\x00" * 13) + chunk(b"IEND", b""), "holds no image"),
    "a script behind it": (png() + b"<script>alert(1)</script>", "something stands behind it"),
    "a short header": (SIGNATURE + chunk(b"IHDR", b"\x00") + chunk(b"IEND", b""), "ends too early"),
    "no width": (png(0, 2), "0 pixels wide and 2 high"),
    "a bomb": (png(4000, 2), "4000 pixels wide"),
    "webp of another length": (webp(LOSSY) + b"x", "not as long as it says"),
    "webp cut": (webp(LOSSY)[:20], "not as long as it says"),
    "webp with a longer chunk": (b"RIFF\x0c\x00\x00\x00WEBPVP8 \x63\x00\x00\x00", "ends too early"),
    "webp without an image": (webp(EXTENDED), "holds no image"),
    "webp of nothing": (webp(), "holds no image"),
    "webp of another kind": (webp((b"JUNK", b"xxxx")), "does not begin as a WebP"),
    "webp without its start code": (webp((b"VP8 ", b"\x00" * 10)), "does not begin as a WebP"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_it_reads_a_picture(name: str) -> None:
    data, content_type = GOOD[name]
    picture = logos.read(data)
    assert (picture.content_type, picture.width, picture.height) == (content_type, 100, 40)
    assert picture.data == data


@pytest.mark.parametrize("name", BAD)
def test_it_refuses_what_is_no_whole_picture(name: str) -> None:
    data, reason = BAD[name]
    with pytest.raises(logos.LogoRefusedError, match=reason):
        logos.read(data)


@pytest.mark.parametrize("name", GOOD)
def test_no_picture_that_was_cut_anywhere_is_accepted_or_breaks_anything(name: str) -> None:
    data, _ = GOOD[name]
    for end in range(len(data)):
        with pytest.raises(logos.LogoRefusedError):
            logos.read(data[:end])


@pytest.fixture
def acme(db: None) -> IdentityProvider:
    return factories.idp("acme", description="Acme Okta", show_on_sign_in=True)


@pytest.fixture
def client(db: None) -> Client:
    signed_in = Client()
    let_in(signed_in, User.objects.create_superuser("root@example.com"))
    return signed_in


def hold(idp: IdentityProvider, place: str, data: bytes) -> str:
    """Give it a logo; returns its address."""
    picture = logos.read(data)
    configuration.set_logo(idp, place, picture)
    return f"/saml/{idp.slug}/logo/{place}/?v={picture.sha256[:16]}"


def test_the_admin_takes_both_shows_and_removes_them(client: Client, acme: IdentityProvider) -> None:
    chosen = {
        "header_logo": SimpleUploadedFile("logo.svg", png(100, 40)),
        "sign_in_logo": SimpleUploadedFile("x", webp(LOSSY)),
    }
    assert client.post(page(acme), form(acme, **chosen)).status_code == 302
    assert dict(acme.logos.values_list("place", "content_type")) == {"header": "image/png", "sign-in": "image/webp"}
    assert Event.objects.filter(kind="admin:idp:change").count() == 1
    shown = client.get(page(acme)).content.decode()
    assert 'href="/saml/acme/logo/header/?v=' in shown
    assert client.post(page(acme), form(acme)).status_code == 302
    assert acme.logos.count() == 2
    other = {"header_logo": SimpleUploadedFile("logo.png", png(50, 20))}
    assert client.post(page(acme), form(acme, **other)).status_code == 302
    assert bytes(acme.logos.get(place="header").data) == png(50, 20)
    assert client.post(page(acme), form(acme, **{"header_logo-clear": "on"})).status_code == 302
    assert list(acme.logos.values_list("place", flat=True)) == ["sign-in"]


@pytest.mark.parametrize("name", ["svg", "five megabytes", "cut in the image", "a script behind it"])
def test_the_admin_says_what_is_wrong_with_a_file_and_saves_nothing(
    client: Client, acme: IdentityProvider, name: str
) -> None:
    data, reason = BAD[name]
    answer = client.post(page(acme), form(acme, description="New", header_logo=SimpleUploadedFile("logo.png", data)))
    assert answer.status_code == 200
    assert reason in answer.content.decode()
    assert not IdpLogo.objects.exists()
    acme.refresh_from_db()
    assert acme.description == "Acme Okta"


def test_it_is_served_as_what_it_is_and_may_be_kept(acme: IdentityProvider) -> None:
    url = hold(acme, "sign-in", webp(LOSSY))
    answer = Browser().get(url)
    assert (answer.status_code, answer.content) == (200, webp(LOSSY))
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert not answer.cookies
    again = Browser().get(url, HTTP_IF_NONE_MATCH=answer.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    stale = Browser().get("/saml/acme/logo/sign-in/?v=0123456789abcdef")
    assert stale.headers["Cache-Control"] == "public, no-cache"


@pytest.mark.parametrize("path", ["/saml/acme/logo/header/", "/saml/acme/logo/nowhere/", "/saml/nobody/logo/sign-in/"])
def test_there_is_nothing_where_none_is_held(acme: IdentityProvider, path: str) -> None:
    hold(acme, "sign-in", png())
    answer = Browser().get(path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")


def test_a_disabled_identity_provider_shows_none(acme: IdentityProvider) -> None:
    url = hold(acme, "sign-in", png())
    acme.enabled = False
    acme.save()
    assert Browser().get(url).status_code == 404


def test_each_is_shown_in_its_place(acme: IdentityProvider) -> None:
    header, button = hold(acme, "header", png(100, 40)), hold(acme, "sign-in", png(24, 24))
    front = Browser().get("/sign-in/").content.decode()
    assert f'<img src="{button}"' in front
    assert header not in front
    browser, other = Browser(), Browser()
    landing = browser.sign_in(acme, Forge(acme, timezone.now()).xml()).content.decode()
    assert f'<img class="logo" src="{header}" alt="Acme Okta"' in landing
    elsewhere = factories.idp()
    assert (
        'class="logo"'
        not in other.sign_in(
            elsewhere, Forge(elsewhere, timezone.now()).xml(name_id="b@c.example", attributes=())
        ).content.decode()
    )
