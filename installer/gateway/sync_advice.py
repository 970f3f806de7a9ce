"""Where a device's data goes after the installation, and what must run for it: texts for the flow and the screens."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from installer.catalogue.model import DeviceType, Model, SyncMethod
from installer.errors import InstallerError

if TYPE_CHECKING:
    from installer.gateway.files_and_lock import GatewayFiles

STATUS_TIMEOUT_SECONDS = 5.0

# For a Bluetooth-only device that this program's gateway collects from.
GATEWAY_NEEDED = (
    "This device syncs over Bluetooth only: a gateway must be running within its reach, and be online, "
    "or its data stays on the device."
)
# For a Bluetooth-only device that the vendor's app has set up.
PHONE_NEEDED = (
    "This device syncs over Bluetooth only: the phone with the vendor's app must stay near it and online, and the app "
    "must keep running in the background, or the data stays on the device."
)


def where_data_goes(model: Model, method: SyncMethod) -> str:
    """How a device of this model delivers its data with this sync method, for the person who chooses one."""
    thing = "device" if model.type is DeviceType.OTHER else str(model.type)
    if method is SyncMethod.BLUETOOTH:
        return (
            f"The {thing} needs no Wi-Fi. A gateway or phone collects its data over Bluetooth: "
            "it must be running, online and within reach of the device."
        )
    if model.cloud.data is None:
        return f"The {thing} joins your Wi-Fi, and is used there: this program knows no cloud for it."
    return f"The {thing} sends its data to your account by itself."


def how_to_start_gateway(*, lab: bool = False) -> str:
    """The commands that start a gateway."""
    if lab:
        return "Start one: `device-installer gateway run --lab`."
    return (
        "Start one: `device-installer gateway run`; "
        "to let the system do so: `device-installer gateway install-service`."
    )


async def gateway_advice(files: GatewayFiles | None) -> str:
    """That a gateway is needed, and whether the gateway of this computer runs. Never raises."""
    if files is None:
        return GATEWAY_NEEDED
    return f"{GATEWAY_NEEDED} {await _gateway_state(files)}"


async def _gateway_state(files: GatewayFiles) -> str:
    from installer.gateway import status

    try:
        async with asyncio.timeout(STATUS_TIMEOUT_SECONDS):
            found = await status.read_status(files)
    except (InstallerError, TimeoutError) as error:
        why = error.what if isinstance(error, InstallerError) else "it does not answer."
        return f"The gateway of this computer cannot be asked: {why}"
    if not found.running:
        return f"No gateway runs on this computer. {how_to_start_gateway(lab=files.lab)}"
    problems = status.flow_problems(found, time.time())
    return problems[0] if problems else "The gateway of this computer runs, and will visit it."
