"""What each version of PostgreSQL is asked: no relation, column or word that it does not have."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import sqlglot

from sync_assets.databases.postgres import errors
from sync_assets.databases.postgres.collect import statements
from sync_assets.databases.postgres.collect.look import first_look
from sync_assets.engine.errors import Stop

VERSIONS = (120022, 130018, 140015, 150010, 160004, 170002, 180001)
# After the release notes and the catalogs' documentation: since which version there is such a word.
SINCE = {"pg_parameter_acl": 150000, "inherit_option": 160000, "set_option": 160000}


def asked(version: int, passwords: bool = True) -> dict[str, str]:
    return {
        **statements.first(), **statements.cluster(version, passwords), **statements.database(),
        **statements.sizes(True), **statements.tables(20), "begin": statements.begin(60),
    }  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_is_asked_only_for_what_it_has(version: int) -> None:
    text = " ".join(asked(version).values())
    assert {word for word in SINCE if re.search(rf"\b{word}\b", text)} == {w for w, v in SINCE.items() if v <= version}
    assert "{" not in text
    # Words of later versions than 12, which no statement needs.
    assert not re.search(r"\b(typsubscript|pg_database_locale|datlocprovider|pg_get_acl)\b", text)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_statement_is_one_that_can_be_parsed(version: int) -> None:
    for name, sql in asked(version).items():
        if name != "begin":
            assert len(sqlglot.parse(sql, dialect="postgres")) == 1, name


@pytest.mark.parametrize("passwords", [True, False])
def test_hashes_are_only_named_where_they_may_be_read_and_never_selected(passwords: bool) -> None:
    sql = statements.cluster(160000, passwords)["principals"]
    assert ("pg_authid" in sql) is passwords
    selected = sqlglot.parse_one(sql, dialect="postgres").expressions
    assert not [one for one in selected if isinstance(one, sqlglot.exp.Column) and one.name == "rolpassword"]


def test_an_older_server_is_refused() -> None:
    old: Any = SimpleNamespace(version=110022, place="connection old")
    with pytest.raises(Stop, match="older than PostgreSQL 12") as caught:
        first_look(old)
    assert caught.value.code == "version"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (psycopg.errors.InvalidPassword(), "auth"),
        (psycopg.errors.InsufficientPrivilege(), "privilege"),
        (psycopg.errors.QueryCanceled(), "timeout"),
        (psycopg.errors.LockNotAvailable(), "timeout"),
        (psycopg.errors.TooManyConnections(), "refused"),
        (psycopg.errors.AdminShutdown(), "refused"),
        (psycopg.OperationalError("server closed the connection unexpectedly"), "protocol"),
        (psycopg.OperationalError('FATAL:  no pg_hba.conf entry for host "10.0.0.1"'), "auth"),
        (psycopg.OperationalError("FATAL:  something new"), "other"),
        (psycopg.errors.UndefinedTable(), "other"),
    ],
)
def test_why_a_look_failed(error: psycopg.Error, reason: str) -> None:
    assert errors.reason(error) == reason
