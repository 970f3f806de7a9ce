"""Encrypts a new link with the kept key of its device, before anything is asked over it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bleak.exc import BleakError

from installer.bluetooth.pairing import bond_lost

if TYPE_CHECKING:
    from bumble.device import Connection

    from installer.bluetooth.hci.host import HciHost
    from installer.bluetooth.hci.kept_keys import RawBond

ENCRYPTION_SECONDS = 10.0
# The device has no key, or another one: authentication failure, PIN or key missing, MIC failure (vol. 1 part F §2).
KEY_LOST = frozenset({0x05, 0x06, 0x3D})


async def encrypt(host: HciHost, link: Connection, bond: RawBond) -> None:
    """Encrypt the link. Raises BOND_LOST if the device no longer has the key, BleakError for other failures."""
    from bumble.hci import HCI_LE_Enable_Encryption_Command

    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def end(status: int = 0) -> None:
        if not ended.done():
            ended.set_result(status)

    listeners: list[tuple[str, Any]] = [
        (link.EVENT_CONNECTION_ENCRYPTION_CHANGE, lambda: end()),
        (link.EVENT_CONNECTION_ENCRYPTION_FAILURE, end),
        (link.EVENT_DISCONNECTION, end),
    ]
    for event, listener in listeners:
        link.on(event, listener)
    command = HCI_LE_Enable_Encryption_Command(
        connection_handle=link.handle,
        random_number=bond.rand,
        encrypted_diversifier=bond.ediv,
        long_term_key=bond.ltk,
    )
    try:
        await host.command(host.device.send_async_command(command))
        async with asyncio.timeout(ENCRYPTION_SECONDS):
            status = await ended
    except TimeoutError:
        raise BleakError("The device does not answer the request to encrypt the connection") from None
    finally:
        for event, listener in listeners:
            link.remove_listener(event, listener)
    if status in KEY_LOST:
        raise bond_lost(bond.address, bond.name)
    if status or not link.is_encrypted:
        raise BleakError(f"The connection could not be encrypted (status 0x{status:02x})")
