#!/usr/bin/env python
"""Django's command line.

Without DATABASE_URL it brings its own PostgreSQL: the one that `make run` started, or one that lives as long as the
command.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from django.core.management import execute_from_command_line

from config import launcher

if TYPE_CHECKING:
    from types import FrameType


def end(number: int, _frame: FrameType | None) -> None:
    """Turn a signal into an ordinary exit, so that what was started is stopped."""
    sys.exit(128 + number)


def main() -> None:
    """Run one command with a database to run it on."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if os.environ.get("DATABASE_URL") or os.environ.get("PORTICO_ENV") == "production":
        execute_from_command_line(sys.argv)
        return
    # Ctrl-C stays Python's own: a shell wants it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        with launcher.hold(launcher.data_folder()) as server:
            os.environ["DATABASE_URL"] = server.url
            execute_from_command_line(sys.argv)
    except launcher.LauncherError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
