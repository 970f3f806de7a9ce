"""A whole installation over each open protocol, and its second try after a link that dropped while joining."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from installer.answers import validate
from installer.errors import ErrorCode
from installer.events.installation import DeviceConnected, Notice
from installer.flow import lab_process
from installer.storage.reference_origin import COMMAND_LINE
from tests.flow.support import LabWorld, answers_for, install, use
from tests.installer.lab.lab_process import LabProcess, fast_scenario

MORE = """
[[device]]
model = "shelly"
address = "A8:03:2A:BE:54:DC"

[[device]]
model = "nordic"
address = "F4:CE:36:00:00:01"

"""
GARDEN = """
[[network]]
ssid = "Gärten"
passphrase = "Grüne Wiese ☘"
"""
GENERIC = "PROV_CE03C0"


@pytest.fixture
def many(lab_factory: Callable[[str], LabProcess], home: Path) -> LabWorld:
    """The default world with a Shelly and a Nordic unit in it."""
    scenario = fast_scenario()
    at = scenario.index("# Networks.")
    process = lab_factory(scenario[:at] + MORE + scenario[at:] + GARDEN)
    state = lab_process.read_state(process.state_file)
    assert state is not None
    use(LabWorld(state), process.state_file)
    return LabWorld(state)


@pytest.mark.parametrize("model", ["shelly", "nordic"])
async def test_a_whole_installation_and_one_after_the_link_dropped(many: LabWorld, model: str) -> None:
    many.faults(model, {"drop": {"on": "joining"}})
    answers = answers_for(many, model, "wifi")
    ended, front = await install(answers)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.CONNECTION_LOST
    ended, front = await install(answers)
    assert ended.outcome == "installed", front.text()
    assert many.device(model)["joined"] == "Home"
    assert front.of(DeviceConnected)[0].protocol == model
    many.act(model, "reset")
    # A device that was reset is new again, whatever was recorded of it.
    ended, front = await install(answers)
    assert ended.outcome == "installed", front.text()
    assert many.device(model)["joined"] == "Home"


async def test_every_protocol_carries_letters_beyond_ascii(many: LabWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARDEN", "Grüne Wiese ☘")
    network = {"ssid": "Gärten", "passphrase": {"env": "GARDEN"}}
    for model, protocol in (
        ("body-plus", "improv"),
        ("bpm-connect", "espressif"),
        ("shelly", "shelly"),
        ("nordic", "nordic"),
    ):
        ended, front = await install(answers_for(many, model, "wifi", network=network))
        assert ended.outcome == "installed", front.text()
        assert front.of(DeviceConnected)[0].protocol == protocol
        assert many.device(model)["joined"] == "Gärten"
        assert [n.text for n in front.of(Notice) if n.code == "passphrase"]
        assert "Wiese" not in front.text()


OWN = """
[[device]]
model = "generic"
address = "7C:DF:A1:AB:00:{number:02X}"
name = "{name}"
espressif = {{ service = "5ca1ab1e-0000-4000-8000-00000000c0de", own_uuids = true, proof = "abcd1234" }}
"""
ENTRY = """
[[model]]
id = "kitchen-scale"
name = "Kitchen Scale"
type = "scale"
sync = ["wifi"]
missing = { bluetooth = "It has none." }
protocols = ["espressif"]
rules = [{ evidence = "name", value = "^Kitchen Scale", score = 40 }]
"""


async def test_espressif_devices_whose_uuids_nobody_knows(
    lab_factory: Callable[[str], LabProcess], home: Path, tmp_path: Path
) -> None:
    """Recognised by a name with Espressif's prefix, or by a catalogue entry; driven by the texts of the GATT table."""
    scenario = fast_scenario()
    at = scenario.index("# Networks.")
    units = OWN.format(number=1, name="PROV_0BEEF0") + OWN.format(number=2, name="Kitchen Scale")
    process = lab_factory(scenario[:at] + units + scenario[at:])
    state = lab_process.read_state(process.state_file)
    assert state is not None
    use(LabWorld(state), process.state_file)
    (tmp_path / "kitchen.toml").write_text(ENTRY)
    for number, model in ((1, "espressif-device"), (2, "kitchen-scale")):
        find = {"device": f"7C:DF:A1:AB:00:{number:02X}", "proof": {"env": "TEST_PROOF"}}
        network = {"ssid": "Home", "passphrase": {"env": "TEST_PASSPHRASE"}}
        answers = validate({"find": find, "sync": {"method": "wifi"}, "network": network}, "test", COMMAND_LINE)
        ended, front = await install(answers, catalogues=(tmp_path / "kitchen.toml",))
        assert ended.outcome == "installed", front.text()
        (connected,) = front.of(DeviceConnected)
        assert (connected.protocol, ended.summary["model"]) == ("espressif", model)


async def test_espressif_with_a_user_name_and_a_password(world: LabWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    address = next(d["address"] for d in world.call("GET", "/lab/state")["devices"] if d["name"] == GENERIC)
    find = {"device": address, "username": "wifiprov", "proof": {"env": "TEST_PROOF"}}
    answers = answers_for(world, "generic", "wifi", find=find)
    monkeypatch.setenv("TEST_PROOF", "wrong")
    ended, _ = await install(answers)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.PROOF_WRONG
    monkeypatch.setenv("TEST_PROOF", "abcd1234")
    ended, front = await install(answers, require_encryption=True)
    assert ended.outcome == "installed", front.text()
    (connected,) = front.of(DeviceConnected)
    assert connected.encrypts_credentials
    assert not [n for n in front.of(Notice) if n.code == "unencrypted"]


async def test_a_missing_proof_of_possession_is_said_before_anything_is_sent(world: LabWorld) -> None:
    find = {"device": world.address("bpm-connect")}
    ended, front = await install(answers_for(world, "bpm-connect", "wifi", find=find))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.PROOF_MISSING
    assert world.device("bpm-connect")["joined"] is None
    assert "--proof-file" in ended.error.todo, front.text()
