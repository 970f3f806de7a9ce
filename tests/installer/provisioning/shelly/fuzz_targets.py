"""Fuzz targets of Shelly's RPC."""

from __future__ import annotations

import contextlib

from installer.provisioning.driver_errors import Malformed, Refused
from installer.provisioning.shelly import codec as shelly
from tests.fuzz.targets import Target, inputs, json_texts


def _shelly(data: bytes) -> None:
    result = shelly.decode_answer(data).result
    for read in (shelly.read_info, shelly.read_networks, shelly.read_status):
        with contextlib.suppress(Malformed):
            read(result)


TARGETS = {
    "shelly": Target(
        [_shelly, shelly.decode_length],
        Malformed,
        Refused,
        seeds=[
            *inputs(
                0,
                *json_texts(
                    {
                        "id": 1,
                        "src": "shellyplus1-a8032abe54dc",
                        "result": {
                            "name": None,
                            "id": "shellyplus1-a8032abe54dc",
                            "mac": "A8032ABE54DC",
                            "model": "SNSW-001X16EU",
                            "gen": 2,
                            "ver": "1.4.4",
                            "app": "Plus1",
                            "auth_en": False,
                        },
                    },
                    {
                        "id": 2,
                        "result": {
                            "results": [
                                {"ssid": "Home", "bssid": "00:11:22:33:44:55", "auth": 3, "channel": 6, "rssi": -55},
                                {"ssid": None, "bssid": "x", "auth": 99, "channel": 36},
                            ]
                        },
                    },
                    {"id": 3, "result": {"sta_ip": "192.168.1.50", "status": "got ip", "ssid": "Home", "rssi": -50}},
                    {"id": 3, "result": {"sta_ip": None, "status": "connecting", "ssid": None, "rssi": 0}},
                    {"id": 4, "result": {"restart_required": True}},
                    {"id": 5, "error": {"code": 401, "message": '{"auth_type": "digest"}'}},
                    {"method": "NotifyStatus", "params": {"ts": 1.5}},
                ),
            ),
            *inputs(1, "00000064", "0000ffff", "00000000"),
        ],
    ),
}
