"""Questions to the person at the terminal: prompts go to standard error, secrets are not echoed."""

from __future__ import annotations

import getpass
import sys
import warnings

from portico_cli.errors import ExitCode, Refusal


def is_interactive() -> bool:
    """Whether somebody is there to answer."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def piped(at_most: int) -> bytes:
    """What comes on standard input, at most so many bytes of it; nothing if it is closed."""
    return sys.stdin.buffer.read(at_most) if sys.stdin is not None else b""


def ask(prompt: str) -> str:
    """A line that may be seen, stripped. Raises Refusal at the end of input."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise no_answer()
    return line.strip()


def ask_secret(prompt: str) -> str:
    """A line that is not echoed, as typed. Raises Refusal at the end of input, or where echo cannot be switched off."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except EOFError:
        raise no_answer() from None
    except getpass.GetPassWarning:
        raise Refusal(
            ExitCode.USAGE,
            "This terminal would show what you type.",
            "Make a token in your browser, and hand it over: portico login --with-token < FILE.",
        ) from None


def confirm(question: str) -> bool:
    """Yes or no; no unless `y` or `yes` is typed."""
    return ask(f"{question} [y/N] ").lower() in {"y", "yes"}


def no_answer() -> Refusal:
    """The input ended where an answer was expected."""
    return Refusal(ExitCode.NOT_CONFIRMED, "There was no answer, so nothing was done.", "Run the command again.")
