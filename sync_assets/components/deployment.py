"""A project as Dagster definitions: each file's own by its component, and once what belongs to all of them.

A project is loaded and checked as a whole before any component builds, so that a wrong YAML is refused with every
fault of every file; the components and the run bodies then share that one project.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._utils.env import using_dagster_dev
from dagster.components.core.component_tree import ComponentTree

from sync_assets.components import listings, naming
from sync_assets.components.alerts import alert_sensors
from sync_assets.components.execution import REAL, Execution
from sync_assets.components.freshness_sensor import freshness_sensor
from sync_assets.components.origins import Origin, origin_asset, origins, partitions_by_key
from sync_assets.components.replica_assets import Tables, known_tables, replica_assets, source_specs
from sync_assets.components.schedules import schedules
from sync_assets.components.sensors import change_sensor
from sync_assets.components.written import written_asset
from sync_assets.engine.errors import SyncError
from sync_assets.project.load import PlacedSync, Project, load_project
from sync_assets.project.replicas import Listing

if TYPE_CHECKING:
    from sync_assets.components.exchange_execution import ExchangeExecution
    from sync_assets.components.fleet_execution import FleetExecution

DEFS_VARIABLE = "SYNC_ASSETS_DEFS"


@dataclass(frozen=True, slots=True)
class Known:
    """A project with what follows from all of its files: its sources, and the tables of its replicas."""

    project: Project
    origins: Mapping[dg.AssetKey, Origin]
    tables: Mapping[str, Tables]

    @property
    def replicated(self) -> list[PlacedSync]:
        return [sync for tables in self.tables.values() for sync in tables.syncs.values()]


_loaded: dict[Path, Known] = {}


def load_definitions(package: Path) -> dg.Definitions:
    """Definitions of the folder that SYNC_ASSETS_DEFS names, or of ``defs`` in `package`.

    Raises `ProjectInvalid` with all faults of all files.
    """
    chosen = os.environ.get(DEFS_VARIABLE)
    folder = Path(chosen).resolve() if chosen else package / "defs"
    _loaded.pop(folder, None)
    known = known_at(folder, refresh=_is_dev_start())
    with beta_accepted():
        tree = _tree(folder) if chosen else ComponentTree.for_project(package)
        own = tree.build_defs() if any(folder.iterdir()) else dg.Definitions()
        return dg.Definitions.merge(own, shared_definitions(known))


def known_at(folder: Path, *, refresh: bool = False) -> Known:
    """The project of a folder, loaded once a process. With `refresh`, sources are asked for their tables first."""
    folder = folder.resolve()
    if folder not in _loaded:
        project = load_project(folder)
        if refresh:
            _refresh(project)
        _loaded[folder] = known_of(project, {name: listings.kept(name) for name in project.replicas})
    return _loaded[folder]


def known_of(project: Project, lists: Mapping[str, Listing | None]) -> Known:
    """What follows from a project and the kept lists of its replicas."""
    taken = {naming.written_key(sync) for sync in project.syncs.values()}
    tables: dict[str, Tables] = {}
    for name, replica in project.replicas.items():
        tables[name] = known_tables(replica, lists.get(name), taken)
        taken |= {naming.written_key(sync) for sync in tables[name].syncs.values()}
    replicated = [sync for one in tables.values() for sync in one.syncs.values()]
    return Known(project, origins(project, replicated), tables)


def _is_dev_start() -> bool:
    """Whether `dagster dev` is starting a code server: the time to look for new tables. Runs never do."""
    return using_dagster_dev() and DefinitionsLoadContext.get().load_type is DefinitionsLoadType.INITIALIZATION


def _refresh(project: Project) -> None:
    """Ask each source for its tables. One that cannot be asked keeps its list: definitions load all the same."""
    for name, replica in project.replicas.items():
        try:
            listings.keep(name, REAL.list_tables(project, replica))
        except SyncError as error:
            dg.get_dagster_logger("sync_assets").warning(f"{name}: its tables could not be listed: {error}")


def _tree(folder: Path) -> ComponentTree:
    """A component tree over a folder that is no Python package: YAML only."""
    module = ModuleType("sync_assets_deployment")
    module.__file__, module.__path__ = None, [str(folder)]
    return ComponentTree.from_module(defs_module=module, project_root=folder.parent)


def file_definitions(known: Known, names: Iterable[str], execution: Execution = REAL) -> dg.Definitions:
    """What one TableSync of one file stands for: its boards and tables, its schedules, its sensor."""
    project = known.project
    syncs = [project.syncs[name] for name in names]
    cut = partitions_by_key(known.origins)
    sensor = change_sensor(project, syncs, execution, cut)
    return dg.Definitions(
        assets=[written_asset(project, sync, execution, cut) for sync in syncs],
        schedules=schedules(project, syncs),
        sensors=[sensor] if sensor else [],
    )


def replica_definitions(known: Known, name: str, execution: Execution = REAL) -> dg.Definitions:
    """What one DatabaseReplica stands for: its tables, the list of them, its schedules."""
    tables = known.tables[name]
    return dg.Definitions(
        assets=replica_assets(known.project, tables, execution),
        schedules=schedules(known.project, list(tables.syncs.values()), naming.slug(name)),
    )


def fleet_definitions(known: Known, name: str, execution: "FleetExecution | None" = None) -> dg.Definitions:
    """What one DatabaseFleet stands for. Its code is loaded only where a deployment has one."""
    from sync_assets.components.fleet_assets import Made, fleet_assets
    from sync_assets.components.fleet_execution import REAL_FLEET
    from sync_assets.components.fleet_kept import kept
    from sync_assets.components.fleet_partitions import cut_of
    from sync_assets.components.fleet_schedules import fleet_schedules
    from sync_assets.components.fleet_sensors import fleet_sensors

    fleet = known.project.fleet(name)
    cut = cut_of(fleet, kept(name), datetime.now(fleet.time_zone).date())
    made = Made(known.project, fleet, cut, execution or REAL_FLEET)
    return dg.Definitions(assets=fleet_assets(made), schedules=fleet_schedules(made), sensors=fleet_sensors(made))


def exchange_definitions(known: Known, name: str, execution: "ExchangeExecution | None" = None) -> dg.Definitions:
    """What one RepositoryExchange stands for. Its code is loaded only where a deployment has one."""
    from sync_assets.components.exchange_assets import Made, exchange_assets
    from sync_assets.components.exchange_execution import REAL_EXCHANGE
    from sync_assets.components.exchange_schedules import exchange_schedules
    from sync_assets.components.exchange_sensors import exchange_sensors

    made = Made(known.project, known.project.exchange(name), execution or REAL_EXCHANGE)
    return dg.Definitions(
        assets=exchange_assets(made), schedules=exchange_schedules(made), sensors=exchange_sensors(made)
    )


def shared_definitions(known: Known, execution: Execution = REAL) -> dg.Definitions:
    """What needs all files: sources that several syncs read, alerts, freshness, and how runs execute."""
    project = known.project
    fresh = freshness_sensor(project)
    shown = {naming.written_key(sync) for sync in (*project.syncs.values(), *known.replicated)} | set(known.origins)
    return dg.Definitions(
        assets=[
            *(origin_asset(project, origin, execution) for origin in known.origins.values()),
            *source_specs(project, known.tables.values(), shown),
        ],
        sensors=[*alert_sensors(project, execution, known.replicated), *([fresh] if fresh else [])],
        executor=dg.in_process_executor,
    )


def whole_definitions(
    project: Project,
    execution: Execution,
    lists: Mapping[str, Listing] = MappingProxyType({}),
    fleets: "FleetExecution | None" = None,
    exchanges: "ExchangeExecution | None" = None,
) -> dg.Definitions:
    """All of a project without a component tree: for tests, and for the plain use from Python."""
    by_file: dict[str, list[PlacedSync]] = {}
    for sync in project.syncs.values():
        by_file.setdefault(f"{sync.path}:{sync.source}:{sync.target}", []).append(sync)
    known = known_of(project, lists)
    with beta_accepted():
        own = [file_definitions(known, [s.name for s in syncs], execution) for syncs in by_file.values()]
        own += [replica_definitions(known, name, execution) for name in project.replicas]
        own += [fleet_definitions(known, name, fleets) for name in project.fleets]
        own += [exchange_definitions(known, name, exchanges) for name in project.exchanges]
        return dg.Definitions.merge(*own, shared_definitions(known, execution))


@contextmanager
def beta_accepted() -> Iterator[None]:
    """Dagster's minor version is pinned, so that its warnings about beta and preview parts say nothing new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        yield
