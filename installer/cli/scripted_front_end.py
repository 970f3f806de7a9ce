"""The front end without a screen: answers in, events out.

Results go to standard output: one JSON object a line with `--json`, else one summary at the end.
Words go to standard error. A question reaches a person only through `--ask`, as a plain prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from installer import output
from installer.errors import InstallerError
from installer.events.notifications import NotificationsSubscribed
from installer.events.stream import (
    DeviceConnected,
    DeviceFound,
    Event,
    Failed,
    FirstMeasurement,
    GuideShown,
    GuideWaiting,
    InstallationDone,
    InstallationStarted,
    Linked,
    Linking,
    NetworkChosen,
    Notice,
    Planned,
    Provisioning,
    SignedIn,
    SignInNeeded,
    StepSkipped,
    SyncChosen,
    WaitingForData,
)
from installer.flow.outcome import Outcome
from installer.flow.questions import Failure, Question, Recovery
from installer.provisioning.provisioner import Stage
from installer.text import printable

_STAGES = {
    Stage.AUTHORIZATION_NEEDED: "The device wants to know that you are with it.",
    Stage.AUTHORIZED: "The device accepts the set-up.",
    Stage.SENDING: "Sending the credentials.",
    Stage.JOINING: "The device is joining the network.",
    Stage.JOINED: "The device has joined the network.",
    Stage.STORED: "The device keeps the credentials, and joins the network when it is in reach.",
}


@contextmanager
def fail_early(*, json: bool) -> Iterator[None]:
    """A failure before the installation begins is an event too, for those who read only standard output."""
    try:
        yield
    except InstallerError as error:
        if json:
            output.result(
                Failed(
                    step=None,
                    code=error.code.value,
                    exit_status=error.exit_status,
                    what=error.what,
                    todo=error.todo,
                    data=error.data,
                ).model_dump_json()
            )
        raise


class Scripted:
    """Prints events; answers nothing by itself."""

    def __init__(self, *, json: bool, quiet: bool = False) -> None:
        self._json = json
        self._quiet = quiet

    def show(self, event: Event) -> None:
        """One line of JSON on standard output, or one sentence on standard error."""
        if self._json:
            output.result(event.model_dump_json())
            return
        text = None if self._quiet else in_words(event)
        if text:
            output.words(text)

    async def ask(self, question: Question) -> Any:
        """Only reached for steps named with `--ask`, or on a terminal: a plain prompt."""
        from installer.cli.prompts import prompt

        return await prompt(question)

    async def recover(self, failure: Failure) -> Recovery:
        """A person who is asked anyway may try again."""
        from installer.cli.prompts import choose_recovery

        return await choose_recovery(failure)


def in_words(event: Event) -> str | None:
    """One sentence about an event; None for those that say nothing new to a person."""
    match event:
        case InstallationStarted() if event.resumed is not None:
            return f"Going on with installation {event.installation} at the step “{event.resumed}”."
        case DeviceFound():
            return f"Found {event.name or event.model} at {event.address} ({event.model}, {event.certainty})."
        case DeviceConnected():
            return f"Connected over Bluetooth; set-up protocol: {event.protocol}."
        case SyncChosen():
            return f"Sync method: {event.method.label}."
        case StepSkipped():
            return f"Step “{event.step}” is left out: {event.reason}."
        case NetworkChosen():
            return f"Network: {event.ssid} ({event.security})."
        case Provisioning():
            return f"{_STAGES[event.stage]} {event.todo or event.tries}".strip()
        case GuideShown():
            steps = "".join(f"\n  {number}. {text}" for number, text in enumerate(event.steps, 1))
            return f"Only {event.app} sets this device up. Do this; it goes on by itself:{steps}"
        case GuideWaiting() if event.trouble:
            return f"{event.trouble} Looking again."
        case GuideWaiting():
            return f"Watching account “{event.account}” for the device, {event.seconds:.0f} s at most."
        case SignInNeeded():
            return f"Sign in to the account “{event.account}” in a browser: {event.short_url}\n  or: {event.url}"
        case SignedIn():
            return f"Signed in. The tokens are kept in {event.stored_in}."
        case Linking():
            return "Linking the device to the account." if event.way == "link" else "Watching the account."
        case Linked():
            return f"The device is in account “{event.account}”."
        case NotificationsSubscribed():
            return f"The cloud tells {event.url} of new data."
        case WaitingForData():
            return f"Waiting for the first measurement. {event.todo}".strip()
        case FirstMeasurement():
            return f"First measurement: {event.measurement}."
        case Notice():
            return event.text
        case Planned():
            return f"Would {event.text}."
        case Failed() if event.retried:
            return f"{event.what} {event.todo}"
        case InstallationDone() if event.outcome == "installed":
            return f"Installed in {event.took:.1f} s."
        case InstallationDone() if event.outcome == "planned":
            return "Dry run: nothing was changed."
        case _:
            return None


def summary_lines(ended: Outcome) -> list[str]:
    """The result of an installation as `key: value` lines."""
    names = {
        "address": "device",
        "model": "model",
        "sync": "sync",
        "ssid": "network",
        "account": "account",
        "device_id": "cloud id",
        "notifications": "notifications",
        "url": "device page",
    }
    lines = [f"{ended.outcome}: {ended.summary['installation']}"]
    lines += [f"{label}: {printable(str(ended.summary[k]))}" for k, label in names.items() if k in ended.summary]
    if ended.measurement:
        lines.append(f"first measurement: {ended.measurement}")
    return lines
