"""`python -m installer.lab` runs the lab. An error is one JSON line on standard error, and its exit status."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from installer.errors import InstallerError
from installer.storage import PRIVATE_UMASK


def main() -> None:
    """Parse the command line and serve."""
    os.umask(PRIVATE_UMASK)
    parser = argparse.ArgumentParser(prog="python -m installer.lab", description=__doc__)
    parser.add_argument("--scenario", type=Path, help="the scenario file (TOML)")
    parser.add_argument("--state", type=Path, help="the state file to write: how to reach the lab")
    parser.add_argument("--port", type=int, default=0, help="HTTP port; 0: any free one")
    parser.add_argument("--idle", type=float, default=0, help="end after this many seconds without use; 0: never")
    options = parser.parse_args()
    from installer.lab.server import run

    try:
        run(scenario=options.scenario, state=options.state, port=options.port, idle=options.idle)
    except InstallerError as error:
        sys.stderr.write(json.dumps({"code": error.code.value, "what": error.what, "todo": error.todo}) + "\n")
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
