"""What a lab device has measured, and its two ways to deliver it: its own Wi-Fi, or a client that subscribed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from bumble.core import ProtocolError
from bumble.device import Connection
from bumble.gatt import Characteristic

from installer.lab import gatt_services, health_characteristics, measured_values
from installer.lab.cloud.store import Sample
from installer.lab.models import Profile
from installer.lab.timers import Timers

if TYPE_CHECKING:
    from installer.lab.device import LabDevice
    from installer.lab.peripheral import LabEnvironment

CLOUD_RETRY = 1.0
HISTORY = 10_000


class Measuring:
    """The measurements of one device.

    `kept`: by profile, those that nobody has taken yet; over Bluetooth one leaves only when the client has confirmed
    it (a heart rate is notified, and never confirmed). `lost`: how many fell out of the full memory.
    """

    def __init__(self, device: LabDevice, around: LabEnvironment) -> None:
        self._device = device
        self._around = around
        self._timers = Timers()
        self._sending: dict[Profile, asyncio.Task[None]] = {}
        self.table: dict[Profile, Characteristic[bytes]] = {}
        # One indication at a time, and none to a client that has unsubscribed meanwhile.
        self._air = asyncio.Lock()
        self._forget()

    def _forget(self) -> None:
        self.count = 0
        self.lost = 0
        self.history: deque[measured_values.Measurement] = deque(maxlen=HISTORY)
        self.kept: dict[Profile, deque[measured_values.Measurement]] = {
            profile: deque() for profile in self._device.kind.measures
        }
        self._first_delivered = False

    def start(self, stored: int) -> None:
        """The device is there, with so many measurements of the past, and is used now and then."""
        every = self._device.scenario.stored_every
        for ago in range(stored, 0, -1):
            taken = self._take(time.time() - ago * every)
            for profile in self.kept:
                self._keep(profile, taken)
        self._alone()

    def reset(self) -> None:
        """As new."""
        self._timers.clear()
        self.link_ended()
        self._forget()

    def measure(self, user: int | None = None) -> measured_values.Measurement:
        """Somebody uses the device now. Delivered if online and linked; else kept for a client."""
        taken = self._take(time.time(), user)
        delivered = self._deliver(taken)
        for profile in self.kept:
            if self._subscriber(profile) is not None:
                self._keep(profile, taken)
                self._send(profile, 0)
            elif not delivered:
                self._keep(profile, taken)
        if not delivered:
            self.on_linked()
        return taken

    def _take(self, when: float, user: int | None = None) -> measured_values.Measurement:
        scenario = self._device.scenario
        if user is None:
            user = self.count % scenario.users + 1
        self.count += 1
        seed = f"{self._around.scenario.seed}:{self._device.address}"
        who = user if scenario.users > 1 else None
        taken = measured_values.measure(self._device.kind, seed, self.count, when, scenario.unit, who)
        if scenario.height is not None:
            taken = replace(taken, height=scenario.height)
        self.history.append(taken)
        return taken

    @property
    def last(self) -> measured_values.Measurement | None:
        """The latest one."""
        return self.history[-1] if self.history else None

    def _keep(self, profile: Profile, measurement: measured_values.Measurement) -> None:
        queue = self.kept[profile]
        queue.append(measurement)
        if len(queue) > self._device.scenario.memory:
            queue.popleft()
            self.lost += 1
            self._device.log(f"its memory is full: the oldest measurement is lost ({profile})")

    def _alone(self) -> None:
        """It is used now and then, also while nobody takes its data; what it sends by Wi-Fi has its own turn."""
        every = self._device.timing.measure_every
        if not (every and self.kept):
            return

        def turn() -> None:
            if not (self._device.online and self._device.linked):
                self.measure()
            self._alone()

        self._timers.later("alone", every, turn)

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

    def _deliver(self, measurement: measured_values.Measurement) -> bool:
        device = self._device
        values = measured_values.sample(device.kind, measurement)
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

    def _send(self, profile: Profile, delay: float | Literal["never"]) -> None:
        running = self._sending.get(profile)
        if running is None or running.done():
            self._sending[profile] = asyncio.create_task(self._sent(profile, delay))

    async def _sent(self, profile: Profile, delay: float | Literal["never"]) -> None:
        device, queue = self._device, self.kept[profile]
        if delay != "never":
            await asyncio.sleep(delay)
            if not queue:
                self._used_because_somebody_listens(profile)
        while queue and self._subscriber(profile) is not None:
            if device.drop_at("measurement") or device.faults.take("silent", "measurement") is not None:
                return
            measurement = queue[0]
            if not await self._tell(profile, measurement):
                return
            device.log(f"sent measurement {measurement.number} ({profile})")
            if measurement in queue:
                queue.remove(measurement)

    def _used_because_somebody_listens(self, profile: Profile) -> None:
        taken = self._take(time.time())
        delivered = self._deliver(taken)
        for other in self.kept:
            if other == profile or not delivered:
                self._keep(other, taken)

    async def _tell(self, profile: Profile, measurement: measured_values.Measurement) -> bool:
        """Whether the client has confirmed all of it."""
        connection = self._device.connection
        if connection is None:
            return False
        scenario = self._device.scenario
        values = health_characteristics.encode(profile, measurement, scenario.clock, connection.att_mtu - 3)
        kind = self._device.faults.take("garbage", "measurement")
        if kind is not None:
            self._device.log(f"fault: the measurement is garbage ({kind})")
            value = values[0]
            values = [
                {"truncated": value[:2], "oversized": value + bytes(24)}.get(str(kind), b"\xff" + value[1:][::-1])
            ]
        for value in values:
            async with self._air:
                subscriber = self._subscriber(profile)
                if subscriber is None:
                    return False
                if health_characteristics.LAYOUTS[profile].sends == health_characteristics.NOTIFY:
                    gatt_services.notify(self._device.server, self.table[profile], value)
                    continue
                try:
                    await self._device.server.indicate_subscriber(subscriber, self.table[profile], value)
                except (TimeoutError, ProtocolError):
                    return False
        return True

    def _subscriber(self, profile: Profile) -> Connection | None:
        connection = self._device.connection
        if connection is None:
            return None
        configured = self._device.server.subscribers.get(connection, {})
        wanted = configured.get(self.table[profile].handle, b"\x00\x00")
        how = 0x01 if health_characteristics.LAYOUTS[profile].sends == health_characteristics.NOTIFY else 0x02
        return connection if wanted[0] & how else None
