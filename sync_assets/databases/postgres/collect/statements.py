"""Which statements a version of PostgreSQL gets, made from the named pieces of the `.sql` files beside.

What differs by version, after the documentation of its catalogs: `pg_parameter_acl` since 15; grantor, INHERIT and SET
of a membership since 16; default privileges of large objects since 18. Everything else is the same since 12.
"""

from __future__ import annotations

from pathlib import Path

from sync_assets.store.sql import read_named

_ACCOUNTS = read_named(Path(__file__).with_name("accounts.sql"))
_CAPACITY = read_named(Path(__file__).with_name("capacity.sql"))
_PARAMETERS = 150000
_GRANTORS = 160000

Asked = dict[str, str]  # name -> statement


def begin(seconds: int, *, recoded: bool = True) -> str:
    """Opens the snapshot. `seconds` is the longest that one statement may run; without `recoded` bytes come raw."""
    sql = _ACCOUNTS["begin"].replace("{seconds}", str(int(seconds)))
    return sql if recoded else f"{sql};\n{_ACCOUNTS['raw']}"


def first() -> Asked:
    return {name: _ACCOUNTS[name] for name in ("keep", "myself", "databases")}


def cluster(version: int, passwords: bool) -> Asked:
    """Roles, memberships, and the ACLs of databases, tablespaces and parameters."""
    things = _ACCOUNTS["cluster"] + (f"\n{_ACCOUNTS['parameters']}" if version >= _PARAMETERS else "")
    return {
        "principals": _principals(passwords),
        "memberships": _ACCOUNTS["memberships" if version >= _GRANTORS else "memberships_before"],
        "cluster_grants": _ACCOUNTS["grants"].replace("{things}", things),
    }


def _principals(passwords: bool) -> str:
    """With the kinds of passwords only where pg_authid may be read: naming it is refused otherwise."""
    sql = _ACCOUNTS["principals"].replace("{authid}", _ACCOUNTS["authid"] if passwords else "")
    sql = sql.replace("{password}", _ACCOUNTS["passwords"] if passwords else "null::boolean")
    return sql.replace("{password_type}", _ACCOUNTS["password_types"] if passwords else "null::text")


def database() -> Asked:
    """All ACLs of the database of the session."""
    return {"grants": _ACCOUNTS["grants"].replace("{things}", _ACCOUNTS["database"])}


def sizes(wal: bool) -> Asked:
    return {"sizes": _CAPACITY["sizes"]} | ({"wal": _CAPACITY["wal"]} if wal else {})


def tables(top: int) -> Asked:
    """The largest tables of the database of the session, and its sums."""
    return {"tables": _CAPACITY["tables"].replace("{top}", str(int(top)))}
