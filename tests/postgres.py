"""A PostgreSQL server of the tests' own, from Debian's package, on a socket in a folder of its own.

with PostgresServer() as server:
    url = server.database()        # a new, empty database: postgresql://…
    server.listen(certificate, ["hostssl all all all scram-sha-256"])       # from now on also on a port, with TLS
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from trustme import LeafCert

SERVERS = Path("/usr/lib/postgresql")


def free_port() -> int:
    """A port of this computer that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class PostgresServer:
    """Started by `with`; no TCP port (see `listen`), no password: only this folder's socket."""

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
        self._listens = ""
        self.port = 5432

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
        options = f"-c listen_addresses='{self._listens}' -p {self.port} -c fsync=off"
        options += f" -c unix_socket_directories='{self.folder}'"
        data = str(self.folder / "data")
        self._run("pg_ctl", "start", "-w", "-D", data, "-l", str(self.folder / "log"), "-o", options)
        self._runs = True

    def listen(self, certificate: LeafCert | None, rules: Sequence[str]) -> None:
        """Start again with a port, and with TLS if there is a certificate. `rules`: lines of pg_hba.conf for it."""
        data = self.folder / "data"
        self.stop()
        self._listens, self.port = "127.0.0.1", free_port()
        if certificate is not None:
            certificate.private_key_pem.write_to_path(data / "server.key")
            certificate.cert_chain_pems[0].write_to_path(data / "server.crt")
            (data / "server.key").chmod(0o600)
            if self._as:
                shutil.chown(data / "server.key", "postgres")
                shutil.chown(data / "server.crt", "postgres")
        own = "local all all trust"
        (data / "pg_hba.conf").write_text("\n".join([own, *rules, ""]), "utf-8")
        (data / "postgresql.auto.conf").write_text(f"ssl = {'on' if certificate is not None else 'off'}\n", "utf-8")
        self.start()

    def execute(self, statement: str) -> None:
        """Run a statement as the owner of the server."""
        self._run("psql", "-h", str(self.folder), "-p", str(self.port), "-U", self._user, "postgres", "-c", statement)

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
        self._run("createdb", "-h", str(self.folder), "-p", str(self.port), "-U", self._user, name)
        return f"postgresql://{self._user}@/{name}?host={quote(str(self.folder))}&port={self.port}"
