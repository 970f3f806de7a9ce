"""Entry point of Alembic: runs the migrations on the connection of `installer.ledger.schema_migration`."""

from __future__ import annotations

from alembic import context

from installer.ledger.sql_tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
