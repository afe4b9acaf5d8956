"""orgs list."""

from __future__ import annotations

import typer

from portico_cli.call import Call, standing

app = typer.Typer(help="Organisations.")


@app.command("list")
@standing
def list_organizations(call: Call) -> None:
    """The organisations that you may see, and your role in each."""
    items = call.open_door().items("/organizations")
    if call.screen.as_json:
        call.screen.data({"items": items})
        return
    call.screen.table(
        ["Id", "Name", "Your role"],
        [[item.get("id"), item.get("name"), item.get("role")] for item in items],
        empty="There are no organisations that you may see.",
    )
