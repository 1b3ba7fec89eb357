"""History: when a run began, and which process does it."""

from __future__ import annotations

from sync_assets.store import migrations

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    migrations.apply(__file__)
