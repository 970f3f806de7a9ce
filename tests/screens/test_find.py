"""The list of devices: live, in a stable order, filtered, and safe with any name."""

from __future__ import annotations

import random

from installer.bluetooth.sighting import SetupState
from installer.errors import ErrorCode, InstallerError
from installer.flow.questions import ChooseDevice
from screens.choice_list import ChoiceList
from screens.find import FindScreen
from tests.screens.driver import (
    begin,
    choose_row,
    screen_text,
    type_text,
    until,
    wait_for_screen,
    wait_for_text,
    wizard,
)
from tests.screens.fake_engine import ADDRESS, CATALOGUE, Script, Sightings, sighting
from tests.screens.scenes import running


def crowd(rng: random.Random, count: int = 200) -> list:
    ids = [m.id for m in CATALOGUE.models]
    return [
        sighting(f"00:24:E4:00:{i // 256:02X}:{i % 256:02X}", f"Unit {i:03d}", ids[i % 7], rng.randint(-95, -45))
        for i in range(count)
    ]


async def test_200_devices_stay_in_place_while_their_signals_change() -> None:
    rng = random.Random(1)
    live = Sightings(crowd(rng))
    async with running(Script(sightings=live)) as (pilot, _):
        await begin(pilot)
        screen = await wait_for_screen(pilot, FindScreen)
        rows = screen.query_one(ChoiceList)
        await until(pilot, lambda: len(rows.rows) == 200, "all rows")
        await pilot.press(*["down"] * 7)
        marked, order = rows.row, [r.key for r in rows.rows]
        assert marked is not None
        for _ in range(20):
            live.all = crowd(rng)
            rng.shuffle(live.all)
            screen.refresh_list()
            await pilot.pause()
            assert [r.key for r in rows.rows] == order
            assert rows.row is not None
            assert rows.row.key == marked.key
            assert f"❯ {marked.cells[0]}" in screen_text(pilot)
        assert len({r.cells[4] for r in rows.rows}) > 1


async def test_a_device_that_comes_later_goes_below_and_the_mark_stays() -> None:
    live = Sightings([sighting(ADDRESS, "Body+ 3C", "body-plus", -80)])
    async with running(Script(sightings=live)) as (pilot, _):
        await begin(pilot)
        screen = await wait_for_screen(pilot, FindScreen)
        rows = screen.query_one(ChoiceList)
        await until(pilot, lambda: len(rows.rows) == 1, "the first row")
        await pilot.press("down")
        live.all = [sighting("00:24:E4:00:00:01", "Body+ 01", "body-plus", -40), *live.all]
        screen.refresh_list()
        await pilot.pause()
        assert [r.cells[0] for r in rows.rows] == ["Body+ 3C", "Body+ 01"]
        assert rows.row is not None
        assert rows.row.key == ADDRESS
        await pilot.press("o")
        assert [r.cells[0] for r in rows.rows] == ["Body+ 01", "Body+ 3C"]
        assert rows.row is not None
        assert rows.row.key == ADDRESS


async def test_filter_narrows_and_escape_clears() -> None:
    async with running() as (pilot, starter):
        await begin(pilot)
        screen = await wait_for_screen(pilot, FindScreen)
        rows = screen.query_one(ChoiceList)
        await pilot.press("slash")
        await type_text(pilot, "6e body")
        await until(pilot, lambda: [r.cells[0] for r in rows.rows] == ["Body+ 6E"], "one row")
        await pilot.press("escape")
        await until(pilot, lambda: len(rows.rows) == 5, "all rows")
        assert not screen.query_one("#filter").display
        await pilot.press("slash")
        await type_text(pilot, "nobody")
        await wait_for_text(pilot, "No device has “nobody”")
        await pilot.press("escape", "slash")
        await type_text(pilot, "sleep")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: starter.made[0].answers.find is not None, "the answer")


async def test_other_devices_are_shown_on_request_and_say_why_they_cannot_be_chosen() -> None:
    note = "A Matter device: use a Matter app."
    live = Sightings([sighting(ADDRESS, "Body+ 3C", "body-plus"), sighting("D4:00:00:00:00:01", "Lamp", note=note)])
    async with running(Script(sightings=live)) as (pilot, starter):
        await begin(pilot)
        await wait_for_screen(pilot, FindScreen)
        await wait_for_text(pilot, "1 to choose from, 1 other device near.")
        assert "Lamp" not in screen_text(pilot)
        await pilot.press("a", "end")
        await wait_for_text(pilot, note)
        await pilot.press("enter")
        await pilot.pause()
        assert starter.made[0].answers.find is None
        assert isinstance(pilot.app.screen, FindScreen)


async def test_only_the_wanted_model_can_be_chosen() -> None:
    sleep = CATALOGUE.get("sleep")
    async with running() as (pilot, _):
        app = wizard(pilot)
        asking = app.run_worker(app.ask(ChooseDevice(sightings=Sightings(), catalogue=CATALOGUE, wanted=sleep)))
        screen = await wait_for_screen(pilot, FindScreen)
        rows = screen.query_one(ChoiceList)
        await until(pilot, lambda: [r.cells[0] for r in rows.rows] == ["Sleep"], "one row")
        await pilot.press("a")
        await until(pilot, lambda: len(rows.rows) == 7, "all rows")
        assert {r.reason for r in rows.rows if r.cells[1] == "Body+"} == {"This is not a Sleep."}
        await choose_row(pilot, "00:24:E4:77:20:51")
        assert (await asking.wait()).device == "00:24:E4:77:20:51"


async def test_what_to_check_when_nothing_is_found() -> None:
    async with running(Script(sightings=Sightings(()))) as (pilot, _):
        await begin(pilot)
        await wait_for_screen(pilot, FindScreen)
        assert "Looking for devices" in screen_text(pilot)
        pilot.app.clock.now += 10  # type: ignore[attr-defined]
        await wait_for_text(pilot, "is awake")
        text = screen_text(pilot)
        for part in ("has power", "is near", "not connected to a phone", "Bluetooth is on"):
            assert part in text


async def test_a_scan_that_fails_says_why() -> None:
    live = Sightings()
    async with running(Script(sightings=live)) as (pilot, _):
        await begin(pilot)
        await wait_for_screen(pilot, FindScreen)
        await wait_for_text(pilot, "5 to choose from")
        live.failure = InstallerError(ErrorCode.ADAPTER_FAILED, "The adapter is gone.", "Plug it in again.")
        await wait_for_text(pilot, "The adapter is gone. Plug it in again.")


async def test_a_search_that_goes_on_by_itself_says_so_and_the_problem_leaves() -> None:
    live = Sightings([], restarts=True)
    async with running(Script(sightings=live)) as (pilot, _):
        await begin(pilot)
        await wait_for_screen(pilot, FindScreen)
        live.failure = InstallerError(ErrorCode.BLUETOOTH_OFF, "Bluetooth is switched off.", "Switch it on.")
        await wait_for_text(pilot, "The search goes on by itself when Bluetooth works again.")
        assert "Bluetooth is switched off." in screen_text(pilot)
        live.failure, live.all = None, Sightings().all
        await wait_for_text(pilot, "5 to choose from")
        assert "switched off" not in screen_text(pilot)


async def test_foreign_names_are_never_markup_and_columns_stay_aligned() -> None:
    names = ["[bold red]x[/]", "日本のはかり 日本のはかり 日本のはかり", "👩‍👩‍👧 ⚖️ scale", "\x1b[31mred", "plain"]
    live = Sightings([sighting(f"00:24:E4:00:00:0{i}", name, "body-plus") for i, name in enumerate(names)])
    async with running(Script(sightings=live)) as (pilot, _):
        await begin(pilot)
        screen = await wait_for_screen(pilot, FindScreen)
        rows = screen.query_one(ChoiceList)
        await until(pilot, lambda: len(rows.rows) == len(names), "all rows")
        text = screen_text(pilot)
        assert "[bold red]x[/]" in text
        assert "\x1b" not in text
        strips = [rows.render_line(y) for y in range(len(names))]
        assert {s.cell_length for s in strips} == {rows.size.width}
        from rich.cells import cell_len

        assert len({cell_len(s.text[: s.text.index("certain")]) for s in strips}) == 1


async def test_state_of_the_set_up_is_in_words() -> None:
    live = Sightings(
        [
            sighting("00:24:E4:00:00:01", "One", "body-plus", state=SetupState.NEW),
            sighting("00:24:E4:00:00:02", "Two", "body-plus", state=SetupState.SET_UP),
            sighting("00:24:E4:00:00:03", "Three", "body-plus", state=SetupState.UNKNOWN),
        ]
    )
    async with running(Script(sightings=live)) as (pilot, _):
        await begin(pilot)
        screen = await wait_for_screen(pilot, FindScreen)
        rows = screen.query_one(ChoiceList)
        await until(pilot, lambda: len(rows.rows) == 3, "all rows")
        assert {r.cells[0]: r.cells[3] for r in rows.rows} == {
            "One": "new",
            "Two": "already set up",
            "Three": "not known",
        }
        assert rows.rows[0].cells[0] == "One"
