"""How the grant tables spell privileges: a mask of bits in MariaDB, columns of Y and N, and sets of words.

Masks after MariaDB's sql/privilege.h and its reading in sql/sql_acl.cc (`adjust_access`): what an older version wrote
is read as the running one reads it. Must not know how rows are fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rights:
    """The privileges at one level, and whether they may be handed on."""

    names: frozenset[str]
    grantable: bool

    def rows(self) -> list[str]:
        """What a level's grants are made of. Where only GRANT OPTION was given it is USAGE, as the servers say it."""
        return sorted(self.names) or (["USAGE"] if self.grantable else [])


_BITS = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "SHUTDOWN", "PROCESS", "FILE", "GRANT OPTION",
    "REFERENCES", "INDEX", "ALTER", "SHOW DATABASES", "SUPER", "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE",
    "REPLICATION SLAVE", "BINLOG MONITOR", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE",
    "CREATE USER", "EVENT", "TRIGGER", "CREATE TABLESPACE", "DELETE HISTORY", "SET USER", "FEDERATED ADMIN",
    "CONNECTION ADMIN", "READ_ONLY ADMIN", "REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "BINLOG ADMIN",
    "BINLOG REPLAY", "SLAVE MONITOR", "SHOW CREATE ROUTINE",
)  # fmt: skip
_BIT = {name: 1 << at for at, name in enumerate(_BITS)}
_EVERYTHING = 2**64 - 1  # what the installer writes for root
_SPLIT_FROM_SUPER = sum(_BIT[n] for n in ("SET USER", "FEDERATED ADMIN", "CONNECTION ADMIN", "READ_ONLY ADMIN",
                                          "REPLICATION SLAVE ADMIN", "BINLOG ADMIN", "BINLOG REPLAY"))  # fmt: skip
# The last bit that a version knew: a mask with later ones is broken, and the server reads it as no privilege.
_KNOWN = (((11, 3, 0), 40), ((10, 5, 8), 39), ((10, 5, 2), 38), ((0,), 30))


def masked(access: int, written_by: int, server: Version) -> Rights:
    """The global privileges in a mask of `mysql.global_priv`. `written_by` is its version_id (0: before 10.5.2)."""
    if access == _EVERYTHING:
        access = (1 << _known(server)) - 1
    elif not (written_by == 0 or 100400 <= written_by <= 999999):
        return Rights(frozenset(), False)
    elif server >= (10, 5, 2):
        access = _adjusted(access, written_by)
    names = {_BITS[at] for at in range(_known(server)) if access >> at & 1}
    if server < (10, 5, 2) and "BINLOG MONITOR" in names:
        names = names - {"BINLOG MONITOR"} | {"REPLICATION CLIENT"}
    return Rights(frozenset(names - {"GRANT OPTION"}), "GRANT OPTION" in names)


def _known(version: Version) -> int:
    return next(bits for since, bits in _KNOWN if version >= since)


def _adjusted(access: int, written_by: int) -> int:
    """What 10.5.2 and later make of a mask: it split SUPER and REPLICATION CLIENT into several."""
    written = (written_by // 10000, written_by // 100 % 100, written_by % 100)
    if access >> _known(written):
        return 0
    if written >= (10, 5, 9):
        return access
    if written >= (10, 5, 2):
        return access | (_BIT["SLAVE MONITOR"] if access & _BIT["REPLICATION SLAVE ADMIN"] else 0)
    if access & _BIT["SUPER"]:
        replicates = access & _BIT["REPLICATION SLAVE"]
        access |= _SPLIT_FROM_SUPER | (_BIT["REPLICATION MASTER ADMIN"] if replicates else 0)
    if access & (_BIT["BINLOG MONITOR"] | _BIT["REPLICATION SLAVE"]):
        access |= _BIT["SLAVE MONITOR"]
    return access


# Columns `X_priv` whose privilege is not X with blanks.
_COLUMNS = {
    "GRANT": "GRANT OPTION", "SHOW DB": "SHOW DATABASES", "CREATE TMP TABLE": "CREATE TEMPORARY TABLES",
    "REPL SLAVE": "REPLICATION SLAVE", "REPL CLIENT": "REPLICATION CLIENT", "DELETE VERSIONING ROWS": "DELETE HISTORY",
}  # fmt: skip


def flagged(columns: Sequence[str], flags: str) -> Rights:
    """The privileges in columns of Y and N. `columns` are the tables' own, `flags` their letters side by side."""
    names = {_of_column(c) for c, flag in zip(columns, flags, strict=True) if flag == "Y"}
    return Rights(frozenset(names - {"GRANT OPTION"}), "GRANT OPTION" in names)


def _of_column(column: str) -> str:
    words = column.upper().removesuffix("_PRIV").replace("_", " ")
    return _COLUMNS.get(words, words)


def listed(words: str) -> Rights:
    """The privileges in a SET column: ``Select,Create View,Grant``."""
    names = {_COLUMNS.get(w.upper(), w.upper()) for w in words.split(",") if w}
    return Rights(frozenset(names - {"GRANT OPTION"}), "GRANT OPTION" in names)
