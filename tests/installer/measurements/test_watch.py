"""Polling: reports, intervals, and temporary failures of the cloud and the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from installer.cloud import client
from installer.errors import ErrorCode, InstallerError
from installer.lab.cloud.scenario import CloudControl
from installer.measurements import watch
from installer.measurements.fetch import Fetched, Fetcher
from installer.measurements.store import Store
from installer.measurements.watch import Watch
from installer.storage import database
from tests.installer.cloud.world import MODELS, SCALE, Lab, lab


@dataclass
class Listener:
    rounds: list[list[Fetched]] = field(default_factory=list)
    troubles: list[tuple[str | None, ErrorCode | None]] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def round_ended(self, ended: list[Fetched]) -> None:
        self.rounds.append(ended)
        self.heard.set()

    def trouble(self, account: str | None, error: InstallerError | None) -> None:
        self.troubles.append((account, error.code if error is not None else None))

    async def until(self, done: Any) -> None:
        async with asyncio.timeout(20):
            while not done():
                self.heard.clear()
                await self.heard.wait()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(client, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(watch, "LONGEST_WAIT_SECONDS", 0.05)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(database.sqlite_url(tmp_path / "store.sqlite")) as opened:
        yield opened


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path / "accounts") as running:
        running.store.link_with_vendor_app(SCALE)
        await running.sign_in()
        yield running


async def test_each_new_value_is_told_once(practice: Lab, store: Store) -> None:
    listener = Listener()
    polling = asyncio.create_task(Watch(Fetcher(store, practice.accounts, MODELS), listener, every=0.01).run())
    for number in range(3):
        practice.weigh(SCALE, 70_000 + number)
        await listener.until(lambda n=number: sum(e.new for [e] in listener.rounds) == 3 + n)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    assert store.count() == 5
    assert listener.troubles == []


async def test_a_cloud_that_is_away_is_told_once_and_waited_for(practice: Lab, store: Store) -> None:
    listener = Listener()
    polling = asyncio.create_task(Watch(Fetcher(store, practice.accounts, MODELS), listener, every=0.01).run())
    await listener.until(lambda: len(listener.rounds) > 1)
    practice.store.apply_control(CloudControl(down=True))
    await listener.until(lambda: listener.troubles)
    seen = len(listener.rounds)
    await listener.until(lambda: len(listener.rounds) > seen + 2)
    practice.weigh(SCALE)
    practice.store.apply_control(CloudControl(down=False))
    await listener.until(lambda: listener.rounds[-1][0].new == 1)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    assert listener.troubles == [("default", ErrorCode.CLOUD_UNREACHABLE), ("default", None)]


async def test_a_database_that_fails_later_is_waited_for(practice: Lab, store: Store, tmp_path: Path) -> None:
    import sqlite3

    listener = Listener()
    await Watch(Fetcher(store, practice.accounts, MODELS), listener, every=0.01).run(rounds=1)
    with sqlite3.connect(tmp_path / "store.sqlite") as other:
        other.execute("ALTER TABLE cursors RENAME TO away")
    watching = Watch(Fetcher(store, practice.accounts, MODELS), listener, every=0.01)
    await watching.run(rounds=2)
    with sqlite3.connect(tmp_path / "store.sqlite") as other:
        other.execute("ALTER TABLE away RENAME TO cursors")
    await watching.run(rounds=1)
    assert listener.troubles == [(None, ErrorCode.DATABASE_FAILED), (None, None)]


async def test_without_an_account_there_is_nothing_to_wait_for(tmp_path: Path, store: Store) -> None:
    async with lab(tmp_path / "none") as empty:
        with pytest.raises(InstallerError) as caught:
            await Watch(Fetcher(store, empty.accounts, MODELS), Listener()).run()
    assert caught.value.code is ErrorCode.ACCOUNT_UNKNOWN


def test_the_waits_grow_to_a_limit_and_keep_what_the_cloud_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LONGEST_WAIT_SECONDS", 300.0)
    polling = Watch(None, Listener(), every=60.0)  # type: ignore[arg-type]
    away = InstallerError(ErrorCode.CLOUD_UNREACHABLE, "", "")
    busy = InstallerError(ErrorCode.CLOUD_BUSY, "", "", wait_seconds=900)
    assert [polling._next_wait(wait, [away]) for wait in (60.0, 120.0, 240.0)] == [120.0, 240.0, 300.0]
    assert polling._next_wait(60.0, [away, busy]) == 900.0


@pytest.mark.parametrize(("accounts", "seconds"), [(1, 2.4), (40, 96.0), (1000, 2400.0)])
def test_however_many_accounts_the_limit_is_kept(accounts: int, seconds: float) -> None:
    assert watch.min_interval(accounts, 100) == pytest.approx(seconds)
