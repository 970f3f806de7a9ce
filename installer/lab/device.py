"""One device of the lab: its services, its Wi-Fi, its measurements, and what a person does with it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bumble import hci
from bumble.device import Connection
from bumble.gatt import Characteristic
from pydantic import SecretStr

from installer.lab import gatt_services
from installer.lab.access_points import Heard, Join
from installer.lab.health_characteristics import current_time
from installer.lab.improv import firmware, frames
from installer.lab.measurement_delivery import Measuring
from installer.lab.models import vendor_uuid
from installer.lab.peripheral import LabEnvironment, Peripheral
from installer.lab.scenario import DeviceScenario, Faults
from installer.lab.timers import Timers
from installer.lab.withings import vendor_service

COMPANY = 0x03FF
GOODBYE = 1.0


class LabDevice(Peripheral):
    """A device with the services, the Wi-Fi and the place in the cloud of its kind."""

    def __init__(self, scenario: DeviceScenario, around: LabEnvironment) -> None:
        super().__init__(scenario, around)
        self.improv = firmware.Improv(
            self,
            self.faults,
            info=("Lab firmware", "1.0.0", "ESP32", self.name),
            hostname=self.scenario.model + "-" + self.address.replace(":", "")[-4:].lower(),
            url=scenario.url,
            wifi=self.kind.wifi,
            authorization=scenario.authorization,
            expires=self.timing.authorization_expires,
        )
        self._improv_table: dict[str, Characteristic[bytes]] = {}
        self.vendor = vendor_service.Vendor(self.address, self.name, lambda: self.linked, self._tell_vendor)
        self._vendor_pipe: Characteristic[bytes] | None = None
        self._person = Timers()
        self.phone = False
        self.measuring = Measuring(self, around)
        self.joined: str | None = None

    # Coming up.

    async def power_on(self) -> None:
        """Fill the GATT table and start to advertise."""
        server = self._stack.gatt_server
        if self.scenario.improv:
            service, self._improv_table = gatt_services.improv_service(self.improv.values, self.improv.write)
            server.add_service(service)
        if self.scenario.vendor_service and self.scenario.vendor_advertisement and self.kind.suffix is not None:
            service, self._vendor_pipe = vendor_service.service(self.kind.suffix, self._from_vendor)
            server.add_service(service)
        for profile in self.kind.measures:
            service, self.measuring.table[profile] = gatt_services.health_service(profile, self.scenario.users > 1)
            server.add_service(service)
        if self.kind.measures and self.scenario.tells_time:
            server.add_service(gatt_services.time_service(lambda: current_time(time.time() + self.scenario.clock)))
        if self.scenario.information:
            server.add_service(gatt_services.information_service(self.kind.name, self.address.replace(":", "")))
        if self.scenario.battery:
            server.add_service(gatt_services.battery_service())
        await super().power_on()
        self.measuring.start(self.scenario.stored)

    def _payloads(self) -> tuple[bytes, ...]:
        """The advertisements that take turns, each at most 31 bytes (`facts/improv-ble.md` §11)."""
        flags = b"\x02\x01\x06"
        payloads = []
        if self.scenario.improv:
            uuid = bytes.fromhex(frames.SERVICE.replace("-", ""))[::-1]
            payloads.append(flags + b"\x11\x07" + uuid + b"\x09\x16\x77\x46" + self.improv.service_data())
        if self.scenario.vendor_advertisement and self.kind.suffix is not None:
            uuid = bytes.fromhex(vendor_uuid(self.kind.suffix).replace("-", ""))[::-1]
            # What real units put after the company's number is not known: two zero bytes are made up.
            payloads.append(flags + b"\x11\x07" + uuid + b"\x05\xff" + COMPANY.to_bytes(2, "little") + b"\x00\x00")
        return tuple(payloads) or (flags,)

    # The link.

    def _connected(self, connection: Connection) -> None:
        super()._connected(connection)
        self.improv.connected()
        self.drop_at("connect")

    def _disconnected(self, reason: int) -> None:
        super()._disconnected(reason)
        self.measuring.link_ended()
        self.improv.disconnected()
        self.vendor.disconnected()
        if self.scenario.vendor_app_after is not None and self.att_requests and not self.linked:
            self._person.later("vendor app", self.scenario.vendor_app_after, self._vendor_app_by_itself)

    def _subscribed(self, bearer: Any, characteristic: Characteristic[bytes], notify: bool, indicate: bool) -> None:
        if not (notify or indicate) or self.drop_at("subscribe"):
            return
        self.measuring.subscribed(characteristic)

    # What the Improv firmware asks of the device.

    def changed(self, characteristic: str, value: bytes) -> None:
        """Notify the new value."""
        if characteristic in self._improv_table and not self._hung:
            gatt_services.notify(self._stack.gatt_server, self._improv_table[characteristic], value)

    async def scan(self) -> list[Heard]:
        """The access points that this device's Wi-Fi hears."""
        await asyncio.sleep(self.timing.scan)
        return self._around.airspace.scan(self.scenario.bands)

    async def join(self, ssid: str, passphrase: SecretStr) -> bool:
        """Join a network; true if it worked. Its passphrase is compared by the network, and kept nowhere."""
        await asyncio.sleep(self.timing.join / 2)
        if self.faults.take("drop", "joining") is not None:
            self.log("fault: the link drops at joining")
            self.drop()
        await asyncio.sleep(self.timing.join / 2)
        if self.faults.take("reboot") is not None:
            self.log("fault: the device starts anew")
            asyncio.get_running_loop().call_soon(self.reboot)
            # What waits for this was in the memory that it loses.
            await asyncio.get_running_loop().create_future()
        if self.faults.take("network_vanishes") is not None:
            self.log("fault: the network vanishes while joining")
            return False
        outcome = self._around.airspace.join(ssid, passphrase, self.scenario.bands)
        self.log(f"joins {ssid!r}: {outcome.value}")
        if outcome is not Join.JOINED:
            return False
        self.joined = ssid
        self.online_again()
        return True

    def reboot(self) -> None:
        """Start anew with nothing in memory."""
        self.improv.reset()
        self.joined = None
        self.drop()

    def taken_over(self) -> None:
        """Another app gives the device credentials, and they are wrong ones."""
        self.improv.taken_over()

    def provisioned(self) -> None:
        """Success was told to the client; some firmware ends its service now."""
        if self.scenario.drop_after_provisioned and self.connection is not None:
            self._timers.later("goodbye", GOODBYE, self._goodbye)

    def _goodbye(self) -> None:
        self.controller.lose_links(int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR))

    # The vendor's own protocol, and a person with the vendor's app.

    def _from_vendor(self, value: bytes) -> None:
        if self._hung or self.drop_at("info") or self.faults.take("silent", "info") is not None:
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
        known = self._around.airspace.networks
        if self.kind.cloud is None:
            raise ValueError("the vendor's app does not know this device")
        if network is not None and not (self.kind.wifi and isinstance(network, str) and network in known):
            raise ValueError("the device cannot join this network")
        self._around.store.adopt(self.address)
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
        return self.phone or self._around.airspace.is_up(self.joined)

    @property
    def linked(self) -> bool:
        """Whether it is on an account."""
        return self._around.store.is_linked(self.address)

    def online_again(self) -> None:
        """It has a connection (again)."""
        self.measuring.online()

    def network_up(self, ssid: str) -> None:
        """A network is in reach (again)."""
        if self.joined == ssid:
            self.online_again()

    def on_linked(self) -> None:
        """It is on an account now."""
        self.measuring.on_linked()

    def measure(self, user: int | None = None) -> None:
        """Somebody uses the device now; `user`: who, else it is the next one's turn. Raises ValueError."""
        if not self.kind.measures:
            raise ValueError("this device measures nothing")
        if user is not None and not 1 <= user <= self.scenario.users:
            users = f"the users 1 to {self.scenario.users}" if self.scenario.users > 1 else "one user"
            raise ValueError(f"this device has {users}")
        self.measuring.measure(user)

    # The control API.

    def press(self) -> None:
        """Somebody presses the button."""
        self.log("button pressed")
        self.improv.press()

    def set_faults(self, faults: Faults) -> None:
        """These faults from now on."""
        self.faults.replace(faults)

    def factory_reset(self) -> None:
        """Forget credentials, measurements and account; advertise as new."""
        if self.kind.cloud is not None:
            self._around.store.forget(self.address)
        self._start_over()
        self.measuring.start(0)

    def restore(self) -> None:
        """Back to the scenario, faults too."""
        self.faults.replace(self.scenario.faults)
        self._start_over()
        self.measuring.start(self.scenario.stored)

    def _start_over(self) -> None:
        self._timers.clear()
        self.drop()
        self._person.clear()
        self.improv.reset()
        self.vendor.reset()
        self.measuring.reset()
        self.joined = None
        self.phone = False
        self.att_requests = 0

    def describe(self) -> dict[str, Any]:
        """What `/lab/state` shows: JSON types, nothing secret."""
        last = self.measuring.last
        return {
            "address": self.address,
            "name": self.name,
            "model": self.scenario.model,
            "state": self.improv.state.name.lower(),
            "advertising": self.controller.le_legacy_advertiser.enabled,
            "connected": bool(self.controller.le_connections),
            "joined": self.joined,
            "online": self.online,
            "linked": self.linked,
            "identified": self.improv.identified,
            "hostname": self.improv.hostname,
            "credentials_received": self.improv.credentials_received,
            "wifi_commands": self.improv.wifi_commands,
            "att_requests": self.att_requests,
            "probes": self.vendor.probes,
            "measurements": self.measuring.count,
            "last_measurement": last.describe() if last else None,
            "kept": max((len(queue) for queue in self.measuring.kept.values()), default=0),
            "lost": self.measuring.lost,
            "rssi": self.scenario.rssi,
            "faults": self.faults.describe(),
        }
