"""Alembic's way in: runs the migrations on the connection that `installer.ledger.schema_migration` hands over."""

from __future__ import annotations

from alembic import context

from installer.ledger.sql_tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
