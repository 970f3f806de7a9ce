"""Starts the program within a moment: a parent that has imported everything forks it, again and again.

What a child leaves on disk when it is killed is the same as of a process that was started for itself, and hundreds of
starts of Python are saved. Here is the side of the tests; run as a module it is the parent.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

PRELOADED = (
    "alembic.command", "bleak", "bleak_retry_connector", "bumble.device", "bumble.transport", "google.protobuf.message",
    "httpx", "sqlalchemy", "sqlalchemy.dialects.sqlite",
    "installer.cloud.account", "installer.cloud.client", "installer.flow.run_resources",
    "installer.bluetooth.connection", "installer.bluetooth.hci.client", "installer.bluetooth.hci.scanner",
    "installer.bluetooth.scan",
    "installer.cli.gateway", "installer.cli.install", "installer.cli.resume", "installer.measurements.store",
    "installer.measurements.store_tables", "installer.gateway.lab_cloud_sink", "installer.gateway.gateway",
    "installer.gateway.json_lines",
    "installer.flow.installation", "installer.ledger.queries", "installer.ledger.records",
    "installer.ledger.schema_migration",
    "installer.provisioning.espressif.driver", "installer.provisioning.improv.driver",
    "installer.provisioning.nordic.driver", "installer.provisioning.registry", "installer.provisioning.shelly.driver",
)  # fmt: skip
MESSAGE = 1 << 20
READY = 60.0


class Forks:
    """The program, one process of it at a time."""

    def __init__(self) -> None:
        self._child: int | None = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.forking", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            cwd=Path(__file__).parents[2],
        )
        theirs.close()
        self._socket = ours
        assert self._heard(READY) == "ready"

    def start(self, arguments: list[str], environment: dict[str, str], out: int, words: int) -> int:
        """A new one, with this environment and these descriptors for its output; its process."""
        request = json.dumps({"arguments": arguments, "environment": environment}).encode()
        socket.send_fds(self._socket, [request], [out, words])
        self._child = int(self._heard(READY))
        return self._child

    def ended(self, seconds: float) -> int:
        """Its exit status, or minus the signal that has ended it; it ends within so many seconds."""
        status = int(self._heard(seconds))
        self._child = None
        return status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, if it is still there."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, number)

    def close(self) -> None:
        """The end of all."""
        self.kill()
        self._parent.kill()
        self._parent.wait(10)
        self._socket.close()

    def _heard(self, seconds: float) -> str:
        ready, _, _ = select.select([self._socket], [], [], seconds)
        assert ready, f"nothing became of it within {seconds} s"
        return self._socket.recv(MESSAGE).decode()


def main() -> None:
    """Fork for each request."""
    from installer.cli.main import _main

    channel = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        importlib.import_module(name)
    channel.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE, 2)
        if not message:
            return
        child = os.fork()
        if child == 0:
            channel.close()
            request = json.loads(message)
            for number, descriptor in enumerate(descriptors, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)
            os.environ.clear()
            os.environ.update(request["environment"])
            status = _main(request["arguments"])
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        channel.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    main()
