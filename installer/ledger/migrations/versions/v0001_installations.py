"""Tables of installations with their steps and failures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXTS = ("address", "serial", "name", "firmware", "model", "certainty", "protocol", "method", "ssid", "account")
MORE = ("device_id", "site", "operator", "label", "batch", "row", "station", "sent_address", "sent_ssid", "sent_at")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "installations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("ended", sa.Text),
        sa.Column("took", sa.Float),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("step", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text) for name in (*TEXTS, *MORE, "handed_over", "holder")),
        sa.Column("alive_until", sa.Float),
        sa.Column("search", sa.Text, nullable=False),
    )
    for name, columns in (
        ("started", ("started", "id")),
        ("outcome", ("outcome", "started", "id")),
        ("model", ("model", "started", "id")),
        ("site", ("site", "started", "id")),
        ("operator", ("operator", "started", "id")),
        ("address", ("address", "outcome", "started")),
        ("sent", ("sent_address", "sent_at")),
        ("batch", ("batch", "row")),
        ("search", ("started", "id", "search")),
        ("numbers", ("model", "site", "outcome", "error")),
    ):
        op.create_index(f"ix_installations_{name}", "installations", list(columns))
    op.create_table("details", _owner(), *(sa.Column(n, sa.JSON) for n in ("answers", "options", "reasons", "known")))
    op.create_table(
        "steps",
        _owner(),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("done", sa.Text, nullable=False),
        sa.Column("took", sa.Float, nullable=False),
        sa.Column("result", sa.JSON),
    )
    op.create_table(
        "failures",
        _owner(),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("step", sa.Text),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("time", sa.Text, nullable=False),
    )


def _owner() -> sa.Column[str]:
    return sa.Column("installation", sa.Text, sa.ForeignKey("installations.id", ondelete="CASCADE"), primary_key=True)
