"""Every model, whole: from the box to the linked account and the first measurement, by script."""

from __future__ import annotations

import pytest

from installer.errors import ErrorCode
from installer.events.installation import FirstMeasurement, Linked, Planned, Provisioning, StepSkipped
from installer.provisioning.provisioner import Stage
from tests.flow.support import METHODS, MODELS, LabWorld, answers_for, install

WHOLE = [(model, method) for model, methods in METHODS.items() for method in methods]
REFUSED = [(m, s) for m in MODELS for s in ("wifi", "bluetooth") if s not in METHODS[m]]


@pytest.mark.parametrize(("model", "method"), WHOLE)
async def test_a_whole_installation(world: LabWorld, model: str, method: str) -> None:
    ended, front = await install(answers_for(world, model, method))
    assert ended.outcome == "installed", front.text()
    device = world.device(model)
    assert device["linked"]
    assert len(front.of(Linked)) == 1
    (first,) = front.of(FirstMeasurement)
    assert first.measurement.readings
    if method == "wifi":
        assert device["joined"] == "Home"
        assert first.source == "cloud"
        assert [p.stage for p in front.of(Provisioning)][-1] is Stage.JOINED
    else:
        # Nothing of Wi-Fi is asked or sent.
        assert device["wifi_commands"] == 0
        assert device["joined"] is None
        assert first.source == "bluetooth"
        assert {"network", "provision"} <= {s.step.value for s in front.of(StepSkipped)}
        assert any("gateway" in e.text for e in front.events if hasattr(e, "text"))


@pytest.mark.parametrize(("model", "method"), REFUSED)
async def test_an_impossible_sync_method_is_refused_before_anything_is_sent(
    world: LabWorld, model: str, method: str
) -> None:
    ended, _ = await install(answers_for(world, model, method))
    assert ended.outcome == "failed"
    assert ended.error is not None
    expected = ErrorCode.SYNC_WIFI_ONLY if method == "bluetooth" else ErrorCode.SYNC_BLUETOOTH_ONLY
    assert ended.error.code is expected
    device = world.device(model)
    assert (device["att_requests"], device["credentials_received"], device["connected"]) == (0, 0, False)


async def test_naming_another_model_does_not_get_around_the_rule(world: LabWorld) -> None:
    answers = answers_for(world, "sleep", "bluetooth", find={"device": world.address("sleep"), "model": "body"})
    ended, _ = await install(answers)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.DEVICE_UNSUPPORTED
    assert "Sleep" in ended.error.what
    assert world.device("sleep")["att_requests"] == 0


async def test_the_only_method_is_the_default_of_a_script(world: LabWorld) -> None:
    ended, _ = await install(answers_for(world, "move", None))
    assert ended.outcome == "installed"
    assert ended.summary["sync"] == "bluetooth"


async def test_a_generic_improv_device_is_done_when_it_has_joined(world: LabWorld) -> None:
    ended, front = await install(answers_for(world, "generic", "wifi"))
    assert ended.outcome == "installed", front.text()
    assert world.device("generic")["joined"] == "Home"
    assert {"link", "verify"} <= {s.step.value for s in front.of(StepSkipped)}
    assert str(ended.summary["url"]).startswith("http")


async def test_a_dry_run_changes_nothing(world: LabWorld) -> None:
    ended, front = await install(answers_for(world, "body-plus", "wifi"), dry_run=True)
    assert ended.outcome == "planned", front.text()
    assert [p.step.value for p in front.of(Planned)] == ["provision", "link", "verify"]
    device = world.device("body-plus")
    assert (device["credentials_received"], device["joined"], device["linked"]) == (0, None, False)


async def test_a_mat_whose_first_night_is_to_come_is_installed_all_the_same(
    world: LabWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("installer.flow.steps.verify.LATE_DATA_WAIT_SECONDS", 0.5)
    world.cloud(fail=[{"path": "/v2/sleep", "raw": '{"status": 0, "body": {"series": []}}', "times": 0}])
    ended, front = await install(answers_for(world, "sleep", "wifi"))
    assert ended.outcome == "installed", front.text()
    assert not front.of(FirstMeasurement)
    assert any(getattr(e, "code", "") == "first_data_later" for e in front.events)
