"""The provisioner for Espressif Unified Provisioning: open, scan, send credentials, follow the join.

Source: `facts/esp-provisioning.md` §8. The session is established when it is first needed, so that a device can be
examined without its proof of possession.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.provisioning import driver_errors
from installer.provisioning.driver_errors import Malformed, ProtocolError, Refused
from installer.provisioning.espressif import codec
from installer.provisioning.espressif import driver_errors as espressif_errors
from installer.provisioning.espressif.codec import AccessPoint, StationState, Version, WifiStatus, WrongKey
from installer.provisioning.espressif.endpoints import CONFIG, CTRL, SCAN, VERSION, Endpoints
from installer.provisioning.espressif.session import AskProof, Session, Timings
from installer.provisioning.join_polling import pause, poll_while_joining
from installer.provisioning.provisioner import Capability, ConnectionSecurity, DeviceInfo, Progress, Stage
from installer.wifi.credentials import Credentials, check_credentials
from installer.wifi.networks import Network

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

T = TypeVar("T")

TAKING_CREDENTIALS = "taking the credentials"

WARN_NONCE = (
    "The device's firmware is from before 2025 and encrypts all messages with the same nonce. "
    "Somebody who records the radio traffic may be able to read the passphrase."
)
WARN_RELAY = (
    "Security 1 encrypts the passphrase, and the device shows that it knows its proof of possession. But somebody who "
    "relays the radio traffic could read the passphrase, and a short proof can be guessed. Security 2 has neither "
    "weakness."
)
WARN_NO_PROOF = (
    "The device needs no proof of possession: the credentials are encrypted, "
    "but another device could pretend to be this one."
)


class EspressifProvisioner:
    """A driver for one connection.

    `proof`: the proof of possession (security 1) or the password (security 2); an empty one counts as a proof.
    `username`: for security 2. `ask_proof` is called with PROOF_MISSING or PROOF_WRONG when a proof is needed.
    `services`: the GATT services that may hold the endpoints; None: all.
    """

    protocol: ClassVar[str] = "espressif"

    def __init__(
        self,
        connection: Connection,
        *,
        proof: SecretStr | None = None,
        username: str | None = None,
        ask_proof: AskProof | None = None,
        timings: Timings | None = None,
        services: Sequence[str] | None = None,
    ) -> None:
        self._connection = connection
        self._proof, self._username, self._ask_proof = proof, username, ask_proof
        self._timings = timings or Timings()
        self._services = services
        self._opened: tuple[Endpoints, Version, Session] | None = None
        self._join_failed = False
        self._scanned_ssids: dict[str, bytes] = {}

    @property
    def encrypts_credentials(self) -> bool:
        """Whether this device's security scheme encrypts; False before `open()`."""
        return self.security.encrypted

    @property
    def security(self) -> ConnectionSecurity:
        """The scheme of this device, and whether the session has used the proof; see `Provisioner.security`."""
        if self._opened is None:
            return ConnectionSecurity()
        version = self._version
        return ConnectionSecurity(
            encrypted=version.security > 0,
            wants_proof=version.needs_proof,
            proved=version.needs_proof and self._session.proved,
            scheme=version.security,
            recordable=version.security == 2 and version.patch == 0,
            authenticated=version.security == 2 and version.patch > 0,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about this device's encryption, in sentences; known after `open()`."""
        version = self._version
        found = []
        if version.security == 2 and version.patch == 0:
            found.append(WARN_NONCE)
        if version.security == 1:
            found.append(WARN_RELAY if version.needs_proof else WARN_NO_PROOF)
        return tuple(found)

    @property
    def capabilities(self) -> Capability:
        """Scanning if the firmware says so, or if it says nothing about itself and has the endpoint."""
        scans = "wifi_scan" in self._version.capabilities or not self._version.detailed
        return Capability.DEVICE_INFO | (
            Capability.SCAN_NETWORKS if scans and SCAN in self._endpoints else Capability.NONE
        )

    @property
    def set_up(self) -> bool:
        """Always False: a device that has credentials does not have this service."""
        return False

    async def open(self) -> None:
        """Find the endpoints and read the version. Raises DEVICE_UNSUPPORTED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        endpoints = await Endpoints.find(self._connection, self._timings.request, self._services)
        try:
            answer = await endpoints.exchange(VERSION, codec.VERSION_REQUEST, timeout=self._timings.request)
            version = codec.read_version(answer)
        except ProtocolError as found:
            raise driver_errors.installer_error(self._connection, "sending its version", found) from None
        if version.security > 2:
            raise espressif_errors.unsupported(self._connection, f"uses the unknown security scheme {version.security}")
        if "thread_prov" in version.capabilities and "wifi_prov" not in version.capabilities:
            raise espressif_errors.unsupported(self._connection, "joins Thread networks, not Wi-Fi")
        session = Session(
            endpoints, version, self._timings, proof=self._proof, username=self._username, ask_proof=self._ask_proof
        )
        self._opened = endpoints, version, session

    async def prove(self) -> None:
        """Make the handshake, if there is no session. Raises PROOF_MISSING, PROOF_WRONG, and what `networks` raises."""
        await self._session.establish()

    async def identify(self) -> None:
        """Raises DEVICE_REFUSED: the protocol has no such command."""
        raise driver_errors.cannot_identify(self._connection)

    async def info(self) -> DeviceInfo:
        """The name, and the version of the application, else that of the provisioning."""
        label, version = self._version.application
        return DeviceInfo(
            name=self._connection.name,
            firmware=label or "Espressif provisioning",
            firmware_version=version if label else self._version.text,
        )

    async def networks(self) -> list[Network]:
        """Let the device scan.

        Raises DEVICE_REFUSED if it cannot, PROOF_MISSING, PROOF_WRONG, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        if Capability.SCAN_NETWORKS not in self.capabilities:
            raise InstallerError(
                ErrorCode.DEVICE_REFUSED, "The device cannot scan for networks.", "Type the name of the network."
            )
        await self._reset_after_failure()
        doing = "scanning for networks"
        await self._request(SCAN, codec.scan_start(), codec.read_scan_start, doing, write_timeout=self._timings.scan)
        total = await self._wait_for_scan(doing)
        points: list[AccessPoint] = []
        for start in range(0, total, codec.RESULTS_PER_REQUEST):
            count = min(codec.RESULTS_PER_REQUEST, total - start)
            read = partial(codec.read_scan_results, count=count)
            points += await self._request(SCAN, codec.scan_results(start, count), read, doing)
        self._scanned_ssids = {point.network.ssid: point.ssid for point in points}
        return [point.network for point in points]

    async def provision(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Send `credentials` and follow the device; the last item is JOINED.

        Raises JOIN_FAILED and NETWORK_NOT_FOUND (the same connection can try again, unless `data["reconnect"]`),
        PROVISIONING_TIMEOUT, PROOF_MISSING, PROOF_WRONG, DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        check_credentials(credentials)
        label = credentials.network.in_quotes
        await self._reset_after_failure()
        await self._session.establish()
        yield Progress(stage=Stage.SENDING)
        if not await self._send(credentials):
            # A resumed installation finds the device already joined.
            yield Progress(stage=Stage.JOINED)
            return
        yield Progress(stage=Stage.JOINING, seconds=self._timings.join)
        attempts_left: int | None = None
        async with aclosing(self._join_states(label)) as states:
            async for status in states:
                if status.attempts_left is not None and status.attempts_left != attempts_left:
                    attempts_left = status.attempts_left
                    yield Progress(stage=Stage.JOINING, seconds=self._timings.join, attempts_left=attempts_left)
        # The states end with “connected”: this is success, even if the connection drops now.
        yield Progress(stage=Stage.JOINED)

    async def joined(self, ssid: str) -> bool | None:
        """Whether it is on this network; see `Provisioner.joined`. A device that has joined ends its service soon."""
        await self._session.establish()
        status = await self._settled_status()
        if status.state is StationState.CONNECTING:
            raise driver_errors.no_outcome(Network(ssid=ssid).in_quotes, self._timings.join)
        wanted = ssid.encode("utf-8", "surrogatepass")
        return status.state is StationState.CONNECTED and status.ssid in (b"", wanted)

    async def close(self) -> None:
        """Forget the session; there is nothing to unsubscribe."""
        if self._opened is not None:
            self._session.drop()

    async def _send(self, credentials: Credentials) -> bool:
        """Set and apply the credentials; False if the device is on this network already."""
        ssid = self._ssid(credentials.network)
        try:
            await self._set_and_apply(ssid, credentials)
        except Refused as refused:
            # It has credentials of an earlier connection: has it joined with them?
            status = await self._settled_status()
            if status.state is StationState.CONNECTED and status.ssid == ssid:
                return False
            if status.state is StationState.FAILED:
                self._join_failed = True
                await self._reset_after_failure()
            elif status.state is StationState.CONNECTED and CTRL in self._endpoints:
                await self._request(CTRL, codec.ctrl_reprov(), codec.read_ctrl_reprov, TAKING_CREDENTIALS)
            else:
                raise driver_errors.installer_error(self._connection, TAKING_CREDENTIALS, refused) from None
            try:
                await self._set_and_apply(ssid, credentials)
            except Refused as again:
                raise driver_errors.installer_error(self._connection, TAKING_CREDENTIALS, again) from None
        return True

    async def _set_and_apply(self, ssid: bytes, credentials: Credentials) -> None:
        """Raises Refused (firmware may refuse either request), SESSION_TAKEN, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        passphrase = credentials.passphrase.get_secret_value().encode("utf-8", "surrogatepass")
        try:
            codec.read_set_config(await self._session.request(CONFIG, codec.set_config(ssid, passphrase)))
            codec.read_apply_config(await self._session.request(CONFIG, codec.apply_config()))
        except Malformed as found:
            raise self._malformed(TAKING_CREDENTIALS, found) from None

    async def _join_states(self, label: str) -> AsyncGenerator[WifiStatus]:
        """The states up to CONNECTED. Raises JOIN_FAILED, NETWORK_NOT_FOUND, PROVISIONING_TIMEOUT, CONNECTION_LOST."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._timings.join
        give_up_at: float | None = None  # when a disconnected device counts as failed
        pauses = self._timings.poll_backoff.waits()
        while True:
            with driver_errors.explain_loss_while_joining(self._connection, label):
                await pause(self._connection, next(pauses))
                try:
                    status = await self._status()
                except InstallerError as error:
                    if error.code is ErrorCode.SESSION_TAKEN:
                        raise driver_errors.session_taken(self._connection, label) from None
                    raise
            yield status
            if status.state is StationState.CONNECTED:
                return
            if status.state is not StationState.DISCONNECTED:
                give_up_at = None
            elif give_up_at is None:
                give_up_at = clock() + self._timings.settle
            if status.state is StationState.FAILED or (give_up_at is not None and clock() >= give_up_at):
                self._join_failed = True
                raise espressif_errors.not_joined(label, status.reason, reconnect=CTRL not in self._endpoints)
            if clock() >= end:
                raise driver_errors.no_outcome(label, self._timings.join)

    async def _settled_status(self) -> WifiStatus:
        """The state when the device is no longer joining with earlier credentials, or after `join` seconds."""
        return await poll_while_joining(
            self._connection,
            self._status,
            lambda status: status.state is StationState.CONNECTING,
            self._timings.poll_backoff.waits(),
            self._timings.join,
        )

    async def _reset_after_failure(self) -> None:
        """After a failed join: make the device accept credentials again. Raises DEVICE_REFUSED."""
        if not self._join_failed:
            return
        if CTRL not in self._endpoints:
            raise espressif_errors.needs_restart(self._connection)
        # Sent only once: if it fails, the device refuses the credentials, and that is handled.
        self._join_failed = False
        await self._request(CTRL, codec.ctrl_reset(), codec.read_ctrl_reset, "preparing for another attempt")

    async def _wait_for_scan(self, doing: str) -> int:
        """Wait for the end of the scan; returns the number of results."""
        try:
            async with self._connection.time_limit(self._timings.scan):
                while True:
                    finished, total = await self._request(SCAN, codec.scan_status(), codec.read_scan_status, doing)
                    if finished:
                        return total
                    await asyncio.sleep(self._timings.poll_first)
        except TimeoutError:
            raise driver_errors.installer_error(self._connection, doing, Malformed("the scan does not end")) from None

    async def _status(self) -> WifiStatus:
        return await self._request(CONFIG, codec.get_status(), codec.read_status, "sending the state of its Wi-Fi")

    async def _request(
        self, name: str, request: bytes, decode: Callable[[bytes], T], doing: str, *, write_timeout: float | None = None
    ) -> T:
        try:
            return decode(await self._session.request(name, request, write_timeout=write_timeout))
        except Malformed as found:
            raise self._malformed(doing, found) from None
        except ProtocolError as found:
            raise driver_errors.installer_error(self._connection, doing, found) from None

    def _malformed(self, doing: str, found: Malformed) -> InstallerError:
        """Drop the session; DEVICE_MISBEHAVED, or SESSION_TAKEN."""
        # Security 1 has no authentication: a device with the key of a newer session may misread a request and answer.
        self._session.drop()
        if self._version.security == 1 and isinstance(found, WrongKey):
            return driver_errors.session_taken(self._connection)
        return driver_errors.installer_error(self._connection, doing, found)

    def _ssid(self, network: Network) -> bytes:
        """The bytes of the SSID as the device sent them in its scan: an SSID need not be UTF-8."""
        return self._scanned_ssids.get(network.ssid) or network.ssid.encode("utf-8", "surrogatepass")

    @property
    def _endpoints(self) -> Endpoints:
        return self._parts[0]

    @property
    def _version(self) -> Version:
        return self._parts[1]

    @property
    def _session(self) -> Session:
        return self._parts[2]

    @property
    def _parts(self) -> tuple[Endpoints, Version, Session]:
        if self._opened is None:
            raise RuntimeError("call open() first")
        return self._opened
