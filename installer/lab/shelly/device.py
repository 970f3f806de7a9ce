"""A lab device that speaks Shelly's RPC: its GATT table and its advertisement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bumble import att
from bumble.device import Connection
from bumble.gatt import Characteristic, Service
from pydantic import ValidationError

from installer.errors import problems
from installer.lab.device import LabDevice
from installer.lab.peripheral import LabEnvironment
from installer.lab.scenario import DeviceScenario
from installer.lab.shelly.firmware import RequestRefused, ShellyFirmware
from installer.lab.shelly.scenario import ShellyFaults, ShellyScenario

Properties = Characteristic.Properties

SERVICE = "5f6d4f53-5f52-5043-5f53-56435f49445f"
DATA = "5f6d4f53-5f52-5043-5f64-6174615f5f5f"
TX_CONTROL = "5f6d4f53-5f52-5043-5f74-785f63746c5f"
RX_CONTROL = "5f6d4f53-5f52-5043-5f72-785f63746c5f"
COMPANY = 0x0BA9
MAC_BLOCK = 0x0A
APP = "ShellyPlus1"
READ_ENCRYPTED = att.Attribute.Permissions.READ_REQUIRES_ENCRYPTION
WRITE_ENCRYPTED = att.Attribute.Permissions.WRITE_REQUIRES_ENCRYPTION


class ShellyDevice(LabDevice):
    """One device with the service of `facts/other-ble-provisioning.md` §1."""

    def __init__(self, scenario: DeviceScenario, environment: LabEnvironment, shelly: ShellyScenario) -> None:
        name = scenario.name or f"{APP}-{scenario.address.replace(':', '')}"
        super().__init__(scenario.model_copy(update={"name": name, "vendor_advertisement": False}), environment)
        self.shelly = ShellyFirmware(self, shelly, self.address, APP)

    def provisioning_services(self) -> tuple[Service, ...]:
        """The service with its three characteristics."""
        firmware = self.shelly
        readable, writeable = att.Attribute.READABLE, att.Attribute.WRITEABLE
        if firmware.scenario.pairing:
            readable, writeable = readable | READ_ENCRYPTED, writeable | WRITE_ENCRYPTED

        def read_data(connection: Connection) -> bytes:
            # One byte less than fits: with a full packet, a client would ask for the rest of a long value.
            return firmware.read_data(connection.att_mtu - 2)

        service = Service(
            SERVICE,
            [
                Characteristic(
                    DATA,
                    Properties.READ | Properties.WRITE,
                    readable | writeable,
                    att.AttributeValue(read=read_data, write=_with_att_errors(firmware.write_data)),
                ),
                Characteristic(
                    TX_CONTROL,
                    Properties.WRITE,
                    writeable,
                    att.AttributeValue(write=_with_att_errors(firmware.write_length)),
                ),
                Characteristic(
                    RX_CONTROL,
                    Properties.READ | Properties.NOTIFY | Properties.INDICATE,
                    readable,
                    att.AttributeValue(read=lambda _connection: firmware.read_length()),
                ),
            ],
        )
        return (service,)

    def provisioning_payloads(self) -> tuple[bytes, ...]:
        """The maker's data; the name is in the scan response. The order of the MAC's bytes is made up."""
        data = COMPANY.to_bytes(2, "little") + bytes((MAC_BLOCK,)) + bytes.fromhex(self.address.replace(":", ""))
        return (bytes((len(data) + 1, 0xFF)) + data,)

    def _disconnected(self, reason: int) -> None:
        self.shelly.disconnected()
        super()._disconnected(reason)

    def set_protocol_faults(self, data: Any) -> None:
        """Set the faults of the RPC. Raises ValueError with the mistakes in words."""
        try:
            self.shelly.set_faults(ShellyFaults.model_validate(data))
        except ValidationError as error:
            raise ValueError("; ".join(problems(error, data))) from None

    def network_up(self, ssid: str) -> None:
        """A network is in reach (again); this firmware keeps credentials of networks out of reach."""
        super().network_up(ssid)
        if self.joined is None:
            self.shelly.network_up(ssid)

    def reboot(self) -> None:
        """Restart with an empty memory."""
        self.shelly.reset()
        super().reboot()

    def taken_over(self) -> None:
        """Another app uses the device as well."""
        self.shelly.taken_over()

    def restore(self) -> None:
        """Go back to the scenario, with its faults."""
        self.shelly.set_faults(self.shelly.scenario.faults)
        super().restore()

    def start_over(self) -> None:
        """Forget everything, as after a factory reset."""
        super().start_over()
        self.shelly.reset()

    def describe(self) -> dict[str, Any]:
        """The device as `/lab/state` shows it: JSON types, no secrets."""
        return {
            **super().describe(),
            "state": self.shelly.status,
            "credentials_received": self.shelly.credentials_received,
            "wifi_commands": self.shelly.calls.count("credentials"),
            "faults": {**super().describe()["faults"], **self.shelly.faults.describe()},
        }


def _with_att_errors(write: Callable[[bytes], None]) -> Callable[[object, bytes], None]:
    """`write` for a characteristic: RequestRefused becomes an ATT error."""

    def written(_connection: object, value: bytes) -> None:
        try:
            write(value)
        except RequestRefused as refused:
            raise att.ATT_Error(refused.code) from None

    return written
