"""Waits for the first measurement of a device whose installation ended without one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from installer.cloud.rate_limit import poll_backoff
from installer.errors import InstallerError
from installer.measurements.watch import TEMPORARY_ERRORS

if TYPE_CHECKING:
    from installer.catalogue.catalogue_file import Catalogue
    from installer.cloud.accounts import Accounts
    from installer.measurement import Measurement

# More than a night, for a sleep mat.
MAX_WAIT_SECONDS = 24 * 3600.0
# The longest wait between two polls, relative to an installation.
SLOWER_POLL_FACTOR = 4.0


async def wait_for_first_measurement(
    accounts: Accounts,
    catalogue: Catalogue,
    summary: Mapping[str, Any],
    since: float,
    seconds: float = MAX_WAIT_SECONDS,
) -> Measurement | None:
    """The first measurement; None if none came within `seconds`, or the model sends none to the cloud.

    `summary`: of the installation; `since`: unix seconds of its start. Temporary errors of the cloud are retried;
    other errors are raised.
    """
    name, device_id = summary.get("account"), summary.get("device_id")
    model = next((m for m in catalogue.models if m.id == summary.get("model")), None)
    if not name or not device_id or model is None or model.cloud.data is None:
        return None
    account = await accounts.open(name)
    try:
        async with asyncio.timeout(seconds):
            for wait in poll_backoff(accounts.cloud, slower=SLOWER_POLL_FACTOR).waits():
                try:
                    found = await account.check_first_data(model, device_id, since)
                except InstallerError as error:
                    if error.code not in TEMPORARY_ERRORS:
                        raise
                    wait = max(wait, float(error.data.get("wait_seconds", 0)))
                else:
                    if found is not None:
                        return found
                await asyncio.sleep(wait)
    except TimeoutError:
        pass
    return None
