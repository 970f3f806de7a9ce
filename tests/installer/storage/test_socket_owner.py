"""The kernel is asked for one socket, and tells what its table tells."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys

import pytest

from installer.storage import socket_owner
from installer.storage.socket_owner import connection_owner, listeners

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux answers")  # elsewhere: OSError, below
HERE = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def at(address: tuple[str, int]) -> tuple[socket_owner.Address, int]:
    return ipaddress.ip_address(address[0]), address[1]


@pytest.mark.parametrize("family", HERE)
def test_both_ends_of_a_connection_and_the_one_that_listens(family: socket.AddressFamily) -> None:
    with (
        socket.create_server((HERE[family], 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
        server.accept()[0] as served,
    ):
        near, far = at(client.getsockname()[:2]), at(client.getpeername()[:2])
        for end, here, there in ((client, near, far), (served, far, near)):
            owned = connection_owner(here, there)
            assert owned == (*here, os.getuid(), os.fstat(end.fileno()).st_ino)
        (listening,) = listeners(far[1])
        assert listening == (*far, os.getuid(), os.fstat(server.fileno()).st_ino)


def test_an_address_of_ipv4_that_is_written_as_one_of_ipv6() -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection(("127.0.0.1", server.getsockname()[1])) as client,
        server.accept()[0] as served,
    ):
        near, far = at(client.getpeername()), at(client.getsockname())
        owned = connection_owner(near, far)
        assert owned is not None
        assert (owned.address, owned.inode) == (near[0], os.fstat(served.fileno()).st_ino)
        assert [one.address for one in listeners(near[1])] == [ipaddress.ip_address("::")]


def test_what_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        # The kernel looks for a listener when it finds no connection; that is not the one that was meant.
        assert (
            connection_owner((ipaddress.ip_address("127.0.0.1"), port), (ipaddress.ip_address("127.0.0.1"), 1)) is None
        )
    assert listeners(port) == []


def test_several_that_listen_at_one_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
        with socket.create_server(("127.0.0.2", port)), socket.create_server(("::1", port), family=socket.AF_INET6):
            assert sorted(str(owned.address) for owned in listeners(port)) == ["127.0.0.1", "127.0.0.2", "::1"]


BROKEN = {
    "shorter than its header": b"\x05\0\0\0" + bytes(12),
    "longer than what came": b"\xff\0\0\0" + bytes(12),
    "a socket cut short": b"\x14\0\0\0\x14" + bytes(15),
}


@pytest.mark.parametrize("what", BROKEN)
def test_an_answer_that_cannot_be_read_is_an_error(what: str) -> None:
    def read() -> list[tuple[int, socket_owner.Owned]]:
        return [socket_owner._read(message) for _, _, message in socket_owner._messages(BROKEN[what])]

    with pytest.raises(OSError, match="message"):
        read()


def test_another_system_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(OSError, match="Linux"):
        listeners(80)
