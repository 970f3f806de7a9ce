"""The state of one row of a batch while it runs, and the errors after which a row is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from installer.batch.plan import Unit
from installer.errors import ErrorCode, InstallerError
from installer.events.json_lines import Event
from installer.text import printable, quoted

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
CONTINUE_OPTION = "--continue-from-ledger"


def may_be_tried_again(error: InstallerError) -> bool:
    """Whether a row is tried again after this error.

    Not after a handshake that went wrong: a device that only pretends could guess the proof with each one.
    """
    return error.code in TRANSIENT_ERRORS and not error.data.get("handshake")


ShowEvent = Callable[[Event], None]


@dataclass
class RowState:
    """One unit of the plan and its state. `bound_address`: the device to which an earlier run sent credentials.

    `past`: the record of an earlier attempt. `waited`: seconds that its device was waited for. `began`: when the first
    attempt started (monotonic clock). `cuts`: how often this computer's Bluetooth ended an attempt, which then does not
    count. `sent`: credentials were sent. `at_other_station`: another station works on it. `out_of_reach`: its device is
    not seen, like one that has joined its network and ended its set-up.
    """

    unit: Unit
    bound_address: str | None = None
    past: RowRecord | None = None
    waited: float = 0.0
    began: float | None = None
    attempt: int = 0
    cuts: int = 0
    sent: bool = False
    at_other_station: bool = False
    out_of_reach: bool = False

    @property
    def resumes(self) -> bool:
        """Whether an earlier run sent credentials for it. Then its installation is resumed."""
        past, network = self.past, self.unit.network
        if past is None or not (past.sent_ssid and past.open) or not self._fits(past) or self.refusal is not None:
            return False
        return network is None or network.ssid == past.sent_ssid

    @property
    def resumes_out_of_reach(self) -> bool:
        """Whether its installation is resumed although its device is not in reach."""
        return self.resumes and self.past is not None and (self.past.joined or self.out_of_reach)

    def continue_from(self, record: RowRecord | None) -> None:
        """Continue what an earlier run, or another station, has started for this row."""
        self.past = record
        if self._is_bound_by(record) and self.refusal is None:
            self.bound_address = record.address if record is not None else None

    @property
    def refusal(self) -> InstallerError | None:
        """REFERENCE_REFUSED if only a ledger that others can write says which device gets the passphrase."""
        past = self.past
        if past is None or past.own_device or not self._is_bound_by(past):
            return None
        address = printable(past.address, 64)
        return InstallerError(
            ErrorCode.REFERENCE_REFUSED,
            f"The shared ledger says that station {quoted(past.station, 64) or 'another one'} has begun this row with "
            f"the device {address}. This station did not choose it: somebody else may have written that. Nothing was "
            "sent.",
            f"Is it right? Then give {CONTINUE_OPTION}, or write {address} as the row's device into the plan.",
            device=address,
            option=CONTINUE_OPTION,
        )

    def _is_bound_by(self, record: RowRecord | None) -> bool:
        """Whether the record says which device the row has; the plan does not."""
        return self.unit.device is None and record is not None and bool(record.sent_ssid) and self._fits(record)

    def _fits(self, record: RowRecord) -> bool:
        """Whether the record is about the device of the plan: the plan says who gets the passphrase, not the ledger."""
        device, model = self.unit.device, self.unit.model
        return (device is None or record.address.upper() == device) and model in (None, record.model)

    def failed_elsewhere(self, record: RowRecord | None) -> bool:
        """Whether another station has tried it since then and failed."""
        return record is not None and record.outcome == "failed" and record.id != (self.past.id if self.past else "")
