"""The command `wizard`: opens the screens."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from installer.cli.option_groups import only
from installer.cli.options import (
    AnswersFile,
    AskSteps,
    BehaviourOptions,
    NetworkAndQrFlags,
    PlaceOptions,
    SiteAndOperator,
)
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.answers import Answers
    from installer.flow.run_options import RunConfig


def wizard(
    *,
    answers: AnswersFile = None,
    flags: NetworkAndQrFlags,
    ask: AskSteps = "",
    place_options: PlaceOptions,
    behaviour: Annotated[
        BehaviourOptions, only("require_encryption", "allow_unproved", "allow_references", "guided", "guide_timeout")
    ],
    record: SiteAndOperator,
) -> None:
    """Open the wizard. With --answers or a code, only what they leave open is asked."""
    from installer.cli import answers_from_options

    answers_from_options.check_terminal(flags)
    merged = answers_from_options.merge(answers_from_options.load_file(answers), flags)
    open_wizard(place_options.run_config(behaviour.run_options(), record.context()), merged, ask)


def open_wizard(config: RunConfig, answers: Answers | None = None, ask: str = "") -> None:
    """Open the wizard, and ask what the answers leave open, and the steps in `ask`. Raises USAGE without a terminal."""
    from installer.answers import Answers
    from installer.cli.answers_from_options import steps
    from installer.cli.debugging_variables import notice
    from installer.cli.run_command import protect_secrets
    from installer.flow.run_resources import RunResources

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InstallerError(
            ErrorCode.USAGE,
            "The wizard needs a terminal.",
            "In a script use `device-installer install --non-interactive`; its --help lists the choices.",
        )
    # Loading the screens makes thousands of objects, and none of them is garbage.
    gc.disable()
    from screens.open_wizard import run_wizard

    gc.freeze()
    gc.enable()
    debug = protect_secrets()
    given, asked = answers or Answers(), steps(ask)
    if asked:
        from installer.flow.steps.device_trust import required_of_all

        # A person chooses in these steps; what the answers ask of the device stays.
        config = replace(config, options=replace(config.options, required=required_of_all(given, asked)))
    run_wizard(RunResources(config), given.without(asked), notice=notice(), debug=debug)
