"""Secrets at rest: the deployment's identity, the keys by id, the boxes."""

from __future__ import annotations

from sync_assets.store import migrations

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    migrations.apply(__file__)
