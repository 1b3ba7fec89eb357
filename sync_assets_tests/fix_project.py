"""Projects as YAML in a temporary folder: scripted ones for the definitions alone, and real ones over real servers."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sync_assets.components.execution import Execution, Notice
from sync_assets.engine.model import Counts, Delivery, Mode, Observation, Progress, Report, SyncErrorInfo
from sync_assets.project.load import Project, load_project
from sync_assets.testing.memory import MemoryStore

CONNECTIONS = """
type: sync_assets.components.Connections
attributes:
  connections:
    - {type: mysql, name: shop, database: shop, user: reader, password: "env:SHOP_PASSWORD"}
    - {type: feishu, name: feishu, app_id: cli_1, app_secret: "env:FEISHU_SECRET"}
    - {type: feishu_bot, name: ops, webhook: "env:OPS_WEBHOOK"}
"""


def write_defs(folder: Path, **files: str) -> Path:
    """One sub-folder with a defs.yaml for each of `files`; returns the folder."""
    for name, text in files.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "defs.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


@dataclass
class Script:
    """An engine that does nothing but what a test says, and remembers what it was asked."""

    fail: dict[str, SyncErrorInfo] = field(default_factory=dict)  # partition ("" without) -> how it fails
    error: Exception | None = None  # raised instead
    seen: dict[str, Observation] = field(default_factory=dict)  # partition -> what a look finds
    report: dict[str, Any] = field(default_factory=dict)  # more fields of the report
    runs: list[tuple[str, tuple[str, ...] | None]] = field(default_factory=list)
    looks: list[tuple[str, tuple[str, ...] | None]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    notices: list[tuple[str, Notice]] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)

    def run(
        self,
        project: Project,
        name: str,
        *,
        partitions: Sequence[str] | None,
        mode: Mode | None = None,
        run_id: str,
        progress: Progress,
        accept_empty: bool = False,
    ) -> Report:
        self.runs.append((name, None if partitions is None else tuple(partitions)))
        self.asked.append({"mode": mode, "run_id": run_id, "accept_empty": accept_empty})
        if self.error is not None:
            raise self.error
        good = [key for key in (partitions if partitions is not None else [""]) if key not in self.fail]
        failed = {key: self.fail[key] for key in (partitions or [""]) if key in self.fail}
        counts = {key: Counts(read=3, created=2, unchanged=1) for key in good}
        total = sum(counts.values(), Counts())
        plain = {"counts": total, "partitions": counts, "failed": failed, "equal": True, "seconds": 1.0}
        return Report(name, mode or Mode.FULL, Delivery.TOKEN, **plain | self.report)

    def observe(self, project: Project, name: str, partitions: Sequence[str] | None) -> Mapping[str, Observation]:
        self.looks.append((name, None if partitions is None else tuple(partitions)))
        if self.error is not None:
            raise self.error
        return {key: self.seen.get(key, Observation(0, None)) for key in (partitions or [""])}

    @property
    def execution(self) -> Execution:
        def notify(project: Project, bot: str, notice: Notice) -> None:
            self.notices.append((bot, notice))

        return Execution(run=self.run, observe=self.observe, open_store=lambda: self.store, notify=notify)


@pytest.fixture
def script() -> Script:
    return Script()


ProjectOf = Callable[..., Project]


@pytest.fixture
def project_of(tmp_path: Path) -> ProjectOf:
    """`project_of(shop="...yaml...")`: a loaded project of these files and three connections."""

    def load(**files: str) -> Project:
        return load_project(write_defs(tmp_path / "defs", connections=CONNECTIONS, **files))

    return load
