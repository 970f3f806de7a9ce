"""A failed installation is tried again from the wizard's records, with keys only."""

from __future__ import annotations

import pytest

from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode
from screens.home import HomeScreen
from tests.flow.support import PASSPHRASE, LabWorld, answers_for, install
from tests.flow.test_record_fields import newest
from tests.flow.test_wizard import _the_radio_is_never_idle, opened
from tests.screens.driver import (
    answer_account,
    answer_passphrase,
    choose_card,
    confirm_sending,
    screen_text,
    wait_for_finish,
    wait_for_screen,
    wait_for_text,
)
from tests.screens.test_records import RecordsScreen

__all__ = ["_the_radio_is_never_idle"]


@pytest.mark.timeout(150)  # three installations
async def test_the_passphrase_is_asked_and_the_rest_is_known(world: LabWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    await install(answers_for(world, "pulse-hr", "bluetooth"))  # signs in
    monkeypatch.setenv("TEST_PASSPHRASE", "wrong horse battery")
    ended, _ = await install(answers_for(world, "body-plus", "wifi"))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.JOIN_FAILED
    before = newest()
    async with opened() as pilot:
        await wait_for_screen(pilot, HomeScreen)
        await choose_card(pilot, "records")
        await wait_for_screen(pilot, RecordsScreen)
        await wait_for_text(pilot, "join_failed")
        await pilot.press("r")
        # The device, the sync method and the network are not asked for.
        await answer_passphrase(pilot, PASSPHRASE)
        await confirm_sending(pilot)
        await answer_account(pilot, "default")
        finished = await wait_for_finish(pilot)
        assert finished.outcome.outcome == "installed", screen_text(pilot)
    after = newest()
    assert after["id"] != before["id"]
    assert (after["outcome"], after["method"], after["ssid"]) == ("installed", SyncMethod.WIFI.value, "Home")
    assert after["address"] == before["address"]
    assert PASSPHRASE not in str(after)
