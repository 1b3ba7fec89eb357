"""The statements for a server: its version and whether it is the root of a multitenant database decide their text.

In the root the CDB_ views are asked, which have all containers; elsewhere the DBA_ views. Nothing from outside gets
into the text but whole numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("statements.sql"))
_FLAGS = (12, 1, 0, 2)  # oracle_maintained, last_login, the type of an object
_MULTITENANT = (12, 1)
_CHANGED = (18,)  # password_change_date
_SCHEMAS = (23,)  # rights on schemas
# Before 12.1.0.2 only names tell what the installation made.
_SHIPPED = ("SYS", "SYSTEM", "XDB", "MDSYS", "CTXSYS", "ORDSYS", "ORDPLUGINS", "WMSYS", "OLAPSYS", "EXFSYS", "SYSMAN",
            "DBSNMP", "OUTLN", "ORACLE_OCM", "APPQOSSYS", "MDDATA", "SI_INFORMTN_SCHEMA", "ORDDATA",
            "LBACSYS")  # fmt: skip
_SHIPPED_ROLES = ("DBA", "SELECT_CATALOG_ROLE", "EXECUTE_CATALOG_ROLE", "DELETE_CATALOG_ROLE", "EXP_FULL_DATABASE",
                  "IMP_FULL_DATABASE", "GATHER_SYSTEM_STATISTICS", "HS_ADMIN_ROLE", "LOGSTDBY_ADMINISTRATOR",
                  "AQ_ADMINISTRATOR_ROLE", "AQ_USER_ROLE", "RECOVERY_CATALOG_OWNER", "SCHEDULER_ADMIN", "OEM_MONITOR",
                  "XDBADMIN", "DATAPUMP_EXP_FULL_DATABASE", "DATAPUMP_IMP_FULL_DATABASE")  # fmt: skip


def shipped_names() -> frozenset[str]:
    """Accounts and roles of the installation, for versions that do not say so themselves."""
    return frozenset((*_SHIPPED, *_SHIPPED_ROLES, "CONNECT", "RESOURCE"))


@dataclass(frozen=True, slots=True)
class Questions:
    """`root`: we are logged in to the root of a multitenant database."""

    version: tuple[int, ...]
    root: bool = False

    @property
    def where_we_are(self) -> str:
        return SQL["where_we_are" if self.version >= _MULTITENANT else "where_we_are_old"]

    @property
    def containers(self) -> str:
        return SQL["containers"]

    @property
    def users(self) -> str:
        return self._text(self._named("users"))

    @property
    def roles(self) -> str:
        return self._text(self._named("roles"))

    @property
    def memberships(self) -> str:
        return self._text(SQL["memberships"])

    @property
    def grants(self) -> str:
        text = self._named("grants")
        return self._text(text + "\nunion all\n" + SQL["schema_grants"] if self.version >= _SCHEMAS else text)

    @property
    def password_file(self) -> str:
        return self._text(SQL["password_file" if self.version >= _MULTITENANT else "password_file_old"])

    @property
    def files(self) -> str:
        return self._text(SQL["files"])

    @property
    def segments(self) -> str:
        return self._text(SQL["segments"])

    @property
    def logs(self) -> str:
        return SQL["logs"]

    def tables(self, top: int) -> str:
        return self._text(SQL["tables"]).replace("{top}", str(int(top)))

    def _named(self, name: str) -> str:
        return SQL[name if self.version >= _FLAGS else f"{name}_old"]

    def _text(self, text: str) -> str:
        """With the views of where we are, and the container in the rows and joins of the CDB_ views."""
        changed = "to_char(u.password_change_date, 'YYYY-MM-DD\"T\"HH24:MI:SS')" if self.version >= _CHANGED else "null"
        text = text.replace("{changed}", changed).replace("{views}", "cdb" if self.root else "dba")
        text = text.replace("{shipped}", _listed(_SHIPPED)).replace("{shipped_roles}", _listed(_SHIPPED_ROLES))
        text = re.sub(r"\{watched (\w)\}", lambda m: SQL["watched"].replace("{0}", m[1]), text)
        text = re.sub(r"\{con (\w)\}", r"to_char(\1.con_id)" if self.root else "'0'", text)
        text = re.sub(r"\{grouped (\w)\}", r"group by to_char(\1.con_id)" if self.root else "", text)
        return re.sub(r"\{same (\w) (\w)\}", r"and \1.con_id = \2.con_id" if self.root else "", text)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)
