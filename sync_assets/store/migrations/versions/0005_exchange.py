"""Exchange: repositories, tasks and documents, ids of other installations, syncs; keys and users of the gateway."""

from __future__ import annotations

from sync_assets.store import migrations

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    migrations.apply(__file__)
