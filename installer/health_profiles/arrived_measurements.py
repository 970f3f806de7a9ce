"""The measurements that arrive in one visit: decoded, kept and queued inside the callback of the Bluetooth stack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import NamedTuple

from installer.catalogue.model import Profile
from installer.health_profiles.characteristic_fields import CodecError, NoValue
from installer.health_profiles.characteristics import DecodedMessage, MessageJoiner
from installer.health_profiles.device_features import DeviceFeatures
from installer.health_profiles.repeated_messages import RepeatedMessages, is_unique
from installer.health_profiles.stored_blood_pressure import RecordJoiner
from installer.measurement import Measurement


class CollectedMeasurement(NamedTuple):
    """One measurement: its profile, its values, and the bytes as the device sent them.

    The bytes of several messages are concatenated. Times: see `Measurement`. If the device has a clock, they are
    corrected by the error of that clock.
    """

    profile: Profile
    measurement: Measurement
    raw: bytes


KeepCallback = Callable[[CollectedMeasurement], None]
MalformedCallback = Callable[[Profile, bytes, str], None]


class ArrivedMeasurements:
    """The measurements that arrived, decoded and kept on arrival. `errors`: of the malformed messages.

    `system_repeats`: whether the system may tell a message several times. `last_record`: when the last stored record
    came, monotonic seconds, which are also the loop's.
    """

    def __init__(
        self,
        keep: KeepCallback | None,
        malformed: MalformedCallback | None,
        features: DeviceFeatures,
        system_repeats: bool = False,
    ) -> None:
        self._keep = keep
        self._malformed = malformed
        self._features = features
        self._system_repeats = system_repeats
        self._joiners: list[tuple[Profile, MessageJoiner | RecordJoiner]] = []
        self._queue: asyncio.Queue[CollectedMeasurement | CodecError | BaseException] = asyncio.Queue()
        self._failure: BaseException | None = None
        self.errors: list[CodecError] = []
        self.last_record = float("-inf")

    @property
    def empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return self._queue.empty()

    @property
    def is_incomplete(self) -> bool:
        """Whether a measurement has begun and its last message is missing."""
        return any(joiner.is_incomplete for _, joiner in self._joiners)

    def listener(self, profile: Profile) -> Callable[[bytes], None]:
        """The callback for the messages of a profile."""
        return self._listener(profile, MessageJoiner(profile), partial(is_unique, profile))

    def record_listener(self, profile: Profile) -> Callable[[bytes], None]:
        """The callback for the stored records of a profile."""
        # Each segment has its place, and each record its number.
        receive = self._listener(profile, RecordJoiner(self._features.checksums), lambda _: True)

        def receive_record(data: bytes) -> None:
            self.last_record = time.monotonic()
            receive(data)

        return receive_record

    def _listener(
        self, profile: Profile, joiner: MessageJoiner | RecordJoiner, is_unique: Callable[[bytes], bool]
    ) -> Callable[[bytes], None]:
        self._joiners.append((profile, joiner))
        messages = RepeatedMessages(is_unique, self._system_repeats)

        def receive(data: bytes) -> None:
            if self._failure is not None or not messages.is_repeated(data, time.monotonic()):
                self._process(profile, lambda: joiner.feed(data), data)

        return receive

    def finish(self) -> None:
        """No more messages can come: add the measurements that are incomplete."""
        for profile, joiner in self._joiners:
            if self._failure is None:
                self._process(profile, joiner.finish)

    def _process(self, profile: Profile, decode: Callable[[], Iterator[DecodedMessage]], data: bytes = b"") -> None:
        if self._failure is not None:
            # Raised into the stack: a stack that confirms after its callback then does not confirm.
            raise self._failure
        try:
            try:
                for decoded in decode():
                    self._add(profile, decoded)
            except NoValue:
                return  # the user measures again
            except CodecError as error:
                self._queue.put_nowait(error)
                if self._malformed is not None:
                    self._malformed(profile, data, str(error))
        except BaseException as error:
            self._failure = error
            self._queue.put_nowait(error)
            raise

    def _add(self, profile: Profile, decoded: DecodedMessage) -> None:
        measurement = self._features.complete(profile, decoded.measurement, datetime.now().astimezone())
        collected = CollectedMeasurement(profile, measurement, decoded.raw)
        if decoded.to_keep and self._keep is not None:
            self._keep(collected)
        if decoded.to_deliver:
            self._queue.put_nowait(collected)

    async def get(self) -> CollectedMeasurement | None:
        """The next measurement; None for a malformed message. Raises the exception of `keep`."""
        item = await self._queue.get()
        if isinstance(item, CodecError):
            self.errors.append(item)
            return None
        if isinstance(item, BaseException):
            raise item
        return item
