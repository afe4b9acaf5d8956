"""Small files that only their owner may read, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from portico_cli.errors import ExitCode, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077
MAX_BYTES = 65_536


def config_folder() -> Path:
    """Where settings are kept: PORTICO_CONFIG_DIR, else `portico` in XDG_CONFIG_HOME or the platform's own place."""
    if own := os.environ.get("PORTICO_CONFIG_DIR", "").strip():
        return Path(own).absolute()
    if (xdg := os.environ.get("XDG_CONFIG_HOME", "").strip()) and Path(xdg).is_absolute():
        return Path(xdg) / "portico"
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "portico"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Application Support" / "portico"
        return Path.home() / ".config" / "portico"
    except RuntimeError:
        raise Refusal(
            ExitCode.NOT_KEPT, "There is no home folder to keep settings in.", "Set PORTICO_CONFIG_DIR to a folder."
        ) from None


def make_private_folder(folder: Path) -> None:
    """Make `folder` if it is not there, and take from others what rights they have to it. Raises Refusal."""
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if sys.platform != "win32":
            found = folder.stat()
            if found.st_uid != os.geteuid():
                raise not_ours(folder)
            if found.st_mode & OTHERS:
                folder.chmod(FOLDER_MODE)
    except OSError as error:
        raise cannot("make", folder, error) from None


def write(path: Path, text: str) -> None:
    """Replace `path` by `text`, for its owner only, in one step. Its folder must be there. Raises Refusal."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # mkstemp's mode is 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise cannot("write", path, error) from None


def read(path: Path, *, warn: Callable[[str], None] | None = None) -> str | None:
    """The text of `path`; None if it is not there. With `warn` it holds a secret, and rights of others are taken away.

    Raises Refusal if it cannot be read, is no plain file, or belongs to somebody else.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot("read", path, error) from None
    try:
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Refusal(ExitCode.NOT_KEPT, f"{path} is not a plain file.", "Remove it, and sign in again.")
            if warn and sys.platform != "win32":
                check_rights(path, file.fileno(), found, warn)
            return file.read(MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise cannot("read", path, error) from None


def check_rights(path: Path, handle: int, found: os.stat_result, warn: Callable[[str], None]) -> None:
    """Refuse a secret that is somebody else's; take away what rights others have to it, and say so."""
    if sys.platform == "win32":
        return
    if found.st_uid != os.geteuid():
        raise not_ours(path)
    folder = path.parent
    if folder.stat().st_mode & OTHERS:
        make_private_folder(folder)
        warn(f"Others had rights to {folder}; they have been taken away.")
    if found.st_mode & OTHERS:
        os.fchmod(handle, FILE_MODE)
        warn(f"Others could read {path}; they no longer can. Change the token: portico tokens rotate.")


def remove(path: Path) -> None:
    """Remove `path`; nothing happens if it is not there. Raises Refusal."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot("remove", path, error) from None


def not_ours(path: Path) -> Refusal:
    """Somebody else owns what should be this person's own."""
    return Refusal(
        ExitCode.NOT_KEPT,
        f"{path} belongs to another user of this machine.",
        "Set PORTICO_CONFIG_DIR to a folder of your own, or correct its owner.",
    )


def cannot(do: str, path: Path, error: Exception) -> Refusal:
    """The system does not let us `do` this with `path`."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text in UTF-8"
    return Refusal(
        ExitCode.NOT_KEPT,
        f"Cannot {do} {path}: {why}.",
        "Correct that, or set PORTICO_CONFIG_DIR to another folder.",
    )
