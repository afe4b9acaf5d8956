"""What the tests share: a machine, a Portico, and somebody signed in."""

from __future__ import annotations

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
    """Ann is signed in with this token, which is kept in the file."""
    text = portico.token()
    done = machine.run("login", "--host", portico.url, "--with-token", stdin=text)
    assert done.code == 0, done.err
    portico.seen.clear()
    return text
