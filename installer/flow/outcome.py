"""How an installation ended, and what of it is told and kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from installer.answers import Answers, StepKey
from installer.errors import ErrorCode, InstallerError
from installer.flow.steps.step import Situation
from installer.measurement import Measurement

# What a step has changed for good.
HOLDS = {StepKey.PROVISION: "it has its credentials", StepKey.LINK: "it is in the account"}


@dataclass
class Outcome:
    """How an installation ended. `answers`: all choices made, to be saved and replayed.

    `left`: what did not work out although the installation stands.
    """

    outcome: Literal["installed", "to_be_linked", "failed", "cancelled", "planned"]
    answers: Answers
    summary: dict[str, Any] = field(default_factory=dict)
    error: InstallerError | None = None
    measurement: Measurement | None = None
    left: InstallerError | None = None


def reached(s: Situation) -> Literal["installed", "to_be_linked"]:
    """How far it came: what is left to its user is not called installed."""
    waits = s.stored or (s.later and s.the_model.cloud.data is not None)
    return "to_be_linked" if waits else "installed"


def summary(s: Situation) -> dict[str, Any]:
    """What is known of it by now, for the last event and for whoever started it; nothing secret."""
    found: dict[str, Any] = {"installation": s.id}
    if s.sighting and s.model:
        found |= {"address": s.sighting.address, "name": s.sighting.name, "model": s.model.id}
    if s.method:
        found["sync"] = s.method.value
    if s.network:
        found["ssid"] = s.network.ssid
    if s.url:
        found["url"] = s.url
    if s.account:
        found["account"] = s.account.name
    if s.cloud_device:
        found["device_id"] = s.cloud_device.device_id
    if s.notified:
        found["notifications"] = s.notified
    if s.measurement:
        found["first_measurement"] = s.measurement.model_dump(mode="json")
    return found


def choices(s: Situation) -> dict[str, Any]:
    """All choices so far, as the record keeps them: those made, and those given for steps to come."""
    return kept(Answers(**{key.value: s.made.get(key) or s.given.get(key) for key in StepKey}))


def kept(answers: Answers) -> dict[str, Any]:
    """Answers as a record keeps them: without secrets, only with the names of their places."""
    return answers.model_dump(mode="json", exclude_none=True)


def with_what_holds(error: InstallerError, s: Situation) -> InstallerError:
    """Where only the ledger failed, the device is as the steps have left it: said, so that nobody does it twice."""
    later = s.made.link is not None and s.made.link.later
    done = [w for key, w in HOLDS.items() if s.made.get(key) is not None and not (key is StepKey.LINK and later)]
    if error.code is not ErrorCode.DATABASE_FAILED or not done or s.surroundings.options.dry_run:
        return error
    holds = f"The device is as it was left: {' and '.join(done)}. Once the ledger is back, start the same again."
    return InstallerError(error.code, error.what, f"{error.todo} {holds}", **error.data, done=done)


def cancelled() -> InstallerError:
    """Why an installation that somebody stopped has ended."""
    return InstallerError(
        ErrorCode.INTERRUPTED, "The installation was stopped.", "It can be gone on with, or started anew."
    )
