"""The YAML vocabulary: what a `type:` in a defs file may be, and how it looks in Dagster.

Only this package and `definitions.py` know Dagster.
"""

from sync_assets.components.connections import Connections
from sync_assets.components.database_fleet import DatabaseFleet
from sync_assets.components.database_replica import DatabaseReplica
from sync_assets.components.repository_exchange import RepositoryExchange
from sync_assets.components.table_sync import TableSync

__all__ = ["Connections", "DatabaseFleet", "DatabaseReplica", "RepositoryExchange", "TableSync"]
