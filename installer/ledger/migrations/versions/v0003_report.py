"""Indexes for the statistics of a report."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    op.drop_index("ix_installations_numbers", "installations")
    op.create_index("ix_installations_reason", "installations", ["outcome", "error"])
    op.create_index("ix_installations_times", "installations", ["outcome", "took"])
    for column in ("model", "site", "operator"):
        op.create_index(f"ix_installations_by_{column}", "installations", [column, "outcome", "took"])
    op.create_index("ix_steps_took", "steps", ["step", "took"])
