"""The Bluetooth connection to the device, which all steps share: scan, connect, reconnect, close."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from pydantic import SecretStr

from installer.answers import FindAnswer, StepKey
from installer.bluetooth.device_information import DeviceInformation, read_device_information
from installer.catalogue.model import Bonding
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice, left_link_notice
from installer.flow.load_ahead import load_ahead
from installer.flow.questions import AskProof
from installer.flow.situation import Situation
from installer.flow.steps import device_trust, pairing_answers, retail_device
from installer.flow.steps.detected_model import check_wanted_model
from installer.provisioning import registry
from installer.provisioning.provisioner import Capability, DeviceInfo, DriverOptions
from installer.provisioning.required_security import RequiredSecurity

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.bluetooth.connection import Connection
    from installer.bluetooth.scan import Scan
    from installer.bluetooth.sighting import Sighting
    from installer.provisioning.provisioner import Provisioner
    from installer.qr.device_setup_code import DevicePayload


# An update of the system restarts the Bluetooth service, which takes 1 to 3 s; a crashed one comes back after 2 to 5.
SHORT_OUTAGE_SECONDS = 10.0
# How long a scan may take to go on beside an open connection. Some adapters never do it.
SCAN_BESIDE_SECONDS = 2.0


async def adapter(situation: Situation) -> Adapter:
    """The adapter, opened once for an installation."""
    if situation.environment.radio is not None:
        return await situation.environment.radio.adapter()
    if situation.adapter is None:
        opened = situation.adapter = await situation.environment.open_adapter()
        opened.on_left_link = lambda address: situation.emit(left_link_notice(address))
    return situation.adapter


async def running_scan(situation: Situation) -> Scan:
    """The running scan; it is started if none runs."""
    from installer.bluetooth.scan import Scan

    if situation.environment.radio is not None:
        return await situation.environment.radio.scan()
    if situation.scan is not None and situation.scan.failure is not None:
        # The adapter was removed or switched off: open it again.
        await close_bluetooth(situation)
    if situation.scan is None:
        scan = Scan(await adapter(situation), registry.detector(situation.environment.catalogue))
        await scan.__aenter__()
        situation.scan = scan
        load_ahead("bleak_retry_connector")
    return situation.scan


async def stop_scanning(situation: Situation) -> None:
    """Stop the scan, if one runs."""
    scan, situation.scan = situation.scan, None
    if scan is not None:
        await scan.__aexit__(None, None, None)


async def connect(situation: Situation, *, find: float | None = None) -> None:
    """Connect to the chosen device and open its provisioner. Does nothing if the connection is open.

    `find`: how long to scan for the device, in seconds, instead of the usual deadline.
    """
    failed, situation.connect_error = situation.connect_error, None
    if failed is not None:
        raise failed
    if situation.connection is not None and situation.connection.is_open:
        return
    try:
        await _connect(situation, find)
    except InstallerError as error:
        if error.code is not ErrorCode.BOND_LOST:
            raise
        await pairing_answers.renew_lost_bond(situation, await adapter(situation), error)
        await _connect(situation, find, pair=True)


async def connect_beside_scan(situation: Situation) -> bool:
    """Connect to a device of which it is not certain yet that it is meant, and look on for others.

    Nobody is asked, nothing is paired. False if the adapter cannot scan beside an open connection; it is closed then.
    Raises as `connect`, and DEVICE_UNSUPPORTED also for a device that only its vendor's app sets up.
    """
    try:
        await _connect(situation, None, certain=False)
    except TimeoutError:
        await disconnect(situation)
        await stop_scanning(situation)
        return False
    return True


async def settle_on_device(situation: Situation) -> None:
    """The connected device is certainly the one that is meant: others are not looked for, and it may be paired."""
    if situation.connection is not None:
        await stop_scanning(situation)
        situation.connection.pair_with(pairing_answers.PairingAnswers(situation))


async def _connect(situation: Situation, find: float | None, *, pair: bool = False, certain: bool = True) -> None:
    """Find the device, connect and open its provisioner. `pair`: pair before anything else.

    `certain`: that it is meant; else see `connect_beside_scan`, and TimeoutError if the scan cannot go on.
    """
    from installer.bluetooth.connection import Connection

    await disconnect(situation)
    sighting = situation.chosen_sighting
    scan = await running_scan(situation)
    seen = await scan.wait_until(
        lambda all_seen: next((s for s in all_seen if s.address == sighting.address), None),
        situation.options.deadlines.find if find is None else find,
    )
    if seen is None:
        raise InstallerError(
            ErrorCode.DEVICE_NOT_FOUND,
            f"{situation.chosen_model.name} {sighting.address} is no longer within reach.",
            "Bring it close to this computer and wake it, then try again.",
        )
    if situation.resumed:
        # The model is that of the record. The device itself says what it is.
        check_wanted_model(situation.environment.catalogue, seen, situation.chosen_model, before=True)
    limit = situation.options.deadlines.connect
    radio = situation.environment.radio
    situation.ble_device = None
    opening = partial(
        Connection.open,
        timeout=limit,
        dialog=pairing_answers.PairingAnswers(situation) if certain else None,
        pair=pair or situation.chosen_model.bonding is Bonding.REQUIRED,
    )
    # Many adapters cannot scan and connect at once.
    if radio is None:
        ble_device = scan.ble_device(sighting.address)
        await (stop_scanning(situation) if certain else scan.pause())
        try:
            connection = await opening(await adapter(situation), ble_device)
        except InstallerError:
            if not certain:
                await _go_on_scanning(scan)
            raise
    else:
        async with radio.connecting() as scan:
            ble_device = scan.ble_device(sighting.address)
            connection = await opening(await radio.adapter(), ble_device)
    situation.connection, situation.ble_device = connection, ble_device
    try:
        if not certain:
            await _go_on_scanning(scan)
        situation.bonded = situation.bonded or await (await adapter(situation)).is_bonded(ble_device)
        await _identify_device(situation, connection, sighting, certain=certain)
    except BaseException:
        # The next try must not take it for a complete connection.
        await disconnect(situation)
        raise


async def _go_on_scanning(scan: Scan) -> None:
    """Raises TimeoutError if the adapter does not let it."""
    try:
        async with asyncio.timeout(SCAN_BESIDE_SECONDS):
            await scan.resume()
    except InstallerError:
        raise TimeoutError from None


async def wait_out_outage(situation: Situation, error: InstallerError) -> bool:
    """Wait for this computer's Bluetooth, if its service was only restarted. Whether it works again.

    The connection is closed: it did not survive that. A switched-off or pulled adapter needs a person first.
    """
    from installer.bluetooth.system_errors import may_pass_soon

    if not may_pass_soon(error):
        return False
    await disconnect(situation)
    radio, opened = situation.environment.radio, situation.adapter
    if radio is not None:
        return await radio.wait_until_back(SHORT_OUTAGE_SECONDS)
    return opened is None or await opened.wait_until_back(SHORT_OUTAGE_SECONDS)


async def _identify_device(
    situation: Situation, connection: Connection, sighting: Sighting, *, certain: bool = True
) -> None:
    """Choose the provisioner for the open connection, and read what the device is. `certain`: that it is meant."""
    from installer.provisioning.registry import provisioner_for

    options = DriverOptions(
        authorization=situation.options.deadlines.authorization,
        proof=read_proof(situation),
        identify=situation.options.identify,
        username=situation.username,
        wanted_ssid=situation.given.network.ssid if situation.given.network is not None else None,
        ask_proof=partial(_ask_proof, situation),
    )
    provisioner = None
    expected = device_trust.seen_before(situation)
    if not situation.options.guided:
        provisioner = await provisioner_for(connection, expected.protocol or sighting.detection.protocol, options)
    retail = provisioner is None and certain and not situation.join_unconfirmed
    if retail and await retail_device.recognise(situation, connection):
        # Many devices accept one connection only, and the vendor's app on the phone needs it now.
        await disconnect(situation)
        return
    if provisioner is None:
        raise InstallerError(
            ErrorCode.DEVICE_UNSUPPORTED,
            f"{situation.chosen_model.name} {sighting.address} speaks no set-up protocol that this program knows.",
            "Check that it is in set-up mode. " + situation.chosen_sighting.detection.note,
            services=sorted(connection.services),
        )
    await provisioner.open()
    situation.provisioner = provisioner
    for warning in getattr(provisioner, "warnings", ()):
        situation.tell(Notice(code="encryption", text=warning))
    if situation.info is not None:
        standard = await read_device_information(connection) if expected.serial else DeviceInformation()
        device_trust.check_same_device(situation, provisioner, standard.serial)
        return
    has_info = Capability.DEVICE_INFO in provisioner.capabilities
    info = await provisioner.info() if has_info else DeviceInfo(name=sighting.name)
    standard = await read_device_information(connection)
    device_trust.check_same_device(situation, provisioner, standard.serial)
    # In some protocols the firmware version is only the version of the protocol.
    more = {"serial": standard.serial, "firmware_version": standard.firmware or info.firmware_version}
    situation.info = info.model_copy(update=more)


def read_proof(situation: Situation) -> SecretStr | None:
    """The proof that a person typed in this run, or the given one. Raises SECRET_UNAVAILABLE."""
    given = situation.given.find
    if situation.proof is None and given is not None:
        situation.proof = given.secret or (given.proof.fetch("proof of possession") if given.proof else None)
    return situation.proof


async def _ask_proof(situation: Situation, problem: InstallerError) -> SecretStr:
    """Ask a person for the proof; raises `problem` with the options if this run may not ask."""
    if not situation.may_ask(StepKey.FIND):
        options = "Give it with --proof-file F or --proof-env VAR, or in an answers file"
        if problem.data.get("security") == 2:
            options += "; the user name that goes with it with --username (taken for “wifiprov” if there is none)"
        raise problem.with_advice(f"{problem.todo} {options}.")
    # After a wrong proof some devices disconnect; the new connection only knows that a proof is missing.
    reason, situation.proof_problem = situation.proof_problem or problem, None
    question = AskProof(
        model=situation.chosen_model,
        name=situation.chosen_sighting.name,
        address=situation.chosen_sighting.address,
        problem=reason,
        can_go_back=not situation.credentials_sent,
    )
    answer: SecretStr | DevicePayload = await situation.ask(question)
    proof = answer if isinstance(answer, SecretStr) else answer.proof or SecretStr("")
    # From now on no connection without the proof, or below the label, will do, whatever the device says.
    scheme = 0
    if not isinstance(answer, SecretStr):
        scheme = FindAnswer(name=answer.name, username=answer.username or None, security=answer.security).least_scheme
    minimum = RequiredSecurity(proof=bool(proof.get_secret_value()), scheme=scheme)
    situation.require(situation.chosen_sighting.address, minimum)
    if situation.chosen.find is not None:
        found = device_trust.with_minimum(situation, situation.chosen.find)
        situation.chosen = situation.chosen.with_answer(StepKey.FIND, found)
    await device_trust.check_minimum(situation, before_handshake=True)
    situation.proof = proof
    return proof


async def ensure_connected(situation: Situation) -> tuple[Connection, Provisioner]:
    """The open connection and its provisioner; reconnects if the link was lost.

    Raises SECURITY_TOO_LOW if the device is about to get credentials and does not meet the minimum.
    """
    for _ in range(2):
        await connect(situation)
        await device_trust.check_minimum(situation, before_handshake=True)
        # A person may have taken so long to decide that the device has ended the connection.
        if situation.connection is not None and situation.connection.is_open:
            break
    if situation.connection is None or situation.provisioner is None:
        raise InstallerError(ErrorCode.INTERNAL, "The device is not connected.", "This is a defect; report it.")
    return situation.connection, situation.provisioner


async def follow_address(situation: Situation) -> None:
    """If the device shows another address since it was paired, its record and lease go on with that one.

    Raises DEVICE_TAKEN.
    """
    sighting, device = situation.sighting, situation.ble_device
    opened, radio = situation.adapter, situation.environment.radio
    if opened is None and radio is not None and situation.connection is not None and situation.connection.is_open:
        opened = await radio.adapter()
    if sighting is None or device is None or opened is None:
        return
    address = await opened.lasting_address(device)
    if address == sighting.address:
        return
    before = sighting.address
    situation.sighting = sighting.model_copy(update={"address": address})
    situation.require(address, situation.required_security.get(before.lower(), RequiredSecurity()))
    seen = situation.environment.seen_devices
    if before in seen:
        seen[address] = seen[before]
    situation.accepted_unproved |= {(address, *one[1:]) for one in situation.accepted_unproved if one[0] == before}
    for answers in ("given", "chosen"):
        find = getattr(situation, answers).find
        if find is not None and find.device == before:
            moved = find.model_copy(update={"device": address})
            setattr(situation, answers, getattr(situation, answers).with_answer(StepKey.FIND, moved))
    if not situation.options.dry_run and situation.record.opened:
        await situation.record.change_address(address)


async def disconnect(situation: Situation, *, for_good: bool = False) -> None:
    """Close provisioner and connection, if open. `for_good`: nothing connects to the device after this."""
    provisioner, situation.provisioner = situation.provisioner, None
    connection, situation.connection = situation.connection, None
    if provisioner is not None:
        await provisioner.close()
    if connection is not None:
        await (connection.let_go() if for_good else connection.close())


async def close_bluetooth(situation: Situation, *, for_good: bool = False) -> None:
    """Close the connection, the scan and the adapter of this installation. `for_good`: see `disconnect`."""
    try:
        await disconnect(situation, for_good=for_good)
        await stop_scanning(situation)
    finally:
        opened, situation.adapter = situation.adapter, None
        if opened is not None:
            await opened.close()
