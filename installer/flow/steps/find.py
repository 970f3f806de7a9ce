"""The find step: scan, choose the device, connect, and read what it is."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from installer.answers import FindAnswer, StepKey
from installer.bluetooth.sighting import Sighting
from installer.catalogue.model import GUIDED, Model
from installer.catalogue.sync_rule_wifi_or_bluetooth import check_sync
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import DeviceConnected, DeviceFound, Notice
from installer.flow.front_end import Recovery
from installer.flow.questions import ChooseDevice, ConfirmDevice
from installer.flow.situation import Situation, answer_missing
from installer.flow.steps import device_connection, device_trust, retail_device
from installer.flow.steps.detected_model import check_wanted_model
from installer.flow.steps.step import Step
from installer.flow.steps.which_device import wait_for_device
from installer.provisioning.provisioner import Capability, DeviceInfo, security_of
from installer.text import in_quotes
from installer.wifi.networks import Network

if TYPE_CHECKING:
    from installer.bluetooth.scan import Scan

SCAN_CHECK_SECONDS = 0.25  # how often to check whether the scan still runs


class FindStep(Step):
    """Which device, and is it the right one?"""

    key = StepKey.FIND
    usual_seconds = 20.0

    def check_given_answer(self, situation: Situation) -> None:
        """Refuse a model that is not in the catalogue, and a proof of possession that cannot be read."""
        given = situation.given.find
        if given is None:
            return
        if given.model is not None:
            situation.environment.catalogue.get(given.model)
        device_connection.read_proof(situation)

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> FindAnswer:
        """The given device, or the one that a person chooses from the live list."""
        given = situation.given.find
        sync = situation.given.sync
        if given is not None and given.model is not None and sync is not None and self._sync_method_is_final(situation):
            # The sync rule needs no radio: refuse an impossible method before the scan.
            check_sync(situation.environment.catalogue.get(given.model), sync.method)
        if given is not None and problem is None:
            return given
        catalogue = situation.environment.catalogue
        if not situation.may_ask(self.key):
            raise answer_missing(self.key)
        wanted = catalogue.get(given.model) if given is not None and given.model else None
        scan = await device_connection.running_scan(situation)
        situation.environment.records.store.preload()
        question = ChooseDevice(
            sightings=scan, catalogue=catalogue, wanted=wanted, can_go_back=can_go_back, problem=problem
        )
        return await self._ask_for_device(situation, question, scan)

    async def _ask_for_device(self, situation: Situation, question: ChooseDevice, scan: Scan) -> FindAnswer:
        """The person's choice. Raises the scan's error if the scan fails first, so that the step can be retried."""
        asking = asyncio.ensure_future(situation.ask(question))
        failing = asyncio.ensure_future(_wait_for_scan_failure(scan))
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
        """Wait for the device, connect, read what it is, and let a person confirm it."""
        await device_connection.disconnect(situation)
        situation.guided = False
        if answer.secret is not None and situation.given.find is None:
            # A person pasted the device's code, which contains its proof.
            situation.proof = answer.secret
        situation.username = answer.username
        if answer.name:
            # Two devices may have that name; whichever is chosen then must meet what the label states.
            situation.require(answer.name, device_trust.stated_in(answer))
        asked = situation.given.find is None or self.key in situation.options.ask
        sighting = await wait_for_device(situation, answer, partial(self._model_of, situation, answer))
        model = self._model_of(situation, answer, sighting)
        situation.sighting, situation.model = sighting, model
        situation.require(sighting.address, device_trust.stated_in(answer))
        connected = True
        try:
            await self._record_and_connect(situation)
        except InstallerError as error:
            await device_connection.disconnect(situation)
            if not retail_device.continue_without_connection(situation, error):
                raise
            connected = False
        provisioner, info = situation.provisioner, situation.info
        if situation.guided:
            return await self._finish_retail_device(situation, asked=asked, connected=connected)
        if provisioner is None or info is None:
            raise InstallerError(ErrorCode.INTERNAL, "The device is not connected.", "This is a defect; report it.")
        situation.emit(
            DeviceConnected(
                address=sighting.address,
                protocol=provisioner.protocol,
                encrypts_credentials=provisioner.encrypts_credentials,
                security=security_of(provisioner).scheme,
                wants_proof=security_of(provisioner).wants_proof,
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
        await device_connection.follow_address(situation)
        await self._check_existing_wifi(situation, confirmed=asked)
        await device_trust.check_minimum(situation, before_handshake=True)
        result = _result(situation, provisioner.protocol) | device_trust.for_record(provisioner)
        return result | ({"keep_wifi": True} if situation.keep_wifi else {})

    def final_answer(self, situation: Situation, answer: FindAnswer) -> FindAnswer:
        """The answer with what the device must show, also if a person typed its proof or pasted its code."""
        return device_trust.with_minimum(situation, answer)

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """Another device can always be chosen."""
        if error.code in (ErrorCode.DEVICE_UNSUPPORTED, ErrorCode.DEVICE_ALREADY_SET_UP, ErrorCode.DEVICE_AMBIGUOUS):
            return (Recovery.CHANGE, Recovery.STOP)
        return (Recovery.RETRY, Recovery.CHANGE, Recovery.STOP)

    async def _finish_retail_device(self, situation: Situation, *, asked: bool, connected: bool) -> dict[str, Any]:
        """Finish the step for a device that the vendor's app sets up; its connection is closed already."""
        sighting, info = situation.chosen_sighting, situation.info or DeviceInfo()
        if connected:
            situation.emit(
                DeviceConnected(address=sighting.address, protocol=GUIDED, encrypts_credentials=False, info=info)
            )
        if asked and situation.may_ask(self.key):
            await situation.ask(
                ConfirmDevice(
                    sighting=sighting,
                    model=situation.chosen_model,
                    info=info,
                    protocol=GUIDED,
                    set_up=bool(situation.associated),
                    can_go_back=True,
                )
            )
        await retail_device.check_existing_account(situation, confirmed=asked)
        before = bool(situation.associated) and not situation.maybe_associated_after_start
        return _result(situation, GUIDED) | {"associated": before}

    def _sync_method_is_final(self, situation: Situation) -> bool:
        """Whether the given sync method cannot be changed; else a person can change it in the sync step."""
        return situation.given.sync is not None and not situation.may_ask(StepKey.SYNC)

    async def _record_and_connect(self, situation: Situation) -> None:
        """Record which device it is, and connect; both at once if nobody can be asked anything meanwhile.

        What the record raises comes first: DEVICE_TAKEN. Where other stations share the ledger, it is waited for: they
        may be about to connect.
        """
        options = situation.options
        asks = not options.non_interactive or options.ask or options.ask_pairing
        if asks or not situation.environment.records.private:
            await self._tell_device(situation)
            await device_connection.connect(situation)
            return
        if situation.held_notices is None:
            situation.held_notices = []
        telling = asyncio.ensure_future(self._tell_device(situation))
        connecting = asyncio.ensure_future(device_connection.connect(situation))
        try:
            await asyncio.wait({telling, connecting}, return_when=asyncio.FIRST_EXCEPTION)
            if not telling.done() or telling.exception() is not None:
                await telling
            await connecting
        finally:
            for task in (telling, connecting):
                task.cancel()
            await asyncio.gather(telling, connecting, return_exceptions=True)
            situation.held_notices = None

    async def _tell_device(self, situation: Situation) -> None:
        """Record which device it is, and tell it; then what its connection has brought up."""
        sighting, model = situation.chosen_sighting, situation.chosen_model
        if not situation.options.dry_run:
            await situation.record.set_device(
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
        held, situation.held_notices = situation.held_notices or [], None
        for notice in held:
            situation.emit(notice)

    def _model_of(self, situation: Situation, answer: FindAnswer, sighting: Sighting) -> Model:
        """Its model. Raises DEVICE_UNSUPPORTED, and the sync rule's error for a method that is final."""
        model = self._check_model(situation, answer, sighting)
        if situation.given.sync is not None and self._sync_method_is_final(situation):
            check_sync(model, situation.given.sync.method)
        return model

    def _check_model(self, situation: Situation, answer: FindAnswer, sighting: Sighting) -> Model:
        catalogue = situation.environment.catalogue
        detection = sighting.detection
        detected = catalogue.get(detection.model_id) if detection.model_id else None
        if answer.model is None:
            if detected is None:
                raise _unsupported(sighting)
            return detected
        wanted = catalogue.get(answer.model)
        # Naming another model must not get around the sync rule.
        check_wanted_model(catalogue, sighting, wanted)
        return wanted

    async def _check_existing_wifi(self, situation: Situation, confirmed: bool) -> None:
        """A device that is on Wi-Fi already keeps its network if that is wanted; else raise DEVICE_ALREADY_SET_UP."""
        if situation.provisioner is None or not situation.provisioner.set_up:
            return
        address = situation.chosen_sighting.address
        records = situation.environment.records
        sent_ssid = await records.store.call(records.last_provisioned_ssid, address)
        wanted_ssid = situation.given.network.ssid if situation.given.network else None
        # Continue what this program did, unless another network is wanted now.
        done_here = sent_ssid is not None and wanted_ssid in (None, sent_ssid) and not situation.options.only_new
        keep = situation.options.keep_wifi or situation.keep_wifi_requested_before
        if not (confirmed or keep or done_here):
            other = (
                f" for the network {in_quotes(sent_ssid)}, not {in_quotes(wanted_ssid)}"
                if sent_ssid and wanted_ssid
                else ""
            )
            raise InstallerError(
                ErrorCode.DEVICE_ALREADY_SET_UP,
                f"{situation.chosen_model.name} {address} is set up already{other}.",
                "To link it as it is, give --keep-wifi. To choose another network, reset it to factory state first.",
                address=address,
            )
        situation.keep_wifi = True
        if sent_ssid:
            situation.network = Network(ssid=sent_ssid)
            # Data since then counts as first data; the device may have nothing newer.
            since: float | None = await records.store.call(records.last_provisioning_started, address)
            situation.started = since or situation.started
        situation.emit(
            Notice(
                code="keeps_wifi", text="The device is on Wi-Fi already: it keeps its network and is linked as it is."
            )
        )


def _result(situation: Situation, protocol: str) -> dict[str, Any]:
    sighting, info = situation.chosen_sighting, situation.info or DeviceInfo()
    return {
        "address": sighting.address,
        "name": sighting.name or info.name,
        "model": situation.chosen_model.id,
        "certainty": sighting.detection.certainty.value,
        "reasons": list(sighting.detection.reasons),
        "protocol": protocol,
        "rssi": sighting.rssi,
        "firmware": info.firmware_version,
        "serial": info.serial,
    }


async def _wait_for_scan_failure(scan: Scan) -> InstallerError:
    # The front end shows the failure of a scan that goes on by itself.
    while scan.failure is None or scan.restarts:  # noqa: ASYNC110 - an event for every advertisement would cost more
        await asyncio.sleep(SCAN_CHECK_SECONDS)
    return scan.failure


def _unsupported(sighting: Sighting) -> InstallerError:
    note = sighting.detection.note
    return InstallerError(
        ErrorCode.DEVICE_UNSUPPORTED,
        f"{sighting.address} ({sighting.name or 'without a name'}) is not of a model in the catalogue."
        + (f" {note}" if note else ""),
        "`device-installer models` lists the models; a catalogue file of your own can add one (--catalogue).",
    )
