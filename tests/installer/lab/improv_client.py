"""Improv frames for the lab's own tests, written apart from the lab's and the installer's."""

from __future__ import annotations

from tests.installer.lab.hci_client import Link

BASE = "00467768-6228-2272-4663-27747826800"
STATE, ERROR, COMMAND, RESULT, CAPABILITIES = (BASE + digit for digit in "12345")


def frame(command: int, data: bytes = b"") -> bytes:
    head = bytes((command, len(data))) + data
    return head + bytes((sum(head) & 0xFF,))


def string(text: str) -> bytes:
    raw = text.encode()
    return bytes((len(raw),)) + raw


def wifi(ssid: str, passphrase: str) -> bytes:
    return frame(1, string(ssid) + string(passphrase))


def strings(result: bytes) -> list[str]:
    """The strings of a result frame whose length and checksum are right."""
    assert len(result) == result[1] + 3, result.hex()
    assert sum(result[:-1]) & 0xFF == result[-1], result.hex()
    data, found = result[2:-1], []
    while data:
        assert len(data) > data[0]
        found.append(data[1 : data[0] + 1].decode())
        data = data[data[0] + 1 :]
    return found


async def ready(link: Link) -> Link:
    """Subscribed in the order that the specification's clients use."""
    await link.subscribe(ERROR, RESULT, STATE)
    return link


async def send(link: Link, whole: bytes, size: int = 20) -> None:
    for at in range(0, len(whole), size):
        await link.write(COMMAND, whole[at : at + size])


async def ask(link: Link, command: int, data: bytes = b"") -> list[str]:
    """The strings of the answer to a command."""
    await send(link, frame(command, data))
    uuid, value = await link.next()
    assert uuid == RESULT, (uuid, value)
    assert value[0] == command
    return strings(value)


async def expect(link: Link, *events: tuple[str, int]) -> None:
    """The next notifications are these states and errors."""
    for uuid, value in events:
        assert await link.next() == (uuid, bytes((value,)))


async def provision(link: Link, ssid: str, passphrase: str) -> list[str]:
    """The whole way to success; the strings of the result."""
    await send(link, wifi(ssid, passphrase))
    await expect(link, (STATE, 3), (STATE, 4))
    uuid, value = await link.next()
    assert uuid == RESULT
    return strings(value)
