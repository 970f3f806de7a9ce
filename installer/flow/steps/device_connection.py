"""The one connection to the device that all steps share: scanning, opening, opening again, closing."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pydantic import SecretStr

from installer.answers import StepKey
from installer.bluetooth import device_information
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import Notice
from installer.flow.questions import AskProof
from installer.flow.steps import retail_device
from installer.flow.steps.step import Situation
from installer.provisioning.provisioner import Capability, DeviceInfo, DriverOptions

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.bluetooth.connection import Connection
    from installer.bluetooth.scan import Scan
    from installer.bluetooth.sighting import Sighting
    from installer.provisioning.provisioner import Provisioner


async def adapter(situation: Situation) -> Adapter:
    """The adapter, opened once for an installation."""
    if situation.surroundings.radio is not None:
        return await situation.surroundings.radio.adapter()
    if situation.adapter is None:
        situation.adapter = await situation.surroundings.open_adapter()
    return situation.adapter


async def scanning(situation: Situation) -> Scan:
    """The running scan; started when it is first needed, or anew after it was stopped."""
    from installer.bluetooth.scan import Scan

    if situation.surroundings.radio is not None:
        return await situation.surroundings.radio.scan()
    if situation.scan is not None and situation.scan.failure is not None:
        # The adapter went away or was switched off; another try opens it anew.
        await leave(situation)
    if situation.scan is None:
        scan = Scan(await adapter(situation), situation.surroundings.catalogue)
        await scan.__aenter__()
        situation.scan = scan
    return situation.scan


async def stop_scanning(situation: Situation) -> None:
    """Stop the scan, if one runs."""
    scan, situation.scan = situation.scan, None
    if scan is not None:
        await scan.__aexit__(None, None, None)


async def connect(situation: Situation, *, find: float | None = None) -> None:
    """Open the connection to the chosen device, and its provisioner. Does nothing if both are open.

    `find`: how long to listen for it, seconds, in place of the usual deadline.
    """
    from installer.bluetooth.connection import Connection

    if situation.connection is not None and situation.connection.is_open:
        return
    await disconnect(situation)
    sighting = situation.the_sighting
    await let_go(situation, sighting.address)
    scan = await scanning(situation)
    seen = await scan.wait_until(
        lambda all_seen: next((s for s in all_seen if s.address == sighting.address), None),
        situation.options.deadlines.find if find is None else find,
    )
    if seen is None:
        raise InstallerError(
            ErrorCode.DEVICE_NOT_FOUND,
            f"{situation.the_model.name} {sighting.address} is no longer within reach.",
            "Bring it close to this computer and wake it, then try again.",
        )
    limit = situation.options.deadlines.connect
    radio = situation.surroundings.radio
    # Many adapters cannot scan and connect at once.
    if radio is None:
        ble_device = scan.ble_device(sighting.address)
        await stop_scanning(situation)
        connection = await Connection.open(await adapter(situation), ble_device, timeout=limit)
    else:
        async with radio.connecting() as scan:
            ble_device = scan.ble_device(sighting.address)
            connection = await Connection.open(await radio.adapter(), ble_device, timeout=limit)
    situation.connection = connection
    try:
        await _meet(situation, connection, sighting)
    except BaseException:
        # Half a connection would pass for a whole one at the next try.
        await disconnect(situation)
        raise


async def let_go(situation: Situation, address: str | None) -> None:
    """In a resumed installation: end the link that the killed process may have left, or it would not advertise."""
    if situation.resumed and address is not None:
        await (await adapter(situation)).let_go(address)


async def _meet(situation: Situation, connection: Connection, sighting: Sighting) -> None:
    """Find the driver of the open connection and let it ask what the device is."""
    from installer.provisioning.registry import provisioner_for

    options = DriverOptions(
        authorization=situation.options.deadlines.authorization,
        proof=read_proof(situation),
        identify=situation.options.identify,
        username=situation.username,
        ask_proof=functools.partial(_ask_proof, situation),
    )
    provisioner = None
    if not situation.options.guided:
        provisioner = await provisioner_for(connection, sighting.detection.protocol, options)
    if provisioner is None and not situation.unsettled and await retail_device.recognise(situation, connection):
        # From here on the device is the phone's with the vendor's app: many take one connection only.
        await disconnect(situation)
        return
    if provisioner is None:
        raise InstallerError(
            ErrorCode.DEVICE_UNSUPPORTED,
            f"{situation.the_model.name} {sighting.address} speaks no set-up protocol that this program knows.",
            "Check that it is in set-up mode. " + situation.the_sighting.detection.note,
            services=sorted(connection.services),
        )
    await provisioner.open()
    situation.provisioner = provisioner
    for warning in getattr(provisioner, "warnings", ()):
        situation.emit(Notice(code="encryption", text=warning))
    if situation.info is None:
        can_tell = Capability.DEVICE_INFO in provisioner.capabilities
        info = await provisioner.info() if can_tell else DeviceInfo(name=sighting.name)
        told = await device_information.read(connection)
        # What the protocol tells as firmware is with some only the version of the protocol.
        more = {"serial": told.serial, "firmware_version": told.firmware or info.firmware_version}
        situation.info = info.model_copy(update=more)


def read_proof(situation: Situation) -> SecretStr | None:
    """The proof that was typed in this run, or the one that the answers name. Raises SECRET_UNAVAILABLE."""
    given = situation.given.find
    if situation.proof is None and given is not None:
        situation.proof = given.secret or (given.proof.fetch("proof of possession") if given.proof else None)
    return situation.proof


async def _ask_proof(situation: Situation, problem: InstallerError) -> SecretStr:
    """Ask the person; a script that has none, or a wrong one, fails with `problem` itself."""
    if not situation.may_ask(StepKey.FIND):
        where = "Give it with --proof-file F or --proof-env VAR, or in an answers file"
        if problem.data.get("security") == 2:
            where += "; the user name that goes with it with --username (taken for “wifiprov” if there is none)"
        raise InstallerError(problem.code, problem.what, f"{problem.todo} {where}.", **problem.data)
    # After a wrong proof some devices hang up; the new connection knows only that a proof is missing.
    why, situation.proof_problem = situation.proof_problem or problem, None
    question = AskProof(
        model=situation.the_model, name=situation.the_sighting.name, problem=why, can_go_back=not situation.sent
    )
    situation.proof = await situation.ask(question)
    return situation.proof


async def connected(situation: Situation) -> tuple[Connection, Provisioner]:
    """The open connection and its provisioner; opened again if the link dropped."""
    await connect(situation)
    if situation.connection is None or situation.provisioner is None:
        raise InstallerError(ErrorCode.INTERNAL, "The device is not connected.", "This is a defect; report it.")
    return situation.connection, situation.provisioner


async def disconnect(situation: Situation) -> None:
    """Close provisioner and connection, if open."""
    provisioner, situation.provisioner = situation.provisioner, None
    connection, situation.connection = situation.connection, None
    if provisioner is not None:
        await provisioner.close()
    if connection is not None:
        await connection.close()


async def leave(situation: Situation) -> None:
    """Close everything of Bluetooth that this installation opened."""
    try:
        await disconnect(situation)
        await stop_scanning(situation)
    finally:
        opened, situation.adapter = situation.adapter, None
        if opened is not None:
            await opened.close()
