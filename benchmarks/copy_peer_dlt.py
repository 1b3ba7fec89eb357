"""dlt as a mover, run by the peers' interpreter: its `sql_database` source with the backend that is fastest here."""

from __future__ import annotations

import json
import sys
from typing import Any


def main(asked: dict[str, Any]) -> None:
    import dlt  # type: ignore[import-not-found]
    from dlt.sources.sql_database import sql_database  # type: ignore[import-not-found]

    address = asked["source"].replace("mysql:", "mysql+pymysql:").replace("postgresql:", "postgresql+psycopg2:")
    source = sql_database(
        address, schema=asked["source_schema"], table_names=asked["tables"], backend="connectorx",
        backend_kwargs={"conn": asked["source"]}, reflection_level="full_with_precision",
    )  # fmt: skip
    target = dlt.destinations.postgres(asked["target"])
    pipeline = dlt.pipeline("bench", destination=target, dataset_name="public", pipelines_dir=asked["folder"] + "/dlt")
    pipeline.run(source, write_disposition="replace").raise_on_failed_jobs()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
