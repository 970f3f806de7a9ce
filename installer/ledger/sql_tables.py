"""The SQL tables of the ledger, for SQLAlchemy Core. A change needs a migration; a test compares both.

Times are UTC in ISO 8601 with milliseconds and have a fixed length, so text order is the order of time. The table
`installations` has the columns for lists and filters. Long values are in other tables, so a scan stays short.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

REVISION = "0004"  # the newest migration; its result is these tables
KNOWN_REVISIONS = ("0001", "0002", "0003", "0004")

TIMED_STEPS = ("find", "sync", "network", "provision", "link", "verify")
FORGOTTEN_OPTION = "forgotten"  # in `details.options`: the record is not offered for resuming

metadata = MetaData()

installations = Table(
    "installations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Text, nullable=False),  # of the program
    Column("started", Text, nullable=False),
    Column("ended", Text),
    Column("took", Float),  # seconds of work, over all attempts
    Column("outcome", Text, nullable=False),  # see `OUTCOMES` in installer.ledger.query_types
    Column("step", Text),  # the current or last step
    Column("error", Text),  # the code of the last failure, until its step succeeds
    Column("attempts", Integer, nullable=False),
    Column("address", Text),
    Column("serial", Text),
    Column("name", Text),
    Column("firmware", Text),
    Column("model", Text),
    Column("certainty", Text),
    Column("protocol", Text),
    Column("method", Text),  # the sync method
    Column("ssid", Text),
    Column("account", Text),
    Column("device_id", Text),  # the cloud's
    Column("site", Text),
    Column("operator", Text),
    Column("label", Text),
    Column("batch", Text),
    Column("row", Text),
    Column("station", Text),
    Column("sent_address", Text),  # the device that got credentials; `sent_ssid`: of which network
    Column("sent_ssid", Text),
    Column("sent_at", Text),
    Column("handed_over", Text),  # the cloud's id of a device that the vendor's app linked
    Column("holder", Text),  # the process that works on it
    Column("alive_until", Float),  # seconds since 1970 on the clock of the database
    Column("search", Text, nullable=False),  # lower case, for the text filter
    # Copies of `steps.took`: statistics of a selection need no join with `steps`.
    *(Column(f"seconds_{step}", Float) for step in TIMED_STEPS),
    Index("ix_installations_started", "started", "id"),
    Index("ix_installations_outcome", "outcome", "started", "id"),
    Index("ix_installations_model", "model", "started", "id"),
    Index("ix_installations_site", "site", "started", "id"),
    Index("ix_installations_operator", "operator", "started", "id"),
    Index("ix_installations_address", "address", "outcome", "started"),
    Index("ix_installations_sent", "sent_address", "sent_at"),
    Index("ix_installations_batch", "batch", "row"),
    Index("ix_installations_search", "started", "id", "search"),
    # For the statistics of a report. The durations are sorted, so a median is one index lookup.
    Index("ix_installations_reason", "outcome", "error"),
    Index("ix_installations_times", "outcome", "took"),
    Index("ix_installations_by_model", "model", "outcome", "took"),
    Index("ix_installations_by_site", "site", "outcome", "took"),
    Index("ix_installations_by_operator", "operator", "outcome", "took"),
)

details = Table(
    "details",
    metadata,
    Column("installation", Text, ForeignKey("installations.id", ondelete="CASCADE"), primary_key=True),
    Column("answers", JSON),  # without secrets
    Column("options", JSON),
    Column("reasons", JSON),  # how the model was detected
    Column("known", JSON),  # the devices that an account had before this one: {account: [ids]}
)

steps = Table(
    "steps",
    metadata,
    Column("installation", Text, ForeignKey("installations.id", ondelete="CASCADE"), primary_key=True),
    Column("step", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("done", Text, nullable=False),
    Column("took", Float, nullable=False),
    Column("result", JSON),
    Index("ix_steps_took", "step", "took"),
)

failures = Table(
    "failures",
    metadata,
    Column("installation", Text, ForeignKey("installations.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("step", Text),
    Column("code", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("time", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("address", Text, primary_key=True),
    Column("installation", Text, nullable=False),
    Column("station", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("expires", Float, nullable=False),  # seconds since 1970 on the clock of the database
)

# Alembic's own table, declared here so that it can be created without loading Alembic.
alembic_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
