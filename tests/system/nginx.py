"""A real nginx with a configuration of a test, in a folder of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 20
_MAIN = """\
{user}
worker_processes 1;
pid nginx.pid;
error_log error.log notice;
events {{ worker_connections 256; }}
http {{
    access_log access.log;
    client_body_temp_path temporary/body;
    proxy_temp_path temporary/proxy;
    fastcgi_temp_path temporary/fastcgi;
    uwsgi_temp_path temporary/uwsgi;
    scgi_temp_path temporary/scgi;
    proxy_cache_path cache keys_zone=everything:1m;
    # As on a server that caches all sites.
    proxy_cache everything;
    proxy_cache_valid any 10m;
{servers}
}}
"""


class Nginx:
    """A running nginx. `ports`: that of each server, in their order."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self.folder = folder
        self.ports = ports

    def logs(self) -> str:
        """The text of the access log and the error log."""
        return "".join((self.folder / name).read_text("utf-8") for name in ("access.log", "error.log"))


@contextmanager
def nginx(folder: Path, *servers: str) -> Iterator[Nginx]:
    """Run nginx with these `server` blocks; `PORT` in a block stands for a free port of its own."""
    (folder / "temporary").mkdir(parents=True)
    ports = _free_ports(len(servers))
    blocks = "\n".join(block.replace("PORT", str(port)) for block, port in zip(servers, ports, strict=True))
    # The workers of root would be of another user, who cannot read the folder of the test.
    user = "user root;" if Path(folder).owner() == "root" else ""
    (folder / "nginx.conf").write_text(_MAIN.format(user=user, servers=blocks), "utf-8")
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") or "nginx"
    command = [program, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + SECONDS
        while not all(map(_answers, ports)):
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield Nginx(folder, ports)
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), SECONDS).close()
    except OSError:
        return False
    return True
