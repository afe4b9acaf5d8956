"""One call of one command: the options that stand on every command, and what they lead to."""

from __future__ import annotations

import functools
import inspect
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from portico_cli import files, profiles
from portico_cli.errors import ExitCode, Refusal
from portico_cli.hosts import Host
from portico_cli.keeping import Keeper, Place
from portico_cli.profiles import Profile
from portico_cli.tokens import Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from portico_cli.client import Door
    from portico_cli.output import Screen

P = ParamSpec("P")
TIMEOUT_S = 30.0
MAX_TIMEOUT_S = 3600.0

HostOption = Annotated[
    str | None, typer.Option("--host", metavar="URL", help="The Portico to speak to. Also PORTICO_HOST.")
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Which sign-in to use. Also PORTICO_PROFILE.")
]
CaFileOption = Annotated[
    str | None,
    typer.Option(
        "--ca-file", metavar="FILE", help="Certificates to trust, in PEM. Also PORTICO_CA_FILE, SSL_CERT_FILE."
    ),
]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="How long to wait for an answer; 30 if not said.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Results as JSON, and errors as JSON on standard error.")]

STANDING: dict[str, tuple[Any, Any]] = {
    "host": (HostOption, None),
    "profile": (ProfileOption, None),
    "ca_file": (CaFileOption, None),
    "timeout": (TimeoutOption, None),
    # Read from the arguments before they are parsed: what is wrong with them is told as JSON too.
    "json": (JsonOption, False),
}


@dataclass(frozen=True)
class Chosen:
    """The standing options as typed; None where nothing was."""

    host: str | None = None
    profile: str | None = None
    ca_file: str | None = None
    timeout: float | None = None

    def over(self, earlier: Chosen) -> Chosen:
        """These, and `earlier` where nothing was typed."""
        return Chosen(
            **{name: mine if mine is not None else getattr(earlier, name) for name, mine in vars(self).items()}
        )


@dataclass(frozen=True)
class Held:
    """A token, and where it comes from."""

    token: Token
    place: Place


class Call:
    """What a command works with: the screen, the settings, and the door of the host that is meant."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.chosen = Chosen()

    @functools.cached_property
    def folder(self) -> Path:
        """Where settings are kept."""
        return files.config_folder()

    @property
    def named_profile(self) -> str | None:
        """The profile that was named, by option or environment. Raises Refusal if it cannot be one's name."""
        name = self.chosen.profile or environment("PORTICO_PROFILE")
        return profiles.check_name(name) if name else None

    @property
    def named_host(self) -> Host | None:
        """The host that was named, by option or environment. Raises Refusal."""
        text = self.chosen.host or environment("PORTICO_HOST")
        return Host.parse(text) if text else None

    @property
    def environment_token(self) -> Token | None:
        """The token in PORTICO_TOKEN. Raises Refusal if it is none."""
        text = environment("PORTICO_TOKEN")
        if not text:
            return None
        try:
            return Token.parse(text)
        except Refusal as refusal:
            refusal.message = f"PORTICO_TOKEN: {refusal.message}"
            raise

    def saved(self) -> Profile | None:
        """The profile that is meant: by name, by host, or the default one. None if there is none. Raises Refusal."""
        name, host = self.named_profile, self.named_host
        if name or not host:
            return profiles.load(self.folder, name or profiles.DEFAULT)
        there = [found for found in self.all_profiles() if found.host == host]
        usual = [found for found in there if found.name == profiles.DEFAULT]
        if len(there) > 1 and not usual:
            raise Refusal(
                ExitCode.USAGE,
                f"There are several profiles for {host}: {', '.join(found.name for found in there)}.",
                "Say which: --profile NAME.",
                code="which_profile",
            )
        return next(iter(usual or there), None)

    def all_profiles(self) -> list[Profile]:
        """Every profile there is. Raises Refusal."""
        found = (profiles.load(self.folder, name) for name in profiles.names(self.folder))
        return [profile for profile in found if profile]

    def current(self) -> Profile:
        """The profile to work with; where none was ever saved, one that only names the host. Raises Refusal."""
        saved, host = self.saved(), self.named_host
        if saved and (not host or host == saved.host):
            return saved
        if host and (self.environment_token or not saved):
            return Profile(name=self.named_profile or profiles.DEFAULT, host=host)
        if saved:
            raise Refusal(
                ExitCode.NOT_SIGNED_IN,
                f"The profile {saved.name} is for {saved.host}, not for {host}.",
                "Leave out --host or --profile, or sign in there: portico login --host URL --profile NAME.",
            )
        others = ", ".join(profiles.names(self.folder))
        raise Refusal(
            ExitCode.NOT_SIGNED_IN if not self.environment_token else ExitCode.USAGE,
            f"There is no profile named {self.named_profile or profiles.DEFAULT}, and no host was named.",
            f"Choose one of these: --profile {others}." if others else "Sign in: portico login --host URL.",
        )

    def keeper(self, profile: Profile) -> Keeper:
        """Where the token of `profile` is kept."""
        return Keeper(self.folder, profile.name, profile.host, self.screen.warn)

    def held(self, profile: Profile) -> Held | None:
        """The token to use: PORTICO_TOKEN, else the one that is kept. None if there is none. Raises Refusal."""
        if given := self.environment_token:
            return Held(given, Place.ENVIRONMENT)
        if not profile.kept:
            return None
        token = self.keeper(profile).fetch(profile.kept)
        return Held(token, Place(profile.kept)) if token else None

    def signed_in(self) -> tuple[Profile, Held]:
        """The profile and its token. Raises Refusal if nobody is signed in."""
        profile = self.current()
        held = self.held(profile)
        if not held:
            raise not_signed_in(profile)
        return profile, held

    def door(self, profile: Profile, token: Token | None) -> Door:
        """The REST door of the profile's host. Raises Refusal."""
        timeout = TIMEOUT_S if self.chosen.timeout is None else self.chosen.timeout
        if not 0 < timeout <= MAX_TIMEOUT_S:
            raise Refusal(
                ExitCode.USAGE, f"--timeout {timeout:g} is no time to wait.", "Give seconds, from 0.1 to 3600."
            )
        # httpx is a third of what there is to import, and help, completion and status do without.
        from portico_cli.client import Door  # noqa: PLC0415 - see above

        return Door(profile.host, token, ca_file=self.ca_file(profile), timeout=timeout)

    def ca_file(self, profile: Profile) -> str:
        """The file of certificates to trust, as an absolute path; empty if none was named."""
        named = self.chosen.ca_file or environment("PORTICO_CA_FILE") or profile.ca_file
        return str(Path(named).expanduser().absolute()) if named else ""

    def open_door(self) -> Door:
        """The REST door with the token to use. Raises Refusal if nobody is signed in."""
        profile, held = self.signed_in()
        return self.door(profile, held.token)


def environment(name: str) -> str:
    """An environment variable without blanks around it; empty if it is not set."""
    return os.environ.get(name, "").strip()


def not_signed_in(profile: Profile) -> Refusal:
    """Nobody is signed in with `profile`."""
    return Refusal(
        ExitCode.NOT_SIGNED_IN,
        f"You are not signed in to {profile.host} (profile {profile.name}).",
        f"Sign in: portico login --host {profile.host} --profile {profile.name} - or set PORTICO_TOKEN.",
    )


def standing(command: Callable[Concatenate[Call, P], ExitCode | None]) -> Callable[..., ExitCode | None]:
    """A command for Typer, with the standing options added; `command` gets its Call in their place."""

    @functools.wraps(command)
    def called(*, ctx: typer.Context, **values: Any) -> ExitCode | None:
        call = take(ctx, values)
        return command(call, **values)  # type: ignore[call-arg]  # Typer fills them in by `signature`, below

    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in STANDING.items()
    ]
    parameters = [context, *(mine.replace(kind=inspect.Parameter.KEYWORD_ONLY) for mine in own), *added]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions take any attribute
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def take(ctx: typer.Context, values: dict[str, Any]) -> Call:
    """The Call of `ctx`, with the standing options in `values`, which are taken out of it."""
    call = ctx.find_root().obj
    assert isinstance(call, Call)  # noqa: S101 - app.run puts it there
    typed = {name: values.pop(name) for name in STANDING}
    del typed["json"]
    call.chosen = Chosen(**typed).over(call.chosen)
    return call


def signed_out(profile: Profile) -> Profile:
    """`profile` without anybody: its host and certificates stay, so that signing in again is short."""
    return replace(profile, who="", kept="", facts=profiles.Facts())
