"""The encrypted session with a device: the handshake with its proof, and requests that go through it in order.

A request that was broken off half-way leaves the two sides out of step (`facts/esp-provisioning.md` §5), so the session
is dropped and the next request begins with a new handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.provisioning import error_texts as common
from installer.provisioning.espressif import error_texts
from installer.provisioning.espressif.codec import Version
from installer.provisioning.espressif.endpoints import SESSION, Endpoints
from installer.provisioning.espressif.exceptions import ProtocolFault, Refused, WrongProof
from installer.provisioning.espressif.security import Security, Security0, Security1, Security2

AskProof = Callable[[InstallerError], Awaitable[SecretStr]]

USERNAME = "wifiprov"  # of Espressif's examples, which most products keep
MAX_PROOFS = 5
NEEDS_PAIRING = (0x05, 0x08, 0x0F)  # ATT: insufficient authentication, authorisation, encryption


@dataclass(frozen=True)
class Timings:
    """Deadlines and pauses in seconds.

    `request`: for writing and for reading one message. `scan`: for the write that starts a scan and is answered at its
    end, and for a scan that is asked about. `join`: from the order to join to its outcome. `settle`: how long a device
    may call itself disconnected before that counts as failed. `goodbye`: how long a device that refused a proof may
    take to end the connection. The state is asked for every `poll_first` seconds, then ever slower up to `poll_last`.
    """

    request: float = 10.0
    scan: float = 20.0
    join: float = 90.0
    settle: float = 15.0
    goodbye: float = 0.5
    poll_first: float = 0.2
    poll_last: float = 2.0


class Session:
    """One session at a time over `endpoints`. Requests may be made concurrently; they go one after the other."""

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
        self._username = username or USERNAME
        self._ask_proof = ask_proof
        self._security: Security | None = None
        self._in_step = True
        self._lock = asyncio.Lock()

    async def stand(self) -> None:
        """Have a session, asking for the proof if it is needed. Raises PROOF_MISSING, PROOF_WRONG, and as `request`."""
        async with self._lock:
            await self._secured()

    async def request(self, name: str, plain: bytes, *, write_timeout: float | None = None) -> bytes:
        """The plain response of the endpoint `name` to `plain`.

        Raises ProtocolFault, SESSION_TAKEN, DEVICE_MISBEHAVED, CONNECTION_LOST, and what `stand` raises.
        """
        async with self._lock:
            security = await self._secured()
            self._security, self._in_step = None, False
            try:
                response = await self._endpoints.exchange(
                    name, security.encrypt(plain), timeout=self._timings.request, write_timeout=write_timeout
                )
            except InstallerError as error:
                if error.code is ErrorCode.DEVICE_REFUSED and error.data.get("gatt_error") not in NEEDS_PAIRING:
                    # A device that holds this session answers with a status, be it a refusal. An ATT error says that
                    # it does not know the session any more: there is one at a time, and a new one replaces it (§1).
                    raise common.taken_over(self._endpoints.connection) from None
                raise
            answer = security.decrypt(response)
            self._security, self._in_step = security, True
            return answer

    def distrust(self) -> None:
        """Drop the session after an answer that made no sense."""
        self._security = None

    async def _secured(self) -> Security:
        if self._security is not None:
            return self._security
        problem: InstallerError | None = None
        for attempt in range(1, MAX_PROOFS + 1):
            if self._proof is None:
                missing = problem or error_texts.proof_missing(self._endpoints.connection, self._version.security)
                if self._ask_proof is None:
                    raise missing
                self._proof = await self._ask_proof(missing)
            try:
                self._security = await self._handshake(self._proof)
            except InstallerError as error:
                if error.code is not ErrorCode.PROOF_WRONG:
                    raise
                self._proof = None
                problem = error
                if self._ask_proof is None or error.data["reconnect"] or attempt == MAX_PROOFS:
                    raise
            else:
                self._in_step = True
                return self._security
        raise RuntimeError("unreachable")

    async def _handshake(self, proof: SecretStr) -> Security:
        security = self._scheme(proof)
        # Powers of 3072-bit numbers take long enough to be felt in a user interface.
        message: bytes | None = await asyncio.to_thread(security.start)
        proving = False
        while message is not None:
            try:
                # A request that was broken off may still occupy the link.
                patience = None if self._in_step else self._timings.scan
                response = await self._endpoints.exchange(
                    SESSION, message, timeout=self._timings.request, write_timeout=patience
                )
                message = await asyncio.to_thread(security.answer, response)
            except InstallerError as error:
                # A device tells of a wrong proof by an error of the write, some by ending the connection (§2).
                if proving and error.code in (ErrorCode.DEVICE_REFUSED, ErrorCode.CONNECTION_LOST):
                    raise await self._wrong(proof, error) from None
                raise
            except WrongProof:
                raise await self._wrong(proof, None) from None
            except Refused as refused:
                refusal = error_texts.fault(self._endpoints.connection, "agreeing on encryption", refused)
                raise (await self._wrong(proof, refusal) if proving else refusal) from None
            except ProtocolFault as found:
                raise error_texts.fault(self._endpoints.connection, "agreeing on encryption", found) from None
            proving = True
        return security

    def _scheme(self, proof: SecretStr) -> Security:
        if self._version.security == 2:
            return Security2(self._username, proof, patch=self._version.patch)
        return Security1(proof) if self._version.security == 1 else Security0()

    async def _wrong(self, proof: SecretStr, otherwise: InstallerError | None) -> InstallerError:
        """What a refusal of the proof means: PROOF_WRONG; where there was none to refuse, the error itself."""
        connection = self._endpoints.connection
        if otherwise is not None and not proof.get_secret_value():
            return otherwise
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timings.goodbye):
                await connection.wait_lost()
        return error_texts.proof_wrong(connection, self._version.security, reconnect=not connection.is_open)
