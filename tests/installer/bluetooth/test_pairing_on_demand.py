"""A request that wants a pairing: paired in one place, made again once, and no clock cuts a person off.

How BlueZ leaves such a request unanswered can be shown by no other stack, so the adapter says so here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from bumble.att import ATT_Error
from bumble.gatt import Service

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.pairing import PairingEnd, pairing_failed
from installer.errors import ErrorCode, InstallerError
from tests.installer.bluetooth.bench import (
    ADDRESS,
    LOCKED,
    NOTES,
    SERVICE,
    VALUE,
    Bench,
    Peripheral,
    Properties,
    characteristic,
    connected,
)
from tests.installer.bluetooth.dialogs import Answers
from tests.installer.bluetooth.test_hci_client import world

Pair = Callable[[], Awaitable[None]]


def pairs_by(monkeypatch: pytest.MonkeyPatch, adapter: Adapter, pair: Pair, *, bluez: bool = False) -> None:
    """`pair`: what a pairing does. `bluez`: requests that want one are not answered."""

    async def called(*_: object) -> None:
        await pair()

    monkeypatch.setattr(adapter, "pair", called)
    monkeypatch.setattr(type(adapter), "leaves_requests_unanswered", bluez)


async def opened(adapter: Adapter, dialog: Answers | None) -> Connection:
    connection = await connected(adapter)
    connection._pairing.dialog = dialog
    return connection


def locked(device_lock: list[bool]) -> Service:
    """A service whose value only a paired client gets."""

    def read(_: object) -> bytes:
        if device_lock[0]:
            raise ATT_Error(0x05)
        return b"open"

    return Service(SERVICE, [characteristic(LOCKED, Properties.READ, read=read)])


async def test_a_refused_request_is_made_again_after_one_pairing(
    bench: Bench, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = [True]
    await bench.peripheral([locked(lock)])

    async def pair() -> None:
        lock[0] = False

    pairs_by(monkeypatch, adapter, pair)
    dialog = Answers()
    async with await opened(adapter, dialog) as connection:
        assert await connection.read(LOCKED) == b"open"
        assert await connection.read(LOCKED) == b"open"
        assert connection.paired_now
    assert dialog.ended == [True]
    assert adapter.pairing_dialog is None


async def test_a_device_that_wants_more_than_the_pairing_gave_is_told_so(
    bench: Bench, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.peripheral([locked([True])])

    async def pair() -> None:
        pass

    pairs_by(monkeypatch, adapter, pair)
    async with await opened(adapter, Answers()) as connection:
        with pytest.raises(InstallerError) as raised:
            await connection.read(LOCKED)
    assert (raised.value.code, raised.value.data["why"]) == (ErrorCode.PAIRING_FAILED, PairingEnd.TOO_WEAK.value)


async def test_an_unanswered_request_leads_to_a_new_link_and_is_carried_out_once(
    bench: Bench, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world()
    device = await bench.peripheral([made.service])
    links: list[bool] = []

    async def look_anew(*_: object) -> None:
        await connection._client.disconnect()

    async def pair() -> None:
        links.append(connection.is_open)

    monkeypatch.setattr(type(adapter), "look_anew", look_anew)
    pairs_by(monkeypatch, adapter, pair, bluez=True)
    async with await opened(adapter, Answers()) as connection:
        got: asyncio.Queue[bytes] = asyncio.Queue()
        await connection.subscribe(NOTES, got.put_nowait)
        device.hung = True
        first = device.link
        assert first is not None
        first.on("disconnection", lambda _: setattr(device, "hung", False))
        await connection.write(VALUE, b"once", timeout=0.2)
        assert made.written == [b"once"]
        # The system ends the link when it looks for the device anew.
        assert links == [False]
        assert device.link is not first
        # What was subscribed to is heard on the new link, and nobody was told of a loss.
        await device.tell(made.notes, b"note")
        assert await connection.run_while_connected(got.get(), 5, "listening") == b"note"


async def test_a_request_that_another_programs_person_answers_for_is_waited_for(
    bench: Bench, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world()
    device = await bench.peripheral([made.service])
    asked = asyncio.Event()

    async def pair() -> None:
        raise AssertionError("the other program pairs")

    async def others(*_: object) -> bool:
        asked.set()
        return True

    pairs_by(monkeypatch, adapter, pair, bluez=True)
    monkeypatch.setattr(adapter, "others_may_pair", others)
    answer = device._answer
    held: list[tuple[object, object]] = []
    device._answer = lambda bearer, pdu: held.append((bearer, pdu))  # type: ignore[method-assign,assignment]
    async with await _open_before(adapter, device, answer) as connection:
        reading = asyncio.create_task(connection.read(VALUE, timeout=0.1))
        await asyncio.wait_for(asked.wait(), 5)
        device._answer = answer  # type: ignore[method-assign]
        for bearer, pdu in held:
            answer(bearer, pdu)
        assert await reading == b"hello"


async def test_a_failed_pairing_ends_the_link_and_says_what_it_was_for(
    bench: Bench, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world()
    device = await bench.peripheral([made.service])

    async def pair() -> None:
        raise pairing_failed(ADDRESS, "Bench", PairingEnd.DEVICE_REFUSED)

    pairs_by(monkeypatch, adapter, pair, bluez=True)
    async with await opened(adapter, Answers()) as connection:
        device.hung = True
        assert device.link is not None
        device.link.on("disconnection", lambda _: setattr(device, "hung", False))
        with pytest.raises(InstallerError) as raised:
            await connection.read(VALUE, timeout=0.2)
        assert raised.value.code is ErrorCode.PAIRING_FAILED
        assert "did not answer within 0.2 s" in raised.value.what
        assert "may want to be paired" in raised.value.what
        assert not connection.is_open


async def test_no_clock_runs_while_a_person_is_asked(
    bench: Bench, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = [True]
    await bench.peripheral([locked(lock)])
    limits: list[float | None] = []

    async def pair() -> None:
        limits.append(limit.when())
        lock[0] = False

    pairs_by(monkeypatch, adapter, pair)
    async with await opened(adapter, Answers()) as connection, connection.time_limit(60) as limit:
        before = limit.when()
        assert await connection.read(LOCKED) == b"open"
        after = limit.when()
    assert limits == [None]
    assert before is not None
    assert after is not None
    assert after > before


async def _open_before(adapter: Adapter, device: Peripheral, answer: Callable[..., None]) -> Connection:
    """Connect while the device answers, then let what was set stand."""
    held, device._answer = device._answer, answer  # type: ignore[method-assign]
    connection = await opened(adapter, Answers())
    device._answer = held  # type: ignore[method-assign]
    return connection
