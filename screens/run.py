"""Opens the wizard: joins the app to the engine, for as long as the person stays."""

from __future__ import annotations

import asyncio

from installer.answers import Answers
from installer.assembly import Assembly
from installer.installation import Installation, Outcome
from installer.questions import FrontEnd
from screens.app import WizardApp


def make_app(assembly: Assembly, answers: Answers) -> WizardApp:
    """The wizard over these surroundings; `answers` given beforehand are not asked."""

    def start(front: FrontEnd, given: Answers) -> Installation:
        return Installation(assembly.surroundings(), front, given)

    return WizardApp(start, answers=answers, lab=assembly.place.lab, catalogue=assembly.catalogue)


def run_wizard(assembly: Assembly, answers: Answers) -> Outcome | None:
    """Run the wizard until the person leaves; the outcome of the last installation."""

    async def running() -> Outcome | None:
        try:
            return await make_app(assembly, answers).run_async()  # type: ignore[return-value]
        finally:
            await assembly.close()

    return asyncio.run(running())
