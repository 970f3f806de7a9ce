"""The command line: the sync rule by flags and by answers file, results and words, exit statuses, no Bluetooth here."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from installer.cli import doctor_checks
from installer.cli.main import _main
from installer.cli.schema import SCHEMAS
from installer.errors import ErrorCode
from tests.flow.support import METHODS, MODELS, PASSPHRASE, LabWorld, lines

MATRIX = [(model, method) for model in MODELS for method in ("wifi", "bluetooth")]
PROGRAM = [str(Path(sys.executable).with_name("device-installer"))]


def expected(model: str, method: str) -> int:
    if method in METHODS[model]:
        return 0
    code = ErrorCode.SYNC_WIFI_ONLY if method == "bluetooth" else ErrorCode.SYNC_BLUETOOTH_ONLY
    return code.exit_status


@pytest.mark.parametrize(("model", "method"), MATRIX)
def test_the_sync_rule_by_flags(world: LabWorld, capsys: pytest.CaptureFixture[str], model: str, method: str) -> None:
    wifi = ["--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"] if method == "wifi" else []
    proof = ["--proof-env", "TEST_PROOF"] if model == "bpm-connect" else []
    status = _main(
        ["install", "--lab", "--non-interactive", "--dry-run", "--json", "--device", world.address(model)]
        + ["--sync", method, *wifi, *proof]
    )
    assert status == expected(model, method), capsys.readouterr()
    events = lines(capsys.readouterr().out)
    assert events[-1]["outcome"] == ("planned" if status == 0 else "failed")
    device = world.device(model)
    assert (device["credentials_received"], device["joined"], device["linked"]) == (0, None, False)
    if status:
        assert device["att_requests"] == 0


@pytest.mark.parametrize(("model", "method"), MATRIX)
def test_the_sync_rule_by_answers_file(
    world: LabWorld, capsys: pytest.CaptureFixture[str], tmp_path: Path, model: str, method: str
) -> None:
    file = tmp_path / "answers.toml"
    proof = 'proof = { env = "TEST_PROOF" }\n' if model == "bpm-connect" else ""
    text = f'[find]\nmodel = "{model}"\n{proof}[sync]\nmethod = "{method}"\n'
    if method == "wifi":
        text += '[network]\nssid = "Home"\npassphrase = { env = "TEST_PASSPHRASE" }\n'
    file.write_text(text)
    options = ["--lab", "--non-interactive", "--dry-run", "--json", "--allow-references"]
    status = _main(["install", *options, "--answers", str(file)])
    assert status == expected(model, method)
    events = lines(capsys.readouterr().out)
    if status:
        # The rule needs no radio: nothing was looked for.
        assert "device_found" not in {e["event"] for e in events}
        assert world.device(model)["att_requests"] == 0
    assert events[-1]["event"] == "installation_done"


def test_a_dry_run_that_fails_offers_nothing_to_resume(
    world: LabWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARD", 'WIFI:S:"Quoted";T:WPA;P:longenough;;')
    arguments = ["--lab", "--non-interactive", "--device", world.address("body-plus"), "--sync", "wifi"]
    card = ["--wifi-qr", "env:CARD"]
    for dry_run in (True, False):
        status = _main(["install", *arguments, *card, *(["--dry-run"] if dry_run else [])])
        assert status == ErrorCode.NETWORK_AMBIGUOUS.exit_status
        assert ("device-installer resume" in capsys.readouterr().err) is not dry_run


def test_results_on_standard_output_words_on_standard_error(
    world: LabWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(["install", "--lab", "--non-interactive", "--model", "move"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("installed: ")
    assert "first measurement: " in said.out
    assert "Found Move" in said.err
    assert "Found Move" not in said.out


def test_two_devices_of_a_model_are_listed(
    world: LabWorld, capsys: pytest.CaptureFixture[str], lab_factory: object, home: Path
) -> None:
    from tests.flow.support import use

    scenario = """
name = "twins"
device = [
    { model = "body-plus", address = "00:24:E4:00:00:01", name = "Body+ 01" },
    { model = "body-plus", address = "00:24:E4:00:00:02", name = "Body+ 01" },
]
network = []
"""
    twins = lab_factory(scenario)  # type: ignore[operator]
    use(world, twins.state_file)
    command = ["install", "--lab", "--non-interactive", "--json", "--sync", "bluetooth"]
    assert _main([*command, "--model", "body-plus"]) == ErrorCode.DEVICE_AMBIGUOUS.exit_status
    failed = next(e for e in lines(capsys.readouterr().out) if e["event"] == "failed")
    assert {c["address"] for c in failed["data"]["candidates"]} == {"00:24:E4:00:00:01", "00:24:E4:00:00:02"}
    assert "--device" in failed["todo"]
    assert _main([*command, "--device", "00:24:E4:00:00:02"]) == 0


def test_usage_errors_are_two(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["install", "--nonsense"], ["nonsense"], ["install", "--timeout", "-1"], ["schema", "x"]):
        assert _main(arguments) == 2, arguments
        assert "Error:" in capsys.readouterr().err


def test_flags_that_contradict_each_other_are_usage_errors(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    install = ["install", "--lab", "--non-interactive", "--device", world.address("body")]
    for more, word in (
        (["--sync", "bluetooth", "--cloud", "http://127.0.0.1:1"], "--cloud"),
        (["--sync", "bluetooth", "--ssid", "Home"], "Wi-Fi network"),
        (["--sync", "bluetooth", "--ask", "link"], "no terminal"),
    ):
        assert _main([*install, *more]) == ErrorCode.USAGE.exit_status
        assert word in capsys.readouterr().err
    assert world.device("body")["att_requests"] == 0


def test_a_failure_before_the_installation_is_an_event_too(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[sync]\nmethod='x'")
    assert _main(["install", "--json", "--non-interactive", "--answers", str(file)]) == 3
    (event,) = lines(capsys.readouterr().out)
    assert (event["event"], event["code"], event["exit_status"]) == ("failed", "answers_invalid", 3)


def test_no_bluetooth_here(home: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "install", "--non-interactive", "--model", "move", "--json"],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={home}/no-bus"},
    )
    assert done.returncode == ErrorCode.BLUETOOTH_MISSING.exit_status, done.stderr
    assert "--lab" in done.stderr
    assert "Traceback" not in done.stderr
    failed = next(e for e in lines(done.stdout) if e["event"] == "failed")
    assert failed["code"] == "bluetooth_missing"


def test_an_adapter_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["install", "--non-interactive", "--model", "move", "--adapter", "hci:tcp-client:127.0.0.1:9"]
    assert _main(arguments) == ErrorCode.ADAPTER_FAILED.exit_status
    assert "127.0.0.1:9" in capsys.readouterr().err


def test_the_time_is_over(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["install", "--lab", "--non-interactive", "--device", "00:24:E4:FF:FF:FF", "--json", "--timeout", "0.3"]
    assert _main(arguments) == ErrorCode.TIMEOUT.exit_status
    events = lines(capsys.readouterr().out)
    assert [e["code"] for e in events if e["event"] == "failed"] == ["timeout"]
    assert events[-1]["outcome"] == "failed"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_an_installation_in_order_and_leaves_the_device_free(
    world: LabWorld, number: int, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    world.faults("thermo", {"never_authorized": {"times": 1}})
    command = [*PROGRAM, "install", "--lab", "--non-interactive", "--device", world.address("thermo"), "--json"]
    command += ["--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("stage") == "authorization_needed":
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == status, err
    assert lines(out)[-1]["outcome"] == "cancelled"
    assert _main(["records", "list", "--lab", "--json"]) == 0
    (record,) = lines(capsys.readouterr().out)
    assert record["outcome"] == "cancelled"
    assert "Traceback" not in err
    deadline = time.monotonic() + 10
    while world.device("thermo")["connected"]:
        assert time.monotonic() < deadline


def test_the_installer_is_killed_and_the_second_run_goes_on(world: LabWorld) -> None:
    command = [*PROGRAM, "install", "--lab", "--non-interactive", "--device", world.address("body"), "--json"]
    command += ["--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("stage") == "joined":
            break
    process.kill()
    process.wait()
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    device = world.device("body")
    assert (device["linked"], device["credentials_received"]) == (True, 1)


def test_scan_lists_the_lab(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["scan", "--lab", "--seconds", "1.5", "--json"]) == 0
    seen = {e["sighting"]["address"]: e["sighting"] for e in lines(capsys.readouterr().out)}
    for model in MODELS:
        assert seen[world.address(model)]["model"] == model
    assert _main(["scan", "--lab", "--seconds", "1.0", "--explain"]) == 0
    assert "Improv" in capsys.readouterr().out


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert _main(["schema", name]) == 0
    assert json.loads(capsys.readouterr().out)


def test_every_event_of_a_run_fits_the_schema(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    from installer.events.json_lines import ADAPTER

    assert _main(["install", "--lab", "--non-interactive", "--model", "move", "--json"]) == 0
    for event in lines(capsys.readouterr().out):
        ADAPTER.validate_python(event)


def test_models_and_exits(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert _main(["models"]) == 0
    out = capsys.readouterr().out
    assert all(m in out for m in MODELS)
    assert _main(["exits"]) == 0
    listed = capsys.readouterr().out
    assert all(c.value in listed for c in ErrorCode)
    assert _main(["models", "--catalogue", "/nowhere.toml"]) == ErrorCode.CATALOGUE_INVALID.exit_status


def test_doctor_in_the_lab(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    status = _main(["doctor", "--lab", "--json"])
    findings = {f["subject"]: f for f in lines(capsys.readouterr().out)}
    assert status == 0, findings
    assert {"bluetooth", "keyring", "cloud", "names", "terminal"} <= set(findings)
    assert findings["bluetooth"]["state"] == "ok"
    assert findings["names"]["state"] == "ok"


def test_doctor_says_which_server_is_silent(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And does not blame this computer for it."""
    monkeypatch.setattr(doctor_checks, "DATABASE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DEVICE_INSTALLER_LEDGER", f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/ledger")
        _main(["doctor", "--json", "--adapter", "hci:tcp-client:127.0.0.1:9", "--cloud", "http://127.0.0.1:9"])
    [ledger] = [found for found in lines(capsys.readouterr().out) if found["subject"] == "ledger"]
    assert ledger["text"] == "The server of the ledger did not answer within 0.1 s."
    assert "restart" not in ledger["todo"]


def test_doctor_without_bluetooth(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = _main(["doctor", "--json", "--adapter", "hci:tcp-client:127.0.0.1:9", "--cloud", "http://127.0.0.1:9"])
    out = capsys.readouterr()
    assert status == ErrorCode.DOCTOR_FOUND.exit_status
    findings = {f["subject"]: f for f in lines(out.out)}
    assert (findings["bluetooth"]["state"], findings["cloud"]["state"]) == ("error", "error")


def test_the_passphrase_from_standard_input(world: LabWorld) -> None:
    done = subprocess.run(
        [*PROGRAM, "install", "--lab", "--non-interactive", "--device", world.address("body"), "--sync", "wifi"]
        + ["--ssid", "Home", "--passphrase-file", "-"],
        input=PASSPHRASE + "\n",
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert world.device("body")["joined"] == "Home"


def test_the_wizard_without_a_terminal_says_what_to_use(home: Path) -> None:
    done = subprocess.run([*PROGRAM, "wizard"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)
    assert done.returncode == 2
    assert "install --non-interactive" in done.stderr


def test_a_catalogue_file_in_the_settings_folder_joins_the_built_in_one(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "config" / "catalogue"
    folder.mkdir(parents=True)
    entry = '[[model]]\nid = "kitchen"\nname = "Kitchen"\ntype = "scale"\nsync = ["wifi"]\n'
    (folder / "own.toml").write_text(entry + 'missing = { bluetooth = "It has none." }\n')
    assert _main(["models"]) == 0
    out = capsys.readouterr().out
    assert "kitchen" in out
    assert "body-plus" in out
    (folder / "own.toml").write_text(entry)
    assert _main(["models"]) == ErrorCode.CATALOGUE_INVALID.exit_status
    assert str(folder / "own.toml") in capsys.readouterr().err
