"""The examples of the REST door, run as they stand in the papers: by a shell, with curl."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

from tests.idp_metadata import entity
from tests.system.portico import PASSWORD
from tests.system.programs import CLONE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.portico import Portico

LOU = "lou@portico.example"


def examples(paper: str, heading: str) -> str:
    """The shell commands below a heading, in order: one script."""
    text = (CLONE / paper).read_text()
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"{paper} has no section “{heading}”"
    found = re.findall(r"^```sh\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    assert found, f"{paper} has no examples there"
    return "".join(found)


def run(script: str, folder: Path, **variables: str) -> str:
    """What the script writes. Fails if one of its commands does."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=os.environ | variables, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


def test_the_readmes_examples_make_an_identity_provider(portico: Portico, tmp_path: Path) -> None:
    (tmp_path / "acme.xml").write_text(entity(entity_id="https://idp.acme.example/curl"))
    said = run(examples("README.md", "Use the REST door"), tmp_path, PORTICO=portico.base_url, TOKEN=portico.token())
    _whoami, preview, before, after = _values(said)
    assert {"field": "enabled", "from": None, "to": True} in preview["changes"]
    assert (before["enabled"], before["auto_create_users"]) == (True, True)
    assert (after["enabled"], after["auto_create_users"]) == (True, False)
    assert "acme" in portico.manage("idp", "list")


def test_the_papers_examples_sign_in_and_out(portico: Portico, tmp_path: Path) -> None:
    portico.manage(
        "shell", "--command", f"from accounts.models import User\nUser.objects.create_user({LOU!r}, {PASSWORD!r})"
    )
    said = run(examples("docs/api.md", "Examples"), tmp_path, PORTICO=portico.base_url)
    whoami, tokens, refusal, status = _values(said)
    assert whoami["user"]["email"] == LOU
    assert [token["name"] for token in tokens["items"]] == ["Nightly export", "Laptop"]
    assert (refusal["code"], status) == ("token_revoked", 401)
    assert (tmp_path / "login.json").stat().st_mode & 0o077 == 0


def _values(said: str) -> list[Any]:
    """The JSON values that stand one behind the other in what was written."""
    found, decoder, rest = [], json.JSONDecoder(), said.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found
