"""One attempt of an Improv device to join a network: from the sent credentials to the outcome.

Source: `facts/improv-ble.md` §9 (flow and timeouts).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from installer.errors import InstallerError
from installer.provisioning import driver_errors
from installer.provisioning.improv import codec
from installer.provisioning.improv.codec import Command, DeviceError, Frame, State
from installer.provisioning.improv.session import ErrorReport, Result, Session, StateChange, Timings
from installer.provisioning.join_polling import JOINING
from installer.provisioning.provisioner import Progress, Stage


class JoinAttempt:
    """One attempt to join the network `label`. `unauthorized`: the device asks for its button (again)."""

    def __init__(self, session: Session, timings: Timings, label: str) -> None:
        self.unauthorized = False
        self._label = label
        self._session = session
        self._timings = timings
        self._joining = False

    async def follow(self) -> AsyncGenerator[Progress]:
        """JOINING when the device begins, JOINED with the address at the end. Raises the errors of `provision`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timings.join
        while True:
            try:
                event = await self._session.next_event(deadline - loop.time(), JOINING)
            except TimeoutError:
                address = self._session.connection.address
                raise driver_errors.no_outcome(self._label, self._timings.join, address=address) from None
            if isinstance(event, ErrorReport):
                if event.error is DeviceError.NOT_AUTHORIZED and self._joining:
                    # A device that joins a network takes no second credentials: two apps have sent some, and the
                    # device does not say which ones it took.
                    raise driver_errors.session_taken(self._session.connection, self._label)
                if event.error is DeviceError.NOT_AUTHORIZED:
                    self.unauthorized = True
                    return
                await self._fail(event.error)
            elif isinstance(event, Result):
                frame = await self._session.whole_frame(event)
                if frame.command == Command.WIFI_SETTINGS:
                    yield self._joined(frame)
                    return
            elif isinstance(event, StateChange):
                if event.state is State.PROVISIONED:
                    yield await self._wait_for_result()
                    return
                if event.state is State.PROVISIONING:
                    if not self._joining:
                        self._joining = True
                        yield Progress(stage=Stage.JOINING, seconds=max(deadline - loop.time(), 0.0))
                else:
                    await self._fell_back(event.state)
                    if self.unauthorized:
                        return

    async def _wait_for_result(self) -> Progress:
        """The state says joined: the result may follow, or the device disconnects; both are success (§9.6)."""
        try:
            async with asyncio.timeout(self._timings.result):
                while True:
                    event = await self._session.next_event(self._timings.result, "the device was confirming")
                    if isinstance(event, Result):
                        frame = await self._session.whole_frame(event)
                        if frame.command == Command.WIFI_SETTINGS:
                            return self._joined(frame)
                    if isinstance(event, StateChange) and event.state not in (State.PROVISIONED, State.STOPPED):
                        raise self._session.broke_protocol(f"it went from provisioned to {event.state.name.lower()}")
        except TimeoutError:
            return Progress(stage=Stage.JOINED)
        except InstallerError as error:
            if not error.link_is_down:
                raise
            return Progress(stage=Stage.JOINED)

    def _joined(self, frame: Frame) -> Progress:
        self._session.state = State.PROVISIONED
        return Progress(stage=Stage.JOINED, url=self._session.decoded(codec.decode_redirect, frame.data))

    async def _fell_back(self, state: State) -> None:
        """Handle a return to an earlier state: a failure. The error that explains it may come after it."""
        if state is State.STOPPED:
            raise driver_errors.misbehaved(self._session.connection, "stopped the set-up without a reason")
        if state is State.AUTHORIZED and not self._joining:
            return  # the authorisation was renewed
        reported = DeviceError.UNABLE_TO_CONNECT if self._joining else DeviceError.NOT_AUTHORIZED
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timings.settle):
                while True:
                    event = await self._session.next_event(self._timings.settle, JOINING)
                    if isinstance(event, ErrorReport):
                        reported = event.error
                        break
        if reported is DeviceError.NOT_AUTHORIZED:
            self.unauthorized = True
            return
        await self._fail(reported)

    async def _fail(self, error: DeviceError) -> None:
        """Raise what `error` means, once the device is in a state in which it can be tried again."""
        session = self._session
        # After a timeout the next attempt checks the state again.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timings.settle):
                while session.state is State.PROVISIONING:
                    await session.next_event(self._timings.settle, JOINING)
        if error is DeviceError.UNABLE_TO_CONNECT:
            raise driver_errors.join_failed(self._label, address=session.connection.address)
        raise driver_errors.installer_error(session.connection, "taking the credentials", codec.refusal(error))
