"""Gives Linux an adapter in a radio of this process: a controller of the lab that Linux drives through /dev/vhci."""

from __future__ import annotations

from bumble.transport.common import Transport

from installer.lab.virtual_controller import LabController
from installer.lab.virtual_radio import Radio

ADDRESS = "00:AA:BB:CC:DD:01"


def plug_in(radio: Radio, transport: Transport) -> None:
    """Linux gets its next adapter. `transport` is an open Bumble transport "vhci"."""
    controller = LabController("kernel", radio, ADDRESS)
    controller.host = transport.sink
    transport.source.set_packet_sink(controller)
