"""What a call by token costs, in CPU milliseconds, few tokens or many, beside two libraries that do the same.

    make bench-bearer                           (or: python -m benchmarks.bearer --rounds 15)

One PostgreSQL holds three databases, of 10^3, 10^5 and 10^6 people, each person with one token of Portico's, one of
Django REST framework's authtoken and one of django-rest-knox. Each database has its own gunicorn, with one worker and
the same project in it (benchmarks/bearers): three views that do equal work, and /api/v1/whoami, which answers more. In
each round every view of every database takes the same number of calls, one after the other, each on a connection of its
own, with the tokens of people who are spread over the table; CPU is counted as in benchmarks.acs, the client left out.
What is compared are neighbours in time: each ratio is the median of the rounds' ratios.

Portico writes a token's use down once a minute; "first in a minute" is a call that does. The libraries write nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import http.client
import itertools
import json
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from benchmarks.accounts import multiply
from benchmarks.acs import CLONE, Postgres, command, cpu_of, environment_for, free_port, gunicorn
from config import launcher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psutil

SIZES = (10**3, 10**5, 10**6)
FLAT = 1.15  # the cost at a larger size, over that at the smallest, at most
KNOWN = 50  # people whose tokens are used
FIRST_USE = "first in a minute"
WHOAMI = "/api/v1/whoami"  # the real call, which answers much more than who somebody is


@dataclass(frozen=True)
class Contender:
    """A way to check a token: where it is asked for, by which scheme, and which of a person's tokens it takes."""

    name: str
    path: str
    scheme: str
    token: str


CONTENDERS = (
    Contender("portico", "/bench/portico/", "Bearer", "portico"),
    Contender(FIRST_USE, "/bench/portico/", "Bearer", "portico"),
    Contender("authtoken", "/bench/authtoken/", "Token", "authtoken"),
    Contender("knox", "/bench/knox/", "Token", "knox"),
    Contender(WHOAMI, "/api/v1/whoami", "Bearer", "portico"),
)


@dataclass(frozen=True)
class Place:
    """A database with so many tokens, and the server in front of it."""

    postgres: Postgres
    port: int
    arbiter: psutil.Process
    people: list[dict[str, str]]
    log: Path

    def call(self, contender: Contender, person: dict[str, str]) -> None:
        """One call, whose answer is looked at."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            header = f"{contender.scheme} {person[contender.token]}"
            connection.request("GET", contender.path, headers={"Authorization": header})
            answer = connection.getresponse()
            body = answer.read().decode()
        if answer.status != http.HTTPStatus.OK or person["email"] not in body:
            raise SystemExit(f"{contender.path}: {answer.status} {body[:500]}\n{self.log.read_text()[-3000:]}")

    def cost(self, contender: Contender, calls: int) -> float:
        """CPU milliseconds of one call: gunicorn's and PostgreSQL's."""
        if contender.name == FIRST_USE:
            self.forget_uses()
            calls = KNOWN
        else:
            for person in self.people:
                self.call(contender, person)
        processes = [self.arbiter, self.postgres.postmaster]
        before = cpu_of(processes)
        for person in itertools.islice(itertools.cycle(self.people), calls):
            self.call(contender, person)
        return (cpu_of(processes) - before) * 1000 / calls

    def statements(self, contender: Contender) -> int:
        """How many statements one call sends to PostgreSQL."""
        person = self.people[0]
        self.call(contender, person)
        if contender.name == FIRST_USE:
            self.forget_uses()
        self.postgres.log_statements(on=True)
        begin = self.postgres.log.stat().st_size
        self.call(contender, person)
        with self.postgres.log.open("rb") as log:
            log.seek(begin)
            text = log.read().decode(errors="replace")
        self.postgres.log_statements(on=False)
        return sum("LOG:  statement: " in line or "LOG:  execute " in line for line in text.splitlines())

    def forget_uses(self) -> None:
        """As if none of the tokens had been used within the last minute."""
        self.postgres.execute("UPDATE tokens_apitoken SET last_used_at = NULL WHERE last_used_at IS NOT NULL")


def seed(environment: dict[str, str], name: str, count: int) -> list[dict[str, str]]:
    """People with tokens, made by the libraries themselves."""
    arguments = [sys.executable, "-m", "benchmarks.bearers.seed", name, str(count)]
    done = subprocess.run(arguments, cwd=CLONE, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    people: list[dict[str, str]] = json.loads(done.stdout)
    return people


def fill(postgres: Postgres, size: int) -> None:
    """Copy the one person that there is, tokens and all, until there are so many, within PostgreSQL."""
    owner, address = "md5(n::text)::uuid", "'p' || n || '@bench.example'"
    sha256 = "encode(sha256(n::text::bytea), 'hex')"
    person: dict[str, str | None] = {"id": owner, "email": address, "email_key": address, "look_key": address}
    ours: dict[str, str | None] = {"id": owner, "user_id": owner, "digest": sha256}
    plain: dict[str, str | None] = {"key": f"left({sha256}, 40)", "user_id": owner}
    knox: dict[str, str | None] = {
        "digest": "encode(sha512(n::text::bytea), 'hex')", "token_key": f"left({sha256}, 15)", "user_id": owner,
    }  # fmt: skip
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        # Foreign keys are not looked at meanwhile: what is inserted refers to what is there.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        for table, facts in (
            ("accounts_user", person),
            ("tokens_apitoken", ours),
            ("authtoken_token", plain),
            ("knox_authtoken", knox),
        ):
            multiply(connection, table, facts, size)


@contextlib.contextmanager
def place(postgres: Postgres, folder: Path, size: int) -> Iterator[Place]:
    """A database of that size, and its server."""
    name = f"tokens_{size}"
    postgres = dataclasses.replace(postgres, url=postgres.url_of_new_database(name))
    port = free_port()
    environment = environment_for(
        port,
        postgres.url,
        DJANGO_SETTINGS_MODULE="benchmarks.bearers.settings",
        PORTICO_ENV="production",
        PORTICO_SECRET_KEY=secrets.token_hex(32),
        PORTICO_BASE_URL=f"http://127.0.0.1:{port}",
        PORTICO_DATA=str(folder),
    )
    command(environment, "-m", "django", "migrate", "--verbosity", "0")
    seed(environment, "model", 1)
    began = time.monotonic()
    fill(postgres, size)
    people = seed(environment, "known", KNOWN)
    postgres_of_it = psycopg.connect(postgres.url, autocommit=True)
    with contextlib.closing(postgres_of_it):
        postgres_of_it.execute("VACUUM ANALYZE")
        postgres_of_it.execute("CHECKPOINT")
    print(f"{size} tokens of each kind, filled in {time.monotonic() - began:.0f} s", flush=True)
    log = folder / f"{name}.log"
    with gunicorn("benchmarks.bearers.wsgi:application", environment, log) as arbiter:
        yield Place(postgres, port, arbiter, people, log)


def measure(rounds: int, calls: int) -> None:
    """Fill the databases, go round, print the table."""
    folder = launcher.data_folder() / "test" / f"bench-bearer-{secrets.token_hex(4)}"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = Postgres.of(stack.enter_context(launcher.hold(folder)))
        # It would count as somebody's cost.
        postgres.execute(
            "ALTER SYSTEM SET autovacuum = off", "ALTER SYSTEM SET max_wal_size = '8GB'", "SELECT pg_reload_conf()"
        )
        places = {size: stack.enter_context(place(postgres, folder, size)) for size in SIZES}
        costs: dict[tuple[str, int], list[float]] = {
            (contender.name, size): [] for contender in CONTENDERS for size in SIZES
        }
        for number in range(rounds):
            for contender in CONTENDERS:
                for size in SIZES if number % 2 else reversed(SIZES):
                    costs[contender.name, size].append(places[size].cost(contender, calls))
        statements = {contender.name: places[SIZES[-1]].statements(contender) for contender in CONTENDERS}
    print_table(costs, statements, rounds, calls)


def ratio(above: list[float], below: list[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(x / y for x, y in zip(above, below, strict=True))


def print_table(costs: dict[tuple[str, int], list[float]], statements: dict[str, int], rounds: int, calls: int) -> None:
    """The medians, how flat they are, and how they stand to ours."""
    least = SIZES[0]
    print(f"CPU milliseconds per call, {rounds} rounds of {calls} calls; medians")
    heads = "".join(f"{size:>10}" for size in SIZES) + "".join(f"{f'{size}/{least}':>14}" for size in SIZES[1:])
    print(f"  {'tokens':18}{heads}  statements")
    for contender in CONTENDERS:
        medians = "".join(f"{statistics.median(costs[contender.name, size]):10.3f}" for size in SIZES)
        ratios = "".join(
            f"{ratio(costs[contender.name, size], costs[contender.name, least]):14.2f}" for size in SIZES[1:]
        )
        print(f"  {contender.name:18}{medians}{ratios}{statements[contender.name]:12}")
    print(f"  (target: portico at most {FLAT} times as much at a larger size, and 1 statement)")
    for other in CONTENDERS[1:]:
        against = "".join(f"{ratio(costs[other.name, size], costs['portico', size]):10.2f}" for size in SIZES)
        print(f"  {f'{other.name}/portico':28}{against}")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description="CPU milliseconds of a call by token, few tokens or many.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=200, help="calls in each round, of each kind and size")
    arguments = parser.parse_args()
    measure(arguments.rounds, arguments.calls)


if __name__ == "__main__":
    main()
