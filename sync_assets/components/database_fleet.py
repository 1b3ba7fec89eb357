"""The component that looks after many database servers: their accounts, what these may do, and their capacity."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import BaseModel

from sync_assets.components.deployment import fleet_definitions, known_at

if TYPE_CHECKING:
    from sync_assets.project.fleet_spec import DatabaseFleetSpec


class DatabaseFleet(dg.Component):
    """Many database servers: an inventory of their accounts and rights with its history, and their capacity by day,
    week, month and quarter.

    Instances are listed here, or in a table that a sensor reads. Each is a partition: one sick server is one red
    partition. Days without their data are recorded as gaps, with the reason, and periods say what they are missing.
    """

    def __init__(self, spec: "DatabaseFleetSpec") -> None:
        self.spec = spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The strict model itself, so that `dg check yaml` sees wrong words and types."""
        from sync_assets.project.fleet_spec import DatabaseFleetSpec

        return DatabaseFleetSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "DatabaseFleet":
        from sync_assets.project.fleet_spec import DatabaseFleetSpec

        if not isinstance(attributes, DatabaseFleetSpec):
            raise dg.DagsterInvalidDefinitionError("DatabaseFleet needs attributes: name, instances")
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return fleet_definitions(known_at(context.defs_module_path), self.spec.name)
