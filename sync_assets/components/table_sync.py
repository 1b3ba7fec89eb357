"""The component that keeps boards and tables in step with tables and queries of one database."""

import dagster as dg
from pydantic import BaseModel

from sync_assets.components.deployment import file_definitions, known_at
from sync_assets.project.spec import TableSyncSpec


class TableSync(dg.Component):
    """Tables and queries of one database, each kept in step with a Feishu Bitable board or a table.

    Every sync becomes a materialisable asset, `target/name` for a board and `target/schema/table` for a table. It
    depends on the observable assets of the tables it reads, and has its partitions, checks, schedule and sensor. Names
    of syncs are unique in a deployment.
    """

    def __init__(self, spec: TableSyncSpec) -> None:
        self.spec = spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The strict model itself, so that `dg check yaml` sees wrong words and types."""
        return TableSyncSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "TableSync":
        if not isinstance(attributes, TableSyncSpec):
            raise dg.DagsterInvalidDefinitionError("TableSync needs attributes: source, target, syncs")
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        known = known_at(context.defs_module_path)
        return file_definitions(known, [sync.name for sync in self.spec.syncs])
