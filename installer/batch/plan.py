"""A plan that was checked: units of work, one for each device.

What a unit is known by in the ledger (`key`) does not depend on where its row stands: a row may be moved, added or
taken away between two runs, and what was done stays done.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from installer.answers import Answers, FindAnswer, LinkAnswer, NetworkAnswer, SyncAnswer, VerifyAnswer
from installer.batch.spreadsheet import Place
from installer.catalogue.catalogue import Model, SyncMethod
from installer.storage.secret_references import SecretRef


@dataclass(frozen=True)
class Unit:
    """One device of the plan. `name`: its row, "3", or "3.2" for the second of a row's; `key`: its name in the ledger.

    `firm`: the row itself names the sync method; else it holds where the model has it.
    """

    name: str
    key: str
    row: int
    place: Place = field(default_factory=Place)
    device: str | None = None
    model: str | None = None
    sync: SyncMethod | None = None
    firm: bool = False
    network: NetworkAnswer | None = None
    account: str | None = None
    later: bool = False
    proof: SecretRef | None = None
    username: str | None = None
    site: str = ""
    label: str = ""
    notes: str = ""

    def method_for(self, model: Model) -> SyncMethod | None:
        """The sync method for a device of this model; None where the plan leaves it open and the model does, too."""
        if self.sync is not None and (self.firm or model.allows(self.sync)):
            return self.sync
        return model.sync[0] if len(model.sync) == 1 else None

    def answers(self, address: str, model: Model | None, *, verify: float | None) -> Answers:
        """The answers of its installation. `verify`: how long to wait for the first data, s; None: not at all."""
        method = self.sync if model is None else self.method_for(model)
        return Answers(
            find=FindAnswer(device=address, model=self.model, proof=self.proof, username=self.username),
            sync=None if method is None else SyncAnswer(method=method),
            network=self.network if method is not SyncMethod.BLUETOOTH else None,
            link=LinkAnswer(later=True) if self.later else LinkAnswer(account=self.account or "default"),
            verify=VerifyAnswer(skip=True) if verify is None else VerifyAnswer(wait=verify),
        )


@dataclass(frozen=True)
class Plan:
    """All units, in the order of the file. `name`: what its runs are kept under in the ledger."""

    name: str
    source: str
    units: tuple[Unit, ...]
    remarks: tuple[str, ...] = ()
    operator: str = ""
