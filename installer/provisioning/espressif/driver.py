"""The provisioner for Espressif Unified Provisioning: open, scan, send credentials, follow the join.

Source: `facts/esp-provisioning.md` §8. The session is agreed on when it is first needed, so that a device can be looked
at without its proof of possession.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.provisioning import error_texts as common
from installer.provisioning.espressif import codec, error_texts
from installer.provisioning.espressif.codec import StationState, Version, WifiStatus
from installer.provisioning.espressif.endpoints import CONFIG, CTRL, SCAN, VERSION, Endpoints
from installer.provisioning.espressif.exceptions import Garbled, Malformed, ProtocolFault, Refused
from installer.provisioning.espressif.session import AskProof, Session, Timings
from installer.provisioning.provisioner import Capability, DeviceInfo, Progress, Stage
from installer.wifi.networks import Credentials, Network, check_credentials

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

T = TypeVar("T")

POLL_GROWTH = 1.5
SENDING = "taking the credentials"

WARN_NONCE = (
    "The device's firmware is from before 2025 and encrypts all messages with one and the same nonce. "
    "Somebody who records the radio traffic may be able to read the passphrase."
)
WARN_NO_PROOF = (
    "The device wants no proof of possession: what is sent is encrypted, "
    "but another device could have taken its place unnoticed."
)
WARN_PROOF_UNUSED = (
    "A proof of possession was given, but the device does not ask for one. Check that it is the right device."
)


class EspressifProvisioner:
    """A driver for one connection.

    `proof`: the proof of possession (security 1) or the password (security 2); an empty one is a proof as well.
    `username`: for security 2. `ask_proof` is called with PROOF_MISSING or PROOF_WRONG when a proof is needed.
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
    ) -> None:
        self._connection = connection
        self._proof, self._username, self._ask_proof = proof, username, ask_proof
        self._timings = timings or Timings()
        self._opened: tuple[Endpoints, Version, Session] | None = None
        self._failed = False
        self._raw: dict[str, bytes] = {}

    @property
    def encrypts_credentials(self) -> bool:
        """Whether this device's security scheme encrypts; False before `open()`."""
        return self._opened is not None and self._version.security > 0

    @property
    def needs_proof(self) -> bool:
        """Whether a session wants a proof of possession or a password; known after `open()`."""
        return self._version.needs_proof

    @property
    def needs_username(self) -> bool:
        """Whether the proof is a password with a user name (security 2); known after `open()`."""
        return self._version.security == 2

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of this device's encryption, in sentences; known after `open()`."""
        version = self._version
        found = []
        if version.security == 2 and version.patch == 0:
            found.append(WARN_NONCE)
        if version.security == 1 and not version.needs_proof:
            found.append(WARN_NO_PROOF)
        if self._proof is not None and self._proof.get_secret_value() and not version.needs_proof:
            found.append(WARN_PROOF_UNUSED)
        return tuple(found)

    @property
    def capabilities(self) -> Capability:
        """Scanning where the firmware says so, or says nothing of itself and has the endpoint."""
        scans = "wifi_scan" in self._version.capabilities or not self._version.detailed
        return Capability.DEVICE_INFO | (
            Capability.SCAN_NETWORKS if scans and SCAN in self._endpoints else Capability.NONE
        )

    @property
    def set_up(self) -> bool:
        """Always False: a device that has credentials does not offer this service."""
        return False

    async def open(self) -> None:
        """Find the endpoints and ask for the version. Raises DEVICE_UNSUPPORTED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        endpoints = await Endpoints.find(self._connection, self._timings.request)
        try:
            answer = await endpoints.exchange(VERSION, codec.VERSION_QUESTION, timeout=self._timings.request)
            version = codec.read_version(answer)
        except ProtocolFault as found:
            raise error_texts.fault(self._connection, "telling its version", found) from None
        if version.security > 2:
            raise error_texts.unsupported(self._connection, f"uses security scheme {version.security}, unknown here")
        if "thread_prov" in version.capabilities and "wifi_prov" not in version.capabilities:
            raise error_texts.unsupported(self._connection, "joins Thread networks, not Wi-Fi")
        session = Session(
            endpoints, version, self._timings, proof=self._proof, username=self._username, ask_proof=self._ask_proof
        )
        self._opened = endpoints, version, session

    async def identify(self) -> None:
        """Raises DEVICE_REFUSED: the protocol has no such command."""
        raise InstallerError(
            ErrorCode.DEVICE_REFUSED, "The device cannot make itself known.", "Tell it by its name and address."
        )

    async def info(self) -> DeviceInfo:
        """Name, and the version that the application told of itself, else that of the provisioning."""
        label, version = self._version.application
        return DeviceInfo(
            name=self._connection.name,
            firmware=label or "Espressif provisioning",
            firmware_version=version if label else self._version.text,
        )

    async def networks(self) -> list[Network]:
        """Let the device scan. Raises DEVICE_REFUSED where it cannot, PROOF_MISSING, PROOF_WRONG, and the usual."""
        if Capability.SCAN_NETWORKS not in self.capabilities:
            raise InstallerError(
                ErrorCode.DEVICE_REFUSED, "The device cannot scan for networks.", "Type the name of the network."
            )
        await self._recover()
        what = "scanning for networks"
        await self._ask(SCAN, codec.scan_start(), codec.read_scan_start, what, write_timeout=self._timings.scan)
        total = await self._scanned(what)
        found: list[codec.Found] = []
        for start in range(0, total, codec.PAGE):
            count = min(codec.PAGE, total - start)
            read = partial(codec.read_scan_results, count=count)
            found += await self._ask(SCAN, codec.scan_results(start, count), read, what)
        self._raw = {f.network.ssid: f.ssid for f in found}
        return [f.network for f in found]

    async def provision(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Send `credentials` and follow the device; the last item is JOINED.

        Raises JOIN_FAILED and NETWORK_NOT_FOUND (the same connection can try again, unless `data["reconnect"]`),
        PROVISIONING_TIMEOUT, PROOF_MISSING, PROOF_WRONG, DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        check_credentials(credentials)
        label = credentials.network.label
        await self._recover()
        await self._session.stand()
        yield Progress(stage=Stage.SENDING)
        if not await self._send(credentials):
            # A killed installation that is taken up again meets the device already joined.
            yield Progress(stage=Stage.JOINED)
            return
        yield Progress(stage=Stage.JOINING, seconds=self._timings.join)
        left: int | None = None
        async with aclosing(self._states(label)) as states:
            async for status in states:
                if status.attempts_left is not None and status.attempts_left != left:
                    left = status.attempts_left
                    yield Progress(stage=Stage.JOINING, seconds=self._timings.join, attempts_left=left)
        # The states end with “connected”; whatever the link does from here on, it is success.
        yield Progress(stage=Stage.JOINED)

    async def joined(self, ssid: str) -> bool | None:
        """Whether it is on this network; see `Provisioner.joined`. A device that says so ends its service soon."""
        await self._session.stand()
        status = await self._outcome()
        if status.state is StationState.CONNECTING:
            raise common.no_outcome(Network(ssid=ssid).label, self._timings.join)
        wanted = ssid.encode("utf-8", "surrogatepass")
        return status.state is StationState.CONNECTED and status.ssid in (b"", wanted)

    async def close(self) -> None:
        """Forget the session; there is nothing to unsubscribe."""
        if self._opened is not None:
            self._session.distrust()

    async def _send(self, credentials: Credentials) -> bool:
        """Set and apply; False if the device is on this very network already."""
        ssid = self._ssid(credentials.network)
        try:
            await self._set_and_apply(ssid, credentials)
        except Refused as refused:
            # It holds credentials of an earlier connection: what became of them?
            status = await self._outcome()
            if status.state is StationState.CONNECTED and status.ssid == ssid:
                return False
            if status.state is StationState.FAILED:
                self._failed = True
                await self._recover()
            elif status.state is StationState.CONNECTED and CTRL in self._endpoints:
                await self._ask(CTRL, codec.ctrl_reprov(), codec.read_ctrl_reprov, SENDING)
            else:
                raise error_texts.fault(self._connection, SENDING, refused) from None
            try:
                await self._set_and_apply(ssid, credentials)
            except Refused as again:
                raise error_texts.fault(self._connection, SENDING, again) from None
        return True

    async def _set_and_apply(self, ssid: bytes, credentials: Credentials) -> None:
        """Raises Refused, which firmware does at either of the two, and the usual."""
        passphrase = credentials.passphrase.get_secret_value().encode("utf-8", "surrogatepass")
        try:
            codec.read_set_config(await self._session.request(CONFIG, codec.set_config(ssid, passphrase)))
            codec.read_apply_config(await self._session.request(CONFIG, codec.apply_config()))
        except Malformed as found:
            raise self._senseless(SENDING, found) from None

    async def _states(self, label: str) -> AsyncGenerator[WifiStatus]:
        """The states up to CONNECTED. Raises JOIN_FAILED, NETWORK_NOT_FOUND, PROVISIONING_TIMEOUT, CONNECTION_LOST."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._timings.join
        settled: float | None = None
        pause = self._timings.poll_first
        while True:
            await self._pause(pause, label)
            pause = min(pause * POLL_GROWTH, self._timings.poll_last)
            try:
                status = await self._status()
            except InstallerError as error:
                if error.code is ErrorCode.CONNECTION_LOST:
                    raise common.lost_while_joining(self._connection, label) from None
                if error.code is ErrorCode.SESSION_TAKEN:
                    raise common.taken_over(self._connection, label) from None
                raise
            yield status
            if status.state is StationState.CONNECTED:
                return
            if status.state is not StationState.DISCONNECTED:
                settled = None
            elif settled is None:
                settled = clock() + self._timings.settle
            if status.state is StationState.FAILED or (settled is not None and clock() >= settled):
                self._failed = True
                raise error_texts.not_joined(label, status.reason, reconnect=CTRL not in self._endpoints)
            if clock() >= end:
                raise common.no_outcome(label, self._timings.join)

    async def _outcome(self) -> WifiStatus:
        """The state once the device is no longer busy with credentials that it got before, or after `join` seconds."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._timings.join
        pause = self._timings.poll_first
        while True:
            status = await self._status()
            if status.state is not StationState.CONNECTING or clock() >= end:
                return status
            await asyncio.sleep(pause)
            pause = min(pause * POLL_GROWTH, self._timings.poll_last)

    async def _pause(self, seconds: float, label: str) -> None:
        """Wait, but no longer than the link stands."""
        try:
            await self._connection.race(asyncio.sleep(seconds), seconds + 1, "joining")
        except InstallerError as error:
            if error.code is ErrorCode.CONNECTION_LOST:
                raise common.lost_while_joining(self._connection, label) from None
            raise

    async def _recover(self) -> None:
        """After a failed join: bring the device back to where it takes credentials. Raises DEVICE_REFUSED."""
        if not self._failed:
            return
        if CTRL not in self._endpoints:
            raise error_texts.needs_restart(self._connection)
        # Asked once only: if this goes wrong, the device tells its state by refusing the credentials.
        self._failed = False
        await self._ask(CTRL, codec.ctrl_reset(), codec.read_ctrl_reset, "getting ready for another attempt")

    async def _scanned(self, what: str) -> int:
        """Wait for the end of the scan; how many results there are."""
        try:
            async with asyncio.timeout(self._timings.scan):
                while True:
                    finished, total = await self._ask(SCAN, codec.scan_status(), codec.read_scan_status, what)
                    if finished:
                        return total
                    await asyncio.sleep(self._timings.poll_first)
        except TimeoutError:
            raise error_texts.fault(self._connection, what, Malformed("the scan does not end")) from None

    async def _status(self) -> WifiStatus:
        return await self._ask(CONFIG, codec.get_status(), codec.read_status, "telling the state of its Wi-Fi")

    async def _ask(
        self, name: str, request: bytes, read: Callable[[bytes], T], what: str, *, write_timeout: float | None = None
    ) -> T:
        try:
            return read(await self._session.request(name, request, write_timeout=write_timeout))
        except Malformed as found:
            raise self._senseless(what, found) from None
        except ProtocolFault as found:
            raise error_texts.fault(self._connection, what, found) from None

    def _senseless(self, what: str, found: Malformed) -> InstallerError:
        """Drop the session; DEVICE_MISBEHAVED, or SESSION_TAKEN."""
        # In security 1 a device may take what the key of a newer session makes of a request for another, and answer.
        self._session.distrust()
        if self._version.security == 1 and isinstance(found, Garbled):
            return common.taken_over(self._connection)
        return error_texts.fault(self._connection, what, found)

    def _ssid(self, network: Network) -> bytes:
        """The bytes of the SSID as the device's scan gave them: an SSID need not be UTF-8."""
        return self._raw.get(network.ssid) or network.ssid.encode("utf-8", "surrogatepass")

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
            raise RuntimeError("open() comes first")
        return self._opened
