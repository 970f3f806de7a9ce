"""Opens the wizard: connects the app to the engine and runs it."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from installer.answers import Answers
from installer.bluetooth.sighting import Sighting
from installer.flow import resume
from installer.flow.front_end import FrontEnd
from installer.flow.resume import Resumable
from installer.flow.run_resources import RunResources
from installer.ledger.archive import WizardLedger
from installer.measurement import Measurement
from screens.app import WizardApp
from screens.engine_interface import BatchRun, Installation, Outcome


def make_app(resources: RunResources, answers: Answers, notice: str = "") -> WizardApp:
    """The wizard for this resources. `answers`: preset answers, whose steps are not asked. `notice`: shown at first."""
    started_at = time.time()

    def start_installation(front: FrontEnd, preset: Answers) -> Installation:
        nonlocal started_at
        started_at = time.time()
        # Lazy import: the home screen does not wait for the engine.
        from installer.flow import installation

        return installation.Installation(resources.environment(), front, preset)

    def start_batch(front: FrontEnd, sightings: Sequence[Sighting]) -> BatchRun:
        from installer.batch.from_selection import SelectionBatch

        return SelectionBatch(resources, front, sightings)

    async def wait_for_first_data(outcome: Outcome) -> Measurement | None:
        from installer.measurements import late_first_measurement

        return await late_first_measurement.wait_for_first_measurement(
            await resources.accounts(), resources.catalogue, outcome.summary, started_at
        )

    return WizardApp(
        start_installation,
        answers=answers,
        lab=resources.config.lab,
        catalogue=resources.catalogue,
        start_batch=start_batch,
        wait_for_first_data=wait_for_first_data,
        resumable=LedgerResumables(resources),
        ledger=WizardLedger(resources.records()),
        notice=notice,
    )


class LedgerResumables:
    """The interrupted installations in the ledger. Implements `screens.engine_interface.ResumableInstallations`."""

    def __init__(self, resources: RunResources) -> None:
        self._resources = resources

    async def offers(self) -> Sequence[Resumable]:
        """Those that belong to this ledger and this cloud."""
        return await resume.list_for_wizard(self._resources.records(), self._resources.config.cloud)

    def resume(self, front: FrontEnd, installation: Resumable) -> Installation:
        """An installation that does the remaining steps."""
        return ResumedInstallation(self._resources, front, installation.id)

    async def dismiss(self, installation: Resumable) -> None:
        """Stop offering to resume this one."""
        records = self._resources.records()
        await records.store.call(records.hide_from_resume, installation.id)


class ResumedInstallation:
    """Does the remaining steps of an interrupted installation."""

    def __init__(self, resources: RunResources, front: FrontEnd, installation_id: str) -> None:
        self._resources = resources
        self._front = front
        self._id = installation_id

    async def run(self) -> Outcome:
        """Read the record, have what is foreign in it confirmed, and run the remaining steps."""
        from installer.events.installation import Notice
        from installer.flow import installation, shared_record

        records, config = self._resources.records(), self._resources.config
        record = await records.store.call(resume.find_record, records, self._id)
        found = shared_record.read(record, config, private=records.private, only_options=True)
        for text in found.notices:
            self._front.show(Notice(code="shared_ledger", text=text, installation=self._id))
        await shared_record.confirm(found, self._front.ask)
        environment = self._resources.environment()
        environment.options = found.config.options
        return await installation.Installation(environment, self._front, found.attempt.answers, found.attempt).run()


def run_wizard(
    resources: RunResources, answers: Answers, *, notice: str = "", debug: bool | None = None
) -> Outcome | None:
    """Run the wizard until the user quits. Returns the outcome of the last installation. `debug`: of asyncio."""

    async def running() -> Outcome | None:
        app = make_app(resources, answers, notice)
        ended: list[int] = []
        _leave_on_signals(app, ended)
        try:
            outcome = await app.run_async()
        finally:
            await resources.close()
        if ended:
            sys.exit(128 + ended[0])
        if app.unexpected_error is not None:
            # The crash report shows no local variables; Textual's own report would.
            raise app.unexpected_error
        return outcome

    return asyncio.run(running(), debug=debug)


def _leave_on_signals(app: WizardApp, ended: list[int]) -> None:
    """Leave the screens on SIGTERM and SIGHUP, so that the terminal is as it was. `ended`: gets the signal."""
    loop = asyncio.get_running_loop()

    def leave(number: int) -> None:
        if not ended:
            ended.append(number)
            app.exit()

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with suppress(NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, leave, number)
