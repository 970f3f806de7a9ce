"""The outcome of an installation: its summary, the recorded answers, and the error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from installer.answers import Answers, StepKey
from installer.errors import ErrorCode, InstallerError
from installer.flow.foreign_references import without_foreign
from installer.flow.situation import Situation
from installer.measurement import Measurement

# What a step has changed permanently.
STEP_EFFECTS = {StepKey.PROVISION: "it has its credentials", StepKey.LINK: "it is in the account"}


Ending = Literal["installed", "to_be_linked", "failed", "cancelled", "planned"]


@dataclass
class Outcome:
    """How an installation ended. `answers`: all choices made, to be saved and replayed.

    `nonfatal_error`: what failed although the device is installed.
    """

    outcome: Ending
    answers: Answers
    summary: dict[str, Any] = field(default_factory=dict)
    error: InstallerError | None = None
    measurement: Measurement | None = None
    nonfatal_error: InstallerError | None = None


def outcome_of(situation: Situation, ending: Ending, error: InstallerError | None = None) -> Outcome:
    """The outcome of an installation that ended so."""
    chosen, found = situation.chosen, summary(situation)
    return Outcome(ending, chosen, found, error, situation.measurement, situation.nonfatal_error)


def success_outcome(situation: Situation) -> Literal["installed", "to_be_linked"]:
    """`to_be_linked` if something is left to the device's user, else `installed`."""
    to_be_linked = situation.credentials_stored or (
        situation.link_later and situation.chosen_model.cloud.data is not None
    )
    return "to_be_linked" if to_be_linked else "installed"


def summary(situation: Situation) -> dict[str, Any]:
    """What is known of the installation, for its last event and for the caller; no secret."""
    found: dict[str, Any] = {"installation": situation.id}
    if situation.sighting and situation.model:
        found |= {"address": situation.sighting.address, "name": situation.sighting.name, "model": situation.model.id}
    if situation.bonded:
        found["bonded"] = True
    if situation.method:
        found["sync"] = situation.method.value
    if situation.network:
        found["ssid"] = situation.network.ssid
    if situation.device_url:
        found["url"] = situation.device_url
    if situation.account:
        found["account"] = situation.account.name
    if situation.cloud_device:
        found["device_id"] = situation.cloud_device.device_id
    if situation.notification_url:
        found["notifications"] = situation.notification_url
    if situation.measurement:
        found["first_measurement"] = situation.measurement.model_dump(mode="json")
    return found


def recorded_answers(situation: Situation) -> dict[str, Any]:
    """The answers for the record: the chosen ones, and the given ones of later steps; no secret."""
    return without_secrets(
        Answers(**{key.value: situation.chosen.get(key) or situation.given.get(key) for key in StepKey})
    )


def without_secrets(answers: Answers) -> dict[str, Any]:
    """The answers as plain data: a secret is only named by its keyring entry, variable or file.

    What somebody else named, without leave, is left out: the record must not bring it back as this computer's own.
    """
    return without_foreign(answers).to_keep().model_dump(mode="json", exclude_none=True)


def with_steps_done(error: InstallerError, situation: Situation) -> InstallerError:
    """A DATABASE_FAILED error with what was done to the device, so that nobody repeats it; others unchanged."""
    later = situation.chosen.link is not None and situation.chosen.link.later
    done = [
        effect
        for key, effect in STEP_EFFECTS.items()
        if situation.chosen.get(key) is not None and not (key is StepKey.LINK and later)
    ]
    if error.code is not ErrorCode.DATABASE_FAILED or not done or situation.environment.options.dry_run:
        return error
    text = f"The device is as the steps left it: {' and '.join(done)}. When the ledger works again, repeat the command."
    return error.with_advice(f"{error.todo} {text}", done=done)


def cancelled_error() -> InstallerError:
    """INTERRUPTED: a person stopped the installation."""
    return InstallerError(ErrorCode.INTERRUPTED, "The installation was stopped.", "Resume it, or start a new one.")
