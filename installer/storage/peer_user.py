"""Peer user: which user of this computer is at the other end of a connection, or listens at a port or socket.

A port of this computer is open to all its users. Linux tells the user of each socket: when it is asked for one
(`socket_owner.py`), and in a list of all (`/proc/net/tcp`, `/proc/net/tcp6`: proc(5)), which is read where nobody
answers. Other systems do not tell a program without rights; there everybody passes.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import struct
import sys
from pathlib import Path

from installer.storage import socket_owner
from installer.storage.socket_owner import unmapped

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
ROOT = 0
_LISTENS = "0A"  # the state TCP_LISTEN
# The kernel writes a long table in pieces; a row can be missed while others come and go.
LOOKS = 3
# Smaller numbers are those of the system and its services (login.defs: UID_MIN).
FIRST_PERSON = 1000
DYNAMIC_USERS = range(61184, 65520)  # made by systemd for services only (systemd: “Users, Groups, UIDs and GIDs”)
NOT_NAMED = "a program whose user this computer does not name"

Address = tuple[str, int]


def can_tell() -> bool:
    """Whether this system tells whose a connection is."""
    return os.name == "posix" and bool(_tables())


def stranger(peer: Address, here: Address) -> str | None:
    """Whose the connection is, in words, if it is neither ours nor root's. None: it may be served.

    `peer`: its address and port, `here`: ours, as `getpeername` and `getsockname` give them. Root passes: it can read
    this program's files. The person who started this program with sudo passes. A socket that its program has closed
    has no user any more, so it does not pass; nor does a connection that is not in the table. If this system does not
    tell, everybody passes.
    """
    if os.name != "posix":
        return None
    answered, uid = _asked_for(peer, here)
    for _ in range(LOOKS if uid is None else 0):
        tables = _tables()
        if not tables:
            return NOT_NAMED if answered else None
        uid = _uid_of(peer, here, tables)
        if uid is not None:
            break
    if uid is None:
        return NOT_NAMED
    return None if uid in _own_users() else f"user {_name(uid)}"


def strange_listener(host: str, port: int) -> str | None:
    """Whose the server at this port of this computer is, in words, if it is another person's. None: it may get data.

    `host`: a loopback address, or `localhost`, which is all of them: any one of another person counts, because nobody
    knows to which of them a library connects. Our own, root's, and those of the system's services (uid below 1000, as
    postgres, or one that systemd made) pass. None also if nobody listens there, or if this system does not tell.
    """
    if os.name != "posix":
        return None
    try:
        wanted = [ipaddress.ip_address(host.strip("[]").split("%")[0])]
    except ValueError:
        if host.lower().rstrip(".") != "localhost":
            return None
        wanted = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    if not all(one.is_loopback for one in wanted):
        return None
    # A socket that listens on all addresses gets the connection, too; one on all of IPv6 mostly those of IPv4 as well.
    everywhere = [ipaddress.ip_address("0.0.0.0"), ipaddress.ip_address("::")]
    places = {unmapped(one) for one in (*wanted, *everywhere)}
    try:
        uids = [owned.uid for owned in socket_owner.listeners(port) if owned.address in places]
    except OSError:
        uids = _listening_in_tables({_row_address(one, port, mapped) for one in places for mapped in (False, True)})
    return next((other for other in map(_other_person, uids) if other is not None), None)


def strange_socket(path: Path) -> str | None:
    """Whose socket this file is, in words, if it is another person's, as for `strange_listener`. None: not there."""
    try:
        return _other_person(path.stat().st_uid) if os.name == "posix" else None
    except OSError:
        return None


def strange_server(descriptor: int) -> str | None:
    """Whose program made the socket that this connection goes to, if it is another person's (Linux: unix(7)).

    `descriptor`: of a connection. None for a TCP connection, and on systems that do not tell.
    """
    if sys.platform != "linux":
        return None
    import socket

    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        if connection.family is socket.AF_UNIX:
            who = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return _other_person(struct.unpack("3i", who)[1])
    return None


def _other_person(uid: int) -> str | None:
    """This user in words; None for us, root, and the system's services."""
    if uid in _own_users() or uid < FIRST_PERSON or uid in DYNAMIC_USERS:
        return None
    return f"user {_name(uid)}"


def _tables() -> list[str]:
    """The tables of connections that this system has and lets us read."""
    found = []
    for table in TABLES:
        with contextlib.suppress(OSError):
            found.append(table.read_text("ascii", "replace"))
    return found


def _listening_in_tables(places: set[str]) -> list[int]:
    """The users of the sockets that listen at one of these places, as `_row_address` writes them."""
    rows = (line.split() for table in _tables() for line in table.splitlines())
    return [
        int(row[7]) for row in rows if len(row) > 8 and row[3] == _LISTENS and row[1] in places and row[7].isdecimal()
    ]


def _asked_for(peer: Address, here: Address) -> tuple[bool, int | None]:
    """Whether the system answers, and the user of the socket at `peer`; None: it is not there, or has no owner."""
    try:
        far, near = _parsed(peer), _parsed(here)
        owned = socket_owner.connection_owner((far, peer[1]), (near, here[1])) if far.version == near.version else None
    except (OSError, ValueError):
        return False, None
    # Without an inode no program holds the socket any more; the kernel then names root as its user.
    return True, owned.uid if owned is not None and owned.inode else None


def _parsed(address: Address) -> socket_owner.Address:
    """Raises ValueError."""
    return unmapped(ipaddress.ip_address(address[0].split("%")[0]))


def _own_users() -> set[int]:
    own = {ROOT, os.getuid(), os.geteuid()}
    # Their own browser comes back to a program that they run as root. Only who starts a program sets its variables.
    started_by = os.environ.get("SUDO_UID", "")
    return own | ({int(started_by)} if started_by.isascii() and started_by.isdecimal() else set())


def _uid_of(peer: Address, here: Address, tables: list[str]) -> int | None:
    """The user of the socket at `peer`; None if the socket is not there or has no owner any more."""
    try:
        far, near = _parsed(peer), _parsed(here)
    except ValueError:
        return None
    pairs = {(_row_address(far, peer[1], mapped), _row_address(near, here[1], mapped)) for mapped in (False, True)}
    for content in tables:
        for far_text, near_text in pairs:
            at = content.find(f" {far_text} {near_text} ")
            if at < 0:
                continue
            # local address, remote address, state, queues, timer, retransmissions, uid, timeout, inode
            columns = content[at : content.find("\n", at)].split()
            # Without an inode no program holds the socket any more; the table then names root as its user.
            if len(columns) > 8 and columns[8] != "0" and columns[6].isdecimal():
                return int(columns[6])
    return None


def _row_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, mapped: bool) -> str:
    """As the table writes it: 32-bit words in the byte order of the machine. `mapped`: an IPv4 address as IPv6."""
    packed = address.packed
    if mapped and len(packed) == 4:
        packed = bytes(10) + b"\xff\xff" + packed
    step = -1 if sys.byteorder == "little" else 1
    words = (packed[i : i + 4][::step] for i in range(0, len(packed), 4))
    return f"{b''.join(words).hex().upper()}:{port:04X}"


def _name(uid: int) -> str:
    import pwd

    try:
        return f"“{pwd.getpwuid(uid).pw_name}”"
    except (KeyError, OSError):
        return f"number {uid}"
