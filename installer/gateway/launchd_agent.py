"""The gateway's launchd agent, a property list (launchd.plist(5)). launchd expands nothing in it."""

from __future__ import annotations

import plistlib
from collections.abc import Mapping, Sequence
from pathlib import Path

_FIRST_LINE = "<!-- Written by `device-installer gateway install-service`. -->\n"


def agent_text(
    label: str, command: Sequence[str], environment: Mapping[str, str], log: Path, restart_seconds: int
) -> str:
    """The property list. `log`: the file for what the gateway prints to standard error."""
    job = {
        "Label": label,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": restart_seconds,
        "StandardErrorPath": str(log),
    }
    text = plistlib.dumps(job, sort_keys=False).decode("utf-8")
    return text.replace("<plist ", f"{_FIRST_LINE}<plist ", 1)
