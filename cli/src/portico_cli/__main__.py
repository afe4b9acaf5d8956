"""Where `portico` and `python -m portico_cli` begin: little is imported until Ctrl-C is taken care of."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code."""
    try:
        from portico_cli.app import run  # noqa: PLC0415 - Ctrl-C may come while this is imported

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
