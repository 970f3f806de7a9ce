"""A client that others wrote (esp-protocomm, adapted from Espressif's own tool) against the lab's device."""

from __future__ import annotations

import pytest
from esp_protocomm import Security1, SecurityError, WifiFailure, WifiState, establish_session, provision_wifi

from installer.bluetooth.connection import Connection
from tests.installer.provisioning.espressif.bench import PROOF, bench


class Transport:
    """Their transport over our connection: endpoints by their names in the descriptors."""

    def __init__(self, connection: Connection, table: dict[str, str]) -> None:
        self._connection, self._table = connection, table

    @classmethod
    async def over(cls, connection: Connection, service: str) -> Transport:
        table = {}
        for uuid in connection.characteristics_of(service):
            table[(await connection.read_user_description(uuid) or b"").decode()] = uuid
        return cls(connection, table)

    async def send(self, endpoint: str, data: bytes) -> bytes:
        await self._connection.write(self._table[endpoint], data)
        return await self._connection.read(self._table[endpoint])


@pytest.mark.parametrize(
    ("passphrase", "state", "failure"),
    [
        ("correct horse", WifiState.CONNECTED, None),
        ("incorrect horse", WifiState.CONNECTION_FAILED, WifiFailure.INCORRECT_PASSWORD),
    ],
)
async def test_their_client_provisions_the_lab_device(
    passphrase: str, state: WifiState, failure: WifiFailure | None
) -> None:
    async with bench() as lab:
        transport = await Transport.over(await lab.connect(), lab.device.espressif.scenario.service)
        security = await establish_session(transport, Security1(pop=PROOF))
        status = await provision_wifi(transport, security, "Home", passphrase, poll_interval=0.02)
        assert (status.state, status.failure) == (state, failure)
        assert lab.device.joined == ("Home" if failure is None else None)


async def test_their_client_with_a_wrong_proof() -> None:
    async with bench() as lab:
        transport = await Transport.over(await lab.connect(), lab.device.espressif.scenario.service)
        with pytest.raises(SecurityError):
            await establish_session(transport, Security1(pop="wrong"))
