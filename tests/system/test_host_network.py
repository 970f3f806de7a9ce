"""The computer's own network, told by a NetworkManager (the test's own) on a real D-Bus daemon."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.constants import ErrorType

from installer.answers import NetworkAnswer, StepKey, to_toml
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice
from installer.flow.questions import AskPassphrase, ChooseNetwork
from installer.storage.secret_references import on_command_line
from installer.wifi.network_manager import (
    ACCESS_POINT,
    ACTIVE,
    ROOT,
    SERVICE,
    WIRELESS,
    current_credentials,
    current_network,
    heard,
    passphrase_of,
)
from installer.wifi.networks import Band, Security
from tests.flow.support import PASSPHRASE, Front, LabWorld, answers_for, install

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path={path}</listen>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
"""
RADIO, OTHER_POINT = f"{ROOT}/Devices/2", f"{ROOT}/AccessPoint/2"
WIRED, WIFI, POINT, SETTINGS = (f"{ROOT}/{name}/1" for name in ("Wired", "ActiveConnection", "AccessPoint", "Settings"))


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    """The address of a D-Bus daemon of the test's own. Needs the package dbus (see .ci/run)."""
    config = tmp_path / "bus.conf"
    config.write_text(CONFIG.format(path=tmp_path / "bus"))
    command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        yield daemon.stdout.readline().strip().partition(",")[0]
        daemon.terminate()


@dataclass
class Manager:
    """What NetworkManager answers, by object and interface; `None` in place of an answer: silence."""

    objects: dict[tuple[str, str], dict[str, Variant]]
    secrets: dict[str, dict[str, Variant]] | str | None = "refused"
    hidden: bool = False
    calls: list[str] = field(default_factory=list)

    def answer(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL or not message.path.startswith(ROOT):
            return None
        self.calls.append(message.member)
        match message.member:
            case "GetAll":
                found = self.objects.get((message.path, message.body[0]))
                if found is not None:
                    return Message.new_method_return(message, "a{sv}", [found])
            case "GetSettings":
                wireless = {"hidden": Variant("b", self.hidden), "ssid": Variant("ay", b"Home")}
                return Message.new_method_return(message, "a{sa{sv}}", [{"802-11-wireless": wireless}])
            case "GetSecrets" if self.secrets is None:
                return True  # asks its user, who is not there
            case "GetSecrets" if isinstance(self.secrets, dict):
                return Message.new_method_return(message, "a{sa{sv}}", [self.secrets])
        return Message.new_error(message, ErrorType.ACCESS_DENIED, f"no: {PASSPHRASE}")


def objects(**changes: Any) -> dict[tuple[str, str], dict[str, Variant]]:
    """A computer on a cable and on Wi-Fi at once, as NetworkManager shows it."""
    point = {
        "Ssid": Variant("ay", b"Home"),
        "Flags": Variant("u", 1),
        "WpaFlags": Variant("u", 0),
        "RsnFlags": Variant("u", 0x188),
        "Frequency": Variant("u", 5180),
        "HwAddress": Variant("s", "9C:C9:EB:00:00:01"),
        "Strength": Variant("y", 70),
    }
    active = {
        "Type": Variant("s", "802-11-wireless"),
        "State": Variant("u", 2),
        "SpecificObject": Variant("o", POINT),
        "Connection": Variant("o", SETTINGS),
    }
    return {
        (ROOT, SERVICE): {
            "PrimaryConnection": Variant("o", WIRED),
            "Devices": Variant("ao", [WIRED, RADIO]),
            "ActiveConnections": Variant("ao", [WIRED, f"{ROOT}/gone/1", WIFI]),
        },
        (WIRED, ACTIVE): {"Type": Variant("s", "802-3-ethernet"), "State": Variant("u", 2)},
        (WIFI, ACTIVE): active | {k: v for k, v in changes.items() if k in active},
        (POINT, ACCESS_POINT): point | {k: v for k, v in changes.items() if k in point},
        (RADIO, WIRELESS): {"AccessPoints": Variant("ao", [POINT, f"{ROOT}/gone/2", OTHER_POINT])},
        (OTHER_POINT, ACCESS_POINT): point | {"Ssid": Variant("ay", b"Home"), "Frequency": Variant("u", 5240)},
    }


@pytest_asyncio.fixture
async def serve(bus: str) -> AsyncIterator[Any]:
    """`await serve(manager)`: it is on the bus."""
    connections: list[MessageBus] = []

    async def on_bus(manager: Manager) -> Manager:
        connection = await MessageBus(bus_address=bus).connect()
        connections.append(connection)
        connection.add_message_handler(manager.answer)
        await connection.request_name(SERVICE)
        return manager

    yield on_bus
    for connection in connections:
        connection.disconnect()
        await connection.wait_for_disconnect()


async def test_the_network_of_a_computer_that_is_on_a_cable_too(bus: str, serve: Any) -> None:
    manager = await serve(Manager(objects(), hidden=True))
    network = await current_network(address=bus)
    assert network is not None
    assert (network.ssid, network.security, network.band) == ("Home", Security.WPA2, Band.GHZ_5)
    assert (network.hidden, network.bssid) == (True, "9C:C9:EB:00:00:01")
    assert "GetSecrets" not in manager.calls


@pytest.mark.parametrize(
    "changes",
    [
        {"Type": Variant("s", "vpn")},
        {"State": Variant("u", 1)},
        {"SpecificObject": Variant("o", "/")},
        {"SpecificObject": Variant("o", "/nowhere")},
        {"SpecificObject": Variant("s", "nonsense")},
        {"Ssid": Variant("ay", b"")},
        {"Ssid": Variant("ay", b"\xff\xff")},
        {"Ssid": Variant("s", "Home")},
    ],
)
async def test_no_usable_network(bus: str, serve: Any, changes: dict[str, Variant]) -> None:
    await serve(Manager(objects(**changes)))
    assert await current_network(address=bus) is None


async def test_a_bus_without_networkmanager(bus: str) -> None:
    assert await current_network(address=bus) is None


async def test_the_passphrase_only_when_it_is_wanted_and_given(bus: str, serve: Any) -> None:
    secrets = {"802-11-wireless-security": {"psk": Variant("s", PASSPHRASE)}}
    manager = await serve(Manager(objects(), secrets=secrets))
    found = await current_credentials(allow_passphrase=False, address=bus)
    assert found is not None
    assert found.passphrase.get_secret_value() == ""
    assert "GetSecrets" not in manager.calls
    found = await current_credentials(allow_passphrase=True, address=bus)
    assert found is not None
    assert found.passphrase.get_secret_value() == PASSPHRASE
    assert PASSPHRASE not in repr(found) + found.model_dump_json()


@pytest.mark.parametrize("secrets", ["refused", None, {}])
async def test_a_refused_passphrase_leaves_the_network(bus: str, serve: Any, secrets: Any) -> None:
    manager = await serve(Manager(objects(), secrets=secrets))
    found = await current_credentials(allow_passphrase=True, address=bus, seconds=0.5)
    assert found is not None
    assert (found.network.ssid, found.passphrase.get_secret_value()) == ("Home", "")
    assert "GetSecrets" in manager.calls


async def test_the_question_names_the_computers_network(
    world: LabWorld, bus: str, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serve(Manager(objects()))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    front = Front(answers={ChooseNetwork: NetworkAnswer(ssid="Home", secret=PASSPHRASE)})
    answers = answers_for(world, "generic", None, sync={"method": "wifi"})
    async with asyncio.timeout(50):
        ended, front = await install(answers, front, ask=frozenset([StepKey.NETWORK]), dry_run=True)
    assert ended.outcome == "planned", front.text()
    assert [q.host_ssid for q in front.asked if isinstance(q, ChooseNetwork)] == ["Home"]


SECRETS = {"802-11-wireless-security": {"psk": Variant("s", PASSPHRASE)}}


@pytest.mark.parametrize(
    ("ssid", "secrets", "words"),
    [("Cafe", SECRETS, "not on “Cafe”"), ("Home", "refused", "did not give it"), ("Home", {}, "did not give it")],
)
async def test_why_there_is_no_passphrase(bus: str, serve: Any, ssid: str, secrets: Any, words: str) -> None:
    manager = await serve(Manager(objects(), secrets=secrets))
    with pytest.raises(InstallerError, match=words) as caught:
        await passphrase_of(ssid, on_command_line(host=True), address=bus)
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE
    assert PASSPHRASE not in f"{caught.value}"
    # For another network than the one that was meant, nothing is asked for.
    assert ("GetSecrets" in manager.calls) is (ssid == "Home")


async def test_a_bus_without_networkmanager_has_no_passphrase(bus: str) -> None:
    with pytest.raises(InstallerError, match="does not say"):
        await passphrase_of("Home", on_command_line(host=True), address=bus)


async def bands(ssid: str, bus: str) -> tuple[Band, ...]:
    network = await heard(ssid, address=bus)
    return () if network is None else network.all_bands


async def test_the_bands_on_which_this_computer_hears_a_network(bus: str, serve: Any) -> None:
    manager = await serve(Manager(objects()))
    assert await bands("Home", bus) == (Band.GHZ_5,)
    assert await bands("Cafe", bus) == ()
    manager.objects[OTHER_POINT, ACCESS_POINT]["Frequency"] = Variant("u", 2437)
    assert await bands("Home", bus) == (Band.GHZ_2_4, Band.GHZ_5)


async def test_a_script_takes_the_passphrase_of_this_computer(
    world: LabWorld, bus: str, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serve(Manager(objects(), secrets=SECRETS))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    network = {"ssid": "Home", "passphrase": {"host": True}}
    ended, front = await install(answers_for(world, "body-plus", "wifi", network=network))
    assert ended.outcome == "installed", front.text()
    assert world.device("body-plus")["joined"] == "Home"
    assert PASSPHRASE not in front.text()
    world.act("body-plus", "reset")
    network["ssid"] = "Office"
    ended, _ = await install(answers_for(world, "body-plus", "wifi", network=network))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.SECRET_UNAVAILABLE
    assert "not on “Office”" in ended.error.what


async def test_a_person_is_offered_it_and_the_answers_name_it(
    world: LabWorld, bus: str, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = await serve(Manager(objects(), secrets=SECRETS))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)

    async def wants_it(question: AskPassphrase) -> Any:
        assert question.host_passphrase is not None
        assert "GetSecrets" not in manager.calls
        return await question.host_passphrase()

    front = Front(answers={ChooseNetwork: NetworkAnswer(ssid="Home", security=Security.WPA2), AskPassphrase: wants_it})
    given = answers_for(world, "body-plus", "wifi").without([StepKey.NETWORK])
    # With no one to ask for the rest, consent to send stands with the answers.
    ended, front = await install(given, front, ask=frozenset([StepKey.NETWORK]))
    assert ended.outcome == "installed", front.text()
    text = to_toml(ended.answers)
    assert "host = true" in text
    assert PASSPHRASE not in text + front.text()


@pytest.mark.parametrize(("flags", "words"), [(0x188, "protected (wpa2)"), (0x288, "company network")])
async def test_an_open_network_that_this_computer_hears_as_protected_is_told(
    world: LabWorld, bus: str, serve: Any, monkeypatch: pytest.MonkeyPatch, flags: int, words: str
) -> None:
    found = objects(Ssid=Variant("ay", b"Cellar"), RsnFlags=Variant("u", flags))
    await serve(Manager(found))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    network = {"ssid": "Cellar", "security": "open"}
    _, front = await install(answers_for(world, "body-plus", "wifi", network=network))
    (hint,) = [n.text for n in front.of(Notice) if n.code == "not_open"]
    assert "this computer sees" in hint
    assert words in hint


async def test_a_network_that_this_computer_hears_on_5_ghz_only_is_told_before_and_after(
    world: LabWorld, bus: str, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = objects(Ssid=Variant("ay", b"Fast 5G"))
    found[OTHER_POINT, ACCESS_POINT]["Ssid"] = Variant("ay", b"Fast 5G")
    await serve(Manager(found))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    monkeypatch.setenv("FAST", "only for the fast ones")
    network = {"ssid": "Fast 5G", "passphrase": {"env": "FAST"}}
    ended, front = await install(answers_for(world, "body-plus", "wifi", network=network))
    (hint,) = [n.text for n in front.of(Notice) if n.code == "band"]
    assert "receives “Fast 5G” on 5 GHz only" in hint
    assert "2.4 GHz only" in hint
    assert ended.error is not None
    assert ended.error.code in (ErrorCode.JOIN_FAILED, ErrorCode.NETWORK_NOT_FOUND)
    assert "switch on 2.4 GHz in the router" in ended.error.todo
