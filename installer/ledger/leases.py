"""Leases: one station at a time installs a device. A lease that is not renewed expires.

How long a lease lasts and how often it is renewed is decided here, for devices, installations and rows of a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from installer.errors import ErrorCode, InstallerError
from installer.ledger import timestamps
from installer.text import printable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from installer.ledger.records import Records

# A station that is silent for this long counts as dead: its devices are free, its installations can be resumed.
LEASE_SECONDS = 60.0
RENEWALS_PER_LEASE = 4


def renewal_interval(lease_seconds: float) -> float:
    """Seconds between two renewals of a lease that lasts `lease_seconds`."""
    return lease_seconds / RENEWALS_PER_LEASE


class Lease:
    """Reserves one device for one station. Not safe to use from several threads at once.

    The methods with a `connection` work inside the caller's transaction.
    """

    def __init__(self, records: Records, address: str, installation: str, station: str, seconds: float) -> None:
        self.records = records
        self.address = address
        self.installation = installation
        self.station = station
        self.seconds = seconds

    def acquire(self) -> None:
        """Take the lease. Raises DEVICE_TAKEN."""
        self.records.store.write("keep a device for this station", self.acquire_in)

    def renew(self) -> None:
        """Extend the lease: it lasts `seconds` from now. Raises DEVICE_TAKEN if another station has it."""
        self.records.store.write("keep a device for this station", self.renew_in)

    def release(self) -> None:
        """Give the lease back."""
        self.records.store.write("give a device back", self.release_in)

    def acquire_in(self, connection: Connection) -> None:
        """Take the lease if it is free, expired, this installation's own, or held by a dead process.

        Raises DEVICE_TAKEN.
        """
        from sqlalchemy import or_, select, update

        from installer.ledger.damaged_records import readable
        from installer.ledger.queries import LONGEST_LEASE_SECONDS
        from installer.ledger.sql_tables import leases

        now = timestamps.database_time(connection)
        values = {
            "installation": self.installation,
            "station": self.station,
            "holder": self.records.holder(),
            "expires": now + self.seconds,
        }
        insert = _insert(connection)(leases).values(address=self.address, **values)
        available = or_(leases.c.expires <= now, leases.c.installation == self.installation)
        upsert = insert.on_conflict_do_update(index_elements=[leases.c.address], set_=values, where=available)
        # PostgreSQL locks the row while another station writes it, and checks the condition after that.
        if connection.execute(upsert.returning(leases.c.address)).first() is not None:
            return
        this_device = leases.c.address == self.address
        current = connection.execute(select(leases).where(this_device)).mappings().first()
        if current is None:  # released a moment ago
            self.acquire_in(connection)
            return
        if self.records.is_dead(str(current["holder"])):
            connection.execute(update(leases).where(this_device).values(**values))
            return
        known, _ = readable(dict(current), "leases")
        expires = known["expires"]
        if not 0 < expires < now + LONGEST_LEASE_SECONDS:
            raise InstallerError(
                ErrorCode.DATABASE_FAILED,
                f"The lease of the device {self.address} in the ledger is damaged: when it ends cannot be read.",
                "Put back a copy of the ledger from before the damage.",
            )
        raise _taken(self.address, printable(str(known["station"])), float(expires) - now)

    def renew_in(self, connection: Connection) -> None:
        """Extend the lease. Raises DEVICE_TAKEN if it expired and another station took it."""
        from sqlalchemy import select, update

        from installer.ledger.sql_tables import leases

        now = timestamps.database_time(connection)
        own = (leases.c.installation == self.installation) & (leases.c.holder == self.records.holder())
        renewal = update(leases).where((leases.c.address == self.address) & own).values(expires=now + self.seconds)
        if connection.execute(renewal).rowcount:
            return
        station = connection.execute(select(leases.c.station).where(leases.c.address == self.address)).scalar()
        raise _lost(self.address, printable(str(station)) if station is not None else None)

    def release_in(self, connection: Connection) -> None:
        """Release every lease of this installation."""
        from sqlalchemy import delete

        from installer.ledger.sql_tables import leases

        own = (leases.c.installation == self.installation) & (leases.c.holder == self.records.holder())
        connection.execute(delete(leases).where(own))


def _taken(address: str, station: str, seconds: float) -> InstallerError:
    return InstallerError(
        ErrorCode.DEVICE_TAKEN,
        f"Station “{station}” is installing the device {address} now.",
        f"Wait until it has finished. If that station has crashed, the device is free in {max(seconds, 1):.0f} s.",
        address=address,
        station=station,
        lost=False,
    )


def _lost(address: str, station: str | None) -> InstallerError:
    what = f"Station “{station}” took over the device {address} because this station was silent for too long."
    if station is None:
        what = (
            f"The device {address} is not reserved for this station any more: another one took it over and is done, or "
            "somebody restored the database of the ledger."
        )
    return InstallerError(
        ErrorCode.DEVICE_TAKEN,
        what,
        "Nothing more was sent. See the result there, and start again if needed.",
        address=address,
        station=station,
        lost=True,
    )


def _insert(connection: Connection) -> Any:
    """The `insert` of this database that supports ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    from sqlalchemy.dialects import sqlite

    return sqlite.insert
