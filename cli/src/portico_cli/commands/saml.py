"""saml list, show, diff, apply: SAML configurations as files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portico_cli import asking, documents
from portico_cli.call import Call, standing
from portico_cli.errors import ExitCode, Refusal
from portico_cli.faults import strange
from portico_cli.hosts import segment
from portico_cli.output import clean

if TYPE_CHECKING:
    from portico_cli.client import Door
    from portico_cli.documents import Document
    from portico_cli.output import Screen

app = typer.Typer(help="SAML configurations (identity providers), one by one or as files.")
LONGEST_VALUE = 160
HTTP_PRECONDITION_FAILED = 412

File = Annotated[str, typer.Argument(metavar="FILE", help="YAML: one configuration or several; - is standard input.")]


@dataclass(frozen=True)
class Plan:
    """What would happen to one configuration. `etag` is its version now; None if it does not exist."""

    document: Document
    etag: str | None
    changes: list[dict[str, Any]]
    notes: list[str]

    @property
    def differs(self) -> bool:
        """Whether applying it does anything."""
        return self.etag is None or bool(self.changes)

    @property
    def told(self) -> dict[str, Any]:
        """For programs."""
        return {
            "slug": self.document.slug,
            "new": self.etag is None,
            "changes": self.changes,
            "notes": self.notes,
        }

    @property
    def condition(self) -> dict[str, str]:
        """The header by which the server refuses if somebody was faster."""
        return {"If-None-Match": "*"} if self.etag is None else {"If-Match": self.etag}


@app.command("list")
@standing
def list_configurations(call: Call) -> None:
    """All configurations."""
    items = call.open_door().items("/saml-config")
    if call.screen.as_json:
        call.screen.data({"items": items})
        return
    call.screen.table(
        ["Slug", "Description", "Enabled", "Default", "Domains", "Entity ID"],
        [
            [
                item.get("slug"),
                item.get("description"),
                item.get("enabled"),
                item.get("is_default"),
                documents.names_of(item.get("domains")),
                item.get("entity_id"),
            ]
            for item in items
        ],
        empty="There are no SAML configurations.",
    )


@app.command()
@standing
def show(call: Call, slug: Annotated[str, typer.Argument(help="Its name in the URLs.")]) -> None:
    """One configuration, as YAML that `portico saml apply` takes."""
    answer = call.open_door().call("GET", f"/saml-config/{segment(slug)}")
    if call.screen.as_json:
        call.screen.data({**answer.record(), "etag": answer.etag})
    else:
        call.screen.block(documents.written(answer.record()))


@app.command()
@standing
def diff(call: Call, file: File) -> ExitCode:
    """What `apply` would change. Ends with 0 if nothing would, with 10 if something would."""
    plans = plans_for(call.open_door(), documents.read(file))
    different = any(plan.differs for plan in plans)
    if call.screen.as_json:
        call.screen.data({"different": different, "configs": [plan.told for plan in plans]})
    else:
        show_plans(call.screen, plans)
    return ExitCode.DIFFERENT if different else ExitCode.OK


@app.command()
@standing
def apply(
    call: Call,
    file: File,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make the configurations what FILE says, after showing what changes. What is not in FILE stays as it is."""
    read = documents.read(file)
    door = call.open_door()
    plans = plans_for(door, read)
    if not call.screen.as_json:
        show_plans(call.screen, plans)
    due = [plan for plan in plans if plan.differs]
    if due and not yes:
        check_consent(len(due))
    carry_out(door, due)
    if call.screen.as_json:
        call.screen.data({"applied": [plan.document.slug for plan in due], "configs": [plan.told for plan in plans]})
    elif due:
        call.screen.line(f"Applied: {', '.join(plan.document.slug for plan in due)}.")


def plans_for(door: Door, read: list[Document]) -> list[Plan]:
    """What would happen to each, by the server's own word; nothing is changed. Raises Refusal."""
    return [plan_for(door, each) for each in read]


def plan_for(door: Door, document: Document) -> Plan:
    """What would happen to one. Raises Refusal."""
    path = f"/saml-config/{segment(document.slug)}"
    etag: str | None
    try:
        etag = door.call("GET", path).etag
        if not etag:
            raise strange("it names no version (ETag) of the configuration")
    except Refusal as refusal:
        if refusal.exit_code is not ExitCode.NOT_FOUND:
            raise
        etag = None
    plan = Plan(document, etag, [], [])
    try:
        told = door.call("PUT", path, query={"dry_run": "1"}, body=document.body, headers=plan.condition).record()
    except Refusal as refusal:
        raise placed(refusal, document) from None
    changes, notes = told.get("changes"), told.get("notes")
    if not isinstance(changes, list) or not all(isinstance(change, dict) for change in changes):
        raise strange("it does not say what would change")
    return Plan(document, etag, changes, [str(note) for note in notes] if isinstance(notes, list) else [])


def check_consent(count: int) -> None:
    """Ask whether to go on. Raises Refusal if the answer is no, or nobody is there to answer."""
    if not asking.is_interactive():
        raise Refusal(
            ExitCode.NOT_CONFIRMED,
            "Nothing was changed: there is no terminal to ask whether to go on.",
            "Look at the changes, then say it yourself: --yes.",
        )
    if not asking.confirm(f"Apply to {count} configuration{'s' if count > 1 else ''}?"):
        raise Refusal(ExitCode.NOT_CONFIRMED, "Nothing was changed.", "Run the command again when you are ready.")


def carry_out(door: Door, plans: list[Plan]) -> None:
    """Apply each in turn. Raises Refusal, which says what was applied before."""
    for number, plan in enumerate(plans):
        try:
            door.call(
                "PUT", f"/saml-config/{segment(plan.document.slug)}", body=plan.document.body, headers=plan.condition
            )
        except Refusal as refusal:
            before = [done.document.slug for done in plans[:number]]
            told = placed(refusal, plan.document)
            told.facts["applied"] = before
            told.message += f" Applied before that: {', '.join(before)}." if before else " Nothing was applied."
            raise told from None


def placed(refusal: Refusal, document: Document) -> Refusal:
    """`refusal`, saying which configuration it is about, and what to think if somebody else was faster."""
    refusal.facts["slug"] = document.slug
    if refusal.facts.get("status") == HTTP_PRECONDITION_FAILED:
        refusal.message = f"{document.slug}: somebody else changed it after we looked, so it was left as it is now."
        return refusal
    refusal.message = f"{document.slug} ({document.where}): {refusal.message}"
    return refusal


def show_plans(screen: Screen, plans: list[Plan]) -> None:
    """Print each change as one line."""
    for plan in plans:
        heading = "is new" if plan.etag is None else "changes" if plan.changes else "stays as it is"
        screen.line(f"{plan.document.slug} {heading}")
        for change in plan.changes:
            screen.line(f"  {change.get('field')}: {shortened(change.get('from'))} -> {shortened(change.get('to'))}")
        for note in plan.notes:
            screen.line(f"  Note: {note}")


def shortened(value: Any) -> str:
    """A value as one clean line of JSON, of bearable length."""
    text = clean(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
