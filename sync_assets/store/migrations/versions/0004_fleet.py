"""The fleet: instances, accounts as validity intervals, sizes, periods, classes."""

from __future__ import annotations

from sync_assets.store import migrations

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    migrations.apply(__file__)
