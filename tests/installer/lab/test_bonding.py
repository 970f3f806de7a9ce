"""Units that want to be paired, as any client finds them: which requests they refuse, and what keys they keep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from bumble import att, hci, smp
from bumble.core import ProtocolError
from bumble.device import Device
from bumble.pairing import PairingConfig, PairingDelegate
from starlette.applications import Starlette

from installer.lab.bonding import OwnKeys
from installer.lab.control_api import routes
from installer.lab.scenario import Scenario
from installer.lab.world import World
from tests.installer.lab.hci_client import Client, Link, attached
from tests.installer.lab.improv_client import CAPABILITIES
from tests.installer.provisioning.lab_bench import until

ADDRESS = "A8:03:2A:BE:54:DC"
WEIGHT, FEATURES, TIME, MODEL = "2a9d", "2a9e", "2a2b", "2a24"
UNPAIRED, UNENCRYPTED = att.ErrorCode.INSUFFICIENT_AUTHENTICATION, att.ErrorCode.INSUFFICIENT_ENCRYPTION
OPEN = None


@asynccontextmanager
async def unit(**device: Any) -> AsyncIterator[tuple[Any, Client]]:
    """A scale, and a client that can be asked nothing."""
    scenario = Scenario.model_validate(
        {
            "radio": {"advertising_interval": 0.02, "supervision_timeout": 0.1},
            "device": [{"model": "body", "address": ADDRESS, "bonding": "just-works", **device}],
        }
    )
    world = World(scenario)
    port = await world.start()
    try:
        async with attached(f"tcp-client:127.0.0.1:{port}") as client:
            pairs(client.device)
            client.world = world  # type: ignore[attr-defined]
            yield world.devices[ADDRESS], client
    finally:
        await world.stop()


def pairs(device: Device, *, shown: Callable[[], str | None] | None = None) -> None:
    """Let the client pair: without abilities, or with a keyboard."""

    class Keyboard(PairingDelegate):
        async def get_number(self) -> int | None:
            assert shown is not None
            await until(shown)
            return int(shown() or "")

    capability = PairingDelegate.KEYBOARD_INPUT_ONLY if shown else PairingDelegate.NO_OUTPUT_NO_INPUT
    device.pairing_config_factory = lambda _: PairingConfig(
        delegate=Keyboard(capability), identity_address_type=PairingConfig.AddressType.RANDOM
    )


async def answer(work: Any) -> int | None:
    """The error of a request; None if it was answered."""
    try:
        await work
    except (att.ATT_Error, ProtocolError) as error:
        return int(error.error_code)
    return None


def cccd(link: Link, uuid: str) -> int:
    """The handle after the value, where the subscription is written."""
    return link.characteristic(uuid).handle + 1


@pytest.mark.parametrize(
    ("wanted_for", "refused"),
    [
        ("all", {WEIGHT, FEATURES, TIME, CAPABILITIES}),
        ("health", {WEIGHT, FEATURES, TIME}),
        ("provisioning", {CAPABILITIES}),
    ],
)
async def test_a_unit_refuses_what_belongs_to_its_services(wanted_for: str, refused: set[str]) -> None:
    async with unit(bonding_for=wanted_for) as (_, client):
        link = await client.connect(ADDRESS)
        for uuid in (FEATURES, TIME, CAPABILITIES, MODEL):
            assert await answer(link.read(uuid)) == (UNPAIRED if uuid in refused else OPEN), uuid
        subscription = link.peer.gatt_client.write_value(cccd(link, WEIGHT), b"\x02\x00", with_response=True)
        assert await answer(subscription) == (UNPAIRED if WEIGHT in refused else OPEN)
        await link.connection.pair()
        for uuid in (FEATURES, TIME, CAPABILITIES, MODEL):
            assert await answer(link.read(uuid)) is OPEN


async def test_no_kind_of_request_gets_round_it() -> None:
    async with unit() as (device, client):
        link = await client.connect(ADDRESS)
        gatt, handle = link.peer.gatt_client, link.characteristic(FEATURES).handle
        features = link.characteristic(FEATURES).uuid
        for request in (
            att.ATT_Read_Request(attribute_handle=handle),
            att.ATT_Read_Blob_Request(attribute_handle=handle, value_offset=0),
            att.ATT_Read_By_Type_Request(starting_handle=1, ending_handle=0xFFFF, attribute_type=features),
            att.ATT_Read_Multiple_Request(set_of_handles=[3, handle]),
            att.ATT_Write_Request(attribute_handle=handle, attribute_value=b"x"),
        ):
            response = await gatt.send_request(request)
            assert isinstance(response, att.ATT_Error_Response), request
            assert (response.error_code, response.attribute_handle_in_error) == (UNPAIRED, handle)
        await gatt.write_value(cccd(link, WEIGHT), b"\x02\x00")  # a command: it gets no answer, and does nothing
        await link.read(MODEL)
        assert not any(any(configured.values()) for configured in device.server.subscribers.values())


@pytest.mark.parametrize("legacy", [False, True])
async def test_keys_serve_a_reconnect_and_end_with_a_reset(legacy: bool) -> None:
    async with unit(bonding_legacy=legacy) as (device, client):
        link = await client.connect(ADDRESS)
        await link.connection.pair()
        await link.disconnect()
        link = await client.connect(ADDRESS)
        assert await answer(link.read(FEATURES)) == UNENCRYPTED
        await link.connection.encrypt()
        assert await answer(link.read(FEATURES)) is OPEN
        await link.disconnect()
        device.factory_reset()
        link = await client.connect(ADDRESS)
        with pytest.raises(hci.HCI_Error) as caught:
            await link.connection.encrypt()
        assert caught.value.error_code == hci.HCI_ErrorCode.PIN_OR_KEY_MISSING_ERROR
        assert await answer(link.read(FEATURES)) == UNPAIRED


async def test_bumble_itself_answers_with_the_wrong_key_after_legacy_pairing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(OwnKeys, "update")  # as Bumble has it
    async with unit(bonding_legacy=True) as (_, client):
        link = await client.connect(ADDRESS)
        await link.connection.pair()
        await link.disconnect()
        link = await client.connect(ADDRESS)
        with pytest.raises(BaseException, match=r"disconnection|cancel"):
            await link.connection.encrypt()
        assert await link.end() == hci.HCI_ErrorCode.CONNECTION_TERMINATED_DUE_TO_MIC_FAILURE_ERROR


@pytest.mark.parametrize("legacy", [False, True])
async def test_where_digits_are_wanted_a_pairing_without_them_is_too_weak(legacy: bool) -> None:
    async with unit(bonding="passkey", bonding_legacy=legacy) as (device, client):
        link = await client.connect(ADDRESS)
        await link.connection.pair()
        assert link.connection.is_encrypted
        assert await answer(link.read(FEATURES)) == UNPAIRED
        pairs(client.device, shown=lambda: device.bonding.shows)
        await link.connection.pair()
        assert await answer(link.read(FEATURES)) is OPEN
        assert device.bonding.shows is None
        await link.disconnect()
        link = await client.connect(ADDRESS)
        await link.connection.encrypt()
        assert await answer(link.read(FEATURES)) is OPEN


async def test_the_faults_of_pairing() -> None:
    faults = {"refuse_pairing": {}, "forget_bond": {"after": 1}}
    async with unit(faults=faults) as (device, client):
        link = await client.connect(ADDRESS)
        with pytest.raises(ProtocolError) as caught:
            await link.connection.pair()
        assert caught.value.error_code == smp.ErrorCode.PAIRING_NOT_SUPPORTED
        await link.connection.pair()
        assert device.describe()["bonds"] == 1
        await link.disconnect()
        await client.connect(ADDRESS)
        assert device.describe()["bonds"] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bonding": None, "bonding_legacy": True}, "belong to a device with"),
        ({"bonding": "enter", "passkey": "123456"}, "passkey"),
        ({"bonding": "passkey", "passkey": "000000"}, "not 000000"),
        ({"bonding": "passkey", "passkey": "12345"}, "passkey"),
        ({"bonding": "digits"}, "just-works"),
    ],
)
async def test_mistakes_in_a_scenario_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        async with unit(**changes):
            pass


async def test_a_person_sees_what_the_unit_asks_and_types_digits_on_it() -> None:
    class Display(PairingDelegate):
        async def display_number(self, number: int, digits: int) -> None:
            self.number = f"{number:06}"

    display = Display(PairingDelegate.DISPLAY_OUTPUT_ONLY)
    async with unit(bonding="enter") as (device, client):
        app = Starlette(routes=routes(client.world, lambda: None))

        async def act(action: str, **body: str) -> dict[str, Any]:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab") as control:
                return dict((await control.post(f"/lab/devices/{ADDRESS}/{action}", json=body)).json())

        assert "does not ask" in (await act("enter", digits="123456"))["error"]
        client.device.pairing_config_factory = lambda _: PairingConfig(delegate=display)
        link = await client.connect(ADDRESS)
        pairing = asyncio.ensure_future(link.connection.pair())
        await until(lambda: device.describe()["asks_digits"])
        assert "six digits" in (await act("enter", digits="12345"))["error"]
        assert "error" not in await act("enter", digits=display.number)
        await pairing
        assert (await act("press"))["bonds"] == 1
        assert (await act("forget_bonds"))["bonds"] == 0
        assert device.describe()["asks_digits"] is False
