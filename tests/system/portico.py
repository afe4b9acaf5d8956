"""Portico as people run it: gunicorn with two workers, on a database of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from cryptography.fernet import Fernet
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.system.programs import CLONE, free_port, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN = "admin@portico.example"
# Those that run at this moment: a failed test shows what they have on record.
running: list[Portico] = []
PASSWORD = "correct horse battery staple"
COMMAND_S = 60


@dataclass(frozen=True)
class Portico:
    """A running Portico. `port` is where gunicorn listens; `base_url` is what people and identity providers use."""

    base_url: str
    port: int
    folder: Path
    env: dict[str, str]

    def manage(self, *arguments: str, given: bytes = b"") -> str:
        """Run a management command; returns what it wrote. Fails with its output if it does."""
        return manage(self.env, *arguments, given=given)

    def connect(self, slug: str, metadata: bytes, **fields: object) -> None:
        """Import an identity provider's metadata and enable it; `fields` are columns that it is given besides."""
        self.manage("idp", "import", slug, "--metadata", "-", "--enable", given=metadata)
        if fields:
            code = (
                "from saml_sp.models import IdentityProvider\n"
                f"row = IdentityProvider.objects.get(slug={slug!r})\n"
                f"for name, value in {fields!r}.items():\n"
                "    setattr(row, name, value)\n"
                "row.full_clean()\n"
                "row.save()\n"
            )
            self.manage("shell", "--command", code)

    def token(self, email: str = ADMIN) -> str:
        """A new API token of this person's, with every scope that they may have."""
        code = (
            "from django.utils import timezone\n"
            "from accounts.actors import Actor\n"
            "from accounts.models import User\n"
            "from tokens import issuing, scopes\n"
            f"owner = User.objects.get(email={email!r})\n"
            "made = issuing.create(owner, name='tests', scopes=scopes.within_reach(owner), expires_in_days=1,"
            " now=timezone.now(), actor=Actor.command('tests'))\n"
            "print(made[1].reveal())"
        )
        return self.manage("shell", "--no-imports", "--command", code).split()[-1]

    def draft(self, slug: str) -> None:
        """Make an identity provider that has nothing yet but its URLs here."""
        code = f"from saml_sp.models import IdentityProvider\nIdentityProvider.objects.draft({slug!r})"
        self.manage("shell", "--command", code)

    def record(self) -> str:
        """The newest refusals, as an administrator would read them."""
        with psycopg.connect(self.env["DATABASE_URL"]) as connection:
            attempts = connection.execute(
                "SELECT trace_id, outcome, code, expected, received FROM saml_sp_signinattempt ORDER BY id DESC LIMIT 3"
            ).fetchall()
            events = connection.execute("SELECT kind, data FROM audit_event ORDER BY id DESC LIMIT 3").fetchall()
        return "\n".join(str(row) for row in attempts + events)

    def url(self, path: str) -> str:
        """The public address of a page."""
        return self.base_url + path


def manage(env: dict[str, str], *arguments: str, given: bytes = b"") -> str:
    """Run a management command in an environment."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=CLONE, env=os.environ | env, input=given, capture_output=True,
        timeout=COMMAND_S, check=False,
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, f"manage.py {' '.join(arguments)} failed with status {done.returncode}:\n{said}"
    return said


@contextmanager
def running_portico(folder: Path, base_url: str = "", **variables: str) -> Iterator[Portico]:
    """A Portico with an administrator and one key pair, for the length of a `with` block."""
    port = free_port()
    with database(re.sub(r"\W", "_", folder.name)) as database_url:
        env = {
            "DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "PORT": str(port),
            "PORTICO_BASE_URL": base_url or f"http://127.0.0.1:{port}",
            "PORTICO_DATA": str(folder),
            "PORTICO_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        } | variables
        manage(env, "migrate", "--verbosity", "0")
        manage(env, "createsuperuser", "--noinput", "--email", ADMIN)
        manage(env, "spkey", "generate")
        command = [
            sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.conf.py", "config.wsgi:application",
        ]  # fmt: skip
        with started("portico", command, folder, env) as program:
            program.wait_for_port(port)
            portico = Portico(env["PORTICO_BASE_URL"], port, folder, env)
            running.append(portico)
            try:
                yield portico
            finally:
                running.remove(portico)


@contextmanager
def database(name: str) -> Iterator[str]:
    """A database of its own on the server that the tests have; dropped in the end."""
    server = os.environ["DATABASE_URL"]
    identifier = sql.Identifier(f"system_{name}")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    try:
        yield url_of(server, f"system_{name}")
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))


def url_of(server: str, name: str) -> str:
    """The URL of another database on the same server."""
    assert make_conninfo(server)  # it is a URL that libpq understands
    head, separator, query = server.partition("?")
    return head.rpartition("/")[0] + f"/{name}" + separator + query
