"""The front end without a screen: it prints events, and asks only what `--ask` names, as plain prompts.

Results go to standard output: with `--json` one object a line, else one summary at the end.
Messages for the user go to standard error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from installer import output
from installer.errors import InstallerError
from installer.events.installation import (
    DeviceConnected,
    DeviceFound,
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
from installer.flow.front_end import Failure, Recovery
from installer.flow.outcome import Outcome
from installer.provisioning.provisioner import Stage
from installer.text import in_quotes, printable

if TYPE_CHECKING:
    from installer.answers import Answers
    from installer.events.json_lines import Event
    from installer.flow.questions import Question
    from installer.flow.resume import EarlierAttempt
    from installer.flow.run_options import RunConfig

_STAGES = {
    Stage.AUTHORIZATION_NEEDED: "The device needs a confirmation that you are next to it.",
    Stage.AUTHORIZED: "The device accepts the set-up.",
    Stage.SENDING: "Sending the credentials.",
    Stage.JOINING: "The device is joining the network.",
    Stage.JOINED: "The device has joined the network.",
    Stage.STORED: "The device has stored the credentials, and joins the network when it is within range.",
}


@contextmanager
def failure_as_event(*, json: bool) -> Iterator[None]:
    """Print a failure before the installation begins as an event, for programs that read only standard output."""
    try:
        yield
    except InstallerError as error:
        if json:
            output.print_result(
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


async def run_installation(
    config: RunConfig, answers: Answers, attempt: EarlierAttempt | None = None, *, json: bool
) -> None:
    """Install one device. `attempt`: the attempt that is resumed. Raises the failure of the installation."""
    from installer.flow.installation import Installation
    from installer.flow.run_resources import RunResources

    with failure_as_event(json=json):
        resources = RunResources(config)
        if config.lab:
            await resources.lab()
    try:
        ended = await Installation(resources.environment(), ScriptedFrontEnd(json=json), answers, attempt).run()
    finally:
        await resources.close()
    if ended.error is not None:
        if config.options.dry_run:
            raise ended.error  # nothing was recorded that could be resumed
        from installer.flow.resume import with_resume_command

        raise with_resume_command(ended.error, ended.summary, lab=config.lab)
    print_summary(ended, json=json)


class ScriptedFrontEnd:
    """Prints events, and passes questions to plain prompts."""

    def __init__(self, *, json: bool) -> None:
        self._json = json

    def show(self, event: Event) -> None:
        """Print one line of JSON to standard output, or one sentence to standard error."""
        if self._json:
            output.print_result(event.model_dump_json())
            return
        text = event_text(event)
        if text:
            output.print_message(text)

    async def ask(self, question: Question) -> Any:
        """Ask with a plain prompt. Called only on a terminal: for `--ask`, or without `--non-interactive`."""
        from installer.cli.prompts import prompt

        return await prompt(question)

    async def recover(self, failure: Failure) -> Recovery:
        """Ask whether to try again."""
        from installer.cli.prompts import choose_recovery

        return await choose_recovery(failure)


def event_text(event: Event) -> str | None:
    """One sentence about an event. None: the event says nothing new to the user."""
    if event.event == "notifications_subscribed":
        return f"The cloud sends notifications of new data to {event.url}."
    match event:
        case InstallationStarted() if event.resumed is not None:
            return f"Resuming installation {event.installation} at the step “{event.resumed}”."
        case DeviceFound():
            return f"Found {event.name or event.model} at {event.address} ({event.model}, {event.certainty})."
        case DeviceConnected():
            return f"Connected over Bluetooth; set-up protocol: {event.protocol}."
        case SyncChosen():
            return f"Sync method: {event.method.label}."
        case StepSkipped():
            return f"Step “{event.step}” is skipped: {event.reason}."
        case NetworkChosen():
            return f"Network: {in_quotes(event.ssid)} ({event.security})."
        case Provisioning():
            return f"{_STAGES[event.stage]} {event.todo or event.tries}".strip()
        case GuideShown():
            steps = "".join(f"\n  {number}. {text}" for number, text in enumerate(event.steps, 1))
            return f"Only {event.app} can set this device up. Do this; the installation then continues:{steps}"
        case GuideWaiting() if event.trouble:
            return f"{event.trouble} Looking again."
        case GuideWaiting():
            return f"Watching account “{event.account}” for the device, {event.seconds:.0f} s at most."
        case SignInNeeded():
            return f"Sign in to the account “{event.account}” in a browser: {event.short_url}\n  or: {event.url}"
        case SignedIn():
            return f"Signed in{_whose(event)}. The tokens are kept in {event.stored_in}."
        case Linking():
            return "Linking the device to the account." if event.way == "link" else "Watching the account."
        case Linked():
            return f"The device is in account “{event.account}”."
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


def _whose(event: SignedIn) -> str:
    devices = "" if event.devices is None else f" (devices there: {', '.join(event.devices) or 'none'})"
    return f" as user {event.userid}{devices}" if event.userid else ""


def print_summary(ended: Outcome, *, json: bool) -> None:
    """Print the result of an installation as `key: value` lines, unless it was printed as an event.

    Raises what failed although the device is installed.
    """
    if not json:
        for line in _summary_lines(ended):
            output.print_result(line)
    if ended.nonfatal_error is not None:
        raise ended.nonfatal_error


def _summary_lines(ended: Outcome) -> list[str]:
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
