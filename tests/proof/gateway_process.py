"""Starts gateways, one process after the other, each within a moment: a parent that has imported everything forks them.

    python -m tests.proof.gateway_process        # a line in: fork one; its process id out

The child runs the command line as a process of its own would. What it leaves on disk when it is killed is the same.
"""

from __future__ import annotations

import importlib
import os
import sys

COMMAND = ["gateway", "run", "--lab", "--json", "--every", "1", "--quiet", "0.1"]
PRELOADED = (
    "alembic.command", "bleak", "bleak_retry_connector", "bumble.device", "bumble.transport", "httpx", "sqlalchemy",
    "installer.account.account", "installer.account.http", "installer.bluetooth.hci.client",
    "installer.bluetooth.hci.scanner", "installer.commands.gateway", "installer.data.store", "installer.data.tables",
    "installer.gateway.cloud_sink", "installer.gateway.gateway", "installer.gateway.messages",
    "installer.ledger.reading", "installer.ledger.schema", "sqlalchemy.dialects.sqlite",
)  # fmt: skip


def main() -> None:
    """Fork for each line."""
    from installer.cli import _main

    for name in PRELOADED:
        importlib.import_module(name)
    print("ready", flush=True)  # noqa: T201
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            # Whoever reads standard output is this process's parent; the words go to where its own go.
            os.dup2(null, 1)
            os._exit(_main(COMMAND))
        print(child, flush=True)  # noqa: T201
        os.waitpid(child, 0)
        print("gone", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
