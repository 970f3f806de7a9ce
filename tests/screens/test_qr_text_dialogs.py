"""The text of a QR code: of a device, of a Wi-Fi network, and of other kinds; also as proof of possession."""

from __future__ import annotations

import json
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button

from installer.answers import FindAnswer
from installer.catalogue.catalogue_file import load
from installer.flow.questions import AskProof, ChooseDevice, ChooseNetwork
from installer.qr.device_setup_code import DevicePayload
from screens.find import FindScreen
from screens.network import NetworkScreen
from screens.qr_text_dialogs import DeviceQrTextDialog, WifiQrTextDialog
from screens.secret_screens import ProofScreen
from tests.screens.driver import (
    ask_question,
    flat_text,
    press_button,
    screen_text,
    type_text,
    wait_for_screen,
    wait_for_text,
)
from tests.screens.fake_engine import CATALOGUE, Sightings, sighting
from tests.screens.scenes import running

PROOF = "abcd 1234 proof"
NAME = "PROV_CE03C0"
MATTER, DPP = "MT:Y.K9042C00KA0648G00", "DPP:C:81/1;M:001122334455;V:2;K:MDkwEwYHKoZIzj0CAQ==;;"
WIFI = "WIFI:T:WPA;S:Home;P:correct horse battery staple;;"
VENDOR = "https://www.withings.com/start"
WRONG = [
    (MATTER, "Matter app"),
    (DPP, "Android phone"),
    (WIFI, "code of a Wi-Fi network"),
    (VENDOR, "link to Withings"),
    ('{"ver":"v1","name":"PROV_1","transport":"softap"}', "SoftAP"),
    ('{"ver":"v9"}', "does not know"),
]


def code(name: str = NAME, **more: Any) -> str:
    return json.dumps({"ver": "v1", "name": name, "transport": "ble", "pop": PROOF, **more})


async def find(pilot: Pilot[Any], *names: str) -> Any:
    live = Sightings([sighting(f"7C:DF:A1:00:00:0{i}", name, None, -60) for i, name in enumerate(names, 1)])
    asking = ask_question(pilot, ChooseDevice(sightings=live, catalogue=CATALOGUE))
    await wait_for_screen(pilot, FindScreen)
    return asking


async def test_a_code_that_is_pasted_anywhere_on_the_page_picks_the_device() -> None:
    async with running() as (pilot, _):
        asking = await find(pilot, NAME)
        await type_text(pilot, code(username="wifiprov", security=2))
        await wait_for_screen(pilot, DeviceQrTextDialog)
        await wait_for_text(pilot, f"Device: {NAME}, with its proof of possession; it is in reach.")
        assert PROOF not in screen_text(pilot) + pilot.app.export_screenshot()
        await press_button(pilot, "use")
        answer: FindAnswer = await asking.wait()
        assert (answer.name, answer.username, answer.device, answer.security) == (NAME, "wifiprov", None, 2)
        assert answer.secret is not None
        assert answer.secret.get_secret_value() == PROOF
        assert PROOF not in repr(answer) + answer.model_dump_json()


async def test_a_key_opens_the_field_and_a_device_out_of_reach_is_said() -> None:
    async with running() as (pilot, _):
        asking = await find(pilot, "PROV_000001")
        await pilot.press("p")
        await wait_for_screen(pilot, DeviceQrTextDialog)
        await type_text(pilot, code(pop=""))
        await wait_for_text(pilot, "without a proof of possession; not in reach yet, it will be looked for.")
        await pilot.press("enter")
        assert (await asking.wait()).name == NAME


@pytest.mark.parametrize(("text", "words"), WRONG)
async def test_other_texts_are_answered_in_words(text: str, words: str) -> None:
    async with running() as (pilot, _):
        await find(pilot, NAME)
        await pilot.press("p")
        await wait_for_screen(pilot, DeviceQrTextDialog)
        await type_text(pilot, text)
        await wait_for_text(pilot, words)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, DeviceQrTextDialog)
        await pilot.press("escape")
        await wait_for_screen(pilot, FindScreen)


@pytest.mark.parametrize("text", [MATTER, DPP, WIFI])
async def test_they_are_answered_where_they_are_pasted_too(text: str) -> None:
    async with running() as (pilot, _):
        await find(pilot, NAME)
        await type_text(pilot, text)
        await wait_for_screen(pilot, DeviceQrTextDialog)
        await wait_for_text(pilot, "Problem")


async def proof(pilot: Pilot[Any], name: str = NAME) -> Any:
    asking = ask_question(pilot, AskProof(model=load().get("espressif-device"), name=name))
    await wait_for_screen(pilot, ProofScreen)
    return asking


async def test_the_code_of_the_device_gives_its_proof() -> None:
    async with running() as (pilot, _):
        asking = await proof(pilot)
        await type_text(pilot, code(security=2))
        await wait_for_text(pilot, "The code of this device, with its proof.")
        await pilot.press("enter")
        # The code states more than the proof: the lowest security of the device.
        found: DevicePayload = await asking.wait()
        assert found.proof is not None
        assert (found.proof.get_secret_value(), found.security) == (PROOF, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (code("PROV_000001"), "another device: PROV_000001"),
        (code(pop=""), "contains no proof of possession"),
        *WRONG[:4],
    ],
)
async def test_another_code_is_no_proof(text: str, words: str) -> None:
    async with running() as (pilot, _):
        asking = await proof(pilot)
        await type_text(pilot, text)
        await wait_for_text(pilot, words)
        assert pilot.app.screen.query_one("#go", Button).disabled
        await pilot.press("enter")
        await pilot.pause()
        assert not asking.is_finished
        assert PROOF not in flat_text(pilot)


async def test_a_proof_that_only_looks_like_a_code_is_taken_as_it_stands() -> None:
    async with running() as (pilot, _):
        asking = await proof(pilot)
        await type_text(pilot, "{abcd")
        await pilot.press("enter")
        assert (await asking.wait()).get_secret_value() == "{abcd"


@pytest.mark.parametrize(
    ("text", "words"), [(MATTER, "Matter app"), (DPP, "Android phone"), (code(), "set-up code of a device")]
)
async def test_the_page_of_networks_answers_other_codes_too(text: str, words: str) -> None:
    async with running() as (pilot, _):
        ask_question(pilot, ChooseNetwork(model=load().get("body"), networks=()))
        await wait_for_screen(pilot, NetworkScreen)
        await type_text(pilot, text)
        await wait_for_screen(pilot, WifiQrTextDialog)
        await wait_for_text(pilot, words)
