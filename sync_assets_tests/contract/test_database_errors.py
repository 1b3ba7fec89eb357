"""Trouble with connections and queries: the class says what to do, the text where; and what `check` says of it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sync_assets.databases.base import ConnectionArgs, open_database
from sync_assets.databases.mysql.check import writes
from sync_assets.engine.errors import Retry, Stop, SyncError
from sync_assets.testing.proxy import Proxy
from sync_assets.testing.servers import Server, free_port, mariadb_server, postgres_server
from sync_assets_tests.fix_servers import ScratchDatabase

SECRET = "p@ss/#%'\" 字"


def _reader(db: ScratchDatabase, *grants: str, name: str = "reader") -> str:
    user = f"{db.args.database}_{name}"
    assert db.server is not None
    db.server.create_user(user, "right", *grants, database=db.args.database)
    return user


def test_a_wrong_password_stops_and_is_tried_once(server_db: ScratchDatabase) -> None:
    with Proxy(server_db.args.host, server_db.args.port) as proxy:
        database = server_db.open(host=proxy.host, port=proxy.port, open_password=lambda: SECRET)
        with pytest.raises(Stop, match="login was refused") as caught:
            database.connect()
        # PostgreSQL without TLS hangs up after one question; the second line is the only one that logs in.
        assert proxy.counters.connections == (2 if server_db.kind == "postgres" else 1)
    assert SECRET not in str(caught.value) + repr(caught.value) + repr(database.args)


def test_an_unknown_database_stops(server_db: ScratchDatabase) -> None:
    with pytest.raises(Stop, match="database does not exist"):
        server_db.open(database="nowhere").connect()


def test_a_refused_port_and_a_dead_line_are_tried_again(server_db: ScratchDatabase) -> None:
    with pytest.raises(Retry, match="at this address"):
        server_db.open(port=free_port()).connect()
    with Proxy(server_db.args.host, server_db.args.port) as proxy:
        proxy.refuse()
        with pytest.raises(Retry):
            server_db.open(host=proxy.host, port=proxy.port).connect()


def test_a_silent_server_is_noticed(server_db: ScratchDatabase) -> None:
    server_db.execute("create table t (a int)")
    with Proxy(server_db.args.host, server_db.args.port) as proxy:
        database = server_db.open(
            host=proxy.host, port=proxy.port, query_seconds=1, silent_seconds=1, connect_seconds=2
        )
        database.describe_table("t")
        proxy.silence()
        with pytest.raises(Retry):
            list(database.stream("select * from t", {}))
        with pytest.raises(Retry):
            server_db.open(host=proxy.host, port=proxy.port, connect_seconds=2).connect()
        proxy.cut_all()
        database.close()


@pytest.mark.parametrize(
    ("sql", "kind", "words"),
    [
        ("select * from missing", Stop, "table .*missing.* does not exist"),
        ("select nocolumn from t", Stop, "column .*nocolumn.* does not exist"),
        ("select from from t", Stop, "syntax error"),
        ("select no_such_function(a) from t", Stop, "function .*no_such_function"),
        ("select a, a from t", Stop, "two columns are called 'a'"),
    ],
)
def test_a_wrong_query_stops(server_db: ScratchDatabase, sql: str, kind: type[SyncError], words: str) -> None:
    server_db.execute("create table t (a int)", "insert into t values (1)")
    database = server_db.open()
    with pytest.raises(kind, match=words) as caught:
        database.describe_query(sql, {})
    assert caught.value.hint
    assert database.describe_query("select a from t", {})[0].name == "a"  # and the connection is still good
    database.close()


def test_an_error_never_quotes_a_value(pg_db: ScratchDatabase) -> None:
    pg_db.execute("create table t (a text)", "insert into t values ('geheim')")
    database = pg_db.open()
    with pytest.raises(Stop) as caught:
        list(database.stream("select a::int from t", {}))
    assert "geheim" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    database.close()


def test_no_right_to_read_stops_and_names_the_table(server_db: ScratchDatabase) -> None:
    server_db.execute("create table t (a int)", "create table open_ (a int)")
    name = server_db.args.database
    to = f"{name}_reader" if server_db.kind == "postgres" else f"'{name}_reader'@'%'"
    grant = f"grant select on open_ to {to}"
    user = _reader(server_db, grant)
    database = server_db.open(user=user, open_password=lambda: "right")
    with pytest.raises(Stop, match=r"no right to read .*t") as caught:
        database.describe_table("t")
    assert "grant select" in caught.value.hint
    findings = database.check()
    assert all(f.ok for f in findings)
    assert [f.what for f in findings][-1] == "this user can only read" and findings[-1].hint == ""
    database.close()
    if server_db.kind == "postgres":
        server_db.execute(f"drop owned by {user}")
    server_db.server.drop_user(user)


def test_check_warns_of_a_user_who_could_write(server_db: ScratchDatabase) -> None:
    server_db.execute("create table t (a int)")
    database = server_db.open()
    findings = database.check()
    database.close()
    assert all(f.ok for f in findings), findings
    assert "could" in findings[-1].what and "reader" in findings[-1].hint
    words = " ".join(f.what for f in findings)
    assert "address 127.0.0.1" in words and "login as boss" in words and "not encrypted" in words


def test_check_says_what_is_wrong(server_db: ScratchDatabase) -> None:
    (refused,) = server_db.open(port=free_port()).check()
    assert (refused.ok, "nothing listens" in refused.what) == (False, True)
    *_, login = server_db.open(open_password=lambda: SECRET).check()
    assert (login.ok, "tried once" in login.hint) == (False, True)
    *_, missing = server_db.open(database="nowhere").check()
    assert (missing.ok, "does not exist" in missing.what) == (False, True)


@pytest.mark.parametrize("tls", ["require", "verify"])
def test_tls_that_is_not_offered_stops(server_db: ScratchDatabase, tls: str) -> None:
    with pytest.raises(Stop, match="no TLS"):
        server_db.open(tls=tls).connect()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, readable by the servers' users."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module", params=["postgres", "mysql"])
def encrypted(request: pytest.FixtureRequest, certificate: Path) -> Iterator[ConnectionArgs]:
    """A server of each kind that offers TLS. The wheel's PostgreSQL cannot: there a front does it (see below)."""

    if request.param == "postgres":
        with postgres_server() as server, _tls_front(certificate, server.port) as port:
            yield _args("postgres", server, port, certificate)
        return
    home = Path(tempfile.mkdtemp(prefix="sa-tls-"))
    home.chmod(0o755)
    for name in ("key.pem", "cert.pem"):
        shutil.copy(certificate / name, home / name)
        (home / name).chmod(0o644)
    with mariadb_server(options=(f"--ssl-cert={home / 'cert.pem'}", f"--ssl-key={home / 'key.pem'}")) as server:
        yield _args("mysql", server, server.port, certificate)
    shutil.rmtree(home)


def _args(kind: str, server: Server, port: int, certificate: Path) -> ConnectionArgs:
    return ConnectionArgs(
        name=kind, host=server.host, port=port, database=server.database, user=server.user,
        open_password=lambda: server.password, ca=str(certificate / "cert.pem"),
    )  # fmt: skip


@contextmanager
def _tls_front(certificate: Path, upstream: int) -> Iterator[int]:
    """Answers PostgreSQL's SSLRequest with yes, speaks TLS with the client and plain text with the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=one, args=(client,), daemon=True).start()

    def one(client: socket.socket) -> None:
        back = socket.create_connection(("127.0.0.1", upstream))
        with client, back, contextlib.suppress(OSError):
            if client.recv(8, socket.MSG_PEEK)[4:] != b"\x04\xd2\x16\x2f":
                relay(client, back)
                return
            client.recv(8)
            client.sendall(b"S")
            with context.wrap_socket(client, server_side=True) as private:
                relay(private, back)

    def relay(client: socket.socket, back: socket.socket) -> None:
        up = threading.Thread(target=pump, args=(client, back), daemon=True)
        up.start()
        pump(back, client)
        up.join()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_tls_is_used_where_it_is_offered(encrypted: ConnectionArgs, certificate: Path) -> None:
    for tls in ("prefer", "require", "verify"):
        database = open_database(encrypted.name, replace(encrypted, tls=tls))
        assert "encrypted" in [f.what for f in database.check()]
        database.close()
    database = open_database(encrypted.name, replace(encrypted, tls="off"))
    assert "not encrypted" in [f.what for f in database.check()]
    database.close()
    with pytest.raises(Stop, match="certificate could not be verified"):
        open_database(encrypted.name, replace(encrypted, tls="verify", ca=None)).connect()
    with Proxy(encrypted.host, encrypted.port) as proxy:
        wrong = replace(encrypted, open_password=lambda: SECRET, host=proxy.host, port=proxy.port)
        with pytest.raises(Stop, match="login was refused"):
            open_database(encrypted.name, wrong).connect()
        assert proxy.counters.connections == 1


def test_an_unknown_database_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Stop, match="oracle") as caught:
        open_database("oracle", ConnectionArgs(name="x"))
    assert caught.value.hint == "use one of mysql, postgres, sqlite"


def test_sqlite_says_what_is_wrong(sqlite_db: ScratchDatabase, tmp_path: Path) -> None:
    (missing,) = sqlite_db.open(path=str(tmp_path / "none.db")).check()
    assert (missing.ok, "no file" in missing.what) == (False, True)
    (tmp_path / "odd.db").write_text("this is no database at all, and long enough to be read as a header" * 9)
    (odd,) = sqlite_db.open(path=str(tmp_path / "odd.db")).check()
    assert (odd.ok, "no SQLite database" in odd.what) == (False, True)
    sqlite_db.execute("create table t (a)")
    database = sqlite_db.open()
    assert all(f.ok for f in database.check())
    for sql, words in (("select * from x", "table"), ("select x from t", "column"), ("select (", "syntax")):
        with pytest.raises(Stop, match=words):
            database.describe_query(sql, {})
    database.close()


@pytest.mark.parametrize(
    ("grants", "could"),
    [
        (["GRANT USAGE ON *.* TO `r`@`%`", "GRANT SELECT, SHOW VIEW ON `shop`.* TO `r`@`%`"], []),
        (["GRANT SELECT, INSERT (`a`, `b`), UPDATE ON `shop`.`t` TO `r`@`%`"], ["INSERT", "UPDATE"]),
        (["GRANT ALL PRIVILEGES ON *.* TO `r`@`%` WITH GRANT OPTION"], ["ALL PRIVILEGES"]),
        (["GRANT `writers`@`%` TO `r`@`%`"], ["role `writers`@`%`"]),
        (["GRANT SELECT (`a`) ON `d`.`t` TO `r`@`%` REQUIRE SSL"], []),
        (
            [
                "GRANT PROCESS, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `r`@`%`",
                "GRANT SELECT, LOCK TABLES, SHOW VIEW ON `shop`.* TO `r`@`%`",
            ],
            [],
        ),
        (["GRANT RELOAD, LOCK TABLES, EVENT, TRIGGER ON *.* TO `r`@`%`"], ["RELOAD", "EVENT", "TRIGGER"]),
    ],
)
def test_what_grants_allow(grants: list[str], could: list[str]) -> None:
    assert writes(grants) == could
