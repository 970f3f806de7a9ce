"""The state of one row of a batch while it runs, and the errors after which a row is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from installer.batch.plan import Unit
from installer.errors import ErrorCode
from installer.events.json_lines import Event

if TYPE_CHECKING:
    from installer.batch.row_claims import RowRecord

# Errors that may be gone at the next attempt.
TRANSIENT_ERRORS = (
    ErrorCode.CONNECTION_FAILED,
    ErrorCode.CONNECTION_LOST,
    ErrorCode.DEVICE_MISBEHAVED,
    ErrorCode.DEVICE_NOT_FOUND,
    ErrorCode.PROVISIONING_TIMEOUT,
    ErrorCode.AUTHORIZATION_TIMEOUT,
    ErrorCode.ADAPTER_FAILED,
    ErrorCode.CLOUD_UNREACHABLE,
    ErrorCode.CLOUD_BUSY,
    ErrorCode.CLOUD_FAILED,
    ErrorCode.LINK_TIMEOUT,
)
ShowEvent = Callable[[Event], None]


@dataclass
class RowState:
    """One unit of the plan and its state. `bound_address`: the device to which an earlier run sent credentials.

    `past`: the record of an earlier attempt. `waited`: seconds that its device was waited for. `began`: when the first
    attempt started (monotonic clock). `sent`: credentials were sent. `at_other_station`: another station works on it.
    `out_of_reach`: its device is not seen, like one that has joined its network and ended its set-up.
    """

    unit: Unit
    bound_address: str | None = None
    past: RowRecord | None = None
    waited: float = 0.0
    began: float | None = None
    attempt: int = 0
    sent: bool = False
    at_other_station: bool = False
    out_of_reach: bool = False

    @property
    def resumes(self) -> bool:
        """Whether an earlier run sent credentials for it. Then its installation is resumed."""
        past, network = self.past, self.unit.network
        if past is None or not (past.sent_ssid and past.open) or not self._fits(past):
            return False
        return network is None or network.ssid == past.sent_ssid

    @property
    def resumes_out_of_reach(self) -> bool:
        """Whether its installation is resumed although its device is not in reach."""
        return self.resumes and self.past is not None and (self.past.joined or self.out_of_reach)

    def continue_from(self, record: RowRecord | None) -> None:
        """Continue what an earlier run, or another station, has started for this row."""
        self.past = record
        if self.unit.device is None and record is not None and record.sent_ssid and self._fits(record):
            self.bound_address = record.address

    def _fits(self, record: RowRecord) -> bool:
        """Whether the record is about the device of the plan: the plan says who gets the passphrase, not the ledger."""
        device, model = self.unit.device, self.unit.model
        return (device is None or record.address.upper() == device) and model in (None, record.model)

    def failed_elsewhere(self, record: RowRecord | None) -> bool:
        """Whether another station has tried it since then and failed."""
        return record is not None and record.outcome == "failed" and record.id != (self.past.id if self.past else "")
