"""What is printed: results on standard output, everything else on standard error, for people or as JSON."""

from __future__ import annotations

import io
import json
import os
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from portico_cli.errors import ReaderGone, Refusal
from portico_cli.tokens import LOOKS_LIKE_ONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from portico_cli.tokens import Token

# Controls, formatting (bidirectional overrides, among others), lone surrogates, line and paragraph separators.
NEUTRALISED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# They join letters in some scripts, and parts of emoji, and do nothing else.
JOINERS = frozenset("\u200c\u200d")
LONGEST_MESSAGE = 800


def clean(text: str) -> str:
    """`text` without what a terminal obeys or an eye is led astray by (it is spelt out), and without tokens."""
    spelt = "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in NEUTRALISED and char not in JOINERS
        else char
        for char in text
    )
    return LOOKS_LIKE_ONE.sub("ptc_…", spelt)


def one_line(text: str) -> str:
    """`text` as one clean line of bearable length."""
    line = clean(" ".join(text.split()))
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


def without_tokens(value: Any) -> Any:
    """A JSON value in which no text, and no key, holds a token."""
    if isinstance(value, str):
        return LOOKS_LIKE_ONE.sub("ptc_…", value)
    if isinstance(value, dict):
        return {without_tokens(str(key)): without_tokens(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_tokens(item) for item in value]
    return value


def cell(value: object) -> str:
    """A value as one clean cell of a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value) or "-"
    if isinstance(value, dict):
        return clean(json.dumps(value, ensure_ascii=False))
    return one_line(str(value)) or "-"


class Screen:
    """Standard output and standard error of one command. `as_json` is what `--json` says."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a letter shows a question mark: no reason to fail.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")

    def data(self, value: Any) -> None:
        """A result for programs; only with --json. ASCII with escapes: nothing in it moves a terminal."""
        self._write(sys.stdout, json.dumps(without_tokens(value)))

    def line(self, text: str) -> None:
        """One line of a result for people."""
        self._write(sys.stdout, clean(text))

    def block(self, text: str) -> None:
        """Several lines of a result for people."""
        self._write(sys.stdout, "\n".join(clean(line) for line in text.split("\n")))

    def new_token(self, token: Token, api_token: dict[str, Any]) -> None:
        """A token that was just made: the one way by which a token gets to standard output."""
        told = json.dumps({"token": token.reveal(), "api_token": without_tokens(api_token)})
        self._write(sys.stdout, told if self.as_json else token.reveal())

    def note(self, text: str) -> None:
        """Something to know, on standard error."""
        self._write(sys.stderr, json.dumps({"note": without_tokens(text)}) if self.as_json else one_line(text))

    def warn(self, text: str) -> None:
        """Something to do something about, on standard error."""
        words = json.dumps({"warning": without_tokens(text)}) if self.as_json else f"Warning: {one_line(text)}"
        self._write(sys.stderr, words)

    def refuse(self, refusal: Refusal) -> None:
        """What went wrong, and the cure: two lines on standard error, or one JSON object."""
        if not self.as_json:
            self._write(sys.stderr, f"{one_line(refusal.message)}\n{one_line(refusal.cure)}")
            return
        told = {"code": refusal.code, "message": refusal.message, "cure": refusal.cure, "exit_code": refusal.exit_code}
        self._write(sys.stderr, json.dumps({"error": without_tokens({**told, **refusal.facts})}))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
        """Rows under headings: drawn on a terminal, aligned with blanks elsewhere; `empty` where there are none."""
        cells = [[cell(value) for value in row] for row in rows]
        if not cells:
            self.note(empty)
        elif is_terminal(sys.stdout):
            drawn = Table(*columns, header_style="bold")
            for row in cells:
                drawn.add_row(*(Text(value, overflow="fold") for value in row))
            self._draw(drawn)
        else:
            self._write(sys.stdout, aligned([list(columns), *cells]))

    def facts(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Names and values, one a line."""
        shown = [[f"{name}:", cell(value)] for name, value in pairs]
        if is_terminal(sys.stdout):
            grid = Table.grid(padding=(0, 2))
            for name, value in shown:
                grid.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
            self._draw(grid)
        else:
            self._write(sys.stdout, aligned(shown))

    def _draw(self, drawn: Table) -> None:
        console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
        with console.capture() as captured:
            console.print(drawn)
        self._write(sys.stdout, captured.get().rstrip("\n"))

    def _write(self, stream: TextIO | None, text: str) -> None:
        if stream is None:  # closed before we began (`>&-`)
            return
        try:
            stream.write(text + "\n")
            stream.flush()
        except BrokenPipeError as error:
            raise ReaderGone from error
        except OSError:
            drop(stream)
            raise


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at what is written to `stream`."""
    return stream is not None and stream.isatty()


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Cells in columns that are as wide as their widest, two blanks between, none at the end of a line."""
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(value + " " * (width - cell_len(value)) for value, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def drop_output() -> None:
    """Point standard output and standard error where a reader never goes, so that the last flush cannot fail."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            drop(stream)


def drop(stream: TextIO) -> None:
    """Point one of them where a reader never goes."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
