"""A checked plan: one unit for each device.

The `key` of a unit identifies it in the ledger and does not depend on the position of its row. So rows may be moved,
added or removed between two runs, and what was done stays done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from installer.answers import Answers, FindAnswer, LinkAnswer, NetworkAnswer, SyncAnswer, VerifyAnswer
from installer.batch.spreadsheet import FilePosition
from installer.catalogue.model import Model, SyncMethod
from installer.storage.secret_references import SecretRef


@dataclass(frozen=True)
class Unit:
    """One device of the plan. `name`: its row, "3", or "3.2" for the second device of a row.

    `key`: its id in the ledger. `sync_required`: the row itself names the sync method; if not, `sync` is used for the
    models that have it. `own_network`: a person at this computer named the network, and not the plan.
    """

    name: str
    key: str
    row: int
    position: FilePosition = field(default_factory=FilePosition)
    device: str | None = None
    model: str | None = None
    sync: SyncMethod | None = None
    sync_required: bool = False
    network: NetworkAnswer | None = None
    own_network: bool = False
    account: str | None = None
    link_later: bool = False
    proof: SecretRef | None = None
    username: str | None = None
    security: Literal[0, 1, 2] | None = None  # as the label of the device states it
    site: str = ""
    label: str = ""
    notes: str = ""

    def method_for(self, model: Model) -> SyncMethod | None:
        """The sync method for a device of this model; None if neither the plan nor the model decides."""
        if self.sync is not None and (self.sync_required or model.allows(self.sync)):
            return self.sync
        return model.sync[0] if len(model.sync) == 1 else None

    def answers(self, address: str, model: Model | None, *, verify: float | None) -> Answers:
        """The answers of its installation. `verify`: seconds to wait for the first data; None: do not wait."""
        method = self.sync if model is None else self.method_for(model)
        return Answers(
            find=FindAnswer(
                device=address, model=self.model, proof=self.proof, username=self.username, security=self.security
            ),
            sync=None if method is None else SyncAnswer(method=method),
            network=self.network if method is not SyncMethod.BLUETOOTH else None,
            link=LinkAnswer(later=True) if self.link_later else LinkAnswer(account=self.account or "default"),
            verify=VerifyAnswer(skip=True) if verify is None else VerifyAnswer(wait=verify),
        )


@dataclass(frozen=True)
class Plan:
    """All units, in the order of the file. `name`: the name of the batch in the ledger.

    `secrets`: which secrets of this computer go where, as sentences.
    """

    name: str
    source: str
    units: tuple[Unit, ...]
    remarks: tuple[str, ...] = ()
    operator: str = ""
    secrets: tuple[str, ...] = ()
