"""What a lab device has measured, and its two ways to deliver it: its own Wi-Fi, or a client that subscribed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from bumble.core import ProtocolError
from bumble.device import Connection
from bumble.gatt import Characteristic

from installer.lab import gatt, health
from installer.lab.cloud.store import Sample
from installer.lab.kinds import Profile
from installer.lab.timers import Timers

if TYPE_CHECKING:
    from installer.lab.device import LabDevice, Surroundings

KEPT = 50
CLOUD_RETRY = 1.0


class Measuring:
    """The measurements of one device. `kept`: by profile, those that nobody has taken yet."""

    def __init__(self, device: LabDevice, around: Surroundings) -> None:
        self._device = device
        self._around = around
        self._timers = Timers()
        self._sending: dict[Profile, asyncio.Task[None]] = {}
        self.table: dict[Profile, Characteristic[bytes]] = {}
        self._forget()

    def _forget(self) -> None:
        self.count = 0
        self.last: health.Measurement | None = None
        self.kept: dict[Profile, deque[health.Measurement]] = {
            profile: deque(maxlen=KEPT) for profile in self._device.kind.measures
        }
        self._first_delivered = False

    def reset(self) -> None:
        """As new."""
        self._timers.clear()
        self.link_ended()
        self._forget()

    def measure(self) -> health.Measurement:
        """Somebody uses the device now. Delivered if online and linked; else kept for a client."""
        taken = self._take()
        delivered = self._deliver(taken)
        for profile, queue in self.kept.items():
            if self._subscriber(profile) is not None:
                queue.append(taken)
                self._send(profile, 0)
            elif not delivered:
                queue.append(taken)
        if not delivered:
            self.on_linked()
        return taken

    def _take(self) -> health.Measurement:
        self.count += 1
        seed = f"{self._around.scenario.seed}:{self._device.address}"
        self.last = health.measure(self._device.kind, seed, self.count, time.time())
        return self.last

    # By Wi-Fi.

    def online(self) -> None:
        """It has a connection (again): contact the cloud, deliver what waits."""
        if self._device.kind.cloud is None or not self._device.online:
            return
        if self._around.store.down:
            self._timers.later("contact", CLOUD_RETRY, self.online)
            return
        self._around.store.reached(self._device.address)
        self.on_linked()

    def on_linked(self) -> None:
        """It is perhaps on an account now: then the first measurement comes soon."""
        if self._device.online and self._device.linked and "measure" not in self._timers:
            self._timers.later("measure", self._device.timing.first_measurement_after, self._measure_at_home)

    def _measure_at_home(self) -> None:
        if not (self._device.online and self._device.linked):
            return
        if self._around.store.down:
            self._timers.later("measure", CLOUD_RETRY, self._measure_at_home)
            return
        for waiting in {m.number: m for queue in self.kept.values() for m in queue}.values():
            if self._deliver(waiting):
                for queue in self.kept.values():
                    if waiting in queue:
                        queue.remove(waiting)
        every = self._device.timing.measure_every
        if not self._first_delivered or every:
            self._first_delivered = True
            self.measure()
        if every:
            self._timers.later("measure", every, self._measure_at_home)

    def _deliver(self, measurement: health.Measurement) -> bool:
        device = self._device
        values = health.sample(device.kind, measurement)
        if values is None or not (device.online and device.linked) or self._around.store.down:
            return False
        sample = Sample(float(measurement.taken), device.kind.service, values)
        delivered = self._around.store.measured(device.address, sample)
        if delivered:
            device.log(f"delivered measurement {measurement.number}")
        return delivered

    # By Bluetooth.

    def subscribed(self, characteristic: Characteristic[bytes]) -> None:
        """A client wants to hear of this characteristic: if it is a measurement, take one soon."""
        for profile, measurement in self.table.items():
            if measurement is characteristic:
                if self._device.kind.cloud is not None:
                    # Who takes its data is a phone or a gateway: by it the server hears of the device.
                    self._around.store.reached(self._device.address)
                self._send(profile, self._device.timing.measure_after)

    def link_ended(self) -> None:
        """The client is gone; what it has not confirmed stays."""
        for task in self._sending.values():
            task.cancel()
        self._sending.clear()

    def _send(self, profile: Profile, delay: float) -> None:
        running = self._sending.get(profile)
        if running is None or running.done():
            self._sending[profile] = asyncio.create_task(self._sent(profile, delay))

    async def _sent(self, profile: Profile, delay: float) -> None:
        await asyncio.sleep(delay)
        device, queue = self._device, self.kept[profile]
        if not queue:
            taken = self._take()
            delivered = self._deliver(taken)
            for other, waiting in self.kept.items():
                if other == profile or not delivered:
                    waiting.append(taken)
        while queue and (connection := self._subscriber(profile)) is not None:
            if device.drop_at("measurement") or device.faults.take("silent", "measurement") is not None:
                return
            measurement = queue[0]
            if not await self._tell(connection, profile, health.encode(profile, measurement)):
                return
            device.log(f"sent measurement {measurement.number} ({profile})")
            if measurement in queue:
                queue.remove(measurement)

    async def _tell(self, connection: Connection, profile: Profile, value: bytes) -> bool:
        kind = self._device.faults.take("garbage", "measurement")
        if kind is not None:
            self._device.log(f"fault: the measurement is garbage ({kind})")
            value = {"truncated": value[:2], "oversized": value + bytes(24)}.get(str(kind), b"\xff" + value[1:][::-1])
        if health.LAYOUTS[profile].sends == health.NOTIFY:
            gatt.notify(self._device.server, self.table[profile], value)
            return True
        try:
            await self._device.server.indicate_subscriber(connection, self.table[profile], value)
        except (TimeoutError, ProtocolError):
            return False
        return True

    def _subscriber(self, profile: Profile) -> Connection | None:
        connection = self._device.connection
        if connection is None:
            return None
        configured = self._device.server.subscribers.get(connection, {})
        wanted = configured.get(self.table[profile].handle, b"\x00\x00")
        return connection if wanted[0] & 0x03 else None
