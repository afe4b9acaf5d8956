"""tokens list, create, revoke, rotate."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from portico_cli import files, profiles
from portico_cli.call import Call, signed_out, standing
from portico_cli.commands.sign_in import Days, Scopes, minted_token, shown_place
from portico_cli.errors import ExitCode, Refusal
from portico_cli.hosts import segment
from portico_cli.keeping import Place
from portico_cli.profiles import Facts

app = typer.Typer(help="Your API tokens.")
CURRENT = "current"


@app.command("list")
@standing
def list_tokens(call: Call) -> None:
    """Your tokens: never the tokens themselves, but how they begin."""
    items = call.open_door().items("/tokens")
    if call.screen.as_json:
        call.screen.data({"items": items})
        return
    call.screen.table(
        ["Id", "Name", "Begins with", "Scopes", "Good until", "Last used", "State"],
        [
            [
                item.get("id"),
                item.get("name"),
                item.get("prefix"),
                item.get("scopes"),
                item.get("expires_at"),
                item.get("last_used_at"),
                state(item),
            ]
            for item in items
        ],
        empty="You have no tokens.",
    )


def state(item: dict[str, Any]) -> str:
    """What is special about a token."""
    if item.get("revoked_at"):
        return "revoked"
    return "in use here" if item.get("current") else ""


@app.command()
@standing
def create(
    call: Call,
    name: Annotated[str, typer.Argument(help="What it is called in your list.")],
    scope: Scopes = None,
    expires_in_days: Days = None,
) -> None:
    """Make a token, and print it: this once and never again. Only the token goes to standard output."""
    body: dict[str, Any] = {"name": name, "scopes": scope or ["read:self"]}
    if expires_in_days:
        body["expires_in_days"] = expires_in_days
    token, api_token = minted_token(call.open_door().call("POST", "/tokens", body=body).record())
    facts = Facts.of(api_token, token.prefix)
    call.screen.note(
        f"The token {facts.name or name} is good until {facts.expires_at or 'it is revoked'}. It is not shown again."
    )
    call.screen.new_token(token, api_token)


@app.command()
@standing
def revoke(
    call: Call,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="From the list; or: current.")],
) -> None:
    """End a token at once. Nobody can use it any more."""
    profile, held = call.signed_in()
    door = call.door(profile, held.token)
    door.call("DELETE", f"/tokens/{segment(token_id)}")
    if held.place is not Place.ENVIRONMENT and token_id in {CURRENT, profile.facts.id}:
        call.keeper(profile).forget()
        profiles.save(call.folder, signed_out(profile))
        call.screen.note("It was the token kept here, so you are signed out.")
    if call.screen.as_json:
        call.screen.data({"revoked": token_id})
    else:
        call.screen.line(f"The token {token_id} has ended.")


@app.command()
@standing
def rotate(
    call: Call,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="From the list; the one in use if not said.")] = CURRENT,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write the new token there, for you only.")
    ] = None,
) -> None:
    """Replace a token's secret: the old one stops at once, name and scopes stay. The new one is kept, not printed."""
    profile, held = call.signed_in()
    kept_here = held.place is not Place.ENVIRONMENT and token_id in {CURRENT, profile.facts.id}
    if not kept_here and not output:
        raise Refusal(
            ExitCode.USAGE,
            "That token is not kept by this client, so the new one would have nowhere to go.",
            "Name a file for it: --output FILE.",
        )
    if kept_here:
        call.keeper(profile).prepare()
    door = call.door(profile, held.token)
    path = f"/tokens/{segment(CURRENT if kept_here else token_id)}/rotate"
    with new_file(output) as handle:
        token, api_token = minted_token(door.call("POST", path).record())
        if handle is not None:
            os.write(handle, f"{token.reveal()}\n".encode())
    facts = Facts.of(api_token, token.prefix)
    places = [str(output)] if output else []
    if kept_here:
        try:
            place = call.keeper(profile).keep(token)
            profiles.save(call.folder, replace(profile, kept=place, facts=facts))
        except Refusal as refusal:
            refusal.message += " The old token has stopped, and the new one may be lost."
            raise
        places.append(shown_place(call, profile, place))
    if call.screen.as_json:
        call.screen.data({"api_token": api_token, "kept": places})
    else:
        call.screen.line(f"The token {facts.name or token_id} is {facts.prefix}… now, kept in {' and '.join(places)}.")


@contextlib.contextmanager
def new_file(path: Path | None) -> Any:
    """A new file that only its owner may read, open for writing: before anything is done that could not be undone.

    Nothing if no path is given. It is removed again if what follows fails. Raises Refusal if it is there already.
    """
    if path is None:
        yield None
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, files.FILE_MODE)
    except OSError as error:
        raise files.cannot("make", path, error) from None
    try:
        yield handle
    except BaseException:
        os.close(handle)
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    os.close(handle)
