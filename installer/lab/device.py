"""One device of the lab: its services, its Wi-Fi, its measurements, and what a person does with it.

It speaks no provisioning protocol: a subclass in the folder of each protocol adds one.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bumble import att
from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, Service
from pydantic import SecretStr

from installer.lab import gatt_services
from installer.lab.access_points import JoinOutcome, ScannedAccessPoint
from installer.lab.health_characteristics import CURRENT_TIME_SERVICE, PROFILE_LAYOUTS
from installer.lab.measurement_delivery import DeviceMeasurements
from installer.lab.models import vendor_uuid
from installer.lab.peripheral import LabEnvironment, Peripheral
from installer.lab.scenario import DeviceScenario, Faults
from installer.lab.scenario_parts import SerialFault
from installer.lab.timers import Timers
from installer.lab.user_consents import USER_DATA
from installer.lab.withings import vendor_service

COMPANY = 0x03FF
# Generic Access, Generic Attribute, Device Information, Battery.
ALWAYS_OPEN = (0x1800, 0x1801, 0x180A, 0x180F)
HEALTH = {
    str(UUID.from_16_bits(n)) for n in (CURRENT_TIME_SERVICE, USER_DATA, *(p.service for p in PROFILE_LAYOUTS.values()))
}
GOODBYE = 1.0


class LabDevice(Peripheral):
    """A device of one model: its GATT services, its Wi-Fi, and its entry in the cloud."""

    def __init__(self, scenario: DeviceScenario, environment: LabEnvironment) -> None:
        super().__init__(scenario, environment)
        self.hostname = self.scenario.model + "-" + self.address.replace(":", "")[-4:].lower()
        self.vendor = vendor_service.VendorService(self.address, self.name, lambda: self.linked, self._tell_vendor)
        self._vendor_pipe: Characteristic[bytes] | None = None
        self._person = Timers()
        self.phone = False
        self.measurements = DeviceMeasurements(self, environment)
        self.connections = 0  # since the scenario, or new faults, began
        self._serial_fault: object | None = None
        self.joined: str | None = None

    # Start.

    async def power_on(self) -> None:
        """Fill the GATT table and start to advertise."""
        server = self._stack.gatt_server
        for service in self.provisioning_services():
            server.add_service(service)
        if self.scenario.vendor_service and self.scenario.vendor_advertisement and self.kind.suffix is not None:
            service, self._vendor_pipe = vendor_service.service(self.kind.suffix, self._from_vendor)
            server.add_service(service)
        for profile in self.kind.measures:
            service, self.measurements.characteristics[profile] = gatt_services.health_service(
                profile, self.scenario.users > 1, self.measurements.more_characteristics(profile)
            )
            server.add_service(service)
        if self.kind.measures and self.scenario.tells_time:
            server.add_service(self.measurements.clock.service())
        if self.measurements.consents.are_needed:
            server.add_service(self.measurements.consents.service())
        if self.scenario.information:
            server.add_service(gatt_services.information_service(self.kind.name, self._serial))
        if self.scenario.battery:
            server.add_service(gatt_services.battery_service())
        await super().power_on()
        self.bonding.protect(self._bonded_services())
        self.measurements.start(self.scenario.stored)

    def _bonded_services(self) -> list[Service]:
        """The services whose values only a paired client gets. Who it is, and its battery, it tells everybody."""
        uuids = {str(UUID.from_16_bits(number)) for number in ALWAYS_OPEN}
        own = [a for a in self.server.attributes if isinstance(a, Service) and str(a.uuid) not in uuids]
        health = [s for s in own if str(s.uuid) in HEALTH]
        match self.scenario.bonding_for:
            case "health":
                return health
            case "provisioning":
                return [s for s in own if s not in health]
        return own

    def provisioning_services(self) -> tuple[Service, ...]:
        """The GATT services of the provisioning protocol."""
        return ()

    def provisioning_payloads(self) -> tuple[bytes, ...]:
        """What the protocol advertises, each at most 28 bytes: the flags come before it."""
        return ()

    def _payloads(self) -> tuple[bytes, ...]:
        """The advertisements that take turns, each at most 31 bytes."""
        flags = b"\x02\x01\x06"
        payloads = [flags + payload for payload in self.provisioning_payloads()]
        if self.scenario.vendor_advertisement and self.kind.suffix is not None:
            uuid = bytes.fromhex(vendor_uuid(self.kind.suffix).replace("-", ""))[::-1]
            # It is not known what real units send after the company number: the two zero bytes are made up.
            payloads.append(flags + b"\x11\x07" + uuid + b"\x05\xff" + COMPANY.to_bytes(2, "little") + b"\x00\x00")
        return tuple(payloads) or (flags,)

    # The link.

    def _connected(self, connection: Connection) -> None:
        super()._connected(connection)
        self.connections += 1
        self._serial_fault = self.faults.begins_after("serial", self.connections)
        if self.faults.begins_after("forget_bond", self.connections) is not None:
            self.forget_bonds()
        self.link_began()
        self.drop_at("connect")

    def _serial(self) -> bytes:
        """The serial number, as this connection is told it. Raises an ATT error where it cannot be read."""
        fault, own = self._serial_fault, self.address.replace(":", "").encode()
        if not isinstance(fault, SerialFault):
            return own
        if fault.kind == "unreadable":
            raise att.ATT_Error(att.ATT_UNLIKELY_ERROR_ERROR)
        return own[::-1]

    def link_began(self) -> None:
        """A client is connected."""

    def _disconnected(self, reason: int) -> None:
        super()._disconnected(reason)
        self.measurements.link_ended()
        self.vendor.disconnected()
        if self.scenario.vendor_app_after is not None and self.att_requests and not self.linked:
            self._person.schedule("vendor app", self.scenario.vendor_app_after, self._vendor_app_by_itself)

    def _subscribed(self, bearer: Any, characteristic: Characteristic[bytes], notify: bool, indicate: bool) -> None:
        if not (notify or indicate) or self.drop_at("subscribe"):
            return
        self.measurements.subscribed(characteristic)

    # What the firmware of a protocol calls.

    async def scan(self) -> list[ScannedAccessPoint]:
        """The access points that this device's Wi-Fi hears."""
        await asyncio.sleep(self.timing.scan)
        return self._environment.wifi.scan(self.scenario.bands)

    async def join(self, ssid: str, passphrase: SecretStr) -> bool:
        """Join a network; true if it worked. The network compares the passphrase; the device does not keep it."""
        await asyncio.sleep(self.timing.join / 2)
        if self.faults.consume("drop", "joining") is not None:
            self.log("fault: the link drops at joining")
            self.drop()
        await asyncio.sleep(self.timing.join / 2)
        if self.faults.consume("reboot") is not None:
            self.log("fault: the device restarts")
            asyncio.get_running_loop().call_soon(self.reboot)
            # Whatever waits for this was in the memory that is lost now.
            await asyncio.get_running_loop().create_future()
        if self.faults.consume("network_vanishes") is not None:
            self.log("fault: the network vanishes while joining")
            return False
        outcome = self._environment.wifi.join(ssid, passphrase, self.scenario.bands)
        self.log(f"joins {ssid!r}: {outcome.value}")
        if outcome is not JoinOutcome.JOINED:
            return False
        self.joined = ssid
        self.online_again()
        return True

    async def try_join(self, ssid: str, passphrase: SecretStr) -> JoinOutcome:
        """Join a network, and how it ended, for a firmware that tells why it failed."""
        if await self.join(ssid, passphrase):
            return JoinOutcome.JOINED
        outcome = self._environment.wifi.join(ssid, passphrase, self.scenario.bands)
        # It would work now, so the network vanished for a moment.
        return JoinOutcome.DOWN if outcome is JoinOutcome.JOINED else outcome

    def reboot(self) -> None:
        """Restart with an empty memory."""
        self.joined = None
        self.drop()

    def provisioned(self) -> None:
        """The client was told of the success. Some firmware ends its service now."""
        if self.scenario.drop_after_provisioned and self.connection is not None:
            self._timers.schedule("goodbye", GOODBYE, self.hang_up)

    # The vendor's own protocol, and a person with the vendor's app.

    def _from_vendor(self, value: bytes) -> None:
        if self._hung or self.drop_at("info") or self.faults.consume("silent", "info") is not None:
            return
        self.vendor.received(value)

    def _tell_vendor(self, message: bytes) -> None:
        if self._vendor_pipe is None or self.connection is None or self._hung:
            return
        size = self.connection.att_mtu - 3
        for at in range(0, len(message), size):
            gatt_services.notify(self._stack.gatt_server, self._vendor_pipe, message[at : at + size])

    def vendor_app(self, network: object = None) -> None:
        """A person brings it onto the account with the vendor's app: onto this network, or over the app's phone.

        Raises ValueError if it cannot join such a network, or is on somebody else's account.
        """
        known = self._environment.wifi.networks
        if self.kind.cloud is None:
            raise ValueError("the vendor's app does not know this device")
        if network is not None and not (self.kind.wifi and isinstance(network, str) and network in known):
            raise ValueError("the device cannot join this network")
        self._environment.store.link_with_vendor_app(self.address)
        self.log(f"the vendor's app takes it onto the account ({'over its phone' if network is None else network!r})")
        self.joined = network if isinstance(network, str) else self.joined
        self.phone = network is None and self.kind.phone
        self.online_again()

    def _vendor_app_by_itself(self) -> None:
        try:
            self.vendor_app(self.scenario.vendor_app_network)
        except ValueError as error:
            self.log(f"the vendor's app cannot: {error}")

    # Wi-Fi and cloud.

    @property
    def online(self) -> bool:
        """Whether it is on a network that is up, or a phone with the vendor's app delivers for it."""
        return self.phone or self._environment.wifi.is_up(self.joined)

    @property
    def linked(self) -> bool:
        """Whether it is on an account."""
        return self._environment.store.is_linked(self.address)

    def online_again(self) -> None:
        """It has a connection to the Internet, or has one again."""
        self.measurements.online()

    def network_up(self, ssid: str) -> None:
        """A network is in reach (again)."""
        if self.joined == ssid:
            self.online_again()

    def on_linked(self) -> None:
        """It was put on an account."""
        self.measurements.on_linked()

    def measure(self, user: int | None = None) -> None:
        """Somebody uses the device now; `user`: who, else it is the next one's turn. Raises ValueError."""
        if not self.kind.measures:
            raise ValueError("this device measures nothing")
        if user is not None and not 1 <= user <= self.scenario.users:
            users = f"the users 1 to {self.scenario.users}" if self.scenario.users > 1 else "one user"
            raise ValueError(f"this device has {users}")
        self.measurements.measure(user)

    # The control API.

    def forget_bonds(self) -> None:
        """It loses its keys of all computers and phones."""
        self.log("forgets its keys")
        self.bonding.forget()

    def press(self) -> None:
        """Somebody presses the button."""
        self.log("button pressed")

    def set_faults(self, faults: Faults) -> None:
        """These faults from now on."""
        self.connections = 0
        self.faults.replace(faults)

    def factory_reset(self) -> None:
        """Forget credentials, measurements and account; advertise as new."""
        if self.kind.cloud is not None:
            self._environment.store.factory_reset(self.address)
        self.start_over()
        self.measurements.start(0)

    def restore(self) -> None:
        """Back to the state of the scenario, its faults included."""
        self.connections = 0
        self.faults.replace(self.scenario.faults)
        self.start_over()
        self.measurements.start(self.scenario.stored)

    def start_over(self) -> None:
        """Forget everything, as after a factory reset."""
        self._timers.cancel_all()
        self.drop()
        self._person.cancel_all()
        self.vendor.reset()
        self.measurements.reset()
        self.bonding.forget()
        self.joined = None
        self.phone = False
        self.att_requests = 0

    def describe(self) -> dict[str, Any]:
        """What `/lab/state` shows: JSON types, nothing secret."""
        last = self.measurements.last
        return {
            "address": self.address,
            "name": self.name,
            "model": self.scenario.model,
            "state": "unknown",
            "advertising": self.controller.le_legacy_advertiser.enabled,
            "connected": bool(self.controller.le_connections),
            "joined": self.joined,
            "online": self.online,
            "linked": self.linked,
            "identified": 0,
            "hostname": self.hostname,
            "credentials_received": 0,
            "wifi_commands": 0,
            "att_requests": self.att_requests,
            "probes": self.vendor.probes,
            "measurements": self.measurements.count,
            "last_measurement": last.describe() if last else None,
            "kept": max((len(queue) for queue in self.measurements.pending.values()), default=0),
            "lost": self.measurements.lost,
            "records": len(self.measurements.records.records),
            "records_deleted": self.measurements.records.deleted,
            "clock": self.measurements.clock.error,
            "rssi": self.scenario.rssi,
            "bonds": len(self.bonding.keys.all_keys),
            "shows": self.bonding.shows,
            "asks_digits": self.bonding.asks,
            "faults": self.faults.describe(),
        }
