"""The measurements that an installation takes as proof go to this computer's gateway, if it has one."""

from __future__ import annotations

import asyncio
import sqlite3

from installer import settings
from installer.cli.main import _main
from installer.events.installation import FirstMeasurement, Notice
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.heartbeat import Heartbeat
from installer.gateway.outbox import Outbox
from installer.gateway.sinks import STORE
from installer.measurements.open_store import open_store
from tests.flow.support import LabWorld, answers_for, install


def gateway_was_here() -> GatewayFiles:
    files = GatewayFiles.in_data_dir(lab=True)
    with Outbox.open(files.outbox) as outbox:
        Heartbeat(outbox).record_start(0.0, [STORE])
    return files


def waiting(files: GatewayFiles) -> int:
    with Outbox.open(files.outbox) as outbox:
        counts = outbox.counts()
        return counts[STORE].waiting if STORE in counts else 0


def stored() -> list[float]:
    with open_store(settings.load(), lab=True) as store:
        return [float(row.measured) for row in store.rows() if row.kind in ("weight", "fat ratio")]


async def test_all_that_the_device_had_reaches_the_store(world: LabWorld) -> None:
    files = gateway_was_here()
    for _ in range(3):
        world.act("body-plus", "measure")
    ended, front = await install(answers_for(world, "body-plus", "bluetooth"))
    assert ended.outcome == "installed"
    measured = world.call("GET", f"/lab/devices/{world.address('body-plus')}/measurements")
    # The newest one is the proof; none of the others is lost, nor what another profile tells.
    (first,) = front.of(FirstMeasurement)
    assert float(first.measurement.readings[0].value) == measured[-1]["weight"]
    assert waiting(files) == 2 * len(measured) == 6
    assert await asyncio.to_thread(_main, ["gateway", "once", "--lab", "--seconds", "5", "--quiet", "0.3"]) == 0
    values = stored()
    for one in measured:
        assert values.count(one["weight"]) == values.count(one["fat_ratio"]) == 1
    assert waiting(files) == 0


async def test_without_a_gateway_nothing_is_kept(world: LabWorld) -> None:
    ended, _ = await install(answers_for(world, "move", "bluetooth"))
    assert ended.outcome == "installed"
    assert not GatewayFiles.in_data_dir(lab=True).outbox.exists()
    # Nor where there is an outbox that never delivered to anybody.
    files = GatewayFiles.in_data_dir(lab=True)
    Outbox.open(files.outbox).close()
    ended, _ = await install(answers_for(world, "pulse-hr", "bluetooth"))
    assert ended.outcome == "installed"
    with Outbox.open(files.outbox) as outbox:
        assert outbox.count() == 0


async def test_a_damaged_outbox_stops_no_installation(world: LabWorld) -> None:
    files = gateway_was_here()
    files.outbox.write_text("no database " * 100)
    ended, front = await install(answers_for(world, "move", "bluetooth"))
    assert ended.outcome == "installed"
    [notice] = [one for one in front.of(Notice) if one.code == "not_handed_over"]
    assert str(files.outbox) in notice.text


async def test_what_cannot_be_written_is_told(world: LabWorld) -> None:
    files = gateway_was_here()
    with sqlite3.connect(files.outbox) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON items BEGIN SELECT RAISE(ABORT, 'full'); END")
    connection.close()
    ended, front = await install(answers_for(world, "move", "bluetooth"))
    assert ended.outcome == "installed"
    assert front.of(FirstMeasurement)
    assert "not_handed_over" in [notice.code for notice in front.of(Notice)]
