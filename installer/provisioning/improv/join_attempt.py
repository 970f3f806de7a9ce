"""One try to join a network: from the written credentials to the outcome.

Source: `facts/improv-ble.md` §9 (flow and timeouts).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from installer.errors import ErrorCode, InstallerError
from installer.provisioning import error_texts as common
from installer.provisioning.improv import codec
from installer.provisioning.improv.codec import Command, DeviceError, Frame, State
from installer.provisioning.improv.session import Answer, Complaint, Session, StateChange
from installer.provisioning.provisioner import Progress, Stage


@dataclass(frozen=True)
class Waits:
    """How long each wait may take, seconds (§9).

    `result`: from the state “provisioned” to the result; `settle`: for the second half of a
    failure, as the error and the state come one after the other; `quiet`: after a list of
    networks, for a further one (§7); `refusal`: for a complaint about a command without a result.
    """

    request: float = 5.0
    answer: float = 10.0
    scan: float = 20.0
    quiet: float = 0.5
    refusal: float = 0.2
    authorization: float = 60.0
    join: float = 75.0
    result: float = 2.0
    settle: float = 1.0


class Attempt:
    """One try to join, from the write to its outcome. `unauthorized`: the device wants the button (again)."""

    def __init__(self, session: Session, waits: Waits, label: str) -> None:
        self.unauthorized = False
        self._label = label
        self._session = session
        self._waits = waits
        self._joining = False

    async def follow(self) -> AsyncGenerator[Progress]:
        """JOINING when the device begins, JOINED with the address at the end. Raises the errors of `provision`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._waits.join
        while True:
            try:
                event = await self._session.event(deadline - loop.time(), "the device was joining the network")
            except TimeoutError:
                raise no_outcome(self._session) from None
            if isinstance(event, Complaint):
                if event.error is DeviceError.NOT_AUTHORIZED and self._joining:
                    # A device that joins a network takes no second credentials: two apps have sent some, and it does
                    # not tell which ones it took.
                    raise common.taken_over(self._session.connection, self._label)
                if event.error is DeviceError.NOT_AUTHORIZED:
                    self.unauthorized = True
                    return
                await self._failed(event.error)
            elif isinstance(event, Answer):
                frame = await self._session.frame(event)
                if frame.command == Command.WIFI_SETTINGS:
                    yield self._joined(frame)
                    return
            elif isinstance(event, StateChange):
                if event.state is State.PROVISIONED:
                    yield await self._confirmed()
                    return
                if event.state is State.PROVISIONING:
                    if not self._joining:
                        self._joining = True
                        yield Progress(stage=Stage.JOINING, seconds=max(deadline - loop.time(), 0.0))
                else:
                    await self._fell_back(event.state)
                    if self.unauthorized:
                        return

    async def _confirmed(self) -> Progress:
        """The state says joined: the result may follow, or the device hangs up; both are success (§9.6)."""
        try:
            async with asyncio.timeout(self._waits.result):
                while True:
                    event = await self._session.event(self._waits.result, "the device was confirming")
                    if isinstance(event, Answer):
                        frame = await self._session.frame(event)
                        if frame.command == Command.WIFI_SETTINGS:
                            return self._joined(frame)
                    if isinstance(event, StateChange) and event.state not in (State.PROVISIONED, State.STOPPED):
                        raise self._session.misbehaved(f"went from provisioned back to {event.state.name.lower()}")
        except TimeoutError:
            return Progress(stage=Stage.JOINED)
        except InstallerError as error:
            if error.code is not ErrorCode.CONNECTION_LOST:
                raise
            return Progress(stage=Stage.JOINED)

    def _joined(self, frame: Frame) -> Progress:
        self._session.state = State.PROVISIONED
        return Progress(stage=Stage.JOINED, url=self._session.checked(codec.decode_redirect, frame.data))

    async def _fell_back(self, state: State) -> None:
        """A fall-back to an earlier state is a failure; the error that explains it may come after it."""
        if state is State.STOPPED:
            raise self._session.misbehaved("stopped the set-up on its own")
        if state is State.AUTHORIZED and not self._joining:
            return  # the authorisation was renewed
        try:
            async with asyncio.timeout(self._waits.settle):
                while True:
                    event = await self._session.event(self._waits.settle, "the device was joining the network")
                    if isinstance(event, Complaint):
                        break
        except TimeoutError:
            event = Complaint(DeviceError.UNABLE_TO_CONNECT if self._joining else DeviceError.NOT_AUTHORIZED)
        if event.error is DeviceError.NOT_AUTHORIZED:
            self.unauthorized = True
            return
        await self._failed(event.error)

    async def _failed(self, error: DeviceError) -> None:
        """Raise what `error` means, once the device is back in a state in which it can be tried again."""
        session = self._session
        try:
            async with asyncio.timeout(self._waits.settle):
                while session.state is State.PROVISIONING:
                    await session.event(self._waits.settle, "the device was joining the network")
        except TimeoutError:
            pass  # the next try looks at the state again
        if error is DeviceError.UNABLE_TO_CONNECT:
            raise InstallerError(
                ErrorCode.JOIN_FAILED,
                f"The device {session.connection.address} could not join the network.",
                "Check the passphrase, and that the network is in the device's reach and on a band that it has.",
                address=session.connection.address,
            )
        raise refusal(session.connection.address, error, "take the credentials")


_REFUSALS = {
    DeviceError.MALFORMED: "it could not read the request",
    DeviceError.UNKNOWN_COMMAND: "it does not know how",
    DeviceError.NOT_AUTHORIZED: "somebody must press its button first",
    DeviceError.BAD_HOSTNAME: "it does not accept this host name",
    DeviceError.UNABLE_TO_CONNECT: "it could not connect to the network",
}


def refusal(address: str, error: DeviceError, what: str) -> InstallerError:
    """DEVICE_REFUSED: the device did not `what`, with the protocol's reason."""
    why = _REFUSALS.get(error, "it reports an error that it does not explain")
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {address} did not {what}: {why}.",
        "Switch it off and on and try again.",
        address=address,
        improv_error=int(error),
    )


def no_outcome(session: Session) -> InstallerError:
    """PROVISIONING_TIMEOUT."""
    return InstallerError(
        ErrorCode.PROVISIONING_TIMEOUT,
        f"The device {session.connection.address} did not say in time whether it joined the network.",
        "Look at the device and the router: it may have joined. Then try again.",
        address=session.connection.address,
    )
