"""What is asked of one run: the settings of a sync that the engine needs, whatever file they were written in."""

from __future__ import annotations

from dataclasses import dataclass, field

from sync_assets.engine.guard import DeleteLimit
from sync_assets.engine.model import Mode


@dataclass(frozen=True, slots=True)
class Job:
    """One sync, ready to run. `seed` makes the batch marks of mode append: the same for every retry of one run."""

    sync: str
    mode: Mode = Mode.FULL
    key: tuple[str, ...] = ()
    watermark: str | None = None
    lookback: float = 3600.0
    partition_column: str | None = None
    source_duplicates: str = "error"
    target_duplicates: str = "error"
    delete_limit: DeleteLimit = field(default_factory=DeleteLimit)
    allow_empty_source: bool = False
    accept_shrunken: bool = False
    reject_limit: int = 100
    clear_unmapped: bool = False
    append_column: str = "sync_batch"
    rescan: bool = False
    seed: str = ""
    spec_digest: str = ""
