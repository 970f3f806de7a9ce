"""Restores the situation of a resumed installation from its earlier attempt, and reports the steps that are done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from installer.answers import Answers, FindAnswer, LinkAnswer, NetworkAnswer, ProvisionAnswer, StepKey, SyncAnswer
from installer.bluetooth.sighting import Advert, Certainty, Detection, Sighting
from installer.catalogue.model import SyncMethod
from installer.catalogue.sync_rule_wifi_or_bluetooth import check_sync
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import DeviceFound, NetworkChosen, StepDone, StepSkipped, SyncChosen
from installer.flow.resume import EarlierAttempt
from installer.flow.situation import Situation
from installer.flow.steps import device_trust
from installer.flow.steps.step import Step
from installer.wifi.networks import Network, Security

UNKNOWN_RSSI = -127


async def restore_and_report(situation: Situation, earlier: EarlierAttempt) -> StepKey:
    """Restore the situation, claim the device, emit the events of what is known; the first step to carry out.

    Raises DEVICE_TAKEN, ANSWERS_INVALID, and the sync rule's errors.
    """
    first = earlier.next_step(situation.given.link)
    restore(situation, earlier, first)
    if first is StepKey.FIND:
        return first
    sighting = situation.chosen_sighting
    await situation.record.set_device(
        sighting.address,
        name=earlier.name,
        model=earlier.model,
        certainty=earlier.certainty,
        reasons=earlier.reasons or None,
    )
    situation.emit(
        DeviceFound(
            address=sighting.address,
            name=sighting.name,
            model=situation.chosen_model.id,
            certainty=sighting.detection.certainty.value,
            rssi=sighting.rssi,
            reasons=earlier.reasons,
        )
    )
    if situation.method is not None:
        situation.emit(SyncChosen(method=situation.method))
    if situation.network is not None:
        network = situation.network
        seen = bool(earlier.step_results.get("network", {}).get("seen"))
        situation.emit(NetworkChosen(ssid=network.label, security=network.security.value, seen_by_device=seen))
    return first


def report_steps_done(situation: Situation, earlier: EarlierAttempt, first: StepKey, steps: Sequence[Step]) -> int:
    """Emit an event for each step before `first`; the index in `steps` at which the installation continues."""
    keys = [step.key for step in steps]
    # The wanted account can be another one than the account in which the first data was seen.
    complete = earlier.all_steps_done and (first is StepKey.VERIFY or "link" not in earlier.step_results)
    index = len(steps) if complete else keys.index(first)
    if situation.guided and first is StepKey.LINK and situation.earlier_linked_device_id is not None:
        # The vendor's app has brought the device to the account already.
        index = keys.index(StepKey.PROVISION) + 1
    reported: set[StepKey] = set()
    for step in steps[:index]:
        if step.key in reported:
            continue
        reported.add(step.key)
        reason, result = step.skip_reason(situation), earlier.step_results.get(step.key.value)
        if reason is not None:
            situation.emit(StepSkipped(step=step.key, reason=reason))
        elif result is not None:
            took = earlier.step_seconds.get(step.key.value, 0.0)
            situation.emit(StepDone(step=step.key, took=took, result=dict(result), before=True))
    return index


def restore(situation: Situation, earlier: EarlierAttempt, first: StepKey) -> None:
    """Restore what was known before step `first`. Raises the sync rule's errors, ANSWERS_INVALID.

    If the device must be found again, only its address is restored.
    """
    situation.resumed = True
    situation.known_devices_by_account = dict(earlier.known_devices)
    if earlier.started_at:
        # Data that the device has delivered since then counts as its first data.
        situation.started = earlier.started_at
    _restore_minimum(situation, earlier)
    if first is StepKey.FIND:
        situation.keep_wifi_requested_before = earlier.keeps_wifi
        return
    if not earlier.address or not earlier.model:
        raise InstallerError(
            ErrorCode.INTERNAL, f"The record {earlier.id} names no device.", "Start a new installation of it."
        )
    _restore_device(situation, earlier)
    find = situation.given.find or earlier.answers.find or FindAnswer(device=earlier.address)
    situation.chosen = Answers(find=device_trust.with_minimum(situation, find))
    if earlier.sync_method is not None:
        # A changed record does not get around the sync rule.
        check_sync(situation.chosen_model, earlier.sync_method)
        situation.method = earlier.sync_method
        situation.chosen = situation.chosen.with_answer(StepKey.SYNC, SyncAnswer(method=earlier.sync_method))
    ssid = earlier.sent_ssid or earlier.step_results.get("network", {}).get("ssid")
    if situation.method is SyncMethod.WIFI and ssid and not situation.guided:
        _restore_network(situation, earlier, str(ssid))
    if earlier.provisioned:
        situation.device_url = earlier.step_results["provision"].get("url")
        if not situation.guided or first is StepKey.VERIFY:
            situation.chosen = situation.chosen.with_answer(StepKey.PROVISION, ProvisionAnswer())
    if first is StepKey.VERIFY:
        link = situation.given.link or LinkAnswer(account=earlier.account or "default")
        situation.earlier_linked_device_id = earlier.linked_device_id(link)
        situation.chosen = situation.chosen.with_answer(StepKey.LINK, link)
    elif situation.guided and earlier.provisioned:
        situation.earlier_linked_device_id = earlier.handed_over_device_id
    situation.credentials_sent = bool(earlier.sent_ssid) and not situation.guided
    situation.join_unconfirmed = earlier.join_unconfirmed and first is StepKey.PROVISION


def _restore_minimum(situation: Situation, earlier: EarlierAttempt) -> None:
    """What the device showed to the earlier attempt, and what that one asked of it; both only add to the minimum."""
    if not earlier.address:
        return
    seen = situation.environment.seen_devices
    before = device_trust.seen_in(earlier.step_results.get("find", {}))
    seen[earlier.address] = seen[earlier.address].raised_by(before) if earlier.address in seen else before
    if earlier.answers.find is not None:
        situation.require(earlier.address, device_trust.stated_in(earlier.answers.find))


def _restore_device(situation: Situation, earlier: EarlierAttempt) -> None:
    found = earlier.step_results.get("find", {})
    known = earlier.certainty in list(Certainty)
    situation.model = situation.environment.catalogue.get(earlier.model)
    situation.sighting = Sighting(
        address=earlier.address,
        rssi=_rssi(found.get("rssi")),
        advert=Advert(name=earlier.name),
        detection=Detection(
            model_id=earlier.model,
            certainty=Certainty(earlier.certainty) if known else Certainty.UNKNOWN,
            protocol=found.get("protocol"),
            reasons=earlier.reasons,
        ),
    )
    situation.guided = earlier.is_guided
    situation.associated = found.get("associated")
    situation.handed_over_device_id = earlier.handed_over_device_id
    situation.keep_wifi = earlier.keeps_wifi


def _restore_network(situation: Situation, earlier: EarlierAttempt, ssid: str) -> None:
    result = earlier.step_results.get("network", {})
    value = result.get("security")
    security = Security(value) if value in list(Security) else Security.UNKNOWN
    hidden = bool(result.get("hidden"))
    situation.network = Network(ssid=ssid, security=security, hidden=hidden)
    answer = earlier.answers.network or NetworkAnswer(ssid=ssid, security=security, hidden=hidden)
    situation.chosen = situation.chosen.with_answer(StepKey.NETWORK, answer)


def _rssi(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else UNKNOWN_RSSI
