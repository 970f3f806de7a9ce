"""A proxy or certificates that cannot be used: found before anything is sent, named, and no end of anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer import settings
from installer.cli.main import _main
from installer.errors import ErrorCode
from tests.flow.support import LabWorld, answers_for, install, lines
from tests.flow.test_gateway_run import delivered, gateway
from tests.proxies import ENVIRONMENT

CLOUD = ["--cloud", "https://cloud.test"]
UNUSABLE = [("all_proxy", "socks4://127.0.0.1:1080"), ("SSL_CERT_FILE", "/nowhere.pem")]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def wifi_installation(*arguments: str) -> list[str]:
    wifi = ["--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
    return ["install", "--non-interactive", "--json", *CLOUD, *wifi, *arguments]


@pytest.mark.parametrize(("variable", "value"), UNUSABLE)
@pytest.mark.parametrize("known", ["model", "device"])
def test_an_installation_ends_before_anything_is_sent(
    variable: str,
    value: str,
    known: str,
    world: LabWorld,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    choice = ["--model", "body-plus"] if known == "model" else ["--device", world.address("body-plus")]
    status = _main(wifi_installation("--adapter", world.state.adapter, *choice))
    events = lines(capsys.readouterr().out)
    failed = next(e for e in events if e["event"] == "failed")
    assert (failed["code"], status) == ("cloud_unreachable", 60)
    assert variable in failed["what"]
    assert variable in failed["todo"]
    assert world.device("body-plus")["credentials_received"] == 0
    if known == "model":
        assert "device_found" not in {e["event"] for e in events}


def test_a_device_that_needs_no_cloud_needs_no_proxy(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*UNUSABLE[0])
    nowhere = ["--adapter", "hci:tcp-client:127.0.0.1:9"]
    assert _main(wifi_installation(*nowhere, "--model", "improv-device")) == ErrorCode.ADAPTER_FAILED.exit_status


@pytest.mark.parametrize(("variable", "value"), UNUSABLE)
def test_a_sign_in_names_the_variable(
    variable: str, value: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_ID", "an-application")
    assert _main(["account", "login", *CLOUD]) == ErrorCode.CLOUD_UNREACHABLE.exit_status
    said = capsys.readouterr().err
    assert variable in said
    assert "defect" not in said


async def test_a_webhook_behind_it_does_not_stop_the_gateway(world: LabWorld) -> None:
    await install(answers_for(world, "body", "bluetooth"))
    secret = {"WEBHOOK_KEY": "a key that is long enough", "ALL_PROXY": "socks4://127.0.0.1:1"}
    options = ("--webhook", "https://hook.test/secret-path", "--webhook-key-env", "WEBHOOK_KEY")
    async with gateway(*options, **secret) as running:
        await running.event(delivered)
        failing = await running.event(lambda e: e.get("sink") == "webhook")
        assert failing["code"] == "cloud_unreachable"
        assert "ALL_PROXY" in failing["what"]
        assert "secret-path" not in str(running.events)
        assert await running.end() == 0


@pytest.mark.parametrize(("variable", "value"), UNUSABLE)
def test_doctor_lives_and_names_it(
    variable: str, value: str, world: LabWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    status = _main(["doctor", "--json", "--adapter", world.state.adapter, *CLOUD])
    findings = {f["subject"]: f for f in lines(capsys.readouterr().out)}
    assert status == ErrorCode.DOCTOR_FOUND.exit_status
    assert findings["connection"]["state"] == "error"
    assert variable in findings["connection"]["text"]
    assert (findings["bluetooth"]["state"], findings["folders"]["state"]) == ("ok", "ok")


@pytest.mark.parametrize(
    ("file", "text", "subject"),
    [("config.toml", "not toml", "settings"), ("catalogue/mine.toml", "not toml", "catalogue")],
)
def test_doctor_looks_at_the_rest_if_a_file_is_wrong(
    file: str, text: str, subject: str, world: LabWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings.config_dir() / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert _main(["doctor", "--json", "--adapter", world.state.adapter]) == ErrorCode.DOCTOR_FOUND.exit_status
    findings = {f["subject"]: f for f in lines(capsys.readouterr().out)}
    assert findings[subject]["state"] == "error"
    assert path.name in findings[subject]["text"]
    assert (findings["bluetooth"]["state"], findings["terminal"]["state"]) == ("ok", "warning")
