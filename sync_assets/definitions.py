"""What Dagster loads: the deployment written in `defs/`, or in the folder that SYNC_ASSETS_DEFS names."""

from pathlib import Path

import dagster as dg

from sync_assets.components.deployment import load_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """The whole deployment. A wrong YAML file is refused with every fault and its line."""
    return load_definitions(Path(__file__).parent)
