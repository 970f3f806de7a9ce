"""Columns with the seconds of each step in `installations`, for the statistics of a selection."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STEPS = ("find", "sync", "network", "provision", "link", "verify")


def upgrade() -> None:
    """Add the columns and fill them."""
    for step in STEPS:
        op.add_column("installations", sa.Column(f"seconds_{step}", sa.Float))
    took = "(SELECT took FROM steps WHERE steps.installation = installations.id AND steps.step = '{0}')"
    op.execute("UPDATE installations SET " + ", ".join(f"seconds_{s} = {took.format(s)}" for s in STEPS))
