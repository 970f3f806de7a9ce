"""Files are restored, moved, deleted under a running gateway and receiver, at each moment from receive to confirm.

Nothing that a device or the cloud was told to forget is lost, and no receiver has anything twice. It is counted.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from installer import settings
from installer.answers import validate
from installer.cli.gateway_options import GatewayOptions
from installer.cli.open_gateway import open_gateway
from installer.flow import lab_process
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.gateway import GatewayEvent, GatewayFailure
from installer.gateway.outbox import Outbox
from installer.gateway.outbox_writer import OutboxWriter
from installer.gateway.wake import wake
from installer.lab.made_up_measurements import make_up_measurement
from installer.lab.models import LAB_MODELS
from installer.measurements.open_store import LAB_STORE_FILE, open_store
from installer.notifications.inbox import Inbox
from installer.notifications.receiver import Receiver, listen
from installer.storage.reference_origin import COMMAND_LINE
from tests.flow.support import LabWorld, install, use
from tests.installer.gateway.support import receiver
from tests.installer.lab.lab_process import LabProcess
from tests.installer.storage.file_changes import (
    CASES,
    CHANGES,
    DELETED,
    MOVED,
    OVERWRITTEN,
    Moment,
    Saboteur,
    back_up,
    change_file,
)
from tests.proof.test_gateway import until, weights_in_cloud

SCALE = "00:24:E4:00:00:0A"
SEED = 11
WORLD = f"""
name = "restored"
seed = {SEED}
bystanders = 0
[radio]
advertising_interval = 0.02
supervision_timeout = 0.05
[timing]
measure_after = "never"
[[device]]
model = "body"
address = "{SCALE}"
name = "Scale"
memory = 1000
[cloud]
rate_limit = 100000
"""
# One moment more than a write has: the device has its confirmation.
CONFIRMED = "confirmed"
ROUNDS: list[tuple[str, Moment | str]] = [*CASES, *((kind, CONFIRMED) for kind in CHANGES)]


class Scene:
    """A gateway that runs in this process, its one scale, and what the test does to its files."""

    def __init__(self, world: LabWorld, told: list[GatewayEvent], monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.told = told
        self.measured = 0
        self.outbox = GatewayFiles.in_data_dir(lab=True).outbox
        self.store = settings.data_dir() / LAB_STORE_FILE
        self._after_confirmation: Callable[[], object] | None = None
        write = OutboxWriter.write_measurement

        def watched(writer: OutboxWriter, found: Any) -> None:
            write(writer, found)
            act, self._after_confirmation = self._after_confirmation, None
            if act is not None:
                # The stack sends the confirmation when this returns.
                asyncio.get_running_loop().call_soon(act)

        monkeypatch.setattr(OutboxWriter, "write_measurement", watched)

    def arm(self, saboteur: Saboteur, moment: Moment | str, act: Callable[[], object]) -> None:
        """Do this at that moment of the next measurement."""
        if isinstance(moment, Moment):
            saboteur.arm(moment, act)
        else:

            def confirmed() -> None:
                saboteur.hits += 1
                act()

            self._after_confirmation = confirmed

    async def measure(self) -> None:
        """The scale measures once, in a second of its own, and forgets it when that is confirmed."""
        await asyncio.sleep(1.01 - time.time() % 1)
        self.world.call("POST", f"/lab/devices/{SCALE}/measure")
        self.measured += 1
        await until(lambda: not self.kept(), self.last_words)

    async def deliver(self, arrived: Callable[[], bool] = lambda: True) -> None:
        """Nothing waits for a sink, and all has arrived there: the file at the path alone does not say so."""
        wake(lab=True)
        await until(lambda: not self.waiting() and arrived(), self.last_words)

    def kept(self) -> int:
        return int(self.world.call("GET", "/lab/state")["devices"][0]["kept"])

    def waiting(self) -> dict[str, Any]:
        with Outbox.open(self.outbox) as box:
            return dict(box.counts())

    def in_store(self) -> list[float]:
        with open_store(settings.load(), lab=True) as store:
            return [float(row.value) for row in store.rows(kind="weight")]

    def expected(self) -> list[float]:
        return [
            make_up_measurement(LAB_MODELS["body"], f"{SEED}:{SCALE}", number, 0.0).values["weight"]
            for number in range(1, self.measured + 1)
        ]

    def last_words(self) -> str:
        return f"kept: {self.kept()}, waiting: {self.waiting()}, told: {self.told[-5:]}"


@pytest.fixture
async def scene(
    home: Path, lab_factory: Callable[[str | None], LabProcess], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    lab = lab_factory(WORLD)
    state = lab_process.read_state(lab.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, lab.state_file)
    answers = {"find": {"device": SCALE}, "sync": {"method": "bluetooth"}, "verify": {"skip": True}}
    ended, _ = await install(validate(answers, "test", COMMAND_LINE))
    assert ended.outcome == "installed"

    @asynccontextmanager
    async def running(webhook: str) -> AsyncIterator[Scene]:
        monkeypatch.setenv("TEST_WEBHOOK_KEY", "a key that nobody else may see")
        options = GatewayOptions(use_lab=True, every=1, quiet=0.1, webhook=webhook, webhook_key_env="TEST_WEBHOOK_KEY")
        told: list[GatewayEvent] = []
        async with open_gateway(options, told.append) as gateway:
            task = asyncio.create_task(gateway.run())
            try:
                yield Scene(world, told, monkeypatch)
                assert not task.done()
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    return running


@pytest.mark.timeout(900)
async def test_an_outbox_that_is_restored_at_any_moment_loses_nothing(
    scene: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    saboteur = Saboteur(monkeypatch, "items")
    async with receiver() as webhook, scene(webhook.url) as at:
        await at.measure()
        await at.deliver()
        for kind, moment in ROUNDS:
            backup = back_up(at.outbox)
            # This one is confirmed, but not delivered, and the backup does not have it.
            at.world.cloud(down=True)
            await at.measure()
            at.arm(saboteur, moment, lambda kind=kind, backup=backup: change_file(kind, at.outbox, backup))
            hits = saboteur.hits
            await at.measure()
            await until(lambda hits=hits: saboteur.hits == hits + 1, at.last_words)
            at.world.cloud(down=False)
            await at.deliver(lambda: len(at.in_store()) >= at.measured <= len(set(webhook.taken())))
            at.outbox.with_name("moved-away").unlink(missing_ok=True)
        replaced = [e.error for e in at.told if isinstance(e, GatewayFailure) and "outbox" in e.error.what]
        expected = at.expected()
        assert at.in_store() == expected
        cloud = await weights_in_cloud()
        assert [[grams / 1000 for _, grams in found] for found in cloud.values()] == [expected]
        ids = Counter(webhook.taken())
        assert len(ids) == at.measured
        again = sum(ids.values()) - len(ids)
    assert saboteur.hits == len(ROUNDS) == 18
    assert len(replaced) >= len(ROUNDS)
    print(  # noqa: T201
        f"outbox: {len(ROUNDS)} times replaced between receive and confirm; {at.measured} measured, 0 lost, 0 twice in "
        f"the store, 0 twice in the cloud; {again} sent to the webhook more than once, with the same id"
    )


@pytest.mark.timeout(900)
async def test_a_store_that_is_restored_at_any_moment_has_what_the_outbox_has_given_up(
    scene: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    saboteur = Saboteur(monkeypatch, "measurements")
    async with receiver() as webhook, scene(webhook.url) as at:
        await at.measure()
        await at.deliver()
        lost_by_the_person = 0
        for kind, moment in CASES:
            if (kind, moment) == (OVERWRITTEN, Moment.AFTER_COMMIT):
                continue
            backup, before, hits = back_up(at.store), at.in_store(), saboteur.hits
            at.arm(saboteur, moment, lambda kind=kind, backup=backup: change_file(kind, at.store, backup))
            await at.measure()
            await at.deliver(lambda hits=hits: saboteur.hits == hits + 1)
            if moment is Moment.AFTER_LOOK:
                # Nobody could see it before the outbox gave it up: the next delivery does.
                await at.measure()
                await at.deliver()
            found = at.in_store()
            assert len(found) == len(set(found))
            new = at.expected()[-2 if moment is Moment.AFTER_LOOK else -1 :]
            assert found[-len(new) :] == new
            if kind in (MOVED, DELETED):
                lost_by_the_person += len([weight for weight in before if weight not in found])
            else:
                assert found == at.expected()[-len(found) :]
                assert len(found) >= len(before) + len(new)
        assert len(at.in_store()) + lost_by_the_person == at.measured
    assert saboteur.hits == len(CASES) - 1
    print(  # noqa: T201
        f"store: {saboteur.hits} times replaced between delivery and confirmation; {at.measured} measured, 0 of those "
        f"on the way lost, 0 twice; {lost_by_the_person} older ones are in the files that were moved or deleted"
    )


@pytest.mark.timeout(300)
async def test_an_inbox_that_is_restored_at_any_moment_has_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saboteur = Saboteur(monkeypatch, "entries")
    path, secret = tmp_path / "inbox.sqlite", "a-path-that-nobody-may-see"
    inbox = Inbox(path)
    acknowledged: set[str] = set()

    async def store(notification: Any) -> None:
        await asyncio.to_thread(inbox.put, notification, time.time())

    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/{secret}"
    async with (
        Receiver(SecretStr(secret), store).serve(listener),
        httpx.AsyncClient(trust_env=False, timeout=10, verify=False) as http,
    ):

        async def send(number: int) -> None:
            answer = await http.post(url, data={"userid": str(number), "appli": "1"})
            assert answer.status_code == 200
            acknowledged.add(str(number))

        number = 0
        for kind, moment in CASES:
            backup = back_up(path)
            await send(number := number + 1)
            saboteur.arm(moment, lambda kind=kind, backup=backup: change_file(kind, path, backup))
            await send(number := number + 1)
            if moment is Moment.AFTER_LOOK:
                await send(number := number + 1)
            # A receiver that is killed here leaves this file to the next one.
            found = json.loads(await asyncio.to_thread(_users, path))
            assert set(found) == acknowledged
            assert len(found) == number
            path.with_name("moved-away").unlink(missing_ok=True)
    inbox.close()
    assert saboteur.hits == len(CASES)
    print(f"inbox: {len(CASES)} times replaced; {number} acknowledged, 0 lost, 0 twice")  # noqa: T201


def _users(path: Path) -> str:
    inbox = Inbox(path)
    try:
        return json.dumps([entry.userid for entry in inbox.due(float("inf"))])
    finally:
        inbox.close()
