"""What an exchanged thing is wherever it goes; who speaks for an installation; signed calls of the gateway."""

from __future__ import annotations

from sync_assets.store import migrations

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    migrations.apply(__file__)
