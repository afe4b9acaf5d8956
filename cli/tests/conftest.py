"""What the tests share: a machine, a Portico, and somebody signed in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .server import Portico, running
from .terminal import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def portico() -> Iterator[Portico]:
    with running() as server:
        server.person()
        yield server


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def token(machine: Machine, portico: Portico) -> str:
    """Ann is signed in with this token, which is kept in the file: as `login` would leave it (test_sign_in)."""
    text = portico.token()
    for path, told in (
        (machine.profile_file, signed_in(portico, text)),
        (machine.token_file, {"host": portico.url, "token": text}),
    ):
        path.parent.mkdir(mode=0o700, parents=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(told))
    return text


def signed_in(portico: Portico, token: str) -> dict[str, object]:
    """What the profile of somebody who has signed in with `token` says: a contract between versions of the client."""
    row = portico.tokens[token]
    return {
        "host": portico.url,
        "ca_file": "",
        "who": "Ann <ann@acme.example>",
        "kept": "file",
        "facts": {"id": row["id"], "name": row["name"], "prefix": token[:8], "expires_at": row["expires_at"]},
    }
