"""The first measurement of a device that was installed before it had measured, whenever it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from installer.cloud.rate_limit import waits
from installer.errors import InstallerError
from installer.measurements.watch import PASSING

if TYPE_CHECKING:
    from installer.catalogue.catalogue import Catalogue
    from installer.cloud.accounts import Accounts
    from installer.measurement import Measurement

# A night and more; nobody looks at a screen for longer.
DAY = 24 * 3600.0
# So many times the longest wait of an installation: nothing hurries any more.
SLOWER = 4.0


async def first_measurement(
    accounts: Accounts, catalogue: Catalogue, summary: Mapping[str, Any], since: float, seconds: float = DAY
) -> Measurement | None:
    """Wait for it. `summary`: of the installation; `since`: unix seconds of its start.

    None: none came within `seconds`, or none is to be expected. A cloud that is away for a while is waited for; other
    failures are raised.
    """
    name, device_id = summary.get("account"), summary.get("device_id")
    model = next((m for m in catalogue.models if m.id == summary.get("model")), None)
    if not name or not device_id or model is None or model.cloud.data is None:
        return None
    account = await accounts.open(name)
    shortest, longest = accounts.cloud.poll_seconds
    try:
        async with asyncio.timeout(seconds):
            for wait in waits(shortest, longest * SLOWER):
                try:
                    found = await account.look_for_data(model, device_id, since)
                except InstallerError as error:
                    if error.code not in PASSING:
                        raise
                    wait = max(wait, float(error.data.get("wait_seconds", 0)))
                else:
                    if found is not None:
                        return found
                await asyncio.sleep(wait)
    except TimeoutError:
        pass
    return None
