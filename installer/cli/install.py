"""The command `install`: installs one device from options and answers, for scripts and `--ask`."""

from __future__ import annotations

import sys

from installer.cli.options import (
    AnswersFile,
    AskSteps,
    BehaviourOptions,
    Flags,
    Json,
    PlaceOptions,
    RecordOptions,
)
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError


def install(
    *,
    flags: Flags,
    answers: AnswersFile = None,
    ask: AskSteps = "",
    behaviour: BehaviourOptions,
    json: Json = False,
    place_options: PlaceOptions,
    record: RecordOptions,
) -> None:
    """Install one device; for scripts with --non-interactive."""
    from installer.cli import answers_from_options
    from installer.cli.scripted_front_end import failure_as_event, run_installation

    with failure_as_event(json=json):
        merged = answers_from_options.merge(answers_from_options.load_file(answers), flags)
        steps, pairing = answers_from_options.steps(ask), answers_from_options.asks_pairing(ask)
        if ask and not sys.stdin.isatty():
            raise InstallerError(ErrorCode.USAGE, "--ask asks the user, and there is no terminal.", "Leave out --ask.")
    config = place_options.run_config(behaviour.run_options(steps, ask_pairing=pairing), record.context())
    run(run_installation(config, merged, json=json))
