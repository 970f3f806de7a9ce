"""Asks Linux which user owns one TCP socket of this computer, without reading the table of all of them.

The request is that of sock_diag(7), `inet_diag_req_v2`, over a netlink socket (netlink(7)); the answer comes within a
moment, where reading `/proc/net/tcp` takes ten milliseconds on a computer with much memory. Any user may ask. Systems
and containers that do not answer raise OSError; the caller then reads the tables.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_ERROR, _DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
_REQUEST, _DUMP = 0x1, 0x300  # NLM_F_REQUEST, NLM_F_DUMP
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: the list changed while it was written
_LISTEN = 10  # TCP_LISTEN
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_REQUEST_HEAD = struct.Struct("=BBBxI")  # family, protocol, extensions, states
_SOCKET_ID = struct.Struct("!HH16s16s12s")  # source port, destination port, their addresses; interface and cookie
_ANY_INTERFACE_AND_COOKIE = bytes(4) + b"\xff" * 8
_ANSWER_HEAD = struct.Struct("=BBBB")  # family, state, timer, retransmissions
_ANSWER_TAIL = struct.Struct("=IIIII")  # expires, receive queue, send queue, user, inode
_SECONDS = 1.0
_LISTS = 3


class Owned(NamedTuple):
    """A socket: its own address, its user, and its inode; without one no program holds it any more."""

    address: Address
    port: int
    uid: int
    inode: int


def connection_owner(near: tuple[Address, int], far: tuple[Address, int]) -> Owned | None:
    """The socket at `near` that is connected with `far`; None if there is none. Raises OSError."""
    answers = _ask(near[0].version, near, far, flags=0, states=0xFFFFFFFF)
    try:
        return next((owned for state, owned in answers if state != _LISTEN and owned[:2] == near), None)
    except FileNotFoundError:
        return None


def listeners(port: int) -> list[Owned]:
    """The sockets that listen at this port, at whichever address. Raises OSError."""
    return [owned for version in (4, 6) for owned in _listeners(version) if owned.port == port]


def _listeners(version: int) -> list[Owned]:
    for _ in range(_LISTS):
        try:
            return [owned for _, owned in _ask(version, None, None, flags=_DUMP, states=1 << _LISTEN)]
        except InterruptedError:
            continue
    raise OSError(errno.EINTR, "the list changed again and again")


def _ask(
    version: int, near: tuple[Address, int] | None, far: tuple[Address, int] | None, *, flags: int, states: int
) -> Iterator[tuple[int, Owned]]:
    """State and owner of each socket of the answer."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "only Linux answers this")
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    packed = [(at[0].packed.ljust(16, b"\0"), at[1]) if at else (bytes(16), 0) for at in (near, far)]
    body = _REQUEST_HEAD.pack(family, socket.IPPROTO_TCP, 0, states) + _SOCKET_ID.pack(
        packed[0][1], packed[1][1], packed[0][0], packed[1][0], _ANY_INTERFACE_AND_COOKIE
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as asking:
        asking.settimeout(_SECONDS)
        asking.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST | flags, 1, 0) + body)
        while True:
            content, sender = asking.recvfrom(1 << 16)
            if sender[0] != 0:
                continue  # not from the kernel
            for kind, said, message in _messages(content):
                if said & _INTERRUPTED:
                    raise InterruptedError
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    number = -int(struct.unpack_from("=i", message)[0])
                    raise OSError(number, os.strerror(number))
                yield _read(message)
            if not flags & _DUMP:
                return


def _messages(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and body of each."""
    while len(content) >= _HEADER.size:
        length, kind, flags, _, _ = _HEADER.unpack_from(content)
        if not _HEADER.size <= length <= len(content):
            raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
        yield kind, flags, content[_HEADER.size : length]
        content = content[(length + 3) & ~3 :]


def _read(message: bytes) -> tuple[int, Owned]:
    try:
        family, state, _, _ = _ANSWER_HEAD.unpack_from(message)
        port, _, source, _, _ = _SOCKET_ID.unpack_from(message, _ANSWER_HEAD.size)
        *_, uid, inode = _ANSWER_TAIL.unpack_from(message, _ANSWER_HEAD.size + _SOCKET_ID.size)
    except struct.error:
        raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG)) from None
    address: Address = (
        ipaddress.IPv4Address(source[:4]) if family == socket.AF_INET else unmapped(ipaddress.IPv6Address(source))
    )
    return state, Owned(address, port, uid, inode)


def unmapped(address: Address) -> Address:
    """An IPv4 address that is written as one of IPv6, as what it is."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
