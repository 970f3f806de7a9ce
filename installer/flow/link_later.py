"""Link later: link a device that was set up before, without Bluetooth and without the ledger of its set-up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import installer
from installer.answers import Answers
from installer.bluetooth.sighting import Sighting
from installer.catalogue.model import Model, SyncMethod
from installer.catalogue.sync_rule_wifi_or_bluetooth import check_sync
from installer.errors import ErrorCode, InstallerError
from installer.flow.environment import Environment
from installer.flow.front_end import FrontEnd
from installer.flow.installation import Installation
from installer.flow.outcome import Outcome
from installer.flow.record_keeper import RecordKeeper
from installer.flow.situation import Situation
from installer.flow.steps.link import LinkStep
from installer.flow.steps.step import Step
from installer.flow.steps.verify import VerifyStep
from installer.gateway.sync_advice import GATEWAY_NEEDED


@dataclass(frozen=True)
class DeviceToLink:
    """A device that was set up and is not linked yet. `id`: the id of its record; `recorded`: this ledger has it.

    `since`: when it was set up, in seconds since 1970, or 0. `name`: the advertised name, or empty. `chosen`: the
    recorded answers of its set-up.
    """

    id: str
    address: str
    model: Model
    method: SyncMethod
    since: float = 0.0
    name: str = ""
    recorded: bool = False
    chosen: Mapping[str, Any] = field(default_factory=dict)


class VerifyLateLinkStep(VerifyStep):
    """The verify step where only the account is in reach."""

    def skip_reason(self, situation: Situation) -> str | None:
        """Data of a Bluetooth-only device comes through a gateway, which may be elsewhere."""
        reason = super().skip_reason(situation)
        if reason is None and situation.method is SyncMethod.BLUETOOTH and situation.measurement is None:
            return GATEWAY_NEEDED[:1].lower() + GATEWAY_NEEDED[1:].rstrip(".")
        return reason


class LinkLater(Installation):
    """The last steps of an installation that was left to the device's user: link, then the first data.

    After a failure the device still waits to be linked, and the same command can be tried again. Raises the sync
    rule's errors for a label with an impossible sync method.
    """

    def __init__(self, environment: Environment, front_end: FrontEnd, answers: Answers, device: DeviceToLink) -> None:
        check_sync(device.model, device.method)
        if device.model.cloud.data is None:
            raise InstallerError(
                ErrorCode.LINK_REFUSED,
                f"No cloud is known for {device.model.name}; there is no account to link it to.",
                "Use the device without an account.",
            )
        super().__init__(environment, front_end, answers)
        self._device = device
        self.id = self.situation.id = device.id
        records, situation = environment.records, self.situation
        if device.recorded:
            situation.record = records.resume(device.id, installer.__version__, environment.context)
        else:
            # The new record has the label's id too, so that both ledgers use one id.
            situation.record = records.begin(device.id, installer.__version__, environment.context)
        self._keeper = _RecordKeeper(situation, device)
        situation.model, situation.method = device.model, device.method
        situation.sighting = Sighting(address=device.address, rssi=0)
        if device.since:
            # Data since then counts as first data. The other computer's clock may be ahead of this one.
            situation.started = min(device.since, time.time())

    @property
    def _steps(self) -> tuple[Step, ...]:
        return (LinkStep(), VerifyLateLinkStep())

    async def _run_steps(self) -> None:
        if not self.situation.options.dry_run:
            known = {"name": self._device.name, "model": self._device.model.id, "method": self._device.method.value}
            await self.situation.record.set_device(self._device.address, **{k: v for k, v in known.items() if v})
        await super()._run_steps()


class _RecordKeeper(RecordKeeper):
    def __init__(self, situation: Situation, device: DeviceToLink) -> None:
        super().__init__(situation, may_write=True, address=device.address)
        self._device = device

    def recorded_answers(self) -> dict[str, Any]:
        """The answers of the set-up stay; only the account is new."""
        find = {"device": self._device.address, "model": self._device.model.id}
        known = {"find": find, "sync": {"method": self._device.method.value}, **self._device.chosen}
        return {**known, **super().recorded_answers()}

    def recorded_outcome(self, ended: Outcome) -> str:
        """`installed` as soon as it is in the account, even without first data; until then `to_be_linked`."""
        return "installed" if self._situation.cloud_device is not None else "to_be_linked"
