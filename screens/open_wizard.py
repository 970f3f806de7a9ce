"""Opens the wizard: joins the app to the engine, for as long as the person stays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from installer.answers import Answers
from installer.bluetooth.sighting import Sighting
from installer.flow import resumable
from installer.flow.assembly import Assembly
from installer.flow.questions import FrontEnd
from installer.flow.resumable import Resumable
from installer.ledger.wizard_access import WizardLedger
from installer.measurement import Measurement
from screens.app import WizardApp
from screens.engine_interface import BatchRun, Installation, Outcome


def make_app(assembly: Assembly, answers: Answers) -> WizardApp:
    """The wizard over these surroundings; `answers` given beforehand are not asked."""
    begun = time.time()

    def start(front: FrontEnd, given: Answers) -> Installation:
        nonlocal begun
        begun = time.time()
        # Imported late: the home screen does not wait for the engine.
        from installer.flow import installation

        return installation.Installation(assembly.surroundings(), front, given)

    def start_batch(front: FrontEnd, sightings: Sequence[Sighting]) -> BatchRun:
        from installer.batch.from_selection import PickedBatch

        return PickedBatch(assembly, front, sightings)

    async def first_data(outcome: Outcome) -> Measurement | None:
        from installer.measurements import late_first_measurement

        return await late_first_measurement.first_measurement(
            await assembly.accounts(), assembly.catalogue, outcome.summary, begun
        )

    return WizardApp(
        start,
        answers=answers,
        lab=assembly.place.lab,
        catalogue=assembly.catalogue,
        start_batch=start_batch,
        first_data=first_data,
        unfinished=LeftOver(assembly),
        desk=WizardLedger(assembly.records()),
    )


class LeftOver:
    """What the ledger has of installations that were cut off. Implements `screens.engine_interface.Unfinished`."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly

    async def offers(self) -> Sequence[Resumable]:
        """What was begun at this place: with this ledger and this cloud."""
        return await resumable.offers(self._assembly.records(), self._assembly.place.cloud)

    def go_on(self, front: FrontEnd, offer: Resumable) -> Installation:
        """The rest of it."""
        return GoingOn(self._assembly, front, offer.id)

    async def forget(self, offer: Resumable) -> None:
        """Do not offer it any more."""
        records = self._assembly.records()
        await records.store.call(records.forget, offer.id)


class GoingOn:
    """The rest of one installation."""

    def __init__(self, assembly: Assembly, front: FrontEnd, name: str) -> None:
        self._assembly = assembly
        self._front = front
        self._name = name

    async def run(self) -> Outcome:
        """Read the record, and run what is left."""
        from installer.flow import installation
        from installer.flow.resume import EarlierAttempt

        records = self._assembly.records()
        record = await records.store.call(resumable.pick, records, self._name)
        past = EarlierAttempt.of(record)
        around = self._assembly.surroundings()
        around.options = resumable.options_of(around.options, record)
        return await installation.Installation(around, self._front, past.answers, past).run()


def run_wizard(assembly: Assembly, answers: Answers) -> Outcome | None:
    """Run the wizard until the person leaves; the outcome of the last installation."""

    async def running() -> Outcome | None:
        app = make_app(assembly, answers)
        try:
            outcome = await app.run_async()
        finally:
            await assembly.close()
        if app.defect is not None:
            # Textual's own report would show every local variable; ours shows none.
            raise app.defect
        return outcome

    return asyncio.run(running())
