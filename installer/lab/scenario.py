"""The scenario file (TOML): which devices, networks, bystanders, cloud and faults the lab has at the start."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, create_model, field_validator, model_validator

from installer.errors import ErrorCode, InstallerError, problems
from installer.lab.cloud.scenario import CloudScenario
from installer.lab.display_units import selectable_units
from installer.lab.models import Unit
from installer.lab.network_scenario import NetworkScenario
from installer.lab.protocols import lab_models, protocols
from installer.lab.scenario_parts import MAC, After, Count, Reading, Rssi, ScenarioPart, Seconds, SerialFault
from installer.text.written_by_people import STDIN, UnreadableText, parse_toml, read_stdin, read_text
from installer.wifi.networks import Band

DEFAULT = "default-scenario.toml"
BODY_PLUS_DEFAULT_MTU = 247

Number = Annotated[int, Field(ge=1, le=100_000)]
Point = Literal[
    "connect", "subscribe", "half", "identify", "info", "scan", "hostname", "credentials", "joining", "provisioned",
    "measurement", "message",
]  # fmt: skip
Answered = Literal["info", "scan", "hostname", "credentials", "measurement", "message"]
Unanswered = Literal["identify", "info", "scan", "hostname", "credentials", "measurement", "att"]
Garbage = Literal["checksum", "truncated", "order", "oversized", "utf8", "strings"]


P = TypeVar("P", bound=ScenarioPart)


def _check_number(part: P, on: str, number: int | None) -> P:
    if (number is not None) is not (on == "message"):
        raise ValueError('`number` belongs to on = "message", and only there')
    return part


class Drop(Count):
    """The link ends at `on`, as if it was lost; `by_device`: as if the device ended it. `half`: after the first slice
    of a command; `joining`: while it joins the network; `provisioned`: it has joined, and could not say so; `message`:
    at the message `number` of a connection, counted in both directions (installer/lab/device_faults.py)."""

    on: Point
    number: Number | None = None
    by_device: bool | None = None

    @model_validator(mode="after")
    def _numbered(self) -> Drop:
        return _check_number(self, self.on, self.number)


class GarbageAnswer(Count):
    """The answer to `on` is wrong. `order`: states and results in an order that the protocol does not have.

    `message`: the value in the message `number` of a connection; then `truncated` is half of it, `oversized` fills the
    packet, and `order` is what the device said before.
    """

    kind: Garbage
    on: Answered = "credentials"
    number: Number | None = None

    @model_validator(mode="after")
    def _numbered(self) -> GarbageAnswer:
        if self.on == "message" and self.kind not in ("truncated", "oversized", "order"):
            raise ValueError("of a message by number, kind is truncated, oversized or order")
        return _check_number(self, self.on, self.number)


class Silence(Count):
    """No answer to `on`; `att`: to nothing at all, as if the device hung while its radio lives."""

    on: Unanswered


class Takeover(Count):
    """Another app begins to talk to the device at the message `number` of a connection."""

    number: Number


class Faults(ScenarioPart):
    """What goes wrong with a device, each `times` times (0: always), so that the next try succeeds.

    `reboot`: the device starts anew while it joins, and has forgotten what it was given. `takeover`: another app talks
    to the device as well, and what was agreed with this one no longer holds.
    `network_vanishes`: the network goes away while the device joins it. `never_authorized`: in that many
    connections no press of the button authorises. `refuse_connections`: that many connections do not come about.
    `refuse_pairing`: somebody at the device refuses that many pairings, or finds another number there. `forget_bond`:
    it loses its keys when a client connects, from the connection after `after` on.
    """

    drop: Drop | None = None
    garbage: GarbageAnswer | None = None
    silent: Silence | None = None
    reboot: Count | None = None
    takeover: Takeover | None = None
    network_vanishes: Count | None = None
    never_authorized: Count | None = None
    refuse_connections: Count | None = None
    serial: SerialFault | None = None
    refuse_pairing: Count | None = None
    forget_bond: After | None = None


class PressAfter(ScenarioPart):
    """Somebody presses the button this many seconds after a client connected."""

    press_after: Seconds


Bonding = Literal["just-works", "passkey", "compare", "enter"]
Authorization = Literal["none", "never", "manual"] | PressAfter


class Timing(ScenarioPart):
    """How long the devices take, in seconds.

    `measure_after`: from a Bluetooth subscription to the measurement, where none waits; "never": nobody uses the device
    because somebody listens. `first_measurement_after`: from being online and linked to the first measurement that is
    delivered over Wi-Fi. `measure_every`: and then again, and also while nobody is there; 0: never.
    """

    join: Seconds = 0.3
    scan: Seconds = 0.2
    measure_after: Seconds | Literal["never"] = 0.3
    first_measurement_after: Seconds = 0.5
    measure_every: Seconds = 0.0
    authorization_expires: Annotated[float, Field(gt=0, le=86_400)] = 60.0

    def changed(self, other: Timing | None) -> Timing:
        """These times, replaced by those that `other` gives."""
        return self if other is None else self.model_copy(update=other.model_dump(exclude_unset=True))


def _allowed_models(schema: dict[str, Any]) -> None:
    schema["enum"] = list(lab_models())


class DeviceSettings(ScenarioPart):
    """One device, without the tables of the protocols. `rssi` in dBm, `mtu` in bytes, `bands` that its Wi-Fi has.

    `connections`: how many clients may be connected at the same time; most devices take one.
    `drop_after_provisioned`: the device ends the link one second after success, as ESPHome does.
    `information`, `battery`: whether it has those services (the lab's choice, not a fact about real units).
    `vendor_service`: the vendor's own service, which says who it is. With `improv = false` it is like a retail unit:
    only the vendor's app brings it onto an account, so many seconds after a client's link ended (`vendor_app_after`),
    onto `vendor_app_network` or over the app's phone.
    `unit`: what it shows and tells over Bluetooth, instead of kg, °C or mmHg. `users`: how many use it, in turn; from
    two on it tells them apart. `height` (m): what a scale was told, so that it tells a body mass index. `stored`: how
    many measurements it has at the start, one every `stored_every` seconds; `memory`: how many it holds, then the
    oldest is lost. `clock`: by how many seconds its clock is ahead; `tells_time`: whether it has the Current Time
    service. `reading`: how it treats a client that reads it.
    `bonding`: it answers only a client that is paired: without digits (`just-works`), with digits that it shows
    (`passkey`: new ones each time, or always those of the key `passkey`), with a number that both show (`compare`), or
    with digits that the client shows and a person types on the device (`enter`). `bonding_for`: the services that want
    it; what the device is and its battery it tells everybody. `bonding_legacy`: it pairs as devices of Bluetooth 4.0
    and 4.1 do, without LE Secure Connections; then `compare` is done with digits that it shows. `private_address`: it
    advertises with an address that changes, and tells paired clients who it is.
    """

    model: Annotated[str, Field(json_schema_extra=_allowed_models)]
    address: str
    name: Annotated[str, Field(min_length=1, max_length=26)] | None = None
    rssi: Rssi = -60
    authorization: Authorization = "none"
    mtu: Annotated[int, Field(ge=23, le=517)] = BODY_PLUS_DEFAULT_MTU
    bands: tuple[Band, ...] = (Band.GHZ_2_4,)
    connections: Annotated[int, Field(ge=1, le=7)] = 1
    url: Annotated[str, Field(max_length=200)] = "http://192.168.1.50"
    improv: bool = True
    vendor_advertisement: bool = True
    vendor_service: bool = True
    vendor_app_after: Seconds | None = None
    vendor_app_network: str | None = None
    information: bool = True
    battery: bool = True
    unit: Unit | None = None
    users: Annotated[int, Field(ge=1, le=16)] = 1
    height: Annotated[float, Field(ge=0.5, le=2.5)] | None = None
    stored: Annotated[int, Field(ge=0, le=5000)] = 0
    stored_every: Annotated[float, Field(ge=1, le=86_400 * 7)] = 3600.0
    memory: Annotated[int, Field(ge=1, le=5000)] = 200
    clock: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    tells_time: bool = True
    reading: Reading = Reading()
    bonding: Bonding | None = None
    bonding_for: Literal["all", "health", "provisioning"] = "all"
    bonding_legacy: bool = False
    passkey: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None
    private_address: bool = False
    drop_after_provisioned: bool = False
    advertising: bool = True
    advertising_interval: Annotated[float, Field(ge=0.02, le=10.24)] | None = None
    timing: Timing | None = None
    faults: Faults = Faults()

    def protocol_table(self, name: str) -> Any:
        """The settings of the protocol with this name; None where the device's part has no such table."""
        return getattr(self, name, None)

    @field_validator("model")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in lab_models():
            raise ValueError("there are these models: " + ", ".join(f"'{name}'" for name in lab_models()))
        return value

    @field_validator("address")
    @classmethod
    def _mac(cls, value: str) -> str:
        if not MAC.match(value.upper()):
            raise ValueError("an address is six pairs of hexadecimal digits, like 00:24:E4:12:34:3C")
        return value.upper()

    @model_validator(mode="after")
    def _measures(self) -> Self:
        allowed = selectable_units(lab_models()[self.model])
        if self.unit is not None and self.unit not in allowed:
            raise ValueError(f"unit of this model: {', '.join(allowed) or 'none'}")
        if self.bonding is None and (self.bonding_legacy or self.bonding_for != "all" or self.passkey):
            raise ValueError("bonding_for, bonding_legacy and passkey belong to a device with `bonding`")
        if self.passkey and (self.bonding not in ("passkey", "compare") or int(self.passkey) == 0):
            raise ValueError('passkey is what a device with bonding = "passkey" shows, and not 000000')
        if self.stored > self.memory:
            raise ValueError(f"stored is more than memory ({self.memory})")
        return self


if TYPE_CHECKING:

    class DeviceScenario(DeviceSettings):
        """One device, with a table for each protocol that it may speak."""

else:
    # One field for each protocol, so that a protocol of another package has its table, too.
    DeviceScenario = create_model(
        "DeviceScenario",
        __base__=DeviceSettings,
        __doc__=(DeviceSettings.__doc__ or "").replace(", without the tables of the protocols", ""),
        __module__=__name__,
        **{protocol.name: (protocol.scenario | None, None) for protocol in protocols()},
    )


class RadioScenario(ScenarioPart):
    """The radio. Times in seconds; `rssi_jitter` in dB. `supervision_timeout`: how long a link outlives its host."""

    advertising_interval: Annotated[float, Field(ge=0.02, le=10.24)] = 0.1
    rssi_jitter: Annotated[int, Field(ge=0, le=30)] = 3
    supervision_timeout: Annotated[float, Field(ge=0, le=32)] = 0.4
    bystander_interval: Annotated[float, Field(ge=0.1, le=60)] = 1.0


class Scenario(ScenarioPart):
    """The whole world at the start. `seed` decides every value that is made up."""

    version: Literal[1] = 1
    name: str = "custom"
    seed: int = 1
    bystanders: Annotated[int, Field(ge=0, le=2000)] = 0
    radio: RadioScenario = RadioScenario()
    timing: Timing = Timing()
    device: tuple[DeviceScenario, ...] = ()
    network: tuple[NetworkScenario, ...] = ()
    cloud: CloudScenario = Field(default_factory=CloudScenario)

    @model_validator(mode="after")
    def _distinct(self) -> Scenario:
        addresses = [d.address for d in self.device]
        twice = sorted({a for a in addresses if addresses.count(a) > 1})
        if twice:
            raise ValueError(f"two devices have the address {', '.join(twice)}")
        names = [n.ssid for n in self.network]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"the network {', '.join(twice)} is there twice; give it several access_points instead")
        return self


def load(path: Path | None = None) -> Scenario:
    """The scenario of this file (`-`: standard input), or the default one.

    Raises SCENARIO_INVALID naming file and line or key.
    """
    if path is None:
        return parse(resources.files("assets").joinpath(DEFAULT).read_text("utf-8"), DEFAULT)
    try:
        text = read_stdin() if str(path) == STDIN else read_text(path)
    except UnreadableText as error:
        raise _unreadable(f"The scenario file {path}", str(path), error) from None
    return parse(text, "standard input" if str(path) == STDIN else str(path))


def parse(text: str, source: str) -> Scenario:
    """The scenario in `text`. Raises SCENARIO_INVALID naming `source`, line or key, and what is allowed."""
    try:
        data = parse_toml(text)
    except UnreadableText as error:
        raise _unreadable(source, source, error) from None
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise InstallerError(
            ErrorCode.SCENARIO_INVALID,
            f"{source}: " + "; ".join(problems(error, data)) + ".",
            "`device-installer lab scenario` prints the default one with all that can be set.",
            file=source,
        ) from None


def parse_faults(data: Any) -> Faults:
    """The faults of a request's body. Raises ValueError with the mistakes in words."""
    try:
        return Faults.model_validate(data)
    except ValidationError as error:
        raise ValueError("; ".join(problems(error, data))) from None


def _unreadable(name: str, source: str, error: UnreadableText) -> InstallerError:
    return InstallerError(ErrorCode.SCENARIO_INVALID, f"{name} {error.why}.", error.todo, file=source)
