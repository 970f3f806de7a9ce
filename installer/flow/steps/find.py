"""Find: scan, choose the device, connect, and learn what it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from installer.answers import FindAnswer, StepKey
from installer.bluetooth.sighting import Certainty, SetupState, Sighting
from installer.catalogue.catalogue import Model, check_sync
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import DeviceConnected, DeviceFound, Notice
from installer.flow.questions import ChooseDevice, ConfirmDevice, Recovery
from installer.flow.steps import device_connection, retail_device
from installer.flow.steps.step import Situation, Step, missing
from installer.provisioning.guided import checklist
from installer.provisioning.provisioner import Capability, DeviceInfo
from installer.text import printable
from installer.wifi.networks import Network

if TYPE_CHECKING:
    from installer.bluetooth.scan import Scan

LOOK_AGAIN = 0.25  # seconds between two looks at whether the scan still runs
SURE = (Certainty.CERTAIN, Certainty.LIKELY)


class Find(Step):
    """Which device, and is it the right one?"""

    key = StepKey.FIND
    seconds = 20.0

    def foresee(self, situation: Situation) -> None:
        """A model that is not in the catalogue, and a proof of possession that cannot be read."""
        given = situation.given.find
        if given is None:
            return
        if given.model is not None:
            situation.surroundings.catalogue.get(given.model)
        device_connection.read_proof(situation)

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> FindAnswer:
        """The device that was named, or the one that a person picks from the live list."""
        given = situation.given.find
        wish = situation.given.sync
        if given is not None and given.model is not None and wish is not None and self._decided(situation):
            # The sync rule needs no radio: an impossible wish is refused before anything is sent.
            check_sync(situation.surroundings.catalogue.get(given.model), wish.method)
        if given is not None and problem is None:
            return given
        catalogue = situation.surroundings.catalogue
        if not situation.may_ask(self.key):
            raise missing(self.key)
        wanted = catalogue.get(given.model) if given is not None and given.model else None
        scan = await device_connection.scanning(situation)
        situation.surroundings.records.store.warm()
        question = ChooseDevice(
            sightings=scan, catalogue=catalogue, wanted=wanted, can_go_back=can_go_back, problem=problem
        )
        return await self._picked(situation, question, scan)

    async def _picked(self, situation: Situation, question: ChooseDevice, scan: Scan) -> FindAnswer:
        """The person's choice; raises the scan's failure if that comes first, so that it can be tried again."""
        asking = asyncio.ensure_future(situation.ask(question))
        failing = asyncio.ensure_future(_failure(scan))
        try:
            await asyncio.wait((asking, failing), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise failing.result()
            answer: FindAnswer = await asking
            return answer
        finally:
            for task in (asking, failing):
                task.cancel()
            await asyncio.gather(asking, failing, return_exceptions=True)

    async def carry_out(self, situation: Situation, answer: FindAnswer) -> dict[str, Any]:
        """Wait for the device, connect, ask it what it is; a person confirms that it is the right one."""
        await device_connection.disconnect(situation)
        situation.guided = False
        if answer.secret is not None and situation.given.find is None:
            # A person pasted the code of the device, with its proof in it.
            situation.proof = answer.secret
        situation.username = answer.username
        asked = situation.given.find is None or self.key in situation.options.ask
        sighting = await self._seen(situation, answer)
        model = self._model(situation, answer, sighting)
        if situation.given.sync is not None and self._decided(situation):
            check_sync(model, situation.given.sync.method)
        situation.sighting, situation.model = sighting, model
        if not situation.options.dry_run:
            await situation.record.device(
                sighting.address,
                name=sighting.name,
                model=model.id,
                certainty=sighting.detection.certainty.value,
                reasons=sighting.detection.reasons,
            )
        situation.emit(
            DeviceFound(
                address=sighting.address,
                name=sighting.name,
                model=model.id,
                certainty=sighting.detection.certainty.value,
                rssi=sighting.rssi,
                reasons=sighting.detection.reasons,
            )
        )
        met = True
        try:
            await device_connection.connect(situation)
        except InstallerError as error:
            await device_connection.disconnect(situation)
            if not retail_device.goes_on_without(situation, error):
                raise
            met = False
        provisioner, info = situation.provisioner, situation.info
        if situation.guided:
            return await self._retail(situation, asked=asked, met=met)
        if provisioner is None or info is None:
            raise InstallerError(ErrorCode.INTERNAL, "The device is not connected.", "This is a defect; report it.")
        situation.emit(
            DeviceConnected(
                address=sighting.address,
                protocol=provisioner.protocol,
                encrypts_credentials=provisioner.encrypts_credentials,
                info=info,
            )
        )
        if asked and situation.may_ask(self.key):
            can_identify = Capability.IDENTIFY in provisioner.capabilities
            await situation.ask(
                ConfirmDevice(
                    sighting=sighting,
                    model=model,
                    info=info,
                    protocol=provisioner.protocol,
                    set_up=provisioner.set_up,
                    identify=provisioner.identify if can_identify else None,
                    can_go_back=True,
                )
            )
        await self._settle_wifi(situation, confirmed=asked)
        return _result(situation, provisioner.protocol) | ({"keep_wifi": True} if situation.keep_wifi else {})

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """Another device is always possible."""
        if error.code in (ErrorCode.DEVICE_UNSUPPORTED, ErrorCode.DEVICE_ALREADY_SET_UP, ErrorCode.DEVICE_AMBIGUOUS):
            return (Recovery.CHANGE, Recovery.STOP)
        return (Recovery.RETRY, Recovery.CHANGE, Recovery.STOP)

    async def _retail(self, situation: Situation, *, asked: bool, met: bool) -> dict[str, Any]:
        """The same for a device that only its vendor's app sets up; its connection is closed already."""
        sighting, info = situation.the_sighting, situation.info or DeviceInfo()
        if met:
            situation.emit(
                DeviceConnected(
                    address=sighting.address, protocol=checklist.PROTOCOL, encrypts_credentials=False, info=info
                )
            )
        if asked and situation.may_ask(self.key):
            await situation.ask(
                ConfirmDevice(
                    sighting=sighting,
                    model=situation.the_model,
                    info=info,
                    protocol=checklist.PROTOCOL,
                    set_up=bool(situation.associated),
                    can_go_back=True,
                )
            )
        await retail_device.settle(situation, confirmed=asked)
        before = bool(situation.associated) and not situation.associated_since
        return _result(situation, checklist.PROTOCOL) | {"associated": before}

    def _decided(self, situation: Situation) -> bool:
        """Whether the sync method stands; a person who can be asked changes an impossible one at its own step."""
        return situation.given.sync is not None and not situation.may_ask(StepKey.SYNC)

    async def _seen(self, situation: Situation, answer: FindAnswer) -> Sighting:
        await device_connection.let_go(situation, answer.device)
        scan = await device_connection.scanning(situation)
        if not situation.options.dry_run:
            # The ledger is opened while the scan runs.
            situation.record.open()
        limits = situation.options.deadlines
        wanted = situation.surroundings.catalogue.get(answer.model) if answer.model else None

        def fits(sightings: Sequence[Sighting]) -> list[Sighting] | None:
            return [s for s in sightings if _fits(s, answer, wanted)] or None

        found = await scan.wait_until(fits, limits.find)
        if found and not answer.device:
            # A second device of the model may advertise a little later than the first.
            await scan.wait_until(lambda all_seen: (fits(all_seen) or [])[1:] or None, limits.settle)
        found = (fits(scan.current()) or found) if found else None
        if not found:
            raise _not_found(answer, wanted, scan.current())
        ready = [s for s in found if s.state is not SetupState.SET_UP]
        candidates = ready or found
        if len(candidates) > 1:
            raise InstallerError(
                ErrorCode.DEVICE_AMBIGUOUS,
                f"{len(candidates)} devices fit: " + ", ".join(f"{s.address} ({s.name})" for s in candidates) + ".",
                "Name one with --device ADDRESS.",
                candidates=[{"address": s.address, "name": s.name, "rssi": s.rssi} for s in candidates],
            )
        return candidates[0]

    def _model(self, situation: Situation, answer: FindAnswer, sighting: Sighting) -> Model:
        catalogue = situation.surroundings.catalogue
        detection = sighting.detection
        detected = catalogue.get(detection.model_id) if detection.model_id else None
        if answer.model is None:
            if detected is None:
                raise _unsupported(sighting)
            return detected
        wanted = catalogue.get(answer.model)
        if detected and detected.id != wanted.id and detection.certainty in SURE and not detected.generic:
            # Otherwise the sync rule of one model could be got around by naming another.
            raise InstallerError(
                ErrorCode.DEVICE_UNSUPPORTED,
                f"The device {sighting.address} is a {detected.name} ({detection.certainty}), not a {wanted.name}.",
                f"Use --model {detected.id}, or leave --model out.",
                detected=detected.id,
                wanted=wanted.id,
            )
        return wanted

    async def _settle_wifi(self, situation: Situation, confirmed: bool) -> None:
        """A device that is on Wi-Fi already keeps it if that is wanted; else it must be reset first."""
        if situation.provisioner is None or not situation.provisioner.set_up:
            return
        address = situation.the_sighting.address
        records = situation.surroundings.records
        mine = await records.store.call(records.provisioned, address)
        wanted = situation.given.network.ssid if situation.given.network else None
        # What this computer did itself is gone on with, but not where another network is asked for now.
        goes_on = mine is not None and wanted in (None, mine) and not situation.options.only_new
        kept = situation.options.keep_wifi or situation.keep_wifi_wanted
        if not (confirmed or kept or goes_on):
            other = f" for the network {printable(mine)}, not {printable(wanted)}" if mine and wanted else ""
            raise InstallerError(
                ErrorCode.DEVICE_ALREADY_SET_UP,
                f"{situation.the_model.name} {address} is set up already{other}.",
                "To link it as it is, give --keep-wifi. To choose another network, reset it to factory state first.",
                address=address,
            )
        situation.keep_wifi = True
        if mine:
            situation.network = Network(ssid=mine)
            # What it has measured since then is its first data; it may have nothing newer to tell.
            since: float | None = await records.store.call(records.since, address)
            situation.started = since or situation.started
        situation.emit(
            Notice(
                code="keeps_wifi", text="The device is on Wi-Fi already: it keeps its network and is linked as it is."
            )
        )


def _result(situation: Situation, protocol: str) -> dict[str, Any]:
    sighting, info = situation.the_sighting, situation.info or DeviceInfo()
    return {
        "address": sighting.address,
        "name": sighting.name or info.name,
        "model": situation.the_model.id,
        "certainty": sighting.detection.certainty.value,
        "reasons": list(sighting.detection.reasons),
        "protocol": protocol,
        "rssi": sighting.rssi,
        "firmware": info.firmware_version,
        "serial": info.serial,
    }


async def _failure(scan: Scan) -> InstallerError:
    while scan.failure is None:  # noqa: ASYNC110 - a waiter on every advertisement would cost more
        await asyncio.sleep(LOOK_AGAIN)
    return scan.failure


def _fits(sighting: Sighting, answer: FindAnswer, wanted: Model | None) -> bool:
    if answer.device is not None:
        return sighting.address.upper() == answer.device
    if answer.name is not None and sighting.name.lower() != answer.name.strip().lower():
        return False
    if wanted is not None:
        return sighting.detection.model_id == wanted.id and sighting.detection.certainty is not Certainty.UNKNOWN
    return answer.name is not None


def _not_found(answer: FindAnswer, wanted: Model | None, seen: Sequence[Sighting]) -> InstallerError:
    what = answer.device or (wanted.name if wanted else answer.name)
    known = [f"{s.address} ({s.name or s.detection.model_id})" for s in seen if s.detection.model_id]
    return InstallerError(
        ErrorCode.DEVICE_NOT_FOUND,
        f"{what} is not within reach."
        + (f" Seen instead: {', '.join(known[:12])}." if known else " No device that can be set up is in reach."),
        "Check that it is switched on, close by, in set-up mode, and not connected to a phone.",
        seen=len(seen),
    )


def _unsupported(sighting: Sighting) -> InstallerError:
    note = sighting.detection.note
    return InstallerError(
        ErrorCode.DEVICE_UNSUPPORTED,
        f"{sighting.address} ({sighting.name or 'without a name'}) is not of a model in the catalogue."
        + (f" {note}" if note else ""),
        "`device-installer models` lists the models; a catalogue file of your own can add one (--catalogue).",
    )
