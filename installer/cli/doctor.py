"""The command `doctor`: checks what an installation on this computer needs."""

from __future__ import annotations

from typing import Annotated

from installer import output
from installer.cli.option_groups import only
from installer.cli.options import Json, PlaceOptions
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError


def doctor(*, json: Json = False, place_options: Annotated[PlaceOptions, only("adapter", "cloud", "use_lab")]) -> None:
    """Check this computer: Bluetooth, keyring, cloud.

    Also permissions, package names that another program installs too, and the size of the terminal.
    """
    from installer.cli import doctor_checks

    findings = run(doctor_checks.run_checks(place_options.run_config()))
    for finding in findings:
        if json:
            output.print_result(finding.model_dump_json())
        else:
            mark = {"ok": "ok   ", "warning": "check", "error": "FAIL "}[finding.state]
            output.print_result(f"{mark}  {finding.subject:<12} {finding.text}")
            if finding.todo:
                output.print_result(f"{'':<20}{finding.todo}")
    failed = [f.subject for f in findings if f.state == "error"]
    if failed:
        raise InstallerError(
            ErrorCode.DOCTOR_FOUND, f"These prevent an installation: {', '.join(failed)}.", "See the lines above."
        )
