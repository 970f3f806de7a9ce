"""Has the device joined its network, and if not, why? For cases in which the device did not say so.

After a cut-off the device is asked before credentials are sent again. After a failed join without a reason, the
device's own list of networks shows the likely one.
"""

from __future__ import annotations

import time
from typing import Any

from installer.answers import StepKey
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice, Provisioning
from installer.flow.situation import Situation
from installer.flow.steps import device_connection
from installer.flow.steps.step import GoTo
from installer.provisioning import registry
from installer.provisioning.provisioner import Stage

# How long to listen for a device that may have joined. A device in set-up mode advertises every second or two.
LISTEN_SECONDS = 10.0
CONNECT_TRIES = 3  # a device that joins may close the link while it is asked


SET_UP_ENDED = (
    "The device no longer offers its set-up over Bluetooth; a device does that when it has joined its network. "
    "Its first data will show whether it has joined."
)
NOT_JOINED = "The device has not joined the network: the credentials are sent once more."


async def ask_device_if_joined(situation: Situation) -> dict[str, Any]:
    """The result of the provision step after credentials were sent by an earlier attempt; sends nothing.

    Raises GoTo back to the network if the device waits for credentials; DEVICE_NOT_FOUND if neither the device nor
    a cloud can tell; the errors of the device's protocol.
    """
    began = time.monotonic()
    ssid = situation.network.ssid if situation.network is not None else ""
    joined, in_reach = await _ask_device(situation, ssid)
    protocol = situation.provisioner.protocol if situation.provisioner is not None else None
    result = {
        "protocol": protocol or situation.chosen_sighting.detection.protocol,
        "ssid": ssid,
        "url": situation.device_url,
    }
    if joined is False:
        situation.join_unconfirmed = situation.credentials_sent = False
        situation.emit(Notice(code="not_joined", text=NOT_JOINED))
        raise GoTo(StepKey.NETWORK)
    situation.join_unconfirmed = False
    if joined:
        situation.emit(Provisioning(stage=Stage.JOINED))
        return result | {"joined": "device"}
    await device_connection.disconnect(situation)
    if situation.chosen_model.cloud.data is None:
        # There is no cloud to ask. Some devices end their set-up only when they have joined.
        if not in_reach and not _ends_when_joined(result["protocol"]):
            situation.join_unconfirmed = True
            raise _not_in_reach(situation, ssid)
        situation.emit(Notice(code="unseen", text="The device has ended its set-up, as one that has joined."))
        return result | {"joined": "silence"}
    situation.emit(Notice(code="unseen", text=SET_UP_ENDED))
    from installer.flow.resume import JOIN_UNKNOWN

    situation.unconfirmed_provision_result = result | {"joined": JOIN_UNKNOWN}
    situation.unconfirmed_provision_seconds = time.monotonic() - began
    return situation.unconfirmed_provision_result


async def record_cloud_confirmation(situation: Situation) -> None:
    """Record that the cloud has shown the device to be online, if its join was unconfirmed."""
    result, situation.unconfirmed_provision_result = situation.unconfirmed_provision_result, None
    if result is not None:
        seconds = situation.unconfirmed_provision_seconds
        await situation.record.step_done("provision", seconds, result | {"joined": "cloud"})


async def _ask_device(situation: Situation, ssid: str) -> tuple[bool | None, bool]:
    """(whether the device has joined, or None; whether it is in reach without offering its set-up)."""
    for tries_left in reversed(range(CONNECT_TRIES)):
        try:
            seconds = await _listen_seconds(situation)
            await device_connection.connect(situation, find=seconds)
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
            if error.code not in (ErrorCode.CONNECTION_LOST, ErrorCode.CONNECTION_FAILED) or not tries_left:
                raise
    return None, False


async def _listen_seconds(situation: Situation) -> float:
    """How long to scan for the device. Earlier advertisements are forgotten: it may have joined since."""
    scan = await device_connection.running_scan(situation)
    scan.forget(situation.chosen_sighting.address)
    if situation.environment.radio is None:
        return LISTEN_SECONDS
    return max(LISTEN_SECONDS, (await device_connection.adapter(situation)).max_report_gap)


def _ends_when_joined(protocol: str | None) -> bool:
    """Whether a device of this protocol ends its set-up service when it has joined, and only then."""
    found = registry.find_protocol(protocol) if protocol is not None else None
    return found is not None and found.ends_when_joined


def _not_in_reach(situation: Situation, ssid: str) -> InstallerError:
    name, address = situation.chosen_model.name, situation.chosen_sighting.address
    return InstallerError(
        ErrorCode.DEVICE_NOT_FOUND,
        f"{name} {address} was given its credentials, and is not within reach now. It may have joined or not.",
        "If the router lists it, it has joined, and nothing is left to do. Else bring it close, switch it on, and "
        "resume again.",
        address=address,
        ssid=ssid,
        sent=True,
    )
