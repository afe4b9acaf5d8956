"""Profiles: a name for a host, who is signed in there, and where the token is kept. One file each, no secret in it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from portico_cli import files
from portico_cli.errors import ExitCode, Refusal
from portico_cli.hosts import Host

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = "default"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Facts:
    """What may be known of a token by everybody."""

    id: str = ""
    name: str = ""
    prefix: str = ""
    expires_at: str = ""

    @classmethod
    def of(cls, api_token: dict[str, Any], prefix: str) -> Facts:
        """From a Token of the REST door; what is missing stays empty."""
        told = {name: str(api_token.get(name) or "") for name in ("id", "name", "expires_at")}
        return cls(**told, prefix=prefix)


@dataclass(frozen=True)
class Profile:
    """One sign-in. `kept` is `keyring`, `file`, or empty where nobody is signed in."""

    name: str
    host: Host
    ca_file: str = ""
    who: str = ""
    kept: str = ""
    facts: Facts = field(default_factory=Facts)


def check_name(name: str) -> str:
    """`name` if it can be a profile's. Raises Refusal."""
    if not NAME.fullmatch(name):
        raise Refusal(
            ExitCode.USAGE,
            f"{name!r} cannot be a profile's name.",
            "Use up to 64 small letters, digits, dots, hyphens and underscores, the first a letter or digit.",
            code="bad_profile",
        )
    return name


def path_of(folder: Path, name: str) -> Path:
    """The file of a profile."""
    return folder / "profiles" / f"{name}.json"


def load(folder: Path, name: str) -> Profile | None:
    """The profile of that name; None if there is none. Raises Refusal if its file is damaged."""
    path = path_of(folder, name)
    text = files.read(path)
    if text is None:
        return None
    try:
        found = json.loads(text)
        return Profile(
            name=name,
            host=Host.parse(found["host"]),
            ca_file=str(found["ca_file"]),
            who=str(found["who"]),
            kept=str(found["kept"]),
            facts=Facts(**{key: str(value) for key, value in found["facts"].items()}),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, Refusal):
        raise Refusal(
            ExitCode.NOT_KEPT, f"{path} is damaged.", "Remove it, and sign in again: portico login."
        ) from None


def save(folder: Path, profile: Profile) -> None:
    """Write a profile. Raises Refusal."""
    files.make_private_folder(folder)
    path = path_of(folder, profile.name)
    files.make_private_folder(path.parent)
    told = {**asdict(profile), "host": profile.host.url}
    del told["name"]
    files.write(path, json.dumps(told, indent=2) + "\n")


def names(folder: Path) -> list[str]:
    """The names of all profiles, sorted."""
    try:
        found = [path.stem for path in (folder / "profiles").glob("*.json")]
    except OSError as error:
        raise files.cannot("read", folder, error) from None
    return sorted(name for name in found if NAME.fullmatch(name))
