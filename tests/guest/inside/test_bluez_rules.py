"""What BlueZ itself answers, without the program: so that an update of BlueZ shows what has changed.

The program builds on each of these. Where BlueZ 5.66 (Debian 12) and 5.82 (Debian 13) differ, both are named.
"""

from __future__ import annotations

import asyncio
import functools
import subprocess

import pytest

from tests.guest.inside import waiting
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.bluez_client import ADAPTER, OK, UNANSWERED, Client, path_of, until
from tests.guest.inside.peripheral_control import Control, Peripherals

PLAIN, ENCRYPTED, SLOW, NOTIFIES = 0xA1, 0xA2, 0xA3, 0xA4
NO_ANSWER_SECONDS = 8.0  # a call that has not been answered by then is not answered later either


@functools.cache
def is_old() -> bool:
    """Whether this is BlueZ 5.66 or so."""
    told = subprocess.run(["bluetoothctl", "--version"], check=True, capture_output=True, text=True).stdout
    return float(told.split()[-1]) < 5.7


async def found(client: Client, peripheral: Control) -> str:
    """Advertise and be found; its address."""
    address = peripheral.address
    peripheral.advertise()
    await client.find(address)
    return address


def shown_by(peripheral: Control) -> int:
    """The digits on the device's display, as a person types them."""
    return int(waiting.until(lambda: peripheral.state()["shown"], "the digits"))


async def test_pair_on_a_paired_device(peripherals: Peripherals) -> None:
    async with Client() as client:
        address = await found(client, peripherals["just-works"])
        await client.register_agent()
        assert await client.device(address, "Pair") == OK
        assert await client.property(address, "Paired") is True
        again = await client.device(address, "Pair", NO_ANSWER_SECONDS)
        assert again == (UNANSWERED if is_old() else "AlreadyExists: Already Exists")


async def test_without_an_agent_nothing_pairs_and_the_link_stays(peripherals: Peripherals) -> None:
    async with Client() as client:
        address = await found(client, peripherals["just-works"])
        assert await client.device(address, "Pair") == "AuthenticationFailed: Authentication Failed"
        assert await client.property(address, "Connected") is True
        if not is_old():
            # A link that a failed Pair() has opened never gets its services.
            assert await client.device(address, "Connect") == OK
            with pytest.raises(AssertionError, match="ServicesResolved"):
                await client.until_property(address, "ServicesResolved", True, NO_ANSWER_SECONDS)
        assert await client.device(address, "Disconnect") == OK
        await client.connect(address)


async def test_a_read_that_starts_a_pairing_without_an_agent_is_never_answered(peripherals: Peripherals) -> None:
    async with Client() as client:
        address = await found(client, peripherals["just-works"])
        await client.connect(address)
        secret = await client.characteristic(address, ENCRYPTED)
        assert (await client.read(secret, NO_ANSWER_SECONDS))[0] == UNANSWERED


async def test_a_read_with_an_agent_pairs_and_is_answered(peripherals: Peripherals) -> None:
    async with Client() as client:
        address = await found(client, peripherals["just-works"])
        await client.register_agent(default=True)
        await client.connect(address)
        assert await client.read(await client.characteristic(address, ENCRYPTED)) == (OK, b"secret".hex())
        assert [name for name, _ in client.asked] == ["RequestAuthorization"]
        assert await client.property(address, "Paired") is True


@pytest.mark.parametrize("name", ["passkey", pytest.param("legacy-passkey", marks=pytest.mark.long)])
async def test_the_digits_that_the_device_shows(peripherals: Peripherals, name: str) -> None:
    async with Client() as client:
        peripheral = peripherals[name]
        address = await found(client, peripheral)
        await client.register_agent(lambda: shown_by(peripheral))
        assert await client.device(address, "Pair") == OK
        assert [name for name, _ in client.asked] == ["RequestPasskey"]
        await client.until_property(address, "ServicesResolved", True)
        assert await client.read(await client.characteristic(address, ENCRYPTED)) == (OK, b"secret".hex())


@pytest.mark.parametrize(
    ("name", "answer", "what", "stays"),
    [
        ("passkey", "wrong", "AuthenticationFailed: Authentication Failed", False),
        ("passkey", "no", "AuthenticationFailed: Authentication Failed", True),
        ("compare", "no", "AuthenticationFailed: Authentication Failed", True),
    ],
)
async def test_the_error_does_not_tell_what_the_person_did(
    peripherals: Peripherals, name: str, answer: str, what: str, stays: bool
) -> None:
    async with Client() as client:
        peripheral = peripherals[name]
        address = await found(client, peripheral)
        await client.register_agent(lambda: False if answer == "no" else (shown_by(peripheral) + 1) % 1000000)
        assert await client.device(address, "Pair") == what
        if stays:
            assert await client.property(address, "Connected") is True
        else:
            await client.until_property(address, "Connected", False)


async def test_a_device_that_hangs_up_at_the_request(peripherals: Peripherals) -> None:
    async with Client() as client:
        address = await found(client, peripherals["passkey"])
        peripherals["passkey"].set(behaviour={"pair": "hang up"})
        await client.register_agent()
        assert await client.device(address, "Pair") == "AuthenticationCanceled: Authentication Canceled"


async def test_the_agent_of_the_calling_connection_is_asked(peripherals: Peripherals) -> None:
    peripheral = peripherals["compare"]
    async with Client() as first, Client() as second:
        address = await found(second, peripheral)
        await first.register_agent(default=True)
        await second.register_agent()
        assert await second.device(address, "Pair") == OK
        assert not first.asked
        assert second.asked == [("RequestConfirmation", [peripheral.state()["shown"]])]


async def test_each_notification_comes_once_for_each_subscriber_to_everybody(peripherals: Peripherals) -> None:
    peripheral = peripherals["just-works"]
    async with Client() as first, Client() as second:
        address = await found(first, peripheral)
        await first.connect(address)
        path = await first.characteristic(address, NOTIFIES)
        assert await first.subscribe(path) == OK
        assert await second.subscribe(path) == OK
        await asyncio.to_thread(peripheral.notify, value="0102")
        # The second one is the last to come; both clients have heard both by then.
        await asyncio.to_thread(peripheral.notify, value="0304")

        def values(client: Client) -> list[str]:
            return [
                body["Value"]
                for kind, at, body in client.signals
                if (kind, at) == ("changed", path) and "Value" in body
            ]

        async def all_heard() -> bool:
            return all(values(client).count("0304") == 2 for client in (first, second))

        await until(all_heard, "the second value twice")
        assert values(first) == values(second) == ["0102", "0102", "0304", "0304"]


async def test_a_bond_that_the_device_has_lost(peripherals: Peripherals) -> None:
    peripheral = peripherals["just-works"]
    async with Client() as client:
        address = await found(client, peripheral)
        await client.register_agent()
        assert await client.device(address, "Pair") == OK
        assert await client.device(address, "Disconnect") == OK
        await client.until_property(address, "Connected", False)
        peripheral.forget()
        await client.device(address, "Connect")
        # BlueZ tries again by itself. If the removal cancels an attempt that has just succeeded, the controller keeps a
        # link that Linux does not know, and nobody can connect any more: so nothing may succeed from here on.
        peripheral.silence()

        async def is_unlinked() -> bool:
            return not (await asyncio.to_thread(peripheral.state))["connected"]

        await until(is_unlinked, "the end of the link")
        await client.until_property(address, "Connected", False)
        assert await client.property(address, "Paired") is True
        client.signals.clear()
        assert await client.remove(address) == OK
        await client.until_signal("InterfacesRemoved", path_of(address))
        peripheral.advertise()
        await client.find(address)
        assert await client.device(address, "Pair") == OK


async def test_a_link_belongs_to_nobody(peripherals: Peripherals) -> None:
    async with Client() as second:
        async with Client() as first:
            address = await found(first, peripherals["just-works"])
            await first.connect(address)
        # The program that made it is gone.
        assert await second.property(address, "Connected") is True
        assert peripherals["just-works"].state()["connected"]
        assert await second.device(address, "Disconnect") == OK
        await second.until_property(address, "Connected", False)


async def test_a_request_in_flight_when_the_device_hangs_up(peripherals: Peripherals) -> None:
    peripheral = peripherals["just-works"]
    async with Client() as client:
        address = await found(client, peripheral)
        peripheral.set(slow=20.0)
        await client.connect(address)
        reading = asyncio.create_task(client.read(await client.characteristic(address, SLOW)))

        async def entered() -> bool:
            return "reads slowly" in await asyncio.to_thread(lambda: peripheral.happened)

        await until(entered, "the read at the device")
        await asyncio.to_thread(peripheral.hang_up)
        assert (await reading)[0] == "Failed: Operation failed with ATT error: 0x0e"


async def test_removing_a_device_leaves_a_request_unanswered(peripherals: Peripherals) -> None:
    peripheral = peripherals["just-works"]
    async with Client() as client, Client() as other:
        address = await found(client, peripheral)
        peripheral.set(slow=40.0)
        await client.connect(address)
        path = await client.characteristic(address, SLOW)
        reading = asyncio.create_task(client.read(path, NO_ANSWER_SECONDS * 2))

        async def entered() -> bool:
            return "reads slowly" in await asyncio.to_thread(lambda: peripheral.happened)

        await until(entered, "the read at the device")
        assert await other.remove(address) == OK
        assert (await reading)[0] == UNANSWERED


async def test_a_private_device_is_known_by_its_identity_once_it_is_paired(peripherals: Peripherals) -> None:
    peripheral = peripherals["private"]
    async with Client() as client:
        peripheral.advertise()
        on_air = peripheral.state()["on the air as"].split("/")[0]
        await client.find(on_air)
        await client.register_agent()
        assert await client.device(on_air, "Pair") == OK
        # The path is still made of the address that was seen.
        assert await client.property(on_air, "Address") == peripheral.state()["identity"]


async def test_the_pictures_of_a_killed_and_of_a_stopped_daemon(peripherals: Peripherals, bare_bluez: BlueZ) -> None:
    async with Client() as client:
        address = await found(client, peripherals["just-works"])
        await client.connect(address)
        client.signals.clear()
        await asyncio.to_thread(bare_bluez.daemon.kill)
        await client.until_signal("NameOwnerChanged", "")
        assert {kind for kind, _, _ in client.signals} == {"NameOwnerChanged"}
        await asyncio.to_thread(bare_bluez.daemon.start)
        await asyncio.to_thread(bare_bluez.daemon.wait_powered)
        await client.find(address)

        # The new daemon may find the link of the dead one. The kernel ends it some seconds later, and then the object
        # of the device may go as well.
        async def is_over() -> bool:
            return await client.property(address, "Connected") is not True

        await until(is_over, "the end of the dead daemon's link")
        await client.find(address)
        await client.connect(address)
        client.signals.clear()
        await asyncio.to_thread(bare_bluez.daemon.stop)
        await client.until_signal("NameOwnerChanged", "")
        parts = {"org.bluez.Adapter1", "org.bluez.Device1"}
        removed = [path for kind, path, names in client.signals if kind == "InterfacesRemoved" and parts & {*names}]
        assert removed.index(path_of(address)) < removed.index(ADAPTER)


async def test_the_picture_of_an_adapter_that_is_switched_off(peripherals: Peripherals, bare_bluez: BlueZ) -> None:
    async with Client() as client:
        address = await found(client, peripherals["just-works"])
        await client.connect(address)
        client.signals.clear()
        await asyncio.to_thread(bare_bluez.daemon.power, False)
        changes = [(path, body) for kind, path, body in client.signals if kind == "changed"]
        lost = next(n for n, (path, body) in enumerate(changes) if body.get("Connected") is False)
        off = next(n for n, (path, body) in enumerate(changes) if path == ADAPTER and body.get("Powered") is False)
        assert lost < off
        assert not [kind for kind, path, _ in client.signals if kind == "NameOwnerChanged"]


async def test_the_picture_of_an_adapter_that_is_pulled(peripherals: Peripherals, bare_bluez: BlueZ) -> None:
    async with Client() as client:
        await found(client, peripherals["just-works"])
        client.signals.clear()
        await asyncio.to_thread(bare_bluez.unplug)
        await client.until_signal("InterfacesRemoved", ADAPTER)
        assert not [kind for kind, _, _ in client.signals if kind == "NameOwnerChanged"]
