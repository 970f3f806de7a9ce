"""The provisioner: speaks the toy protocol over an open connection, and checks all that the device says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, ClassVar

from installer.errors import ErrorCode, InstallerError
from installer.provisioning import driver_errors
from installer.provisioning.driver_errors import Malformed
from installer.provisioning.provisioner import Capability, ConnectionSecurity, DeviceInfo, Progress, Stage
from installer.wifi.credentials import Credentials, check_credentials
from toy_protocol import codec
from toy_protocol.codec import Answer

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection
    from installer.wifi.networks import Network

ANSWER_SECONDS = 10.0
JOIN_SECONDS = 60.0
MAX_NETWORKS = 64


class ToyProvisioner:
    """A driver for one connection. `Provisioner` in `installer.provisioning.provisioner` says what each method does."""

    protocol: ClassVar[str] = "toy"
    encrypts_credentials: ClassVar[bool] = False
    security: ClassVar[ConnectionSecurity] = ConnectionSecurity()  # no encryption, and nothing proves who the device is
    capabilities: ClassVar[Capability] = Capability.SCAN_NETWORKS
    set_up: ClassVar[bool] = False  # a device does not tell whether it has credentials

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def open(self) -> None:
        """Subscribe to the answers. Raises DEVICE_MISBEHAVED, CONNECTION_LOST."""
        await self._connection.subscribe(codec.ANSWER, self._answers.put_nowait)

    async def identify(self) -> None:
        """Raises DEVICE_REFUSED: the protocol has no such request."""
        raise driver_errors.cannot_identify(self._connection)

    async def info(self) -> DeviceInfo:
        """The name that it advertises; it tells no more."""
        return DeviceInfo(name=self._connection.name)

    async def networks(self) -> list[Network]:
        """Let the device scan. Raises DEVICE_MISBEHAVED, CONNECTION_LOST."""
        doing = "scanning for networks"
        await self._request(codec.scan_request())
        found: list[Network] = []
        while (answer := await self._answer(doing, ANSWER_SECONDS)).kind != "end":
            if answer.network is None or len(found) >= MAX_NETWORKS:
                raise driver_errors.installer_error(self._connection, doing, Malformed("not the end of the list"))
            found.append(answer.network)
        return found

    async def provision(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Send `credentials` and follow the device; the last item is JOINED.

        Raises JOIN_FAILED and NETWORK_NOT_FOUND (the same connection can try again), PROVISIONING_TIMEOUT,
        DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        check_credentials(credentials)
        ssid, label = credentials.network.ssid, credentials.network.label
        try:
            request = codec.join_request(ssid, credentials.passphrase.get_secret_value())
        except Malformed as error:
            raise InstallerError(
                ErrorCode.NETWORK_UNSUPPORTED, f"The device cannot join {label}: {error}.", "Choose another network."
            ) from None
        yield Progress(stage=Stage.SENDING)
        await self._request(request)
        yield Progress(stage=Stage.JOINING, seconds=JOIN_SECONDS)
        with driver_errors.explain_loss_while_joining(self._connection, label):
            answer = await self._join_outcome(label)
        if answer.kind == "failed" and answer.reason == "unknown-network":
            raise driver_errors.network_not_found(label)
        if answer.kind == "failed" and answer.reason == "passphrase":
            raise driver_errors.wrong_passphrase(label)
        if answer.kind == "failed":
            raise driver_errors.join_failed(label)
        yield Progress(stage=Stage.JOINED)

    async def joined(self, ssid: str) -> bool | None:
        """None: a device does not tell on which network it is."""
        return None

    async def close(self) -> None:
        """Stop listening."""
        if self._connection.is_open:
            await self._connection.unsubscribe(codec.ANSWER)

    async def _request(self, request: bytes) -> None:
        """Write a request. Answers to an earlier one, which may have been cancelled, are not taken for its answers."""
        while not self._answers.empty():
            self._answers.get_nowait()
        await self._connection.write(codec.REQUEST, request)

    async def _join_outcome(self, label: str) -> Answer:
        """The answer `joined` or `failed`. One deadline holds for the whole wait, however much the device says."""
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                while True:
                    answer = await self._answer("joining the network", JOIN_SECONDS)
                    if answer.kind in ("joined", "failed"):
                        return answer
        except TimeoutError:
            raise driver_errors.no_outcome(label, JOIN_SECONDS) from None

    async def _answer(self, doing: str, seconds: float) -> Answer:
        try:
            data = await self._connection.run_while_connected(self._answers.get(), seconds, doing)
            return codec.decode_answer(data)
        except TimeoutError:
            raise driver_errors.no_answer(self._connection, doing, seconds) from None
        except Malformed as error:
            raise driver_errors.installer_error(self._connection, doing, error) from None
