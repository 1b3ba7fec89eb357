"""The component that keeps many tables of one database in step with their copies in another."""

from pathlib import Path

import dagster as dg
from dagster.components.utils.defs_state import DefsStateConfig
from dagster_shared.serdes.objects.models.defs_state_info import LOCAL_STATE_VERSION, DefsStateManagementType
from pydantic import BaseModel

from sync_assets.components import listings
from sync_assets.components.deployment import known_at, replica_definitions
from sync_assets.components.execution import REAL
from sync_assets.project.replica_spec import DatabaseReplicaSpec


class DatabaseReplica(dg.StateBackedComponent):
    """Tables of one database, by pattern, each kept in step with its copy in another database.

    Every table becomes an asset `target/schema/table` in a group of its schema; foreign keys are lineage. The source is
    asked which tables there are by `dagster dev` as it starts, by `dg utils refresh-defs-state`, and by materialising
    `target/NAME_tables`; the list is kept in a file, so that definitions load while a database is down.
    """

    def __init__(self, spec: DatabaseReplicaSpec, folder: Path) -> None:
        self.spec, self._folder = spec, folder

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The strict model itself, so that `dg check yaml` sees wrong words and types."""
        return DatabaseReplicaSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "DatabaseReplica":
        if not isinstance(attributes, DatabaseReplicaSpec):
            raise dg.DagsterInvalidDefinitionError("DatabaseReplica needs attributes: name, source, target, tables")
        made = cls(attributes, context.defs_module_path)
        context.component_tree.mark_component_defs_state_key(
            defs_state_key=made.defs_state_config.key, loc=context.component_loc
        )
        return made

    @property
    def defs_state_config(self) -> DefsStateConfig:
        """Said for `dg`; the file is ours (`components.listings`): Dagster's would go before the new one is there."""
        return DefsStateConfig(
            key=f"DatabaseReplica[{self.spec.name}]",
            management_type=DefsStateManagementType.LOCAL_FILESYSTEM,
            refresh_if_dev=True,
        )

    async def refresh_state(self, project_root: Path) -> str:
        """Ask the source for its tables and keep the list. Raises `Stop` or `Retry`, and then keeps the old one."""
        self.write_state_to_path(listings.place(self.spec.name))
        return LOCAL_STATE_VERSION

    def write_state_to_path(self, state_path: Path) -> None:
        project = known_at(self._folder).project
        listings.write(state_path, REAL.list_tables(project, project.replica(self.spec.name)))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return self.build_defs_from_state(context, listings.place(self.spec.name))

    def build_defs_from_state(self, context: dg.ComponentLoadContext, state_path: Path | None) -> dg.Definitions:
        """The list was read when the project was loaded, for all replicas: some assets need to know of others."""
        return replica_definitions(known_at(context.defs_module_path), self.spec.name)
