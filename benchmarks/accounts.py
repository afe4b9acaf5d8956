"""Whether a sign-in costs the same however many people and identity providers there are, and what a search costs then.

    make bench-accounts                         (or: python -m benchmarks.accounts --rounds 15)

Two sites run side by side on one PostgreSQL, each under gunicorn with the settings of production: a small one with 10^3
people and one identity provider, and a large one with 10^6 people, each with an identity, and 10^4 identity providers,
each with a certificate and a verified domain. In each round both take the same number of sign-ins of a returning person
(both requests), one site after the other, in turns the one or the other first; CPU is counted as in benchmarks.acs.

An administrator's search for one account by its whole address is measured as well: the page of the list, in a process
of its own, with the CPU of PostgreSQL.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import psutil
import psycopg
from psycopg import sql

from benchmarks.acs import CLONE, SLUG, Postgres, Site, cpu_of, environment_for, free_port, whole_site
from benchmarks.messages import IdentityProvider
from config import launcher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import LiteralString

SMALL = (10**3, 1)
LARGE = (10**6, 10**4)
LOGIN_RATIO = 1.1  # large/small at most
SEARCHES = 5  # in each round and site


def fill(postgres: Postgres, users: int, idps: int) -> None:
    """Make people and identity providers out of the one of each that there is, in bulk, within PostgreSQL."""
    address = f"'p' || n || '@c' || n % {idps} || '.example'"
    identity: dict[str, str | None] = {
        "id": None, "idp_id": f"model.idp_id + n % {idps}", "user_id": "md5(n::text)::uuid", "email_key": address,
        "subject": "'u-' || n", "subject_key": "encode(sha256(n::text::bytea), 'hex')",
    }  # fmt: skip
    user: dict[str, str | None] = {
        "id": "md5(n::text)::uuid", "email": address, "email_key": address, "look_key": address,
        "first_name": "'First ' || n % 1000", "last_name": "'Last ' || n",
    }  # fmt: skip
    customer: dict[str, str | None] = {
        "id": "model.id + n", "slug": "'c' || n", "description": "'Customer ' || n", "revision": "gen_random_uuid()",
    }  # fmt: skip
    of_its_own = "model.idp_id + n"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        # Foreign keys are not looked at meanwhile: what is inserted refers to what is there.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        connection.execute(
            "INSERT INTO saml_sp_emaildomain (idp_id, domain, token, claimed_at, verified_at, proof, reason) SELECT "
            "id, 'c0.example', 'token', now(), now(), 'dns', '' FROM saml_sp_identityprovider"
        )
        for table, facts, count in (
            ("saml_sp_emaildomain", {"id": None, "idp_id": of_its_own, "domain": "'c' || n || '.example'"}, idps),
            ("saml_sp_idpcertificate", {"id": None, "idp_id": of_its_own}, idps),
            ("saml_sp_identityprovider", customer, idps),
            ("saml_sp_federatedidentity", identity, users),
            ("accounts_user", user, users),
        ):
            multiply(connection, table, facts, count)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def multiply(connection: psycopg.Connection, table: str, facts: dict[str, str | None], count: int) -> None:
    """Copy the table's only row until there are so many, with these columns made of n (None: by their default)."""
    name = sql.Identifier(table)
    described = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(name)).description or []
    picked = {column.name: facts.get(column.name, f'model."{column.name}"') for column in described}
    picked = {column: expression for column, expression in picked.items() if expression is not None}
    copy = "INSERT INTO {0} ({1}) SELECT {2} FROM (SELECT * FROM {0}) AS model, generate_series(1, {3} - 1) AS n"
    columns = sql.SQL(", ").join(map(sql.Identifier, picked))
    values = sql.SQL(", ").join(sql.SQL(cast("LiteralString", expression)) for expression in picked.values())
    connection.execute(sql.SQL(copy).format(name, columns, values, count))


@dataclass(frozen=True)
class Place:
    """A site with its people, and how to sign in there."""

    site: Site
    postgres: Postgres
    idp: IdentityProvider
    folder: Path
    port: int

    def login(self, logins: int) -> float:
        """CPU milliseconds of one sign-in."""
        return self.site.cost([self.idp.response() for _ in range(logins)], self.postgres)

    def search(self, email: str) -> list[float]:
        """CPU milliseconds of each of some searches for that account."""
        environment = environment_for(
            self.port, self.postgres.url, DJANGO_SETTINGS_MODULE="config.settings", PORTICO_DATA=str(self.folder),
            PORTICO_BASE_URL=f"http://127.0.0.1:{self.port}",
        )  # fmt: skip
        arguments = [sys.executable, "-m", "benchmarks.accounts", "--search", email, str(self.postgres.postmaster.pid)]
        done = subprocess.run(arguments, cwd=CLONE, env=environment, text=True, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"The search failed:\n{done.stderr[-3000:]}")
        found: list[float] = json.loads(done.stdout)
        return found


@contextlib.contextmanager
def place(postgres: Postgres, folder: Path, name: str, users: int, idps: int) -> Iterator[Place]:
    """A site of its own with so many people and identity providers, a returning person among them."""
    folder = folder / name
    folder.mkdir()
    postgres = dataclasses.replace(postgres, url=postgres.url_of_new_database(name))
    port = free_port()
    base = f"http://127.0.0.1:{port}/saml/{SLUG}"
    idp = IdentityProvider.new(sp_entity_id=f"{base}/metadata/", acs_url=f"{base}/acs/")
    with whole_site(postgres, folder, port, idp.metadata()) as site:
        site.sign_in_all([idp.response()])  # makes the account that the others are copied from
        began = time.monotonic()
        fill(postgres, users, idps)
        print(
            f"{name}: {users} people and {idps} identity providers, filled in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        site.sign_in_all([idp.response() for _ in range(20)])
        yield Place(site, postgres, idp, folder, port)


def measure(rounds: int, logins: int) -> None:
    """Fill both sites, go round, print the table."""
    folder = launcher.data_folder() / "test" / f"bench-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = Postgres.of(stack.enter_context(launcher.hold(folder)))
        # It would count as somebody's cost.
        postgres.execute(
            "ALTER SYSTEM SET autovacuum = off", "ALTER SYSTEM SET max_wal_size = '8GB'", "SELECT pg_reload_conf()"
        )
        small = stack.enter_context(place(postgres, folder, "small", *SMALL))
        large = stack.enter_context(place(postgres, folder, "large", *LARGE))
        costs: dict[str, list[float]] = {"small": [], "large": []}
        for number in range(rounds):
            pair = [("small", small), ("large", large)]
            for name, there in pair if number % 2 else reversed(pair):
                costs[name].append(there.login(logins))
        print_ratio(f"CPU milliseconds per sign-in, {rounds} rounds of {logins}", costs, LOGIN_RATIO)
        # Of those whose domain is c1 on the large site, c0 on the small one, which has no other.
        found = {"small": small.search("p500@c0.example"), "large": large.search("p500001@c1.example")}
        print_ratio(f"CPU milliseconds per search for an account, {SEARCHES} searches", found, None)


def print_ratio(what: str, costs: dict[str, list[float]], target: float | None) -> None:
    """Medians and extremes of both sites, and the median of the pairs' ratios."""
    print(f"{what}\n              median      min      max")
    for name, values in costs.items():
        print(f"  {name:9} {statistics.median(values):9.2f} {min(values):8.2f} {max(values):8.2f}")
    ratio = statistics.median(large / small for large, small in zip(costs["large"], costs["small"], strict=True))
    print(f"  large/small {ratio:.2f}{'' if target is None else f'  (target: at most {target})'}")


def search(email: str, postmaster: int) -> None:
    """In a process of its own: an administrator looks for an account; prints what each search cost, as JSON."""
    import django  # noqa: PLC0415 - this process alone has Django

    django.setup()
    from django.test import Client  # noqa: PLC0415 - it needs the settings

    from accounts.models import User  # noqa: PLC0415 - as above

    root, _ = User.objects.get_or_create(
        email="root@portico.example", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(root)
    processes = [psutil.Process(), psutil.Process(postmaster)]
    found = []
    for _ in range(SEARCHES + 1):
        before = cpu_of(processes)
        page = client.get("/admin/accounts/user/", {"q": email})
        found.append((cpu_of(processes) - before) * 1000)
        assert email in page.content.decode().partition("result_list")[2], "not found"
    print(json.dumps(found[1:]))  # the first one warms up


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description="CPU milliseconds of a sign-in, few people or many.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--logins", type=int, default=40, help="sign-ins in each round, on each site")
    parser.add_argument("--search", nargs=2, metavar=("EMAIL", "PID"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.search:
        search(arguments.search[0], int(arguments.search[1]))
    else:
        measure(arguments.rounds, arguments.logins)


if __name__ == "__main__":
    main()
