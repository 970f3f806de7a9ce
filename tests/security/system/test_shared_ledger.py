"""A colleague changes rows of a real PostgreSQL ledger by SQL: no station gives away a secret for that."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from installer import settings
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.storage import database
from tests.flow.support import LabWorld, lines
from tests.postgres import PostgresServer
from tests.system.test_ledger import migrated

REFUSED = ErrorCode.REFERENCE_REFUSED.exit_status


class Ledger:
    """The shared ledger, and the colleague who can write it."""

    def __init__(self, url: str) -> None:
        self.url = url
        migrated(url)

    def sql(self, statement: str, **values: Any) -> list[Any]:
        engine = database.open_engine(self.url)
        with engine.begin() as connection:
            found = connection.execute(text(statement), values)
            rows = list(found) if found.returns_rows else []
        engine.dispose()
        return rows

    def merge(self, column: str, value: dict[str, Any]) -> None:
        self.sql(
            f"UPDATE details SET {column} = (coalesce({column}, '{{}}')::jsonb || (:value)::jsonb)::json",
            value=json.dumps(value),
        )

    def everything(self) -> str:
        return str([self.sql(f"SELECT * FROM {table}") for table in ("installations", "details", "steps", "failures")])


@pytest.fixture
def ledger(postgres: PostgresServer) -> Ledger:
    return Ledger(postgres.database())


@contextmanager
def listener() -> Iterator[tuple[int, socket.socket]]:
    """A port of a foreign host; whoever connects is seen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server.getsockname()[1], server


def nobody_came(server: socket.socket) -> bool:
    try:
        server.accept()
    except BlockingIOError:
        return True
    return False


def other_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = (settings.runtime_dir() / "lab.json").read_text()
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "other-station"))
    settings.runtime_dir().mkdir(parents=True)
    (settings.runtime_dir() / "lab.json").write_text(state)


def begin(world: LabWorld, ledger: Ledger) -> None:
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    options = ["--device", world.address("body-plus"), "--sync", "wifi", "--ssid", "Home", "--no-wait"]
    place = ["--lab", "--non-interactive", "--ledger", ledger.url]
    status = _main(["install", *place, *options, "--passphrase-env", "TEST_PASSPHRASE"])
    assert status == ErrorCode.JOIN_FAILED.exit_status


@pytest.mark.parametrize("where", ["another station", "the same station"])
def test_a_changed_row_leads_no_station_to_a_foreign_host(
    world: LabWorld,
    ledger: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
) -> None:
    begin(world, ledger)
    for secret in ("TEST_PASSPHRASE", "passphrase"):
        assert secret not in ledger.everything()
    monkeypatch.setenv("ANY_SECRET", "content-of-a-secret")
    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_SECRET", "content-of-a-secret")
    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_ID", "clinic")
    with listener() as (adapter_port, adapter), listener() as (cloud_port, cloud):
        ledger.merge(
            "options",
            {"adapter": f"hci:tcp-client:127.0.0.1:{adapter_port}", "cloud": f"http://127.0.0.1:{cloud_port}"},
        )
        ledger.merge("answers", {"network": {"ssid": "Home", "passphrase": {"env": "ANY_SECRET"}}})
        if where == "another station":
            other_station(tmp_path, monkeypatch)
        capsys.readouterr()
        status = _main(["resume", "--non-interactive", "--json", "--ledger", ledger.url])
        said = capsys.readouterr()
        assert status == REFUSED, said
        assert nobody_came(adapter)
        assert nobody_came(cloud)
    (failed,) = [e for e in lines(said.out) if e["event"] == "failed"]
    found = {d["field"]: d for d in failed["data"]["differences"]}
    # Another station did not choose the device and the network either.
    assert set(found) == {"adapter", "cloud"} | ({"device", "network"} if where == "another station" else set())
    assert str(adapter_port) in found["adapter"]["row"]
    assert "--adapter" in failed["todo"]
    assert "--cloud" in failed["todo"]
    assert "content-of-a-secret" not in said.out + said.err + ledger.everything()


def test_a_secret_that_a_row_names_is_not_sent_and_its_own_is(
    world: LabWorld,
    ledger: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begin(world, ledger)
    monkeypatch.setenv("ANY_SECRET", "content-of-a-secret")
    ledger.merge("answers", {"network": {"ssid": "Home", "passphrase": {"env": "ANY_SECRET"}}})
    received = world.device("body-plus")["credentials_received"]
    place = ["--lab", "--non-interactive", "--ledger", ledger.url]
    with monkeypatch.context() as there:
        other_station(tmp_path, there)
        target = ["--device", world.address("body-plus"), "--ssid", "Home"]
        assert _main(["resume", *place, *target]) == ErrorCode.ANSWER_MISSING.exit_status
        assert world.device("body-plus")["credentials_received"] == received
    # This station chose the passphrase itself, and that is what the device gets.
    assert _main(["resume", *place]) == 0
    assert world.device("body-plus")["joined"] == "Home"
    assert "network.passphrase" in capsys.readouterr().err


def test_a_changed_device_gets_nothing_of_a_batch(
    world: LabWorld, ledger: Ledger, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config").mkdir(parents=True, exist_ok=True)
    saved = '[networks.home]\nssid = "Home"\nsecurity = "wpa2"\npassphrase = { env = "TEST_PASSPHRASE" }\n'
    (home / "config" / "networks.toml").write_text(saved)
    mine, strange = world.address("body-plus"), world.address("body")
    plan = tmp_path / "plan.csv"
    plan.write_text(f"device,model,sync,network\n{mine},body-plus,wifi,home\n")
    place = ["--lab", "--json", "--ledger", ledger.url]
    command = ["batch", str(plan), *place, "--tries", "1", "--wait", "5", "--allow-references"]
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    assert _main(command) == ErrorCode.BATCH_INCOMPLETE.exit_status
    ledger.sql("UPDATE installations SET address = :a, sent_address = :a, model = 'body'", a=strange)
    capsys.readouterr()
    assert _main(command) == 0, capsys.readouterr()
    assert world.device("body-plus")["joined"] == "Home"
    assert world.device("body")["credentials_received"] == 0


@pytest.mark.parametrize("confirms", [False, True])
async def test_a_person_at_the_wizard_is_shown_the_other_account(
    world: LabWorld, ledger: Ledger, confirms: bool
) -> None:
    import asyncio

    from installer.errors import InstallerError
    from installer.events.installation import Linked
    from installer.flow.questions import ConfirmForeign
    from installer.flow.run_options import Options, RunConfig
    from installer.flow.run_resources import RunResources
    from screens.open_wizard import LedgerResumables
    from tests.flow.support import FAST, Front

    await asyncio.to_thread(begin, world, ledger)
    await asyncio.to_thread(ledger.sql, "UPDATE installations SET account = 'of-another-person'")
    front = Front(answers={ConfirmForeign: confirms})
    options = Options(deadlines=FAST, non_interactive=True)
    resources = RunResources(RunConfig(lab=True, ledger=ledger.url, options=options))
    try:
        await resources.lab()
        resumables = LedgerResumables(resources)
        (offered,) = await resumables.offers()
        if confirms:
            ended = await resumables.resume(front, offered).run()
            assert ended.outcome == "installed", front.text()
        else:
            with pytest.raises(InstallerError) as caught:
                await resumables.resume(front, offered).run()
            assert caught.value.code is ErrorCode.REFERENCE_REFUSED
    finally:
        await resources.close()
    (asked,) = [q for q in front.asked if isinstance(q, ConfirmForeign)]
    assert any("of-another-person" in line for line in asked.lines)
    assert bool(front.of(Linked)) is confirms
