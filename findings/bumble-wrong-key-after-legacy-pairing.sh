#!/usr/bin/env bash
# Bumble 0.0.236: after legacy pairing, a Bumble peripheral answers a reconnect with the other side's key.
#
# Expected: in LE legacy pairing, each side gives the other a long term key. The link is later encrypted with the one that
#   the peripheral gave (Core Specification vol. 3 part H §2.4.4.2): the central sends its EDIV and RAND, the peripheral
#   looks it up. A Bumble central does that.
# Seen: a Bumble peripheral files its own key as `ltk_central` and the one it got as `ltk_peripheral`.
#   Device.get_long_term_key answers the controller with `ltk_peripheral`: the central's key. The two controllers use
#   different keys, and the link ends with 0x3D (MIC failure). EDIV and RAND are not looked at. The first link works,
#   because the pairing's own session answers there; with LE Secure Connections there is one key, and all is well.
# What it means: who emulates a device of Bluetooth 4.0 or 4.1 with Bumble sees each reconnect of a bonded client fail,
#   with any client. A key store whose `update` swaps the two keys works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq --disable-pip-version-check bumble==0.0.236
cat > "$folder/finding.py" <<'PY'
import asyncio
import logging

from bumble.controller import Controller
from bumble.device import Connection, Device
from bumble.hci import Address, OwnAddressType
from bumble.host import Host
from bumble.keys import MemoryKeyStore
from bumble.link import LocalLink
from bumble.pairing import PairingConfig
from bumble.transport.common import AsyncPipeSink

logging.disable(logging.CRITICAL)


class Swapped(MemoryKeyStore):
    async def update(self, name, keys):
        keys.ltk_central, keys.ltk_peripheral = keys.ltk_peripheral, keys.ltk_central
        await super().update(name, keys)


async def reconnect(secure_connections, store):
    """Pair, disconnect, connect again, encrypt; how that ended."""
    link = LocalLink()
    devices = []
    for name, address in (("central", "F0:F0:F0:F0:F0:01"), ("peripheral", "F0:F0:F0:F0:F0:02")):
        controller = Controller(name, link=link)
        host = Host(controller, AsyncPipeSink(controller))
        devices.append(Device(name=name, address=Address(address), host=host))
    central, peripheral = devices
    central.keystore, peripheral.keystore = MemoryKeyStore(), store
    for device in devices:
        device.pairing_config_factory = lambda _: PairingConfig(
            sc=secure_connections, mitm=False, identity_address_type=PairingConfig.AddressType.RANDOM
        )
        await device.power_on()
    ended = asyncio.Queue()
    for attempt in range(2):
        await peripheral.start_advertising(own_address_type=OwnAddressType.RANDOM)
        connection = await central.connect(peripheral.random_address, own_address_type=OwnAddressType.RANDOM, timeout=10)
        connection.on(Connection.EVENT_DISCONNECTION, ended.put_nowait)
        if attempt == 0:
            await connection.pair()
            await connection.disconnect()
            await ended.get()
            continue
        encrypting = asyncio.ensure_future(connection.encrypt())
        waiting = asyncio.ensure_future(ended.get())
        await asyncio.wait({encrypting, waiting}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            await asyncio.wait({encrypting})
            return f"the link ends with 0x{waiting.result():02X}"
        waiting.cancel()
        return "encrypted" if encrypting.done() and connection.is_encrypted else "nothing happens"


async def main():
    seen = {
        "LE Secure Connections": await reconnect(True, MemoryKeyStore()),
        "legacy pairing": await reconnect(False, MemoryKeyStore()),
        "legacy pairing, the two keys swapped": await reconnect(False, Swapped()),
    }
    for name, end in seen.items():
        print(f"{name}: {end}")
    return list(seen.values()) == ["encrypted", "the link ends with 0x3D", "encrypted"]


raise SystemExit(0 if asyncio.run(main()) else 1)
PY
"$folder/venv/bin/python" "$folder/finding.py"
