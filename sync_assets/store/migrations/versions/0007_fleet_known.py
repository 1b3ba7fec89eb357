"""Since when an instance of a fleet is known here: days before that were not observed, which is no gap."""

from __future__ import annotations

from sync_assets.store import migrations

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    migrations.apply(__file__)
