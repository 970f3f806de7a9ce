"""A catalogue file of somebody else says who passes for a model: what it changes is said before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.batch.station import Station
from installer.cli.main import _main
from installer.errors import InstallerError
from installer.flow.questions import ConfirmForeign
from installer.flow.run_options import RunConfig
from installer.provisioning.registry import load_catalogue
from tests.flow.support import LabWorld, lines

ENTRY = """
[[model]]
id = "{id}"
name = "Body+"
type = "scale"
sync = ["wifi", "bluetooth"]
[[model.rules]]
evidence = "name"
value = "Attacker.*"
score = 100
"""


def catalogue(folder: Path, model: str = "body-plus") -> Path:
    file = folder / "models.toml"
    file.write_text(f"version = 1\n{ENTRY.format(id=model)}", "utf-8")
    return file


def test_a_given_file_that_replaces_a_known_model_is_named(home: Path, tmp_path: Path) -> None:
    file = catalogue(tmp_path)
    (remark,) = load_catalogue([file]).remarks
    for words in (str(file), "Body+ (body-plus)", "name Attacker.*"):
        assert words in remark


def test_a_new_model_and_the_files_of_the_settings_need_no_words(home: Path, tmp_path: Path) -> None:
    assert load_catalogue([catalogue(tmp_path, "of-our-own")]).remarks == ()
    own = home / "config" / "catalogue"
    own.mkdir(parents=True)
    catalogue(own)
    assert load_catalogue().remarks == ()
    assert load_catalogue([catalogue(tmp_path)]).remarks == ()  # it says the same as the own one


def test_it_is_said_before_a_device_is_sought(
    world: LabWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--device", world.address("body-plus"), "--sync", "wifi", "--ssid", "Home", "--no-wait"]
    options = ["--passphrase-env", "TEST_PASSPHRASE", "--catalogue", str(catalogue(tmp_path)), "--json"]
    _main(["install", "--lab", "--non-interactive", *arguments, *options])
    events = lines(capsys.readouterr().out)
    (said,) = [e for e in events if e.get("code") == "catalogue"]
    assert "Attacker.*" in said["text"]
    began = [e["event"] for e in events[: events.index(said)]]
    assert not {"device_found", "device_connected", "provisioning"} & set(began)


async def test_the_question_about_a_plan_names_it(world: LabWorld, saved: None, tmp_path: Path) -> None:
    plan = tmp_path / "plan.csv"
    plan.write_text("model,count,sync,network,account\nbody-plus,1,wifi,home,later\n", "utf-8")
    asked: list[ConfirmForeign] = []

    async def ask(question: ConfirmForeign) -> bool:
        asked.append(question)
        return False

    station = Station(RunConfig(lab=True, catalogues=(catalogue(tmp_path),)))
    try:
        with pytest.raises(InstallerError):
            await station.check(plan, {}, ask=ask)
    finally:
        await station.close()
    assert any("Attacker.*" in line for line in asked[0].lines)


def test_a_batch_says_it_once(world: LabWorld, saved: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.csv"
    rows = [f"{world.address(model)},{model},bluetooth,later" for model in ("move", "body-plus")]
    plan.write_text("\n".join(("device,model,sync,account", *rows)), "utf-8")
    options = ["--json", "--tries", "1", "--wait", "5", "--catalogue", str(catalogue(tmp_path))]
    _main(["batch", str(plan), "--lab", *options])
    events = lines(capsys.readouterr().out)
    (said,) = [e for e in events if "Attacker.*" in str(e.get("text"))]
    assert events.index(said) < min(n for n, e in enumerate(events) if e["event"] == "installation_started")
