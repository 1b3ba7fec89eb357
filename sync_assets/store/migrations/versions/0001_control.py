"""Leases, journal of creates, states, rejects, incidents, runs."""

from __future__ import annotations

from sync_assets.store import migrations

revision = "0001"
down_revision = None


def upgrade() -> None:
    migrations.apply(__file__)
