"""A project as Dagster definitions: each file's own by its component, and once what belongs to all of them.

A project is loaded and checked as a whole before any component builds, so that a wrong YAML is refused with every
fault of every file; the components and the run bodies then share that one project.
"""

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import dagster as dg
from dagster.components.core.component_tree import ComponentTree

from sync_assets.components.alerts import alert_sensors
from sync_assets.components.boards import board_asset
from sync_assets.components.execution import REAL, Execution
from sync_assets.components.freshness_sensor import freshness_sensor
from sync_assets.components.origins import Origin, origin_asset, origins, partitions_by_key
from sync_assets.components.schedules import schedules
from sync_assets.components.sensors import change_sensor
from sync_assets.project.load import PlacedSync, Project, load_project

DEFS_VARIABLE = "SYNC_ASSETS_DEFS"

_loaded: dict[Path, tuple[Project, dict[dg.AssetKey, Origin]]] = {}


def load_definitions(package: Path) -> dg.Definitions:
    """Definitions of the folder that SYNC_ASSETS_DEFS names, or of ``defs`` in `package`.

    Raises `ProjectInvalid` with all faults of all files.
    """
    chosen = os.environ.get(DEFS_VARIABLE)
    folder = Path(chosen).resolve() if chosen else package / "defs"
    _loaded.pop(folder, None)
    project, _ = project_at(folder)
    with beta_accepted():
        tree = _tree(folder) if chosen else ComponentTree.for_project(package)
        own = tree.build_defs() if any(folder.iterdir()) else dg.Definitions()
        return dg.Definitions.merge(own, shared_definitions(project))


def project_at(folder: Path) -> tuple[Project, dict[dg.AssetKey, Origin]]:
    """The project of a folder and its sources, loaded once a process."""
    folder = folder.resolve()
    if folder not in _loaded:
        project = load_project(folder)
        _loaded[folder] = project, origins(project)
    return _loaded[folder]


def _tree(folder: Path) -> ComponentTree:
    """A component tree over a folder that is no Python package: YAML only."""
    module = ModuleType("sync_assets_deployment")
    module.__file__, module.__path__ = None, [str(folder)]
    return ComponentTree.from_module(defs_module=module, project_root=folder.parent)


def file_definitions(
    project: Project, found: dict[dg.AssetKey, Origin], names: Iterable[str], execution: Execution = REAL
) -> dg.Definitions:
    """What one TableSync of one file stands for: its boards, its schedules, its sensor."""
    syncs = [project.syncs[name] for name in names]
    cut = partitions_by_key(found)
    sensor = change_sensor(project, syncs, execution, cut)
    return dg.Definitions(
        assets=[board_asset(project, sync, execution, cut) for sync in syncs],
        schedules=schedules(project, syncs),
        sensors=[sensor] if sensor else [],
    )


def shared_definitions(project: Project, execution: Execution = REAL) -> dg.Definitions:
    """What needs all files: sources that several syncs read, alerts, freshness, and how runs execute."""
    fresh = freshness_sensor(project)
    return dg.Definitions(
        assets=[origin_asset(project, origin, execution) for origin in origins(project).values()],
        sensors=[*alert_sensors(project, execution), *([fresh] if fresh else [])],
        executor=dg.in_process_executor,
    )


def whole_definitions(project: Project, execution: Execution) -> dg.Definitions:
    """All of a project without a component tree: for tests, and for the plain use from Python."""
    by_file: dict[str, list[PlacedSync]] = {}
    for sync in project.syncs.values():
        by_file.setdefault(f"{sync.path}:{sync.source}:{sync.target}", []).append(sync)
    found = origins(project)
    with beta_accepted():
        own = [file_definitions(project, found, [s.name for s in syncs], execution) for syncs in by_file.values()]
        return dg.Definitions.merge(*own, shared_definitions(project, execution))


@contextmanager
def beta_accepted() -> Iterator[None]:
    """Dagster's minor version is pinned, so that its warnings about beta parts say nothing new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield
