"""How the original asks a server for its accounts: one list, then two (MySQL) or four (PostgreSQL) queries an account.

Its own text cannot be run against MariaDB (it selects columns that mysql.user has not there), so each question is
replaced by one of the same kind and number. Nothing is parsed and nothing stored: only the trips are made.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
import pymysql

CONNECT_SECONDS = 10


def mysql(host: str, port: int, user: str, password: str) -> int:
    """1 + 2N statements on one connection. Returns how many there were."""
    connection = pymysql.connect(
        host=host, port=port, user=user, password=password, connect_timeout=CONNECT_SECONDS, ssl_disabled=True
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("select User, Host from mysql.user where User <> '' and is_role = 'N'")
        accounts: list[Any] = list(cursor.fetchall())
        for name, at in accounts:
            with suppress(pymysql.err.OperationalError):  # of what the installation left half made: a trip all the same
                cursor.execute("show grants for %s@%s", (name, at))
                cursor.fetchall()
            cursor.execute(
                "select Super_priv, Grant_priv, plugin from mysql.user where User = %s and Host = %s", (name, at)
            )
            cursor.fetchall()
    return 1 + 2 * len(accounts)


_OF_A_ROLE = (
    "select rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolvaliduntil from pg_roles where rolname = %(name)s",
    "select g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles r on r.oid = m.member"
    " where r.rolname = %(name)s",
    "select datname, has_database_privilege(%(name)s, datname, 'CONNECT'), has_database_privilege(%(name)s, datname,"
    " 'CREATE') from pg_database where datallowconn",
    "select spcname, has_tablespace_privilege(%(name)s, spcname, 'CREATE') from pg_tablespace",
)


def postgres(host: str, port: int, user: str, password: str) -> int:
    """1 + 4N statements on one connection. Returns how many there were."""
    connection = psycopg.connect(
        host=host, port=port, user=user, password=password, dbname="postgres", autocommit=True,
        connect_timeout=CONNECT_SECONDS, sslmode="disable", gssencmode="disable",
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        roles = cursor.execute("select rolname from pg_roles where rolname !~ '^pg_'").fetchall()
        for (name,) in roles:
            for statement in _OF_A_ROLE:
                cursor.execute(statement, {"name": name}).fetchall()
    return 1 + 4 * len(roles)
