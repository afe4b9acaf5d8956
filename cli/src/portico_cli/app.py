"""The `portico` command: its commands, and the one place where what goes wrong is told."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from portico_cli import __version__
from portico_cli.call import (
    CaFileOption,
    Call,
    HostOption,
    JsonOption,
    ProfileOption,
    TimeoutOption,
    take,
)
from portico_cli.commands import api_tokens, organizations, saml, sign_in
from portico_cli.errors import ExitCode, ReaderGone, Refusal
from portico_cli.output import Screen, drop_output

# Plain help: the same on a terminal and in a pipe. Typer's own pretty tracebacks would show values.
app = typer.Typer(name="portico", rich_markup_mode=None, pretty_exceptions_enable=False)
profiles_app = typer.Typer(help="The sign-ins that this machine knows.")
profiles_app.command("list")(sign_in.list_profiles)

app.command()(sign_in.login)
app.command()(sign_in.logout)
app.command()(sign_in.whoami)
app.command()(sign_in.status)
app.add_typer(profiles_app, name="profiles")
app.add_typer(api_tokens.app, name="tokens")
app.add_typer(organizations.app, name="orgs")
app.add_typer(saml.app, name="saml")


def show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer's signature
    """Print the version and stop, if that is wanted."""
    if wanted:
        typer.echo(f"portico-cli {__version__}")
        raise typer.Exit


@app.callback()
def standing_options(  # noqa: PLR0913 - as many as there are
    ctx: typer.Context,
    *,
    host: HostOption = None,
    profile: ProfileOption = None,
    ca_file: CaFileOption = None,
    timeout: TimeoutOption = None,
    json: JsonOption = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The command-line client of Portico: signing in, API tokens, organisations, SAML configuration as files."""
    del version
    take(ctx, {"host": host, "profile": profile, "ca_file": ca_file, "timeout": timeout, "json": json})


def run(args: list[str]) -> int:
    """Carry out the command that `args` name; the exit code. Whatever happens, no traceback is printed."""
    screen = Screen(as_json="--json" in before_separator(args))
    try:
        try:
            return attempt(args, screen)
        except Refusal as refusal:
            screen.refuse(refusal)
            return refusal.exit_code
    except ReaderGone:
        drop_output()
        return ExitCode.READER_GONE
    except OSError:
        # What should be told cannot be: the disk that standard error goes to is full.
        drop_output()
        return ExitCode.NOT_KEPT


def attempt(args: list[str], screen: Screen) -> int:
    """As `run`, but whatever goes wrong is raised as a Refusal (or as ReaderGone)."""
    command: Any = typer.main.get_command(app)
    try:
        code = command.main(args=args, prog_name="portico", standalone_mode=False, obj=Call(screen))
    except (Refusal, ReaderGone):
        raise
    except typer.TyperException as error:
        raise Refusal(ExitCode.USAGE, error.format_message(), f"See: {helping(error)} --help") from None
    except SystemExit as error:  # shell completion, and help whose reader is gone
        return error.code if isinstance(error.code, int) else ExitCode.DEFECT
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    except OSError as error:
        raise Refusal(
            ExitCode.NOT_KEPT,
            f"The system refuses: {error.strerror or error}.",
            "Is the disk full, or a right missing?",
        ) from None
    except Exception as error:  # noqa: BLE001 - a traceback would show values, and among them secrets
        raise defect(error) from None
    if code == ExitCode.INTERRUPTED:
        raise Refusal(ExitCode.INTERRUPTED, "Interrupted.", "What was already done stays done.")
    return int(code or ExitCode.OK)


def before_separator(args: list[str]) -> list[str]:
    """The arguments among which options are."""
    return args[: args.index("--")] if "--" in args else args


def helping(error: typer.TyperException) -> str:
    """The command whose help to read."""
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context else "portico"


def defect(error: Exception) -> Refusal:
    """A fault of this program: what and where, and no values, because among them may be a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    return Refusal(
        ExitCode.DEFECT,
        f"portico {__version__} has a fault: {type(error).__name__} at {where}.",
        "Please report this line to whoever runs your Portico.",
    )
