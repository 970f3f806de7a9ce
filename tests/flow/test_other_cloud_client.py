"""aiowithings, another project's client of the vendor's cloud, judges the lab's: devices, measurements, notifications.

It speaks https to port 443 only. So its resolver leads to a TLS server of this test, which passes on to the lab.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import trustme
from aiohttp import ClientSession, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiowithings import (
    MeasurementGroupCategory,
    MeasurementType,
    NotificationCategory,
    WithingsAuthenticationFailedError,
    WithingsClient,
    WithingsInvalidParamsError,
)
from aiowithings.models import DeviceModel, DeviceType

from installer.flow.run_options import RunConfig
from installer.flow.run_resources import RunResources
from tests.flow.hook import PATH, hooked
from tests.flow.support import LabWorld, answers_for, install
from tests.proxies import forward, listening, server_context


@pytest.fixture
def hook() -> Iterator[str]:
    with hooked() as server:
        yield f"http://127.0.0.1:{server.server_port}/{PATH}"


class OnePort(AbstractResolver):
    """Every name is this computer's, at one port."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self.port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None: ...


@pytest.fixture
async def client(world: LabWorld) -> AsyncIterator[WithingsClient]:
    authority = trustme.CA()
    trusts = ssl.create_default_context()
    authority.configure_trust(trusts)
    lab = urlsplit(world.state.http)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await forward(reader, writer, *await asyncio.open_connection(lab.hostname, lab.port))

    async with (
        listening(serve, server_context(authority, "localhost")) as port,
        ClientSession(connector=TCPConnector(resolver=OnePort(port), ssl=trusts, force_close=True)) as session,
    ):
        yield WithingsClient(session=session, api_host="localhost")


@pytest.fixture
async def scale(world: LabWorld, client: WithingsClient) -> WithingsClient:
    """A scale is installed, its first measurement is in the cloud, and aiowithings has the person's token."""
    ended, _ = await install(answers_for(world, "body-plus", "wifi"))
    assert ended.outcome == "installed"
    resources = RunResources(RunConfig(lab=True))
    try:
        account = await (await resources.accounts()).open("default")
        client.authenticate((await account.access_token()).get_secret_value())
    finally:
        await resources.close()
    return client


async def test_the_linked_device(scale: WithingsClient) -> None:
    (device,) = await scale.get_devices()
    assert (device.model, device.device_type, device.battery) == (DeviceModel.BODY_PLUS, DeviceType.SCALE, "high")
    assert device.device_id


async def test_the_first_measurement(scale: WithingsClient) -> None:
    (device,) = await scale.get_devices()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    groups = await scale.get_measurement_since(yesterday)
    own = [group for group in groups if group.device_id == device.device_id]
    assert own
    for group in own:
        assert group.category is MeasurementGroupCategory.REAL
        (weight,) = [m.value for m in group.measurements if m.measurement_type is MeasurementType.WEIGHT]
        assert 20 < weight < 200
    assert groups == await scale.get_measurement_in_period(yesterday, datetime.now(UTC) + timedelta(minutes=1))


async def test_subscribe_list_revoke(scale: WithingsClient, hook: str) -> None:
    await scale.subscribe_notification(hook, NotificationCategory.WEIGHT)
    (listed,) = await scale.list_notification_configurations(NotificationCategory.WEIGHT)
    assert listed.callback_url == hook
    await scale.revoke_notification_configurations(hook, NotificationCategory.WEIGHT)
    assert await scale.list_notification_configurations() == []


async def test_what_is_refused_is_refused_in_its_terms(scale: WithingsClient) -> None:
    with pytest.raises(WithingsInvalidParamsError):
        await scale.revoke_notification_configurations("http://127.0.0.1/never", NotificationCategory.WEIGHT)
    scale.authenticate("of somebody else")
    with pytest.raises(WithingsAuthenticationFailedError):
        await scale.get_devices()
