"""The options of a batch run, and its result."""

from __future__ import annotations

from dataclasses import dataclass, field

from installer.errors import InstallerError


@dataclass(frozen=True)
class BatchOptions:
    """How a batch runs. `parallel`: installations at once on each adapter.

    `tries`: attempts for one row after a transient error. `retry_delay`: seconds before the second attempt; it doubles
    for each further one. `device_timeout`: seconds to wait for a device that is not in reach. `verify`: seconds to
    wait for the first data of each device; None: do not wait. `continue_from_ledger`: send credentials to the devices
    that a ledger names which others can write; without it only to those of the plan, and those that this station chose.
    """

    parallel: int = 3
    tries: int = 3
    retry_delay: float = 1.0
    device_timeout: float = 30.0
    verify: float | None = None
    dry_run: bool = False
    continue_from_ledger: bool = False


@dataclass
class BatchResult:
    """How a batch ended: the state of each row, and the errors of the failed ones."""

    states: dict[str, str] = field(default_factory=dict)
    failures: dict[str, InstallerError] = field(default_factory=dict)
    stopped: bool = False

    @property
    def complete(self) -> bool:
        """Whether every row is done."""
        return all(s in ("installed", "to_be_linked", "done_before", "planned") for s in self.states.values())
