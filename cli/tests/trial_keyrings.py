"""Keyrings for PYTHON_KEYRING_BACKEND: one that keeps what it is given in a file, and some that do not work."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from keyring.backend import KeyringBackend
from keyring.compat import properties


class Working(KeyringBackend):
    """Keeps everything in the file that KEYRING_FILE names."""

    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805 - it is a property of the class
        return 1

    def get_password(self, service: str, username: str) -> str | None:
        found = self._all().get(f"{service} {username}")
        return None if found is None else str(found)

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._all(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        self._write({key: value for key, value in self._all().items() if key != f"{service} {username}"})

    @property
    def _path(self) -> Path:
        return Path(os.environ["KEYRING_FILE"])

    def _all(self) -> dict[str, str]:
        return dict(json.loads(self._path.read_text())) if self._path.exists() else {}

    def _write(self, everything: dict[str, str]) -> None:
        self._path.write_text(json.dumps(everything))


class Odd(Working):
    """Gives back what is no text."""

    def get_password(self, service: str, username: str) -> Any:
        return 5 if super().get_password(service, username) else None


class Raising(KeyringBackend):
    """Fails in a way of its own."""

    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805 - as above
        return 1

    def get_password(self, service: str, username: str) -> str | None:  # noqa: ARG002 - keyring's signature
        raise ZeroDivisionError("the keyring's own fault")

    def set_password(self, service: str, username: str, password: str) -> None:  # noqa: ARG002 - as above
        raise ZeroDivisionError(f"the keyring's own fault with {password}")

    def delete_password(self, service: str, username: str) -> None:  # noqa: ARG002 - as above
        raise ZeroDivisionError("the keyring's own fault")
