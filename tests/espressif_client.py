"""Provisions a device with Espressif's own client, unmodified: the `esp_prov` of esp-rainmaker-cli.

    python espressif_client.py WHERE SECURITY PROOF SSID PASSPHRASE

WHERE is `ble:NAME`, a device that advertises this name (their BLE transport, over bleak), or `fd:N`, a socket on which
a test passes on to the device: one JSON line `[endpoint, hex]` each way. The last line of the output is the result.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any

from rmaker_tools.rmaker_prov.prov import prov_util as esp_prov  # type: ignore[import-not-found]

USER_NAME = "wifiprov"


class Passed:
    """A transport as theirs: text in which each character is a byte."""

    def __init__(self, fd: int) -> None:
        self._lines = socket.socket(fileno=fd).makefile("rw", encoding="ascii")

    def send_data(self, endpoint: str, data: str) -> str:
        self._lines.write(json.dumps([endpoint, data.encode("latin-1").hex()]) + "\n")
        self._lines.flush()
        return bytes.fromhex(json.loads(self._lines.readline())[1]).decode("latin-1")


def main(where: str, security: str, proof: str, ssid: str, passphrase: str) -> dict[str, Any]:
    kind, _, name = where.partition(":")
    transport = esp_prov.get_transport("ble", name) if kind == "ble" else Passed(int(name))
    patch = esp_prov.get_sec_patch_ver(transport)
    secured = esp_prov.get_security(int(security), patch, USER_NAME, proof, proof)
    result: dict[str, Any] = {"session": bool(esp_prov.establish_session(transport, secured))}
    if result["session"]:
        found = esp_prov.scan_wifi_APs("ble", transport, secured)
        result["networks"] = {one["ssid"]: one["auth"] for one in found}
        result["sent"] = esp_prov.send_wifi_config(transport, secured, ssid, passphrase)
        result["applied"] = esp_prov.apply_wifi_config(transport, secured)
        result["state"] = "connecting"
        while result["state"] == "connecting":
            time.sleep(0.05)  # as their own tool, which waits for longer
            result["state"] = esp_prov.get_wifi_config(transport, secured)
    if kind == "ble":
        transport.disconnect()
    return result


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])) + "\n")
