"""A local stand-in for Feishu Bitable: enough of the open platform to develop and test against, and to watch.

    with Emulator.start() as feishu:
        base = feishu.make_base("shop")
        table = feishu.make_table(base, "orders", [{"field_name": "id", "type": 1}])
        print(feishu.link(base, table))

Faithful to the documented protocol (codes with their HTTP statuses, caps, shapes, atomic batches, idempotency tokens,
rate limits); faults are armed on demand. Not emulated: formulas, views beyond the default one, uploads, events.
"""

from __future__ import annotations

from sync_assets.testing.bitable.client import Emulator
from sync_assets.testing.bitable.config import Config

__all__ = ["Config", "Emulator"]
