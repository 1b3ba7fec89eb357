"""Loads the fixture modules: one `fix_*.py` a theme, each owning its options and markers."""

from __future__ import annotations

import os
from pathlib import Path

# Nothing of the developer's own deployment may leak into tests.
for name in [n for n in os.environ if n.startswith(("SYNC_ASSETS_", "DAGSTER_", "PG"))]:
    del os.environ[name]

pytest_plugins = [f"sync_assets_tests.{p.stem}" for p in sorted(Path(__file__).parent.glob("fix_*.py"))]
