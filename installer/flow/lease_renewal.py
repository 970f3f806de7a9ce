"""Keeps this station's lease on the device of an installation, so that no other station takes the device."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.ledger.leases import renewal_interval

if TYPE_CHECKING:
    from installer.flow.situation import Situation


async def renew_lease(situation: Situation) -> None:
    """Renew the lease of the record until cancelled.

    Raises DEVICE_TAKEN if it was lost, DATABASE_FAILED if it could not be renewed in time.
    """
    # The record may be replaced meanwhile; its ledger and so the length of a lease stay.
    lease_seconds = situation.record.lease_seconds
    interval = renewal_interval(lease_seconds)
    last_renewal = time.monotonic()
    while True:
        await asyncio.sleep(interval)
        if situation.options.dry_run or not situation.record.opened:
            last_renewal = time.monotonic()
            continue
        try:
            await situation.record.heartbeat()
            last_renewal = time.monotonic()
        except InstallerError as error:
            # Until the lease expires, no other station can take the device.
            overdue = time.monotonic() - last_renewal > lease_seconds - interval
            if error.code is not ErrorCode.DATABASE_FAILED or overdue:
                raise
