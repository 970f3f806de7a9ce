"""Another user of this computer: a process that gives up root and talks to a port. The tests that use it need root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

OTHER_UID = 65534  # nobody, on every system
SECONDS = 30

# Everything is imported before root is given up: the other user may not read the folder of this Python.
_BE_OTHER = """
import encodings.idna, os, socket, sys, time
uid, host, port, how = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
os.setgroups([]); os.setgid(uid); os.setuid(uid)
sent = sys.stdin.buffer.read()
connections = []
for _ in range(int(sys.argv[5])):
    one = socket.create_connection((host, port), timeout=20)
    connections.append(one)
    one.sendall(sent)
if how == "leave":
    sys.exit()
if how == "stay":
    print("connected", flush=True)
    time.sleep(600)
got = b""
while True:
    try:
        part = connections[0].recv(65536)
    except OSError:
        break
    if not part:
        break
    got += part
sys.stdout.buffer.write(got)
"""


def _command(port: int, how: str, times: int, host: str) -> list[str]:
    assert os.geteuid() == 0, "this test needs root: it becomes another user"
    return [sys.executable, "-c", _BE_OTHER, str(OTHER_UID), host, str(port), how, str(times)]


def send(port: int, content: bytes, host: str = "127.0.0.1") -> bytes:
    """What the server answers the other user until it ends the connection."""
    done = subprocess.run(
        _command(port, "read", 1, host), input=content, capture_output=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def send_and_leave(port: int, content: bytes, times: int = 1) -> None:
    """The other user sends this and closes the connection at once."""
    done = subprocess.run(
        _command(port, "leave", times, "127.0.0.1"), input=content, capture_output=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def stay(port: int, times: int) -> subprocess.Popen[bytes]:
    """So many connections of the other user that send nothing; end the process after use."""
    process = subprocess.Popen(
        _command(port, "stay", times, "127.0.0.1"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    assert process.stdout.readline() == b"connected\n"
    return process


def get(path: str, port: int, **headers: str) -> bytes:
    """A GET request, as a browser sends it to this computer."""
    lines = [f"GET {path} HTTP/1.1", f"Host: localhost:{port}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


_LISTEN = """
import os, socket, sys, time
uid = int(sys.argv[1])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(600)
"""


@contextmanager
def listening() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A program of the other user that listens: its port, its process."""
    assert os.geteuid() == 0, "this test needs root: it becomes another user"
    command = [sys.executable, "-c", _LISTEN, str(OTHER_UID)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process
        finally:
            process.kill()
