"""The first question to a SQL Server: who are you, and what may I see.

Catalog views of SQL Server answer short and without an error where a right is missing (metadata visibility), so what
they say counts only when the right is proven: HAS_PERMS_BY_NAME. Knows no rows of accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sync_assets.fleet.model import SectionState, ServerFact, Status

_OLDEST = 11  # 2012: nested roles of the server, authentication_type
_AZURE_SQL_DATABASE = 5
SEE_ALL = "no right to see all definitions: grant view any definition and connect any database to this login"


@dataclass(frozen=True, slots=True)
class Probe:
    """`definitions`: may see all definitions; `databases`: sees all databases."""

    server: ServerFact
    edition: int
    definitions: bool
    databases: bool

    @property
    def major(self) -> int:
        return self.server.version[0]

    @property
    def unsupported(self) -> SectionState | None:
        """Why nothing at all can be read here, if so."""
        if self.edition == _AZURE_SQL_DATABASE:
            return SectionState(Status.UNSUPPORTED, "a database of Azure SQL has no catalog of the server")
        if self.major < _OLDEST:
            return SectionState(Status.UNSUPPORTED, f"{self.server} is too old: 2012 (11) or newer")
        return None


def read_probe(cells: Sequence[str | None]) -> Probe:
    """The row of `probe` in statements.sql."""
    version, text, edition, definitions, databases = (c or "" for c in cells)
    numbers = tuple(int(n) for n in version.split(".") if n.isdigit()) or (0,)
    server = ServerFact("sqlserver", "SQL Server", numbers, text)
    return Probe(server, int(edition or 0), definitions == "1", databases == "1")
