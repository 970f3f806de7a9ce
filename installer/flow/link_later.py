"""Link later: a device that was set up before comes to an account; no Bluetooth, and no ledger of the workshop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import installer
from installer.answers import Answers
from installer.bluetooth.sighting import Sighting
from installer.catalogue.catalogue import Model, SyncMethod, check_sync
from installer.errors import ErrorCode, InstallerError
from installer.flow.installation import Installation
from installer.flow.outcome import Outcome
from installer.flow.questions import FrontEnd
from installer.flow.steps.link import Link
from installer.flow.steps.step import Environment, Situation, Step
from installer.flow.steps.verify import GATEWAY, Verify


@dataclass(frozen=True)
class Waiting:
    """A device that waits to be linked. `id`: of its record; `recorded`: whether this ledger has that record.

    `since`: when it was set up, seconds since 1970, or 0; `name`: that it advertised, or empty; `chosen`: with which
    answers it was set up, as the record keeps them.
    """

    id: str
    address: str
    model: Model
    method: SyncMethod
    since: float = 0.0
    name: str = ""
    recorded: bool = False
    chosen: Mapping[str, Any] = field(default_factory=dict)


class VerifyLinked(Verify):
    """What can be seen from where the account is: not the data of a device that only a gateway reaches."""

    def skip_reason(self, situation: Situation) -> str | None:
        """A device without Wi-Fi need not be in reach here."""
        reason = super().skip_reason(situation)
        if reason is None and situation.method is SyncMethod.BLUETOOTH and situation.measurement is None:
            return GATEWAY[:1].lower() + GATEWAY[1:].rstrip(".")
        return reason


class LinkLater(Installation):
    """The end of an installation whose device was left to its user: link, then the first data.

    A failure leaves the device waiting: the same can be tried again. Raises what the sync rule raises for a label
    that says what cannot be.
    """

    def __init__(self, surroundings: Environment, front: FrontEnd, answers: Answers, waiting: Waiting) -> None:
        check_sync(waiting.model, waiting.method)
        if waiting.model.cloud.data is None:
            raise InstallerError(
                ErrorCode.LINK_REFUSED,
                f"No cloud is known for {waiting.model.name}; there is no account to link it to.",
                "Use the device where it is.",
            )
        super().__init__(surroundings, front, answers)
        self._waiting = waiting
        self.id = self.situation.id = waiting.id
        records = surroundings.records
        if waiting.recorded:
            self._record = records.resume(waiting.id, installer.__version__, surroundings.context)
        else:
            # On this computer the record has the label's id too, so that both ledgers speak of the same.
            self._record = records.begin(waiting.id, installer.__version__, surroundings.context)
        situation = self.situation
        situation.record = self._record
        situation.model, situation.method = waiting.model, waiting.method
        situation.sighting = Sighting(address=waiting.address, rssi=0)
        if waiting.since:
            # What it has measured since then is its first data. The workshop's clock may be ahead of this one.
            situation.started = min(waiting.since, time.time())

    @property
    def _steps(self) -> tuple[Step, ...]:
        return (Link(), VerifyLinked())

    async def _walk(self) -> None:
        if not self.situation.options.dry_run:
            known = {"name": self._waiting.name, "model": self._waiting.model.id, "method": self._waiting.method.value}
            await self._record.device(self._waiting.address, **{k: v for k, v in known.items() if v})
        await super()._walk()

    def _answers(self) -> dict[str, Any]:
        """What the device was set up with stays; new is only the account."""
        device = {"device": self._waiting.address, "model": self._waiting.model.id}
        known = {"find": device, "sync": {"method": self._waiting.method.value}, **self._waiting.chosen}
        return {**known, **super()._answers()}

    def _kept_as(self, ended: Outcome) -> str:
        """Until it is in the account it waits; then it is installed, whether or not its first data came yet."""
        return "installed" if self.situation.cloud_device is not None else "to_be_linked"
