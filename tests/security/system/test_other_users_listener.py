"""Another user listens where this program would send data on this computer, by real users; needs root."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from installer.cloud.http_client import HttpClient
from installer.cloud.unreachable import Unreachable
from installer.errors import ErrorCode, InstallerError
from installer.storage import database, peer_user
from tests.security.system.other_user import OTHER_UID

POSTGRES_LIKE, DYNAMIC, PERSON = 999, 61200, 12345

# It says what it got. At the end of its standard input it first serves who is already connected, so nothing is missed.
SERVER = """
import os, select, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
%s
while True:
    readable = select.select([server, sys.stdin], [], [])[0]
    if server not in readable and sys.stdin.read() == "":
        # One may have connected since the look.
        readable = select.select([server], [], [], 0)[0]
    if server not in readable:
        break
    one, _ = server.accept()
    one.settimeout(5)
    got = b""
    %s
    print("got", got, flush=True)
    %s
    one.close()
"""

LISTEN = SERVER % (
    """
family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
server = socket.create_server((sys.argv[2], int(sys.argv[3])), family=family)
print(server.getsockname()[1], flush=True)
""",
    'while b"health data" not in got and (part := one.recv(65536)): got += part',
    r'one.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")',
)


class Listener:
    """A server of another user."""

    def __init__(self, uid: int, address: str, port: int) -> None:
        command = [sys.executable, "-c", LISTEN, str(uid), address, str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def got(self) -> bytes:
        """What it was sent; ends it."""
        return self.process.communicate(b"", timeout=20)[0]


@contextmanager
def listening(uid: int, address: str = "127.0.0.1", port: int = 0) -> Iterator[Listener]:
    assert os.geteuid() == 0, "this test needs root: it becomes another user"
    one = Listener(uid, address, port)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


async def post(url: str) -> None:
    client = HttpClient(url, "The webhook", seconds=5)
    try:
        async with client.stream("POST", url, seconds=5, content=b"health data"):
            pass
    finally:
        await client.close()


@pytest.mark.parametrize("uid", [OTHER_UID, PERSON])
@pytest.mark.parametrize(
    ("address", "host"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "localhost"), ("::1", "[::1]"), ("::", "127.0.0.1")],
)
async def test_nothing_is_sent_to_another_persons_server(uid: int, address: str, host: str) -> None:
    with listening(uid, address) as other:
        with pytest.raises(Unreachable, match="listens a program of user") as caught:
            await post(f"http://{host}:{other.port}/secret-path")
        assert not caught.value.sent
        assert "secret-path" not in str(caught.value)
        assert other.got() == b""


async def test_localhost_is_not_asked_if_only_one_of_its_addresses_is_ours() -> None:
    with listening(0) as own, listening(PERSON, "::1", own.port) as other:
        with pytest.raises(Unreachable, match="instead of localhost"):
            await post(f"http://localhost:{own.port}/x")
        assert other.got() == b""
        await post(f"http://127.0.0.1:{own.port}/x")


@pytest.mark.parametrize("uid", [0, POSTGRES_LIKE, DYNAMIC])
async def test_ours_and_those_of_services_are_asked(uid: int) -> None:
    with listening(uid) as server:
        await post(f"http://127.0.0.1:{server.port}/x")
        assert b"POST /x" in server.got()


@pytest.mark.parametrize("how", ["url", "hostaddr", "environment"])
def test_no_database_is_opened_at_another_persons_server(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(PERSON) as other:
        urls = {
            "url": f"postgresql://me@127.0.0.1:{other.port}/x",
            "hostaddr": f"postgresql://me@db.example:{other.port}/x?hostaddr=127.0.0.1",
            "environment": "postgresql://me@/x",
        }
        if how == "environment":
            monkeypatch.setenv("PGHOST", "127.0.0.1")
            monkeypatch.setenv("PGPORT", str(other.port))
        with pytest.raises(InstallerError, match="listens a program of user") as caught:
            database.open_engine(urls[how]).connect()
        assert caught.value.code is ErrorCode.DATABASE_FAILED
        assert other.got() == b""


# It takes everybody: it answers the start of the connection, and says what comes after that.
SOCKET_SERVER = SERVER % (
    """
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[2]); server.listen()
print("ready", flush=True)
""",
    r"""got = one.recv(65536)
    if got:
        one.sendall(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
    while got and (part := one.recv(65536)): got += part""",
    "pass",
)


@pytest.mark.parametrize("file_of", [PERSON, 0])
def test_no_database_is_opened_at_another_persons_socket(file_of: int) -> None:
    """Everybody can make one in a folder such as /tmp. Whoever owns the file, the program behind it counts, too."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        path = Path(folder, ".s.PGSQL.5998")
        command = [sys.executable, "-c", SOCKET_SERVER, str(PERSON), str(path)]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        os.chown(path, file_of, file_of)
        with pytest.raises(InstallerError, match="listens a program of user") as caught:
            database.open_engine(f"postgresql://me@/x?host={folder}&port=5998").connect()
        assert caught.value.code is ErrorCode.DATABASE_FAILED
        said, _ = server.communicate(b"", timeout=20)
    # Only what starts a connection, and that only where the owner of the file says nothing.
    assert b"BEGIN" not in said
    assert (b"user" in said) is (file_of == 0)


def test_only_addresses_of_this_computer_are_looked_up() -> None:
    with listening(PERSON) as other:
        assert peer_user.strange_listener("127.0.0.1", other.port) == f"user number {PERSON}"
        assert peer_user.strange_listener("192.0.2.1", other.port) is None
        assert peer_user.strange_listener("clinic.example", other.port) is None
    assert peer_user.strange_listener("127.0.0.1", other.port) is None
