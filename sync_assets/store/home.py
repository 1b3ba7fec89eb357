"""Where a deployment keeps what is not code: one folder, absolute, the same for every process of the deployment.

Must not know what is kept in it.
"""

from __future__ import annotations

import os
from pathlib import Path

HOME_VARIABLE = "SYNC_ASSETS_HOME"


def project_root(start: Path | None = None) -> Path:
    """The nearest folder upwards of `start` (default: the working directory) with a workspace.yaml, else `start`."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "workspace.yaml").is_file():
            return folder
    return here


def home() -> Path:
    """`$SYNC_ASSETS_HOME`, else `.sync_assets` in the project root. A relative value counts from the project root."""
    named = os.environ.get(HOME_VARIABLE)
    return (project_root() / Path(named or ".sync_assets").expanduser()).resolve()
