"""The gateway's launchd agent, a property list (launchd.plist(5)). launchd expands nothing in it."""

from __future__ import annotations

import plistlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from installer.gateway.service_text import check_command, check_text, check_variables

_FIRST_LINE = "<!-- Written by `device-installer gateway install-service`. -->\n"


def agent_text(
    label: str, command: Sequence[str], environment: Mapping[str, str], log: Path, restart_seconds: int
) -> str:
    """The property list. `log`: the file for what the gateway prints to standard error. Raises USAGE: `check_text`."""
    check_command(command)
    check_variables(environment)
    check_text(str(log), "The path of the log")
    job = {
        "Label": label,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": restart_seconds,
        "StandardErrorPath": str(log),
        "Umask": 0o077,
        "SoftResourceLimits": {"Core": 0},
        "HardResourceLimits": {"Core": 0},
    }
    text = plistlib.dumps(job, sort_keys=False).decode("utf-8")
    return text.replace("<plist ", f"{_FIRST_LINE}<plist ", 1)
