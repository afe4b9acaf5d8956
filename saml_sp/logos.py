"""Logos of identity providers: what is accepted as one, and how it is served.

Only PNG and WebP, by their contents and not by their names: an SVG may hold scripts. The file is walked to its end, so
that what is kept is a whole picture and nothing else.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from saml_sp.models import IdpLogo, LogoPlace

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

MAX_BYTES: Final = 64 * 1024
MAX_SIDE: Final = 2048  # pixels
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNK: Final = struct.Struct(">I4s")
_RIFF: Final = struct.Struct("<4sI4s")
_WEBP_CHUNK: Final = struct.Struct("<4sI")


class LogoRefusedError(ValueError):
    """The file cannot be a logo; `str()` is a sentence for the administrator."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was looked at: its media type, sides in pixels, and bytes with their SHA-256."""

    content_type: str
    width: int
    height: int
    data: bytes
    sha256: str


def read(data: bytes) -> Picture:
    """Look at a picture of at most 64 KiB. Raises LogoRefusedError unless it is a complete PNG or WebP."""
    if len(data) > MAX_BYTES:
        raise LogoRefusedError("The file is larger than 64 KiB. Make the picture smaller and try again.")
    try:
        if data.startswith(_PNG):
            content_type, (width, height) = "image/png", _png_size(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            content_type, (width, height) = "image/webp", _webp_size(data)
        else:
            raise LogoRefusedError(
                "This is neither a PNG nor a WebP picture. Other formats, SVG among them, are not accepted."
            )
    except (struct.error, IndexError):
        raise LogoRefusedError("The picture is damaged: it ends too early.") from None
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise LogoRefusedError(
            f"The picture is {width} pixels wide and {height} high; at most {MAX_SIDE} are accepted either way."
        )
    return Picture(content_type, width, height, data, hashlib.sha256(data).hexdigest())


def _png_size(data: bytes) -> tuple[int, int]:
    """Width and height, when every chunk is whole and IEND is the last thing in the file (PNG 5, 11.2)."""
    seen: set[bytes] = set()
    position, size = len(_PNG), (0, 0)
    while b"IEND" not in seen:
        length, kind = _PNG_CHUNK.unpack_from(data, position)
        body = data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        if checksum != zlib.crc32(kind + body):
            raise LogoRefusedError("The picture is damaged: a checksum in it is wrong.")
        if not seen:
            if kind != b"IHDR":
                raise LogoRefusedError("The picture is damaged: it does not begin as a PNG does.")
            size = struct.unpack_from(">II", body)
        seen.add(kind)
        position += 12 + length
    if b"IDAT" not in seen or position != len(data):
        raise LogoRefusedError("The picture is damaged: it holds no image, or something stands behind it.")
    return size


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height, when the file is as long as it says and its chunks fill it (RFC 9649 2)."""
    _riff, length, _webp = _RIFF.unpack_from(data)
    if length + 8 != len(data):
        raise LogoRefusedError("The picture is damaged: it is not as long as it says.")
    seen: set[bytes] = set()
    position, size = _RIFF.size, (0, 0)
    while position < len(data):
        kind, length = _WEBP_CHUNK.unpack_from(data, position)
        start = position + 8
        if start + length > len(data):
            raise LogoRefusedError("The picture is damaged: it ends too early.")
        if not seen:
            size = _webp_first(kind, data[start : start + length])
        seen.add(kind)
        position = start + length + length % 2
    if position != len(data) or not seen & {b"VP8 ", b"VP8L", b"ANMF"}:
        raise LogoRefusedError("The picture is damaged: it holds no image.")
    return size


def _webp_first(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8X":  # 24 bits each, less one (RFC 9649 2.7.1)
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":  # 14 bits each behind the start code (RFC 6386 9.1)
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and body[:1] == b"\x2f":  # 14 bits each, less one (RFC 9649 3.4)
        (bits,) = struct.unpack_from("<I", body, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise LogoRefusedError("The picture is damaged: it does not begin as a WebP does.")


def logo_url(slug: str, place: str, sha256: str) -> str:
    """The address of a logo; another one for another picture, so that browsers may keep it for ever."""
    return f"{reverse('saml:logo', args=[slug, place])}?v={sha256[:16]}"


@dataclass(frozen=True, slots=True)
class Held:
    """A logo that is held, as a form's file field shows it: what Django calls the initial value."""

    slug: str
    place: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.place} logo, {self.sha256[:8]}"

    @property
    def url(self) -> str:
        """Where it is to be seen, once the identity provider is enabled."""
        return logo_url(self.slug, self.place, self.sha256)


@require_safe
def logo(request: HttpRequest, slug: str, place: str) -> HttpResponseBase:
    """A logo of an enabled identity provider. Public: it is shown before anybody has signed in."""
    row = IdpLogo.objects.filter(idp__slug=slug, idp__enabled=True, place=place).first()
    if row is None:
        raise Http404
    response = HttpResponse(bytes(row.data), content_type=row.content_type)
    etag = f'"{row.sha256}"'
    response.headers["ETag"] = etag
    named = request.GET.get("v") == row.sha256[:16]
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if named else "public, no-cache"
    return get_conditional_response(request, etag=etag, response=response) or response


def header_logo(session_key: str | None) -> tuple[str, str] | None:
    """For the header of pages in this session: the logo's address and whose it is. One query without the picture."""
    row = (
        IdpLogo.objects.filter(place=LogoPlace.HEADER, idp__saml_sessions__session_key=session_key)
        .values_list("idp__slug", "sha256", "idp__description")
        .first()
    )
    return None if row is None else (logo_url(row[0], LogoPlace.HEADER, row[1]), row[2])
