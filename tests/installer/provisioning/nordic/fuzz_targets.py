"""Fuzz targets of Nordic's Wi-Fi provisioning."""

from __future__ import annotations

from functools import partial

from installer.provisioning.driver_errors import ProtocolError
from installer.provisioning.nordic import codec as nordic
from tests.fuzz.targets import Target, inputs

_WIFI_INFO = "0a04486f6d65" + "120602aabbccdd01" + "1801" + "200b" + "2803"
_DEVICE_STATUS = "0804" + "5214" + _WIFI_INFO + "5a06" + "0a04c0a80132"


TARGETS = {
    "nordic": Target(
        [
            nordic.read_version,
            nordic.read_result,
            *(partial(nordic.read_response, operation=operation) for operation in nordic.Operation),
        ],
        ProtocolError,
        seeds=[
            *inputs(0, "0801"),
            # An access point, and the states of a join.
            *inputs(
                1, "0a" + "21" + "0a14" + _WIFI_INFO + "10c9ffffffffffffffff01", "1001", "1004", "10051800", "10051802"
            ),
            *inputs(2, "08011000" + "5220" + _DEVICE_STATUS, "080110005200"),
            *inputs(3, "08021000", "08021003"),
            *inputs(4, "08031000"),
            *inputs(5, "08041000", "08041001", "1002"),
            *inputs(6, "08051000"),
        ],
    ),
}
