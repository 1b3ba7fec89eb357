"""Alembic's entry: one connection, which `migrations.migrate` opened and in whose transaction everything happens."""

from __future__ import annotations

from alembic import context

from sync_assets.store.migrations import SCHEMA

context.configure(connection=context.config.attributes["connection"], version_table_schema=SCHEMA)
with context.begin_transaction():
    context.run_migrations()
