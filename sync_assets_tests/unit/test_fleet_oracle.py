"""The collector of Oracle on rows as the documentation of its data dictionary describes them. No server."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import pytest
import sqlglot
from sqlglot import exp

from sync_assets.databases.base import ConnectionArgs, collected, open_collector
from sync_assets.databases.oracle import errors
from sync_assets.databases.oracle.collect import OracleCollector, session
from sync_assets.databases.oracle.collect.questions import Questions
from sync_assets.engine.errors import Retry, Stop
from sync_assets.fleet.effective import superusers, who
from sync_assets.fleet.model import (
    AccountReading,
    AccountState,
    CapacityReading,
    Grant,
    Principal,
    PrincipalKind,
    ScopeKind,
    SectionKey,
    SectionName,
    Status,
)
from sync_assets.fleet.state import ChangeKind, completed, diff

AT = datetime(2026, 3, 3, tzinfo=UTC)
MADE = "2024-01-01T00:00:00"
Cells = tuple[str | None, ...]
Answers = Mapping[str, Sequence[Cells] | Exception]
VERSIONS = [(11, 2, 0, 4), (12, 1, 0, 1), (12, 1, 0, 2), (12, 2, 0, 1), (18, 3), (19, 21), (21, 3), (23, 4)]
QUESTIONS = ["where_we_are", "containers", "users", "roles", "memberships", "grants", "password_file", "files",
             "segments", "logs"]  # fmt: skip


class Detail:
    """The first argument of python-oracledb's errors."""

    def __init__(self, full_code: str, code: int = 0) -> None:
        self.full_code, self.code = full_code, code

    def __str__(self) -> str:
        return "secret-name"


DENIED = errors.classify(RuntimeError(Detail("ORA-00942", 942)), "connection erp")


class Played:
    """A session that answers each question from a table, by its name."""

    def __init__(self, answers: Answers, version: tuple[int, ...], root: bool) -> None:
        asked = Questions(version, root)
        texts = {name: getattr(asked, name) for name in QUESTIONS} | {"tables": asked.tables(20)}
        self._by_text = {text: answers.get(name, ()) for name, text in texts.items()}
        self.version = version
        self.asked: list[str] = []
        self.begun = 0

    def begin(self) -> None:
        self.begun += 1

    def rows(self, sql: str) -> Sequence[Cells]:
        assert self.begun, "asked outside of a moment"
        self.asked.append(sql)
        answer = self._by_text[sql]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None: ...


def collector(answers: Answers, version: tuple[int, ...] = (19, 21)) -> tuple[OracleCollector, Played]:
    here = answers.get("where_we_are", [("0", "ORCL")])
    root = not isinstance(here, Exception) and here[0][0] == "1"
    played = Played({"where_we_are": here} | dict(answers), version, root)
    return OracleCollector(ConnectionArgs("erp"), connect=lambda _: played, clock=lambda: AT), played


def accounts(answers: Answers, version: tuple[int, ...] = (19, 21)) -> AccountReading:
    return collector(answers, version)[0].accounts()


def capacity(answers: Answers) -> CapacityReading:
    return collector(answers)[0].capacity()


def a_user(name: str, status: str = "OPEN", con: str = "0", by: str = "PASSWORD", **more: str) -> Cells:
    said = {"shipped": "N", "verifiers": "11G 12C ", "life": "180"} | more
    start = (con, name, "104", MADE, status, by, "DEFAULT", said.get("expires"), said["shipped"], "NO")
    return (*start, said.get("seen"), said["verifiers"], MADE, said.get("default"), said["life"])


def a_grant(kind: str, grantee: str, right: str, *names: str | None, con: str = "0", can: str = "NO") -> Cells:
    grantor, type_, owner, name, column = (*names, *[None] * 5)[:5]
    return (con, kind, grantee, right, can, grantor, type_, owner, name, column)


def only_user(*cells: Cells) -> Principal:
    (one,) = (p for p in accounts({"users": cells}).principals if p.kind is not PrincipalKind.PUBLIC)
    return one


def only_grant(*cells: Cells) -> Grant:
    (one,) = accounts({"users": [a_user("X")], "grants": cells}).grants
    return one


# -- the text of the questions


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("root", [False, True], ids=["dba", "cdb"])
def test_every_question_is_a_statement_of_oracle(version: tuple[int, ...], root: bool) -> None:
    asked = Questions(version, root)
    for text in (*(getattr(asked, name) for name in QUESTIONS), asked.tables(20)):
        (tree,) = sqlglot.parse(text, read="oracle")
        assert isinstance(tree, exp.Select | exp.Union)
        assert not re.search(r"\{[^}]*\}", text)
        widths = {
            len(s.expressions) for s in tree.find_all(exp.Select) if s.parent is None or isinstance(s.parent, exp.Union)
        }
        assert len(widths) == 1


def test_columns_are_asked_for_only_where_they_are() -> None:
    old, first, seen, changed, schemas = (
        Questions(v) for v in [(11, 2, 0, 4), (12, 1, 0, 1), (12, 1, 0, 2), (18, 3), (23, 4)]
    )
    for name, holds in {
        "oracle_maintained": [False, False, True, True, True],
        "last_login": [False, False, True, True, True],
        "password_change_date": [False, False, False, True, True],
        "schema_privs": [False] * 4 + [True],
        "con_id": [False] * 5,
    }.items():
        found = [name in q.users + q.roles + q.memberships + q.grants for q in (old, first, seen, changed, schemas)]
        assert (name, found) == (name, holds)
    assert "CON_ID" not in old.where_we_are
    root = Questions((19, 21), root=True)
    assert "dba_" not in (root.users + root.roles + root.memberships + root.grants + root.files + root.segments).lower()


def test_no_hash_is_selected() -> None:
    for version in VERSIONS:
        asked = Questions(version, root=True)
        for text in (asked.users, asked.roles, asked.grants, asked.password_file):
            names = {c.name.lower() for c in sqlglot.parse_one(text, read="oracle").find_all(exp.Column)}
            assert not names & {"password", "spare4", "external_name"}
            assert "*" not in {
                e.sql() for s in sqlglot.parse_one(text, read="oracle").find_all(exp.Select) for e in s.expressions
            }


def test_a_constant_number_of_trips_in_one_moment() -> None:
    rows: Answers = {
        "users": [a_user(f"U{n}") for n in range(500)],
        "grants": [a_grant("system", "U1", "CREATE TABLE")],
    }
    one, played = collector(rows)
    assert one.accounts().trips == len(played.asked) + played.begun == 7
    assert one.capacity().trips == 6
    assert played.begun == 2


# -- principals


@pytest.mark.parametrize(
    ("status", "locked", "can", "expired"),
    [
        ("OPEN", False, True, False),
        ("EXPIRED", False, True, True),
        ("EXPIRED(GRACE)", False, True, False),
        ("LOCKED", True, False, False),
        ("LOCKED(TIMED)", True, False, False),
        ("EXPIRED & LOCKED", True, False, True),
        ("EXPIRED & LOCKED(TIMED)", True, False, True),
        ("EXPIRED(GRACE) & LOCKED", True, False, False),
        ("EXPIRED(GRACE) & LOCKED(TIMED)", True, False, False),
    ],
)
def test_5_3_11_nine_statuses(status: str, locked: bool, can: bool, expired: bool) -> None:
    """The original took every status but OPEN for locked, and lost all of them in its second phase."""
    one = only_user(a_user("HR", status))
    assert (one.locked, one.can_login, one.attribute("password_expired")) == (locked, can, expired)
    assert one.attribute("account_status") == status


def test_what_a_user_is() -> None:
    one = only_user(a_user("张三", seen="2026-02-23", expires="2026-09-01T00:00:00", default="张三", life="180.5"))
    assert (one.name, one.kind, one.incarnation, one.superuser) == ("张三", PrincipalKind.USER, f"/104:{MADE}", False)
    assert one.has_password
    assert dict(one.attributes) == {
        "account_status": "OPEN", "authentication": "PASSWORD", "profile": "DEFAULT", "password_expired": False,
        "password_expires_at": "2026-09-01T00:00:00", "password_changed_at": MADE, "password_lifetime_days": 180,
        "password_versions": "11G 12C", "password_is_default": True, "common": False, "last_seen_at": "2026-02-23",
    }  # fmt: skip


def test_accounts_without_a_password() -> None:
    schema_only, external = only_user(a_user("S", by="NONE", verifiers="")), only_user(a_user("OPS$X", by="EXTERNAL"))
    assert (schema_only.can_login, schema_only.has_password) == (False, False)
    assert (external.kind, external.has_password) == (PrincipalKind.EXTERNAL, None)


def test_shipped_accounts_are_marked_by_the_server_or_before_it_could_by_name() -> None:
    new = accounts(
        {"users": [a_user("GSMUSER", shipped="Y"), a_user("ADMIN")], "roles": [("0", "DBA", "NONE", "Y", "YES")]}
    )
    assert {p.name: p.system for p in new.principals} == {"GSMUSER": True, "ADMIN": False, "DBA": True, "PUBLIC": True}
    assert {p.name for p in new.principals if p.superuser} == {"DBA"}
    old = accounts({"users": [a_user("SYS", shipped=""), a_user("HR", shipped="")]}, (11, 2, 0, 4))
    assert {p.name: p.system for p in old.principals} == {"SYS": True, "HR": False, "PUBLIC": True}
    assert {p.name for p in old.principals if p.superuser} == {"SYS"}


def test_public_of_one_database_is_everybody() -> None:
    (public,) = (p for p in accounts({"users": [a_user("HR")]}).principals if p.name == "PUBLIC")
    assert public.kind is PrincipalKind.PUBLIC


# -- memberships


def test_roles_nest_and_only_a_users_role_can_be_off() -> None:
    rows = [
        ("0", "HR", "APP", "YES", "YES", None),
        ("0", "HR", "DBA", "NO", "NO", None),
        ("0", "APP", "DBA", "NO", "NO", "APP"),
    ]
    found = {(m.member, m.role): m for m in accounts({"users": [a_user("HR")], "memberships": rows}).memberships}
    assert {k: (m.admin, m.inherits, m.default, m.can_set) for k, m in found.items()} == {
        ("HR", "APP"): (True, True, True, True),
        ("HR", "DBA"): (False, False, False, True),
        ("APP", "DBA"): (False, True, None, True),
    }


# -- grants


@pytest.mark.parametrize(
    ("row", "scope", "path", "privilege"),
    [
        (a_grant("system", "X", "GRANT ANY PRIVILEGE"), ScopeKind.GLOBAL, (), "GRANT ANY PRIVILEGE"),
        (
            a_grant("object", "X", "SELECT", "HR", "TABLE", "HR", "EMP"),
            ScopeKind.TABLE,
            ("ORCL", "HR", "EMP"),
            "SELECT",
        ),
        (a_grant("object", "X", "READ", "HR", "VIEW", "HR", "V"), ScopeKind.TABLE, ("ORCL", "HR", "V"), "READ"),
        (
            a_grant("object", "X", "EXECUTE", "HR", "PACKAGE", "HR", "P"),
            ScopeKind.ROUTINE,
            ("ORCL", "HR", "P"),
            "EXECUTE",
        ),
        (
            a_grant("object", "X", "SELECT", "HR", "SEQUENCE", "HR", "S"),
            ScopeKind.SEQUENCE,
            ("ORCL", "HR", "S"),
            "SELECT",
        ),
        (a_grant("object", "X", "EXECUTE", "HR", "TYPE", "HR", "T"), ScopeKind.TYPE, ("ORCL", "HR", "T"), "EXECUTE"),
        (
            a_grant("object", "X", "READ", "SYS", "DIRECTORY", "SYS", "D"),
            ScopeKind.OTHER,
            ("ORCL", "DIRECTORY", "SYS", "D"),
            "READ",
        ),
        (a_grant("object", "X", "EXECUTE", "HR", None, "HR", "P"), ScopeKind.ROUTINE, ("ORCL", "HR", "P"), "EXECUTE"),
        (a_grant("object", "X", "SELECT", "HR", None, "HR", "E"), ScopeKind.TABLE, ("ORCL", "HR", "E"), "SELECT"),
        (
            a_grant("column", "X", "UPDATE", "HR", None, "HR", "E", "PAY"),
            ScopeKind.COLUMN,
            ("ORCL", "HR", "E", "PAY"),
            "UPDATE",
        ),
        (
            a_grant("proxy", "X", "PROXY MAY ACTIVATE ALL CLIENT ROLES", None, None, "HR"),
            ScopeKind.PROXY,
            ("HR",),
            "CONNECT THROUGH",
        ),
        (
            a_grant("proxy", "X", "PROXY MAY ACTIVATE ROLE", None, None, "HR", "CLERK"),
            ScopeKind.PROXY,
            ("HR",),
            "CONNECT THROUGH: PROXY MAY ACTIVATE ROLE CLERK",
        ),
        (
            a_grant("quota", "X", "UNLIMITED", None, None, None, "USERS"),
            ScopeKind.TABLESPACE,
            ("ORCL", "USERS"),
            "QUOTA UNLIMITED",
        ),
        (
            a_grant("schema", "X", "SELECT ANY TABLE", None, None, "HR"),
            ScopeKind.SCHEMA,
            ("ORCL", "HR"),
            "SELECT ANY TABLE",
        ),
    ],
)
def test_scopes(row: Cells, scope: ScopeKind, path: tuple[str, ...], privilege: str) -> None:
    one = only_grant(row)
    assert (one.scope, one.path, one.privilege, one.principal, one.part) == (scope, path, privilege, "X", "")


def test_who_granted_and_whether_it_may_be_passed_on() -> None:
    one = only_grant(a_grant("object", "PUBLIC", "SELECT", "HR", "TABLE", "HR", "E", can="YES"))
    assert (one.principal, one.grantor, one.grantable) == ("PUBLIC", "HR", True)
    for order in (["YES", "NO"], ["NO", "YES"]):  # granted commonly, and here as well
        assert only_grant(*(a_grant("system", "X", "CREATE TABLE", can=can) for can in order)).grantable


def test_sysdba_comes_from_the_password_file() -> None:
    rows = [
        ("0", "SYS", "TRUE", "TRUE", "FALSE", "FALSE", "FALSE"),
        ("0", "OPS", "FALSE", "TRUE", "FALSE", "FALSE", "FALSE"),
    ]
    found = accounts({"users": [a_user("SYS")], "password_file": rows})
    assert {(g.principal, g.privilege) for g in found.grants} == {
        ("SYS", "SYSDBA"),
        ("SYS", "SYSOPER"),
        ("OPS", "SYSOPER"),
    }


# -- several containers

ROOT: Answers = {
    "where_we_are": [("1", "CDB$ROOT")],
    "containers": [("2", "PDB$SEED", "9", "NORMAL", "READ ONLY"), ("3", "SALES", "77", "NORMAL", "READ WRITE"),
                   ("4", "HIDDEN", "78", "NORMAL", None), ("5", "SHUT", "79", "NORMAL", "MOUNTED")],
}  # fmt: skip


def in_root(**more: Sequence[Cells] | Exception) -> AccountReading:
    users = [a_user("SYS", con=c, shipped="Y") for c in "123"] + [a_user("C##OPS", con="3")]
    joined = [(c, "SYS", "DBA", "YES", "YES", None) for c in "123"]
    granted = [a_grant("system", "SYS", "CREATE SESSION", con=c) for c in "123"]
    return accounts({**ROOT, "users": users, "memberships": joined, "grants": granted, **more})


def test_names_paths_and_incarnations_bear_the_container() -> None:
    found = in_root(grants=[a_grant("object", "C##OPS", "SELECT", "SYS", "VIEW", "SYS", "V", con="3"),
                            a_grant("system", "C##OPS", "ALTER USER", con="3"),
                            a_grant("proxy", "C##OPS", "", None, None, "SYS", con="3")])  # fmt: skip
    assert {p.name for p in found.principals} == {
        "CDB$ROOT.SYS", "CDB$ROOT.PUBLIC", "SALES.SYS", "SALES.C##OPS", "SALES.PUBLIC"
    }  # fmt: skip
    assert {(g.principal, g.path, g.part) for g in found.grants} == {
        ("SALES.C##OPS", ("SALES", "SYS", "V"), "SALES"),
        ("SALES.C##OPS", ("SALES",), "SALES"),
        ("SALES.C##OPS", ("SALES.SYS",), "SALES"),
    }
    assert len({p.incarnation for p in found.principals if p.name.endswith("SYS")}) == 2


def test_public_of_a_container_is_not_everybody_of_the_server() -> None:
    found = in_root()
    assert not [p for p in found.principals if p.kind is PrincipalKind.PUBLIC]
    assert {(m.member, m.role) for m in found.memberships if m.role.endswith(".PUBLIC")} == {
        ("CDB$ROOT.SYS", "CDB$ROOT.PUBLIC"), ("SALES.SYS", "SALES.PUBLIC"), ("SALES.C##OPS", "SALES.PUBLIC")
    }  # fmt: skip


def test_5_3_1_a_hidden_container_is_denied_and_a_closed_one_unsupported() -> None:
    """The root's views hide both without an error; the list of containers does not."""
    sections = in_root().sections
    for name in (SectionName.PRINCIPALS, SectionName.MEMBERSHIPS, SectionName.GRANTS):
        states = {part: sections[SectionKey(name, part)].status for part in ("CDB$ROOT", "SALES", "HIDDEN", "SHUT")}
        assert states == {"CDB$ROOT": "ok", "SALES": "ok", "HIDDEN": "denied", "SHUT": "unsupported"}
    assert "container_data" in sections[SectionKey(SectionName.GRANTS, "HIDDEN")].reason
    assert sections[SectionKey(SectionName.DATABASES)].rows == 4


def test_without_the_list_of_containers_nothing_is_believed() -> None:
    found = in_root(containers=DENIED)
    assert {s.status for s in found.sections.values()} == {Status.DENIED}
    assert not found.principals


# -- what may not be seen


@pytest.mark.parametrize("question", ["users", "roles", "memberships", "grants", "password_file"])
def test_5_3_2_a_refused_question_is_its_section_alone(question: str) -> None:
    whole: Answers = {
        "users": [a_user("HR")], "roles": [("0", "APP", "NONE", "N", "NO")],
        "memberships": [("0", "HR", "APP", "NO", "YES", None)], "grants": [a_grant("system", "HR", "CREATE SESSION")],
        "password_file": [],
    }  # fmt: skip
    found = accounts({**whole, question: DENIED})
    denied = {str(key) for key, state in found.sections.items() if state.status is Status.DENIED}
    expected = {"users": "principals", "roles": "principals", "password_file": "grants(password file)"}
    assert denied == {expected.get(question, question)}
    assert all("ORA-00942" in s.reason for s in found.sections.values() if not s.ok)
    assert bool(found.principals) is (question not in ("users", "roles"))


def test_an_empty_answer_is_not_believed() -> None:
    """SYS is in every dba_users: no row means that something hides it."""
    found = accounts({"users": [], "memberships": [], "grants": []})
    for name in (SectionName.PRINCIPALS, SectionName.MEMBERSHIPS, SectionName.GRANTS):
        assert found.sections[SectionKey(name)].status is Status.DENIED


def test_other_refusals_are_errors_and_a_broken_line_ends_the_look() -> None:
    found = accounts({"users": [a_user("HR")], "grants": Stop("x", code="ORA-00904")})
    assert found.sections[SectionKey(SectionName.GRANTS)].status is Status.ERROR
    with pytest.raises(Retry):
        accounts({"users": [a_user("HR")], "grants": Retry("x", code="protocol")})


# -- capacity

FILES: Answers = {
    "files": [("0", "data", "1000"), ("0", "temp", "24")],
    "segments": [("0", "data", "300"), ("0", "index", "100")],
    "logs": [("redo", "600"), ("archive", "50")],
    "tables": [("0", "HR", "订单", "200")],
}


def test_sizes_of_one_database() -> None:
    found = capacity(FILES)
    (one,) = found.databases
    assert (one.name, one.bytes, one.data_bytes, one.index_bytes, one.system) == ("ORCL", 1024, 300, 100, False)
    assert {(log.kind, log.bytes) for log in found.logs} == {("redo", 600), ("archive", 50)}
    assert (found.tables[0].schema, found.tables[0].name, found.tables[0].bytes) == ("HR", "订单", 200)
    assert found.total_bytes == 1024
    assert all(s.ok for s in found.sections.values())


def test_5_3_9_a_hidden_container_has_no_size_and_never_zero() -> None:
    answers = {**ROOT, "files": [("1", "data", "10"), ("3", "data", "20"), ("2", "data", "5"), ("4", "temp", "1")]}
    found = capacity(answers)
    assert {d.name: d.bytes for d in found.databases} == {"CDB$ROOT": 10, "SALES": 20, "HIDDEN": None, "SHUT": None}
    assert found.unknown == ("HIDDEN", "SHUT")
    assert found.sections[SectionKey(SectionName.SIZES, "HIDDEN")].status is Status.DENIED
    assert found.sections[SectionKey(SectionName.DATABASES)].rows == 4


@pytest.mark.parametrize("question", ["files", "logs", "tables", "segments"])
def test_sections_of_sizes_fail_by_themselves(question: str) -> None:
    found = capacity({**FILES, question: DENIED})
    names = {"files": "sizes", "logs": "logs", "tables": "tables"}
    denied = {str(key) for key, state in found.sections.items() if not state.ok}
    assert denied == ({names[question]} if question in names else set())
    assert found.databases[0].bytes == (None if question == "files" else 1024)


def test_a_slow_question_is_not_asked_again_and_again() -> None:
    found = capacity({**FILES, "tables": Retry("slow", code="timeout")})
    assert found.sections[SectionKey(SectionName.TABLES)].status is Status.ERROR
    assert found.total_bytes == 1024


# -- errors and the connection


@pytest.mark.parametrize(
    ("detail", "kind", "code"),
    [
        (Detail("ORA-01017", 1017), Stop, "auth"),
        (Detail("ORA-28000", 28000), Stop, "auth"),
        (Detail("ORA-12541", 12541), Retry, "refused"),
        (Detail("DPY-4011", 3113), Retry, "protocol"),
        (Detail("DPY-6001"), Stop, "refused"),
        (Detail("DPY-3010"), Stop, "version"),
        (Detail("ORA-99999", 99999), Stop, "ORA-99999"),
    ],
)
def test_d18_errors_have_a_reason_and_quote_nothing(detail: Detail, kind: type[Exception], code: str) -> None:
    found = errors.classify(RuntimeError(detail), "connection erp")
    assert (type(found), found.code) == (kind, code)
    assert "secret-name" not in str(found)


class Driver:
    """Stands in for python-oracledb, which the tests do not install."""

    class Error(Exception): ...

    def __init__(self, log_in: object = None) -> None:
        self._log_in, self.thin, self.given, self.closed = log_in, 0, {}, False

    def is_thin_mode(self) -> bool:
        return True

    def enable_thin_mode(self) -> None:
        self.thin += 1

    def connect(self, **given: object) -> Driver:
        self.given = given
        if callable(self._log_in):
            self._log_in()
        return self

    def close(self) -> None:
        self.closed = True


def there(**more: object) -> ConnectionArgs:
    return ConnectionArgs("erp", **{"user": "u", "database": "ORCL", "connect_seconds": 0, "silent_seconds": 5, **more})


def test_d18_a_listener_that_says_nothing_does_not_hold_us() -> None:
    """The driver bounds only the making of the TCP connection."""
    driver = Driver(lambda: time.sleep(0.2))
    with pytest.raises(Retry, match="does not answer"):
        session.dial(there(silent_seconds=0), lambda: driver)
    deadline = time.monotonic() + 5
    while not driver.closed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert driver.closed  # what came too late
    assert driver.thin == 1


def raising(error: Exception) -> Iterator[None]:
    raise error


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (ConnectionRefusedError(), "refused"),
        (socket.gaierror(), "dns"),
        (TimeoutError(), "timeout"),
        (ConnectionResetError(), "protocol"),
    ],
)
def test_d18_what_the_system_said_is_told_apart(cause: OSError, code: str) -> None:
    failure = Driver.Error(Detail("DPY-6005"))
    failure.__cause__ = cause
    with pytest.raises(Retry) as caught:
        session.dial(there(), lambda: Driver(lambda: raising(failure)))
    assert caught.value.code == code


def test_tls_goes_to_the_secure_port_and_verifies_when_asked() -> None:
    driver = Driver()
    session.dial(there(), lambda: driver)
    assert (driver.given["protocol"], driver.given["port"]) == ("tcp", 1521)
    session.dial(there(tls="require"), lambda: driver)
    assert (driver.given["protocol"], driver.given["port"], driver.given["ssl_server_dn_match"]) == (
        "tcps",
        2484,
        False,
    )
    session.dial(there(tls="verify", port=1522), lambda: driver)
    assert (driver.given["port"], driver.given["ssl_server_dn_match"]) == (1522, True)
    assert driver.given["ssl_context"].verify_mode.name == "CERT_REQUIRED"


def test_what_must_be_given_is_named() -> None:
    def absent() -> object:
        raise ImportError

    with pytest.raises(Stop, match=r"sync-assets\[oracle\]"):
        session.dial(there(), absent)
    with pytest.raises(Stop, match="service name"):
        session.dial(there(database=""), Driver)


def test_it_is_found_by_its_name() -> None:
    assert "oracle" in collected()
    assert isinstance(open_collector("oracle", ConnectionArgs("erp")), OracleCollector)


# -- what the rest of the fleet makes of it


def test_d16_superusers_are_found_through_nested_roles_and_the_password_file() -> None:
    read = accounts({
        "users": [a_user("SYS", shipped="Y"), a_user("HR"), a_user("OPS"), a_user("APP")],
        "roles": [("0", "DBA", "NONE", "Y", "YES"), ("0", "TEAM", "NONE", "N", "NO")],
        "memberships": [("0", "TEAM", "DBA", "NO", "NO", "TEAM"), ("0", "HR", "TEAM", "NO", "YES", None)],
        "grants": [a_grant("object", "PUBLIC", "SELECT", "HR", "TABLE", "HR", "EMP")],
        "password_file": [("0", "OPS", "TRUE", "FALSE", "FALSE", "FALSE", "FALSE")],
    })  # fmt: skip
    state = completed(AccountState(), read)
    assert set(superusers(state)) == {"SYS", "DBA", "TEAM", "HR", "OPS"}
    readers = {h.principal for h in who(state, "oracle", "SELECT", ("ORCL", "HR", "EMP"), AT)}
    assert {"APP", "HR", "OPS"} <= readers


def test_5_3_2_a_container_that_was_closed_since_keeps_its_accounts() -> None:
    before = completed(AccountState(), in_root())
    shut = {name: [row for row in rows if row[0] != "3"] for name, rows in {
        "users": [a_user("SYS", con=c, shipped="Y") for c in "13"],
        "memberships": [(c, "SYS", "DBA", "YES", "YES", None) for c in "13"],
        "grants": [a_grant("system", "SYS", "CREATE SESSION", con=c) for c in "13"],
    }.items()}  # fmt: skip
    assert diff(before, completed(before, in_root(**shut))) == ()
    left = [row for row in ROOT["containers"] if row[0] != "3"]
    kinds = {c.kind for c in diff(before, completed(before, in_root(**shut, containers=left)))}
    assert kinds == {ChangeKind.DROPPED, ChangeKind.LEFT, ChangeKind.REVOKED}
