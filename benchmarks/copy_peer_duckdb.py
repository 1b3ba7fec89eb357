"""DuckDB as a mover, run by the peers' interpreter: attach both databases, INSERT .. SELECT.

Its extensions come as wheels (duckdb-extension-postgres-scanner) or are downloaded on first use.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


def main(asked: dict[str, Any]) -> None:
    import duckdb  # type: ignore[import-not-found]

    connection = duckdb.connect()
    for side in ("source", "target"):
        address = urlsplit(asked[side])
        kind = "mysql" if address.scheme == "mysql" else "postgres"
        load(connection, kind)
        name = "database" if kind == "mysql" else "dbname"
        words = (f"host={address.hostname} port={address.port} user={address.username}"
                 f" password={unquote(address.password or '')} {name}={address.path[1:]}")  # fmt: skip
        connection.execute(f"attach '{words}' as {side} (type {kind})")
    for table in asked["tables"]:
        connection.execute(f"insert into target.{table} select * from source.{table}")


def load(connection: Any, kind: str) -> None:
    found = [
        p for folder in sys.path for p in Path(folder).glob(f"duckdb_extension_{kind}_scanner/**/*.duckdb_extension")
    ]
    connection.execute(f"load '{found[0]}'" if found else f"install {kind}; load {kind}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
