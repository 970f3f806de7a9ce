"""Fuzz targets of Improv Wi-Fi."""

from __future__ import annotations

from installer.provisioning.driver_errors import Malformed
from installer.provisioning.improv import codec as improv
from tests.fuzz.targets import Target, inputs

TARGETS = {
    "improv": Target(
        [
            improv.decode_frame,
            improv.decode_state,
            improv.decode_error,
            improv.decode_capabilities,
            improv.decode_service_data,
            improv.decode_redirect,
            improv.decode_info,
            improv.decode_networks,
            improv.unpack_strings,
        ],
        Malformed,
        seeds=[
            # Frames: results of the Wi-Fi command, of device info, of a scan, of a host name.
            *inputs(
                0,
                "010001",
                "011413687474703a2f2f3139322e3136382e312e3530db",
                "032f07455350486f6d6509323032312e31312e300845535033322d43331354656d7065726174757265204d6f6e69746f7207",
                "043f114d79576972656c6573734e6574776f726b032d36300457504132164d794f74686572576972656c6573734e6574776f726b"
                "032d3532085750412f57504132ec",
                "040004",
                "050c0b6c6976696e672d726f6f6d8f",
            ),
            *inputs(1, "01", "02", "03", "04", "00"),
            *inputs(2, "00", "01", "03", "ff"),
            *inputs(3, "07", "0f", "ff00"),
            *inputs(4, "020500000000", "0400", "02050000000000"),
            *inputs(5, "13687474703a2f2f3139322e3136382e312e3530", "00", ""),
            *inputs(6, "07455350486f6d6509323032312e31312e300845535033322d43330353636105485041544f"),
            *inputs(7, "114d79576972656c6573734e6574776f726b032d363004575041320443616665032d35300454455354"),
            *inputs(7, b"\x04Cafe\x03-50\x02NO\x04Corp\x03-70\x08WPA2 EAP"),
            *inputs(8, b"\x08hi there\x04jojo"),
        ],
    ),
}
