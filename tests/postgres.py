"""A PostgreSQL server of the tests' own, from Debian's package, on a socket in a folder of its own.

with PostgresServer() as server:
    url = server.database()        # a new, empty database: postgresql://…
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

SERVERS = Path("/usr/lib/postgresql")


class PostgresServer:
    """Started by `with`; no TCP port, no password: only this folder's socket."""

    def __init__(self) -> None:
        found = sorted(SERVERS.glob("*/bin/postgres"), key=lambda p: int(p.parent.parent.name))
        assert found, "PostgreSQL's server is not installed; .ci/run installs Debian's package postgresql"
        self._bin = found[-1].parent
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        # The server refuses to run as root; Debian's package brings a user for it.
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self._user = "postgres" if self._as else os.environ.get("USER", "postgres")
        self._numbers = count(1)
        self._runs = False

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, str(self._bin / program), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}\n{done.stderr}"

    def __enter__(self) -> PostgresServer:
        if self._as:
            shutil.chown(self.folder, "postgres")
        data = str(self.folder / "data")
        self._run("initdb", "-D", data, "-A", "trust", "-E", "UTF8", "--no-sync", "-U", self._user)
        self.start()
        return self

    def start(self) -> None:
        """Start it, again after `stop`; its databases are as they were."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        data = str(self.folder / "data")
        self._run("pg_ctl", "start", "-w", "-D", data, "-l", str(self.folder / "log"), "-o", options)
        self._runs = True

    def stop(self) -> None:
        """Stop it at once, whatever it does: connections break."""
        self._runs = False
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.folder / "data"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runs:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(self._numbers)}"
        self._run("createdb", "-h", str(self.folder), "-U", self._user, name)
        return f"postgresql://{self._user}@/{name}?host={quote(str(self.folder))}"
