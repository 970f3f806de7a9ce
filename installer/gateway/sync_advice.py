"""What an installation says of the gateway of this computer: whether data will flow from here on."""

from __future__ import annotations

import asyncio
import time

from installer.errors import InstallerError
from installer.gateway import status
from installer.gateway.files_and_lock import GatewayFiles

STATUS_SECONDS = 5.0


def start(*, lab: bool = False) -> str:
    """How to start a gateway."""
    if lab:
        return "Start one: `device-installer gateway run --lab`."
    return (
        "Start one: `device-installer gateway run`; "
        "to let the system do so: `device-installer gateway install-service`."
    )


async def words(place: GatewayFiles) -> str:
    """Whether the gateway of this computer runs, in one or two sentences. Never raises."""
    try:
        async with asyncio.timeout(STATUS_SECONDS):
            found = await status.look(place)
    except (InstallerError, TimeoutError) as error:
        why = error.what if isinstance(error, InstallerError) else "it does not answer."
        return f"The gateway of this computer cannot be asked: {why}"
    if not found.running:
        return f"No gateway runs on this computer. {start(lab=place.lab)}"
    troubles = status.flow_problems(found, time.time())
    return troubles[0] if troubles else "The gateway of this computer runs, and will visit it."
