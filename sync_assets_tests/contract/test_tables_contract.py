"""Each database that tables are copied to and from keeps the contract of `sync_assets.testing.tables`."""

from __future__ import annotations

from sync_assets.testing.tables.contract_digests import *  # noqa: F403
from sync_assets.testing.tables.contract_faults import *  # noqa: F403
from sync_assets.testing.tables.contract_ledger import *  # noqa: F403
from sync_assets.testing.tables.contract_merge import *  # noqa: F403
from sync_assets.testing.tables.contract_reading import *  # noqa: F403
from sync_assets.testing.tables.contract_rows import *  # noqa: F403
from sync_assets.testing.tables.contract_swap import *  # noqa: F403
from sync_assets.testing.tables.desk import at  # noqa: F401
