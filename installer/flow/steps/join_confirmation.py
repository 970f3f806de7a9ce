"""Credentials were sent and the program was cut off: has the device joined? Asked before anything is sent again."""

from __future__ import annotations

import time
from typing import Any

from installer.answers import StepKey
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import Notice, Provisioning
from installer.flow.resume import UNKNOWN
from installer.flow.steps import device_connection
from installer.flow.steps.step import GoTo, Situation
from installer.provisioning.provisioner import Stage

# How long a device that may have joined is listened for, seconds: one in set-up mode advertises every second or two.
SILENCE = 10.0
TRIES = 3  # a device that joins may end the link while it is asked

UNSEEN = (
    "The device does not offer its set-up over Bluetooth any more, as one that has joined its network. "
    "Whether it has, its first data will show."
)
NOT_JOINED = "The device has not joined the network: it gets the credentials once more."


async def settle(situation: Situation) -> dict[str, Any]:
    """The result of the provision step, without sending anything.

    Raises GoTo back to the network where the device waits for credentials; DEVICE_NOT_FOUND where nobody can tell;
    what the device's protocol raises.
    """
    began = time.monotonic()
    ssid = situation.network.ssid if situation.network is not None else ""
    joined, gone = await _ask(situation, ssid)
    protocol = situation.provisioner.protocol if situation.provisioner is not None else None
    result = {"protocol": protocol or situation.the_sighting.detection.protocol, "ssid": ssid, "url": situation.url}
    if joined is False:
        situation.unsettled = situation.sent = False
        situation.emit(Notice(code="not_joined", text=NOT_JOINED))
        raise GoTo(StepKey.NETWORK)
    situation.unsettled = False
    if joined:
        situation.emit(Provisioning(stage=Stage.JOINED))
        return result | {"joined": "device"}
    await device_connection.disconnect(situation)
    if situation.the_model.cloud.data is None:
        # No cloud could tell. Some devices end their set-up when they have joined, and only then.
        if not gone and result["protocol"] != "espressif":
            situation.unsettled = True
            raise _nobody_tells(situation, ssid)
        situation.emit(Notice(code="unseen", text="The device has ended its set-up, as one that has joined."))
        return result | {"joined": "silence"}
    situation.emit(Notice(code="unseen", text=UNSEEN))
    situation.unseen = result | {"joined": UNKNOWN}
    situation.unseen_took = time.monotonic() - began
    return situation.unseen


async def confirmed(situation: Situation) -> None:
    """The cloud has shown that the device is online: keep that, if it was not known."""
    result, situation.unseen = situation.unseen, None
    if result is not None:
        await situation.record.step_done("provision", situation.unseen_took, result | {"joined": "cloud"})


async def _ask(situation: Situation, ssid: str) -> tuple[bool | None, bool]:
    """(whether it has joined, or None; whether it is there without its set-up)."""
    for left in reversed(range(TRIES)):
        try:
            find = await _listen_anew(situation)
            await device_connection.connect(situation, find=find)
            provisioner = situation.provisioner
            if provisioner is None:
                return None, True
            return provisioner.set_up or await provisioner.joined(ssid), False
        except InstallerError as error:
            await device_connection.disconnect(situation)
            if error.code is ErrorCode.DEVICE_NOT_FOUND:
                return None, False
            if error.code is ErrorCode.DEVICE_UNSUPPORTED:
                return None, True
            if error.code not in (ErrorCode.CONNECTION_LOST, ErrorCode.CONNECTION_FAILED) or not left:
                raise
    return None, False


async def _listen_anew(situation: Situation) -> float:
    """How long to listen for it, seconds. What a batch heard of it before tells nothing: it may have joined since."""
    scan = await device_connection.scanning(situation)
    scan.forget(situation.the_sighting.address)
    return max(SILENCE, (await device_connection.adapter(situation)).quiet) if situation.surroundings.radio else SILENCE


def _nobody_tells(situation: Situation, ssid: str) -> InstallerError:
    name, address = situation.the_model.name, situation.the_sighting.address
    return InstallerError(
        ErrorCode.DEVICE_NOT_FOUND,
        f"{name} {address} was given its credentials, and is not within reach now: it may have joined or not.",
        "If the router lists it, nothing is left to do. Else bring it close, switch it on, and resume once more.",
        address=address,
        ssid=ssid,
        sent=True,
    )
