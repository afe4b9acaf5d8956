"""How gunicorn serves Portico, in development and in production; each line may be overridden on its command line."""

# ruff: noqa: N999 - the name under which gunicorn's users look for it
from __future__ import annotations

import os
from pathlib import Path

bind = f"{os.environ.get('PORTICO_BIND') or '127.0.0.1'}:{os.environ.get('PORT') or '8000'}"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
# Browsers open connections that they may use later: one of those would keep a worker without threads from its work.
worker_class = "gthread"
threads = 4
preload_app = False
# Signed messages by HTTP-Redirect travel in the request line and are long.
limit_request_line = 8190
# No access log: a proxy writes one, and sign-ins are in the database.
accesslog = None
loglevel = "warning"
graceful_timeout = 10
# Of the headers that a proxy may set the environment by, none: SCRIPT_NAME would move every URL of ours, and whoever
# reaches this port from loopback may send it.
forwarder_headers = ""
# The workers' heartbeat is a file: kept in memory where there is such a place, so that a slow disk stops nobody.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes an unnamed file there
