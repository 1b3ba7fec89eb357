"""The component that keeps repositories, with their tasks and documents, in step with other installations."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import BaseModel

from sync_assets.components.deployment import exchange_definitions, known_at

if TYPE_CHECKING:
    from sync_assets.project.exchange_spec import RepositoryExchangeSpec


class RepositoryExchange(dg.Component):
    """Repositories, tasks and documents pushed to and pulled from other installations, over their gateways.

    Each repository is a partition: one that fails is one red partition, with the outcome of each of its documents, and
    is run again as such; what has arrived is not sent twice. The page and the HTTP endpoints are doors to the same.
    """

    def __init__(self, spec: "RepositoryExchangeSpec") -> None:
        self.spec = spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The strict model itself, so that `dg check yaml` sees wrong words and types."""
        from sync_assets.project.exchange_spec import RepositoryExchangeSpec

        return RepositoryExchangeSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "RepositoryExchange":
        from sync_assets.project.exchange_spec import RepositoryExchangeSpec

        if not isinstance(attributes, RepositoryExchangeSpec):
            raise dg.DagsterInvalidDefinitionError("RepositoryExchange needs attributes: name, peers")
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return exchange_definitions(known_at(context.defs_module_path), self.spec.name)
