"""The encrypted session with an Espressif device: the handshake with the proof of possession, and the requests.

A cancelled request leaves client and device out of sync (`facts/esp-provisioning.md` §5). So the session is dropped,
and the next request begins with a new handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.provisioning import driver_errors
from installer.provisioning.driver_errors import ProtocolError, Refused
from installer.provisioning.espressif import driver_errors as espressif_errors
from installer.provisioning.espressif.codec import Version
from installer.provisioning.espressif.endpoints import SESSION, Endpoints
from installer.provisioning.espressif.security import Security, Security0, Security1, Security2, WrongProof
from installer.timing.backoff import Backoff

T = TypeVar("T")
AskProof = Callable[[InstallerError], Awaitable[SecretStr]]

DEFAULT_USERNAME = "wifiprov"  # of Espressif's examples; most products keep it
MAX_PROOF_ATTEMPTS = 5
AGREEING = "agreeing on encryption"


@dataclass(frozen=True)
class Timings:
    """Deadlines and pauses in seconds.

    `request`: one read or write. `scan`: the write that starts a scan and is answered at its end; also a scan that is
    polled. `join`: from the credentials to the outcome. `settle`: how long a device may say that it is disconnected
    before that counts as failed. `disconnect`: how long a device that refused a proof may take to end the connection.
    `poll_first`, `poll_last`: the first and the longest pause between two polls of the state.
    """

    request: float = 10.0
    scan: float = 20.0
    join: float = 90.0
    settle: float = 15.0
    disconnect: float = 0.5
    poll_first: float = 0.2
    poll_last: float = 2.0

    @property
    def poll_backoff(self) -> Backoff:
        """The pauses between two polls of the state."""
        return Backoff(self.poll_first, self.poll_last, factor=1.5)


class Session:
    """One session at a time over `endpoints`. Concurrent requests are sent one after the other."""

    def __init__(
        self,
        endpoints: Endpoints,
        version: Version,
        timings: Timings,
        *,
        proof: SecretStr | None,
        username: str | None,
        ask_proof: AskProof | None,
    ) -> None:
        self._endpoints = endpoints
        self._version = version
        self._timings = timings
        self._proof = proof if version.needs_proof else SecretStr("")
        self._username = username or DEFAULT_USERNAME
        self._ask_proof = ask_proof
        self._security: Security | None = None
        self._in_sync = True
        self._lock = asyncio.Lock()

    @property
    def proved(self) -> bool:
        """Whether there is a session whose handshake used a proof that is not empty: the device knows it."""
        return self._security is not None and self._proof is not None and bool(self._proof.get_secret_value())

    async def establish(self) -> None:
        """Make the handshake if there is no session. Raises PROOF_MISSING, PROOF_WRONG, and what `request` raises."""
        async with self._lock:
            await self._established()

    async def request(self, name: str, plain: bytes, *, write_timeout: float | None = None) -> bytes:
        """The plain response of the endpoint `name` to `plain`.

        Raises ProtocolError, SESSION_TAKEN, DEVICE_MISBEHAVED, CONNECTION_LOST, and what `establish` raises.
        """
        async with self._lock:
            security = await self._established()
            self._security, self._in_sync = None, False
            try:
                response = await self._endpoints.exchange(
                    name, security.encrypt(plain), timeout=self._timings.request, write_timeout=write_timeout
                )
            except InstallerError as error:
                if error.code is ErrorCode.DEVICE_REFUSED:
                    # A device that knows this session answers with a status, even for a refusal. An ATT error means
                    # that it no longer knows the session: it has only one, and a new one replaces it (§1).
                    raise driver_errors.session_taken(self._endpoints.connection) from None
                raise
            answer = security.decrypt(response)
            self._security, self._in_sync = security, True
            return answer

    def drop(self) -> None:
        """Forget the session: the next request begins with a new handshake."""
        self._security = None

    async def _established(self) -> Security:
        if self._security is not None:
            return self._security
        previous: InstallerError | None = None
        for attempt in range(1, MAX_PROOF_ATTEMPTS + 1):
            if self._proof is None:
                missing = previous or espressif_errors.proof_missing(self._endpoints.connection, self._version.security)
                if self._ask_proof is None:
                    raise missing
                self._proof = await self._ask_proof(missing)
            try:
                self._security = await self._handshake(self._proof)
            except InstallerError as error:
                if error.code is not ErrorCode.PROOF_WRONG:
                    if error.code is ErrorCode.DEVICE_MISBEHAVED and self._proof.get_secret_value():
                        # Each handshake with this proof may let a pretender guess again: nobody repeats it unasked.
                        raise error.with_advice(error.todo, handshake=True) from None
                    raise
                self._proof = None
                previous = error
                if self._ask_proof is None or error.data["reconnect"] or attempt == MAX_PROOF_ATTEMPTS:
                    raise
            else:
                self._in_sync = True
                return self._security
        raise RuntimeError("unreachable")

    async def _handshake(self, proof: SecretStr) -> Security:
        security = self._make_security(proof)
        message: bytes | None = await self._compute(security.start)
        proof_sent = False
        while message is not None:
            try:
                # A cancelled request may still occupy the link.
                write_timeout = None if self._in_sync else self._timings.scan
                response = await self._endpoints.exchange(
                    SESSION, message, timeout=self._timings.request, write_timeout=write_timeout
                )
                message = await self._compute(partial(security.answer, response))
            except InstallerError as error:
                # A device reports a wrong proof as an error of the write; some end the connection (§2).
                if proof_sent and error.code in (ErrorCode.DEVICE_REFUSED, ErrorCode.CONNECTION_LOST):
                    raise await self._proof_error(proof, error) from None
                raise
            except WrongProof:
                raise await self._proof_error(proof, None) from None
            except Refused as refused:
                refusal = driver_errors.installer_error(self._endpoints.connection, AGREEING, refused)
                raise (await self._proof_error(proof, refusal) if proof_sent else refusal) from None
            except ProtocolError as found:
                raise driver_errors.installer_error(self._endpoints.connection, AGREEING, found) from None
            proof_sent = True
        return security

    async def _compute(self, work: Callable[[], T]) -> T:
        # Arithmetic on 3072-bit numbers would block the event loop noticeably. For the rest, a thread takes longer.
        return await asyncio.to_thread(work) if self._version.security == 2 else work()

    def _make_security(self, proof: SecretStr) -> Security:
        if self._version.security == 2:
            return Security2(self._username, proof, patch=self._version.patch)
        return Security1(proof) if self._version.security == 1 else Security0()

    async def _proof_error(self, proof: SecretStr, otherwise: InstallerError | None) -> InstallerError:
        """PROOF_WRONG; or `otherwise`, if the proof is empty and so cannot be refused."""
        connection = self._endpoints.connection
        if otherwise is not None and not proof.get_secret_value():
            return otherwise
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timings.disconnect):
                await connection.wait_until_lost()
        return espressif_errors.proof_wrong(connection, self._version.security, reconnect=not connection.is_open)
