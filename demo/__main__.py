"""`make run`: PostgreSQL, Portico and the demo's identity provider, started together and stopped together."""

from __future__ import annotations

import sys

from demo.supervisor import main

if __name__ == "__main__":
    sys.exit(main())
