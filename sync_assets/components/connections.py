"""The component that names the systems a deployment talks to. It makes no assets: syncs refer to its names."""

import dagster as dg
from pydantic import BaseModel

from sync_assets.project.spec import ConnectionsSpec


class Connections(dg.Component):
    """Named connections: mysql (MariaDB too), postgres, sqlite, feishu, feishu_bot.

    Secrets appear as references only: `env:NAME`, `file:PATH` or `store:NAME`. Try them with `sync-assets check`.
    """

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The strict model itself, so that `dg check yaml` sees wrong words and types."""
        return ConnectionsSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "Connections":
        return cls()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return dg.Definitions()
