"""The measurements of a lab device: taking and storing them, delivery by Wi-Fi to the cloud, and by Bluetooth."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from bumble.core import ProtocolError
from bumble.device import Connection
from bumble.gatt import Characteristic

from installer.lab import gatt_services
from installer.lab.cloud.store import Sample
from installer.lab.health_characteristics import NOTIFY, PROFILE_LAYOUTS, encode
from installer.lab.made_up_measurements import Measurement, make_up_measurement
from installer.lab.models import LabModel, Profile
from installer.lab.record_access import RecordAccess
from installer.lab.settable_clock import FAR_OFF_SECONDS, SettableClock
from installer.lab.timers import Timers
from installer.lab.user_consents import UserConsents

if TYPE_CHECKING:
    from installer.lab.device import LabDevice
    from installer.lab.peripheral import LabEnvironment

CLOUD_RETRY_SECONDS = 1.0
MAX_HISTORY = 10_000


class DeviceMeasurements:
    """The measurements of one device.

    `pending`: by profile, the measurements that are not delivered. Over Bluetooth, a measurement is removed when the
    client has confirmed it (a heart rate is notified and never confirmed). `lost`: how many the full memory dropped.
    """

    def __init__(self, device: LabDevice, environment: LabEnvironment) -> None:
        self._device = device
        self._environment = environment
        self._timers = Timers()
        self._sending: dict[Profile, asyncio.Task[None]] = {}
        self.characteristics: dict[Profile, Characteristic[bytes]] = {}
        habits = device.scenario.reading
        self._habits = habits
        self.clock = SettableClock(device.scenario.clock, habits, self._on_clock_set)
        self.records = RecordAccess(device, habits, self._hang_up_soon)
        self.consents = UserConsents(device, habits, self._send_again)
        # One indication at a time, and none to a client that has unsubscribed.
        self._indication_lock = asyncio.Lock()
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        self.lost = 0
        self.history: deque[Measurement] = deque(maxlen=MAX_HISTORY)
        self.pending: dict[Profile, deque[Measurement]] = {profile: deque() for profile in self._device.kind.measures}
        self._first_delivered = False
        self.records.clear()
        self.clock.reset()

    def more_characteristics(self, profile: Profile) -> list[Characteristic[bytes]]:
        """What its scenario adds to the service of this profile."""
        more = []
        if self._habits.date_time and profile == self._device.kind.measures[0]:
            more.append(self.clock.date_time())
        if self._keeps_records(profile):
            more += [self.records.record, self.records.control_point]
        return more

    def _keeps_records(self, profile: Profile) -> bool:
        return profile == "blood-pressure" and self._habits.records != "told"

    def start(self, stored: int) -> None:
        """The device is on, with `stored` past measurements, and is used from time to time."""
        every = self._device.scenario.stored_every
        for ago in range(stored, 0, -1):
            measurement = self._measure(time.time() - ago * every)
            for profile in self.pending:
                self._store(profile, measurement)
        self._schedule_use()

    def reset(self) -> None:
        """Delete everything."""
        self._timers.cancel_all()
        self.link_ended()
        self._clear()

    def measure(self, user: int | None = None) -> Measurement:
        """Somebody uses the device now. The measurement is delivered if online and linked; else stored for a client."""
        measurement = self._measure(time.time(), user)
        delivered = self._deliver_to_cloud(measurement)
        for profile in self.pending:
            if self._subscriber(profile) is not None:
                self._store(profile, measurement)
                self._start_sending(profile, 0)
            elif not delivered:
                self._store(profile, measurement)
        if not delivered:
            self.on_linked()
        return measurement

    def _measure(self, when: float, user: int | None = None) -> Measurement:
        scenario = self._device.scenario
        if user is None:
            user = self.count % scenario.users + 1
        self.count += 1
        seed = f"{self._environment.scenario.seed}:{self._device.address}"
        told_user = user if scenario.users > 1 else None
        measurement = make_up_measurement(self._device.kind, seed, self.count, when, scenario.unit, told_user)
        if scenario.height is not None:
            measurement = replace(measurement, height=scenario.height)
        measurement = replace(measurement, clock=self.clock.error)
        if self._keeps_records("blood-pressure"):
            self.records.add(measurement)
        self.history.append(measurement)
        return measurement

    @property
    def last(self) -> Measurement | None:
        """The latest measurement."""
        return self.history[-1] if self.history else None

    def _store(self, profile: Profile, measurement: Measurement) -> None:
        if self._keeps_records(profile) and self._subscriber(profile) is None:
            return
        queue = self.pending[profile]
        queue.append(measurement)
        if len(queue) > self._device.scenario.memory:
            queue.popleft()
            self.lost += 1
            self._device.log(f"its memory is full: the oldest measurement is lost ({profile})")

    def _schedule_use(self) -> None:
        """Use the device every `measure_every` seconds while it is offline; `_measure_online` does so while online."""
        every = self._device.timing.measure_every
        if not (every and self.pending):
            return

        def use() -> None:
            if not (self._device.online and self._device.linked):
                self.measure()
            self._schedule_use()

        self._timers.schedule("use", every, use)

    # Delivery by Wi-Fi.

    def online(self) -> None:
        """The device is online: contact the cloud and deliver pending measurements."""
        if self._device.kind.cloud is None or not self._device.online:
            return
        if self._environment.store.down:
            self._timers.schedule("contact", CLOUD_RETRY_SECONDS, self.online)
            return
        self._environment.store.record_contact(self._device.address)
        self.on_linked()

    def on_linked(self) -> None:
        """If the device is online and on an account, schedule the first measurement."""
        if self._device.online and self._device.linked and "measure" not in self._timers:
            self._timers.schedule("measure", self._device.timing.first_measurement_after, self._measure_online)

    def _measure_online(self) -> None:
        if not (self._device.online and self._device.linked):
            return
        if self._environment.store.down:
            self._timers.schedule("measure", CLOUD_RETRY_SECONDS, self._measure_online)
            return
        for measurement in {m.number: m for queue in self.pending.values() for m in queue}.values():
            if self._deliver_to_cloud(measurement):
                for queue in self.pending.values():
                    if measurement in queue:
                        queue.remove(measurement)
        every = self._device.timing.measure_every
        if not self._first_delivered or every:
            self._first_delivered = True
            self.measure()
        if every:
            self._timers.schedule("measure", every, self._measure_online)

    def _deliver_to_cloud(self, measurement: Measurement) -> bool:
        device = self._device
        values = cloud_values(device.kind, measurement)
        if values is None or not (device.online and device.linked) or self._environment.store.down:
            return False
        sample = Sample(float(measurement.taken), device.kind.service, values)
        delivered = self._environment.store.store_sample(device.address, sample)
        if delivered:
            device.log(f"delivered measurement {measurement.number}")
        return delivered

    # Delivery by Bluetooth.

    def subscribed(self, characteristic: Characteristic[bytes]) -> None:
        """A client subscribed to this characteristic: if it is a measurement characteristic, send to it soon."""
        for profile, subscribable in self.characteristics.items():
            if subscribable is characteristic:
                if self._device.kind.cloud is not None:
                    # The client is a phone or a gateway, which tells the cloud about the device.
                    self._environment.store.record_contact(self._device.address)
                self._start_sending(profile, self._device.timing.measure_after)

    def link_ended(self) -> None:
        """The client disconnected; measurements that it has not confirmed stay."""
        for task in self._sending.values():
            task.cancel()
        self._sending.clear()
        self._timers.cancel("hang up")
        self.records.link_ended()
        self.consents.link_ended()

    def _on_clock_set(self, off: float) -> None:
        self._device.log(f"its clock was set; it was off by {off:g} s")
        if self._habits.clock == "erases" and abs(off) > FAR_OFF_SECONDS:
            self._device.log("it has forgotten its measurements")
            for queue in self.pending.values():
                queue.clear()
            self.records.clear()

    def _send_again(self) -> None:
        for profile in self.characteristics:
            if self._subscriber(profile) is not None:
                self._start_sending(profile, 0)

    def _hang_up_soon(self) -> None:
        if self._habits.hangs_up is not None and self._device.connection is not None:
            self._timers.schedule("hang up", self._habits.hangs_up, self._hang_up)

    def _hang_up(self) -> None:
        if self.records.is_busy or any(not task.done() for task in self._sending.values()):
            return  # the end of that begins anew
        self._device.log("hangs up")
        self._device.hang_up()

    def _start_sending(self, profile: Profile, delay: float | Literal["never"]) -> None:
        running = self._sending.get(profile)
        if running is None or running.done():
            self._sending[profile] = asyncio.create_task(self._send_pending(profile, delay))

    async def _send_pending(self, profile: Profile, delay: float | Literal["never"]) -> None:
        if self._habits.wants_time and not self.clock.is_set:
            self._device.log("sends nothing: nobody has set its clock")
        elif not self.consents.are_needed or self.consents.user is not None:
            await self._send_all(profile, delay)
        # A device with records is asked for them first.
        if not self._keeps_records(profile):
            asyncio.get_running_loop().call_soon(self._hang_up_soon)

    async def _send_all(self, profile: Profile, delay: float | Literal["never"]) -> None:
        device, queue = self._device, self.pending[profile]
        if delay != "never":
            await asyncio.sleep(delay)
            if not queue:
                self._measure_for_subscriber(profile)
        while self._subscriber(profile) is not None:
            measurement = next((one for one in queue if self.consents.allows(one.user)), None)
            if measurement is None:
                return
            if device.drop_at("measurement") or device.faults.consume("silent", "measurement") is not None:
                return
            if not await self._send_measurement(profile, measurement):
                return
            device.log(f"sent measurement {measurement.number} ({profile})")
            if measurement in queue:
                queue.remove(measurement)

    def _measure_for_subscriber(self, profile: Profile) -> None:
        measurement = self._measure(time.time())
        delivered = self._deliver_to_cloud(measurement)
        for other in self.pending:
            if other == profile or not delivered:
                self._store(other, measurement)

    async def _send_measurement(self, profile: Profile, measurement: Measurement) -> bool:
        """Send it to the client; whether the client confirmed all of it."""
        connection = self._device.connection
        if connection is None:
            return False
        values = encode(profile, measurement, connection.att_mtu - 3)
        kind = self._device.faults.consume("garbage", "measurement")
        if kind is not None:
            self._device.log(f"fault: the measurement is garbage ({kind})")
            value = values[0]
            values = [
                {"truncated": value[:2], "oversized": value + bytes(24)}.get(str(kind), b"\xff" + value[1:][::-1])
            ]
        for value in values:
            async with self._indication_lock:
                subscriber = self._subscriber(profile)
                if subscriber is None:
                    return False
                if PROFILE_LAYOUTS[profile].delivery == NOTIFY:
                    gatt_services.notify(self._device.server, self.characteristics[profile], value)
                    continue
                try:
                    await self._device.server.indicate_subscriber(subscriber, self.characteristics[profile], value)
                except (TimeoutError, ProtocolError):
                    return False
        return True

    def _subscriber(self, profile: Profile) -> Connection | None:
        connection = self._device.connection
        if connection is None:
            return None
        configured = self._device.server.subscribers.get(connection, {})
        configuration = configured.get(self.characteristics[profile].handle, b"\x00\x00")
        bit = 0x01 if PROFILE_LAYOUTS[profile].delivery == NOTIFY else 0x02
        return connection if configuration[0] & bit else None


def cloud_values(kind: LabModel, measurement: Measurement) -> dict[str, Any] | None:
    """The measurement as the cloud stores it (`facts/withings-cloud.md` §4); None if the model has no cloud service."""
    if kind.cloud is None:
        return None
    values = measurement.values
    if kind.service == "getsummary":
        asleep = int(values["asleep"])
        data = {"total_sleep_time": asleep, "hr_average": int(values["pulse"]), "sleep_score": 80}
        return {"startdate": measurement.taken - asleep, "enddate": measurement.taken, "data": data}
    if kind.service == "getactivity":
        return {"steps": int(values["steps"]), "distance": int(values["distance"])}
    measures = [
        {"type": number, "value": round(values[name] * 10**-unit), "unit": unit}
        for name, number, unit in (
            ("weight", 1, -3),
            ("fat_ratio", 6, -1),
            ("systolic", 10, 0),
            ("diastolic", 9, 0),
            ("pulse", 11, 0),
            ("temperature", 71, -1),
        )
        if name in values
    ]
    return {"measures": measures}
