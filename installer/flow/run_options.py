"""Options of one run: deadlines, who may be asked, and which adapter, cloud, catalogues and ledger it uses.

The choices of an installation are in `installer.answers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from installer.answers import StepKey
from installer.ledger.records import Context
from installer.provisioning.required_security import RequiredSecurity
from installer.storage.secret_references import SecretRef


@dataclass(frozen=True)
class Deadlines:
    """How long each wait may take, in seconds."""

    find: float = 20.0
    second_device: float = 2.0  # after the first matching device, how long to look for a second one
    connect: float = 30.0
    authorization: float = 60.0  # until somebody presses the button on the device
    sign_in: float = 600.0
    link: float = 120.0
    guide: float = 900.0  # until somebody has set the device up with the vendor's app
    data: float = 120.0
    measurement: float = 60.0

    def with_guide(self, seconds: float | None) -> Deadlines:
        """A copy with another deadline for the guide, if one is given."""
        return self if seconds is None else replace(self, guide=seconds)


@dataclass(frozen=True)
class Options:
    """How a run behaves."""

    non_interactive: bool = False
    dry_run: bool = False
    require_encryption: bool = False  # and a proof, from a device whose protocol has proofs
    allow_unproved: bool = False  # send although the device has not proved itself as a proof or its label asks
    required: RequiredSecurity = field(default_factory=RequiredSecurity)  # of every device, whoever chooses it
    keep_wifi: bool = False
    only_new: bool = False  # refuse every device that is set up, even if this program did it
    identify: bool = False  # the device blinks or beeps when somebody must touch it
    allow_references: bool = False  # an answers file or plan may name secrets of this computer
    passkey: SecretRef | None = None  # where the six digits are that the device shows when it is paired
    renew_bond: bool = False  # pair a device anew that no longer has its keys
    guided: bool = False  # set up with the vendor's app, even if the device speaks an open protocol
    # Seconds to wait for the first data although the answers skip that step, if only this data can confirm that the
    # device joined. None: do not wait.
    unconfirmed_join_wait: float | None = None
    ask: frozenset[StepKey] = frozenset()
    ask_pairing: bool = False  # ask a person what a device wants to know when it is paired
    deadlines: Deadlines = field(default_factory=Deadlines)
    timeout: float | None = None  # seconds for the whole installation


@dataclass(frozen=True)
class RunConfig:
    """Which adapter, cloud, catalogue files and ledger a run uses, as given on the command line.

    `context`: the site, the operator, the batch. The settings supply what is not given.
    """

    adapter: str | None = None
    cloud: str | None = None
    lab: bool = False
    catalogues: Sequence[Path] = field(default_factory=tuple)
    options: Options = field(default_factory=Options)
    ledger: str | None = None
    context: Context = field(default_factory=Context)
