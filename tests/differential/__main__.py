"""The second opinion at length: `python -m tests.differential python3-saml 20000 7` (how many messages, which seed)."""

from __future__ import annotations

import sys

from tests.differential import comparison, table


def main(who: str, count: str, seed: str) -> int:
    """Print the counts, by row of the table. Returns the exit status."""
    counted = comparison.compare(who, seed=int(seed), count=int(count))
    print(f"{who}: {counted}")
    for row in table.ROWS:
        if who in row.who:
            print(f"{counted.rows[row.title]:6}  {'we refuse' if row.we_refuse else 'we accept'} {row.title}")
    print("\n".join(counted.unexplained[:50]))
    return 1 if counted.unexplained else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
