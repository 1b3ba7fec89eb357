"""Keep data in step: SQL databases, Feishu Bitable boards and more, as Dagster assets."""
