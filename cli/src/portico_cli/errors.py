"""What can go wrong: the exit codes, and the one exception that carries what to say."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What the process ends with. README.md has the table; a number never changes once it is published."""

    OK = 0
    DEFECT = 1
    USAGE = 2
    SSO_REQUIRED = 3
    NOT_SIGNED_IN = 4
    NOT_ALLOWED = 5
    NOT_FOUND = 6
    CONFLICT = 7
    NETWORK = 8
    SERVER = 9
    DIFFERENT = 10
    INVALID = 11
    TOO_MANY = 12
    NOT_CONFIRMED = 13
    NOT_KEPT = 14
    INTERRUPTED = 130
    READER_GONE = 141


class Refusal(Exception):
    """The command cannot go on: one line that says why, one that says what to do about it.

    `code` is a short stable word for programs, the server's own where there is one; `facts` follow in JSON only.
    """

    def __init__(self, exit_code: ExitCode, message: str, cure: str, *, code: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message
        self.cure = cure
        self.code = code or exit_code.name.lower()
        self.facts = facts


class ReaderGone(Exception):
    """Whoever read our output has closed it (`portico … | head`). No OSError: Typer would end the process itself."""
