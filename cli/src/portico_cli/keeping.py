"""Where a token is kept: the operating system's keyring; a file only its owner may read where there is none."""

from __future__ import annotations

import contextlib
import json
from enum import StrEnum
from typing import TYPE_CHECKING

import keyring

from portico_cli import files
from portico_cli.errors import ExitCode, Refusal
from portico_cli.tokens import Token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from portico_cli.hosts import Host

SERVICE = "portico"


class Place(StrEnum):
    """Where a token is kept. The first two are written into profiles."""

    KEYRING = "keyring"
    FILE = "file"
    ENVIRONMENT = "environment"


class Keeper:
    """Keeps the token of one profile at one host. `warn` is told what a person should know."""

    def __init__(self, folder: Path, profile: str, host: Host, warn: Callable[[str], None]) -> None:
        self.folder = folder
        self.profile = profile
        self.host = host
        self.warn = warn
        # A token belongs to its host: another host's look-up does not find it.
        self.service = f"{SERVICE}:{host.url}"

    @property
    def path(self) -> Path:
        """The file, whether it is there or not."""
        return self.folder / "tokens" / f"{self.profile}.json"

    def prepare(self) -> None:
        """Make sure that there is a place: before a token is asked for that could then be kept nowhere."""
        files.make_private_folder(self.folder)
        files.make_private_folder(self.path.parent)
        trial = self.path.with_name(f".try-{self.profile}")
        files.write(trial, "")
        files.remove(trial)

    def keep(self, token: Token) -> Place:
        """Keep `token` in place of what was kept before; says so where that is a file. Raises Refusal."""
        why = self._into_keyring(token)
        if not why:
            files.remove(self.path)
            return Place.KEYRING
        files.make_private_folder(self.folder)
        files.make_private_folder(self.path.parent)
        files.write(self.path, json.dumps({"host": self.host.url, "token": token.reveal()}) + "\n")
        self.warn(f"No keyring can be used here ({why}), so the token is in {self.path}, which only you may read.")
        return Place.FILE

    def fetch(self, place: str) -> Token | None:
        """The token that is kept at `place`; None if there is none any more. Raises Refusal if it cannot be read."""
        text = self._from_keyring() if place == Place.KEYRING else self._from_file()
        return None if text is None else Token.parse(text)

    def forget(self) -> None:
        """Keep nothing any more, wherever it was. Raises Refusal if a file cannot be removed."""
        # No keyring, or nothing in it: then there is nothing to forget there.
        with contextlib.suppress(Exception):
            keyring.delete_password(self.service, self.profile)
        files.remove(self.path)

    def _into_keyring(self, token: Token) -> str:
        """Empty if the keyring has the token now, else why it has not."""
        try:
            keyring.set_password(self.service, self.profile, token.reveal())
            # Some backends take everything and keep nothing.
            if keyring.get_password(self.service, self.profile) == token.reveal():
                return ""
        except Exception as error:  # noqa: BLE001 - backends raise whatever their systems do; the file is the answer
            return type(error).__name__
        return "it keeps nothing"

    def _from_keyring(self) -> str | None:
        try:
            return keyring.get_password(self.service, self.profile)
        except Exception as error:  # noqa: BLE001 - as above
            raise Refusal(
                ExitCode.NOT_KEPT,
                f"The token is in the keyring, which cannot be read now ({type(error).__name__}).",
                "Unlock the keyring, or sign in again: portico login.",
                code="keyring_unreadable",
            ) from None

    def _from_file(self) -> str | None:
        text = files.read(self.path, warn=self.warn)
        if text is None:
            return None
        try:
            found = json.loads(text)
            host, token = str(found["host"]), str(found["token"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Refusal(
                ExitCode.NOT_KEPT, f"{self.path} is damaged.", "Sign in again: portico login.", code="token_damaged"
            ) from None
        return token if host == self.host.url else None
