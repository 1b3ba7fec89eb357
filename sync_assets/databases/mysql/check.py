"""What `sync-assets check` says about a MySQL or MariaDB connection. Reads grants and information_schema only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pymysql

from sync_assets.databases.base import reachable
from sync_assets.engine.errors import SyncError
from sync_assets.engine.model import Finding

if TYPE_CHECKING:
    from sync_assets.databases.mysql import MySQLDatabase

READER = "make a reader: create user 'reader'@'%' identified by '...'; grant select, show view on D.* to 'reader'@'%'"
# Rights that change nothing that is kept. LOCK TABLES (with the right to read) makes others wait and writes no row.
# Not here: RELOAD (RESET throws binary logs away), EVENT, TRIGGER and CREATE VIEW (things that stay are made), FILE.
_HARMLESS = {"USAGE", "SELECT", "SHOW VIEW", "SHOW DATABASES", "PROCESS", "LOCK TABLES", "REPLICATION CLIENT",
             "BINLOG MONITOR", "REPLICATION SLAVE", "SLAVE MONITOR", "REPLICA MONITOR", "SHOW CREATE ROUTINE", "PROXY",
             "SHOW_ROUTINE", "FLUSH_TABLES", "FLUSH_STATUS", "BACKUP_ADMIN"}  # fmt: skip
_OLDEST = {True: (10, 3), False: (5, 7)}


def check(database: MySQLDatabase) -> list[Finding]:
    """Address, login, TLS, version, rights. Stops at the first that makes the rest senseless; one login."""
    args = database.args
    findings = [] if args.socket else [reachable(args, 3306)]
    if not all(f.ok for f in findings):
        return findings
    try:
        database.connect()
        findings.append(Finding(True, f"login as {args.user} to {args.database}"))
        findings += _server(database)
        findings += _rights(database)
    except SyncError as error:
        findings.append(Finding(False, error.message, error.hint))
    except pymysql.Error as error:
        told = database.classify(error)
        findings.append(Finding(False, told.message, told.hint))
    return findings


def _server(database: MySQLDatabase) -> list[Finding]:
    args = database.args
    text = str(database.connection.get_server_info())
    cipher = _rows(database, "show session status like 'Ssl_cipher'")
    encrypted = bool(cipher and cipher[0][1])
    numbers = re.search(r"(?:5\.5\.5-)?(\d+)\.(\d+)", text)
    version = (int(numbers.group(1)), int(numbers.group(2))) if numbers else (0, 0)
    oldest = _OLDEST[database.mariadb]
    hint = "" if version >= oldest else f"version {oldest[0]}.{oldest[1]} or newer is needed"
    return [
        Finding(
            True,
            "encrypted" if encrypted else "not encrypted",
            "" if encrypted or args.socket or args.tls == "off" else "switch TLS on at the server",
        ),
        Finding(version >= oldest, f"{'MariaDB' if database.mariadb else 'MySQL'} {version[0]}.{version[1]}", hint),
    ]


def _rights(database: MySQLDatabase) -> list[Finding]:
    count = int(_rows(database, "select count(*) from information_schema.tables where table_schema = database()")[0][0])
    found = Finding(count > 0, f"may see {count} tables", "" if count else READER, about="reading")
    could = writes(str(row[0]) for row in _rows(database, "show grants"))
    if could:
        what = f"this user could do more than read: {', '.join(could)[:120]}"
        return [found, Finding(True, what, READER, about="writing")]
    return [found, Finding(True, "this user can only read")]


def writes(grants: Iterable[str]) -> list[str]:
    """The privileges in SHOW GRANTS that do more than read. A role that was granted is named: its own are unknown."""
    found: list[str] = []
    for grant in grants:
        match = re.match(r"GRANT (.+?) ON .+? TO ", grant, re.S)
        listed = match.group(1) if match else _role(grant)
        for privilege in re.sub(r"\([^)]*\)", "", listed).split(","):
            name = privilege.strip()
            if name and name.upper() not in _HARMLESS and name not in found:
                found.append(name)
    return found


def _role(grant: str) -> str:
    match = re.match(r"GRANT (.+) TO ", grant)
    return f"role {match.group(1)}" if match else ""


def _rows(database: MySQLDatabase, sql: str) -> list[tuple[Any, ...]]:
    with database.connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
