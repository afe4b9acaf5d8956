"""What a sign-in costs, in CPU milliseconds, beside simpler ways to do it.

    make bench                                  (or: python -m benchmarks.acs --rounds 15 --show-statements)

Five things are measured in one run, one after the other in each round, with the same response of 10 KB whose Response
and Assertion are both signed:

a. the floor: base64, one parse, each signature verified once by xmlsec with a kept key;
b. python3-saml's `process_response`, strict, its settings built once;
c. ours: `gate.admit`, `signature.open_message`, `assertion.accept`;
d. "guarded": the barest Django view that does the floor and writes a user, a session and a replay row in one
   transaction, under gunicorn on PostgreSQL (benchmarks/guarded);
e. a returning person's whole sign-in, both requests (ACS and continue), under gunicorn on PostgreSQL.

CPU is user and system time: of this process for a-c; of gunicorn, its worker and every PostgreSQL process for d and e,
the client left out. Each figure is the median over the rounds, each ratio the median of the rounds' ratios: on a
machine that others use as well, neighbours in time are comparable and a single figure is not.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import resource
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import psutil
import psycopg
import xmlsec
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from benchmarks.floor import floor
from benchmarks.messages import ENTITY_ID, SSO_URL, IdentityProvider
from config import launcher
from saml_sp.protocol import certificates, gate, signature
from saml_sp.protocol.assertion import accept
from saml_sp.protocol.types import Expectation, IdpProfile, SpProfile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLONE = Path(__file__).resolve().parent.parent
SLUG = "bench"
PROTOCOL_RATIO = 1.5  # c/a at most
LOGIN_RATIO = 1.5  # e/d at most
STATEMENTS = 18  # of a returning sign-in at most
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


# --- CPU time -----------------------------------------------------------------------------------------------------


def own_cpu() -> float:
    """Seconds of user and system time of this process and its ended children."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def cpu_of(roots: list[psutil.Process]) -> float:
    """Seconds of user and system time of these processes and all below them, ended ones included.

    The kernel's clock of a process counts nanoseconds; what psutil reads counts hundredths of a second, which is good
    enough for processes that have ended only.
    """
    total = 0.0
    for root in roots:
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, OSError):
                times = process.cpu_times()
                total += time.clock_gettime(~process.pid << 3 | 2)  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
                total += times.children_user + times.children_system
    return total


def per_call(function: Callable[[], object], calls: int) -> float:
    """CPU milliseconds of one call in this process."""
    before = own_cpu()
    for _ in range(calls):
        function()
    return (own_cpu() - before) * 1000 / calls


# --- d and e: servers ---------------------------------------------------------------------------------------------


class UnexpectedAnswerError(Exception):
    """A sign-in did not succeed, so its cost is worth nothing."""


@dataclass(frozen=True)
class Site:
    """A WSGI application under gunicorn, with one worker, and how to sign in to it."""

    port: int
    arbiter: psutil.Process
    log: Path
    sign_in: Callable[[http.client.HTTPConnection, str], None]

    def sign_in_all(self, responses: list[str]) -> None:
        """One sign-in after the other, each on a connection of its own, as browsers would."""
        for response in responses:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            with contextlib.closing(connection):
                try:
                    self.sign_in(connection, response)
                except UnexpectedAnswerError as error:
                    raise SystemExit(f"{error}\n{self.log.read_text()[:6000]}") from error

    def cost(self, responses: list[str], postgres: Postgres) -> float:
        """CPU milliseconds of one sign-in: gunicorn's and PostgreSQL's."""
        before = cpu_of([self.arbiter, postgres.postmaster])
        self.sign_in_all(responses)
        return (cpu_of([self.arbiter, postgres.postmaster]) - before) * 1000 / len(responses)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None, cookie: str = ""
) -> http.client.HTTPResponse:
    """One request, which a redirect must answer; raises UnexpectedAnswerError."""
    headers = {**(_FORM if body else {}), **({"Cookie": cookie} if cookie else {})}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    page = answer.read()
    if answer.status not in {302, 303}:
        raise UnexpectedAnswerError(f"{method} {path}: {answer.status}\n{page.decode(errors='replace')[:3000]}")
    return answer


def cookie_of(answer: http.client.HTTPResponse, name: str) -> str:
    """The cookie of that name, as a client sends it back; raises UnexpectedAnswerError."""
    for header in answer.headers.get_all("Set-Cookie") or []:
        if header.startswith(f"{name}="):
            return header.partition(";")[0]
    raise UnexpectedAnswerError(f"No cookie {name} came.")


def sign_in_guarded(connection: http.client.HTTPConnection, response: str) -> None:
    """The one request of the barest view."""
    cookie_of(ask(connection, "POST", "/acs/", urlencode({"SAMLResponse": response})), "sessionid")


def sign_in_whole(connection: http.client.HTTPConnection, response: str) -> None:
    """Both requests of a sign-in."""
    answer = ask(connection, "POST", f"/saml/{SLUG}/acs/", urlencode({"SAMLResponse": response, "RelayState": ""}))
    handover = cookie_of(answer, "portico_handover")
    cookie_of(ask(connection, "GET", str(answer.headers["Location"]), cookie=handover), "portico_session")


@contextlib.contextmanager
def gunicorn(application: str, environment: dict[str, str], log: Path) -> Iterator[psutil.Process]:
    """Gunicorn with one worker and otherwise the settings of production; stopped at the end."""
    command = [sys.executable, "-m", "gunicorn", "--config", str(CLONE / "config/gunicorn.conf.py"), "--workers", "1"]
    port = int(environment["PORT"])
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--bind", f"127.0.0.1:{port}", application],
            cwd=CLONE,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(port, server, log)
        yield psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(20)


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until the port accepts connections, at most 30 s."""
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"gunicorn does not answer:\n{log.read_text()[-3000:]}")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(environment: dict[str, str], *arguments: str, given: str = "") -> None:
    """A management command, quiet unless it fails."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=CLONE,
        env=environment,
        input=given,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def environment_for(port: int, database: str, **more: str) -> dict[str, str]:
    """The caller's environment without its own Portico settings, and what one site needs."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PORTICO_", "DJANGO_"))}
    return inherited | {"PORT": str(port), "DATABASE_URL": database} | more


@contextlib.contextmanager
def guarded_site(postgres: Postgres, folder: Path, certificate: Path) -> Iterator[Site]:
    """The barest project with its tables."""
    port = free_port()
    environment = environment_for(
        port,
        postgres.url_of_new_database("guarded"),
        DJANGO_SETTINGS_MODULE="benchmarks.guarded.settings",
        GUARDED_SECRET_KEY=secrets.token_hex(32),
        GUARDED_CERTIFICATE=str(certificate),
    )
    command(environment, "-m", "django", "migrate", "--run-syncdb", "--verbosity", "0")
    log = folder / "guarded.log"
    with gunicorn("benchmarks.guarded.wsgi:application", environment, log) as arbiter:
        yield Site(port, arbiter, log, sign_in_guarded)


@contextlib.contextmanager
def whole_site(postgres: Postgres, folder: Path, port: int, metadata: str) -> Iterator[Site]:
    """Portico as in production, with one identity provider."""
    environment = environment_for(
        port,
        postgres.url,
        DJANGO_SETTINGS_MODULE="config.settings",
        PORTICO_ENV="production",
        PORTICO_SECRET_KEY=secrets.token_hex(32),
        PORTICO_BASE_URL=f"http://127.0.0.1:{port}",
        PORTICO_DATA=str(folder),
    )
    command(environment, "manage.py", "migrate", "--verbosity", "0")
    command(environment, "manage.py", "idp", "import", SLUG, "--metadata", "-", "--enable", "--jit", given=metadata)
    log = folder / "portico.log"
    with gunicorn("config.wsgi:application", environment, log) as arbiter:
        yield Site(port, arbiter, log, sign_in_whole)


# --- PostgreSQL ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Postgres:
    """A server of its own for this run, with the settings of any new cluster."""

    url: str
    log: Path
    postmaster: psutil.Process

    @classmethod
    def of(cls, server: launcher.Server) -> Postgres:
        """What a run needs to know of a server that the launcher started."""
        cluster = server.data / "postgres"
        pid = int((cluster / "postmaster.pid").read_text().split()[0])
        return cls(url=server.url, log=cluster / "server.log", postmaster=psutil.Process(pid))

    def execute(self, *statements: str) -> None:
        """Run statements, each on its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def url_of_new_database(self, name: str) -> str:
        """Make a database beside the launcher's."""
        self.execute(f"CREATE DATABASE {name}")
        return self.url.replace(f"/{launcher.DATABASE}?", f"/{name}?", 1)

    def log_statements(self, *, on: bool) -> None:
        """Let the server write down every statement that it is sent, or stop that."""
        setting = "ALTER SYSTEM SET log_statement = 'all'" if on else "ALTER SYSTEM RESET log_statement"
        self.execute(setting, "SELECT pg_reload_conf()")
        time.sleep(0.5)  # the processes hear of it by a signal


def statements_of(postgres: Postgres, site: Site, response: str) -> list[str]:
    """What PostgreSQL is sent during one sign-in, BEGIN, SAVEPOINT and COMMIT included."""
    postgres.log_statements(on=True)
    begin = postgres.log.stat().st_size
    site.sign_in_all([response])
    with postgres.log.open("rb") as log:
        log.seek(begin)
        text = log.read().decode(errors="replace")
    postgres.log_statements(on=False)
    marks = ("LOG:  statement: ", "LOG:  execute ")
    return [line.partition("LOG:  ")[2] for line in text.splitlines() if any(mark in line for mark in marks)]


# --- the run ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judges:
    """The three ways of judging a response that need no server, each compiled once."""

    key: xmlsec.Key
    expectation: Expectation
    settings: OneLogin_Saml2_Settings
    port: int

    @classmethod
    def of(cls, idp: IdentityProvider, sp: SpProfile, port: int) -> Judges:
        """Keys loaded and settings built from the identity provider's certificate."""
        facts = certificates.describe(certificates.read_one(idp.certificate.encode()))
        key = certificates.verification_key(facts.pem, facts.not_before, facts.not_after)
        profile = IdpProfile(entity_id=ENTITY_ID, keys=(key,), tolerance=timedelta(seconds=120), unsolicited=True)
        settings = {
            "strict": True,
            "sp": {"entityId": sp.entity_id, "assertionConsumerService": {"url": sp.acs_url}},
            "idp": {
                "entityId": ENTITY_ID,
                "singleSignOnService": {"url": SSO_URL},
                "x509cert": idp.certificate,
            },
            "security": {"wantMessagesSigned": True, "wantAssertionsSigned": True},
        }
        return cls(
            key=xmlsec.Key.from_memory(idp.certificate, xmlsec.constants.KeyDataFormatCertPem),
            expectation=Expectation(idp=profile, sp=sp),
            settings=OneLogin_Saml2_Settings(settings),
            port=port,
        )

    def floor(self, response: str) -> None:
        """Measured as a."""
        floor(response, self.key)

    def python3_saml(self, response: str) -> None:
        """Measured as b."""
        request = {
            "https": "off",
            "http_host": f"127.0.0.1:{self.port}",
            "script_name": f"/saml/{SLUG}/acs/",
            "get_data": {},
            "post_data": {"SAMLResponse": response},
        }
        auth = OneLogin_Saml2_Auth(request, old_settings=self.settings)
        auth.process_response()
        if not auth.is_authenticated():
            raise SystemExit(f"python3-saml refuses: {auth.get_last_error_reason()}")

    def ours(self, response: str) -> None:
        """Measured as c."""
        now = datetime.now(UTC)
        accept(signature.open_message(gate.admit(response), self.expectation, now), self.expectation, now)


def measure(rounds: int, logins: int, *, show_statements: bool) -> None:
    """Set everything up, go round, print the table."""
    # Among the throw-away folders: whatever a killed run leaves there, the next test run stops and deletes.
    folder = launcher.data_folder() / "test" / f"bench-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = Postgres.of(stack.enter_context(launcher.hold(folder)))
        port = free_port()
        base = f"http://127.0.0.1:{port}/saml/{SLUG}"
        idp = IdentityProvider.new(sp_entity_id=f"{base}/metadata/", acs_url=f"{base}/acs/")
        certificate = folder / "idp.pem"
        certificate.write_text(idp.certificate)
        judges = Judges.of(idp, SpProfile(entity_id=idp.sp_entity_id, acs_url=idp.acs_url), port)
        guarded = stack.enter_context(guarded_site(postgres, folder, certificate))
        whole = stack.enter_context(whole_site(postgres, folder, port, idp.metadata()))
        for site in (guarded, whole):
            site.sign_in_all([idp.response() for _ in range(20)])  # the first makes the account

        figures: dict[str, list[float]] = {name: [] for name in "abcde"}
        for _ in range(rounds):
            response = idp.response()
            figures["a"].append(per_call(lambda: judges.floor(response), 100))  # noqa: B023 - called in this round
            figures["b"].append(per_call(lambda: judges.python3_saml(response), 30))  # noqa: B023 - as above
            figures["c"].append(per_call(lambda: judges.ours(response), 100))  # noqa: B023 - as above
            figures["d"].append(guarded.cost([idp.response() for _ in range(logins)], postgres))
            figures["e"].append(whole.cost([idp.response() for _ in range(logins)], postgres))
        print_table(figures, len(idp.xml()), logins)
        for name, site in (("d", guarded), ("e", whole)):
            statements = statements_of(postgres, site, idp.response())
            limit = f" (target: at most {STATEMENTS})" if name == "e" else ""
            print(f"  {name}  {len(statements)} SQL statements per returning sign-in{limit}")
            if show_statements:
                print(*(f"       {number:2} {text[:150]}" for number, text in enumerate(statements, 1)), sep="\n")


def print_table(figures: dict[str, list[float]], size: int, logins: int) -> None:
    """The medians, how far the rounds lie apart, and the ratios."""
    what = {
        "a": "floor: base64, one parse, two signatures",
        "b": "python3-saml process_response",
        "c": "gate, signature, assertion",
        "d": "guarded: the barest Django view",
        "e": "the whole sign-in, both requests",
    }
    rounds = len(figures["a"])
    print(f"CPU milliseconds per sign-in, {size} bytes of XML, {rounds} rounds (d, e: {logins} sign-ins in each)")
    print("                                                median      min      max")
    for name, values in figures.items():
        print(f"  {name}  {what[name]:42} {statistics.median(values):7.2f}  {min(values):7.2f}  {max(values):7.2f}")
    for above, below, target in (("b", "a", None), ("c", "a", PROTOCOL_RATIO), ("e", "d", LOGIN_RATIO)):
        ratio = statistics.median(x / y for x, y in zip(figures[above], figures[below], strict=True))
        verdict = "" if target is None else f"  (target: at most {target})"
        print(f"  {above}/{below}  {ratio:.2f}{verdict}")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description="CPU milliseconds of a sign-in, beside simpler ways to do it.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--logins", type=int, default=60, help="sign-ins in each round, for d and e each")
    parser.add_argument("--show-statements", action="store_true", help="print the SQL statements as well")
    arguments = parser.parse_args()
    measure(arguments.rounds, arguments.logins, show_statements=arguments.show_statements)


if __name__ == "__main__":
    main()
