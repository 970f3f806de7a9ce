"""A running scan: what it shows, when it changes, and that many devices are cheap."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from installer.bluetooth import scan as scanning
from installer.bluetooth.adapter import Adapter
from installer.bluetooth.detection import Detector
from installer.bluetooth.open_adapter import open_adapter
from installer.bluetooth.scan import Scan
from installer.bluetooth.sighting import Certainty, SetupState, Sighting
from installer.catalogue import catalogue_file
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import registry
from tests.installer.bluetooth.bench import Bench
from tests.installer.lab.lab_process import LabProcess

CATALOGUE = catalogue_file.load()
DETECTOR = registry.detector(CATALOGUE)
IMPROV = bytes.fromhex("020106" + "11070080267874276346722228626877460009" + "16774602050000" + "0000")
BODY_PLUS = bytes.fromhex("020106" + "1107" + "000000000000" + "0500" + "4854" + "4957" + "20000000")
ONE = "F0:00:00:00:00:01"


def name(text: str) -> bytes:
    return bytes((len(text) + 1, 0x09)) + text.encode()


def only(found: Sequence[Sighting]) -> Sighting | None:
    return found[0] if found else None


async def test_the_lab_is_recognised(lab: LabProcess) -> None:
    async with await open_adapter(lab.adapter) as adapter, Scan(adapter, DETECTOR, settle=0) as scan:
        wanted = {model.id for model in CATALOGUE.models if not model.generic}

        def sure(found: Sequence[Sighting]) -> dict[str, Sighting] | None:
            # Several payloads take turns: the protocol's, and the vendor's with the model's number.
            known = {s.detection.model_id or "": s for s in found if s.detection.protocol in ("improv", "espressif")}
            likely = {i: s for i, s in known.items() if s.detection.certainty in (Certainty.LIKELY, Certainty.CERTAIN)}
            complete = wanted <= set(likely) and likely["body-plus"].state is not SetupState.UNKNOWN
            return likely if complete and likely["body-plus"].detection.certainty is Certainty.CERTAIN else None

        found = await scan.wait_until(sure, 15)
        assert found is not None
        for model in wanted:
            assert found[model].address == lab.address(model)
        assert found["body-plus"].detection.protocol == "improv"
        assert found["body-plus"].state is SetupState.NEW


async def test_what_a_device_says_in_turns_is_merged(bench: Bench, adapter: Adapter) -> None:
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        bench.broadcast(ONE, IMPROV)
        first = await scan.wait_until(only, 5)
        assert first is not None
        assert first.detection.model_id == "improv-device"
        assert first.name == ""
        bench.broadcast(ONE, BODY_PLUS, name("Body+ 3C"))
        found = await scan.wait_until(lambda s: s[0] if s[0].name else None, 5)
        assert found is not None
        assert (found.detection.model_id, found.detection.protocol, found.name) == ("body-plus", "improv", "Body+ 3C")
        assert found.state is SetupState.NEW
        bench.broadcast(ONE, IMPROV.replace(b"\x77\x46\x02", b"\x77\x46\x03"))
        changed = await scan.wait_until(lambda s: s[0] if s[0].state is SetupState.SET_UP else None, 5)
        assert changed is not None
        assert changed.detection.model_id == "body-plus"


async def test_an_unknown_device_is_shown_only_after_all_its_packets_had_time_to_come(
    bench: Bench, adapter: Adapter
) -> None:
    async with Scan(adapter, DETECTOR, settle=0.3) as scan:
        bench.broadcast(ONE, IMPROV)
        bench.broadcast("F0:00:00:00:00:02", BODY_PLUS)
        # A model of its own needs no patience.
        first = await scan.wait_until(only, 5)
        assert first is not None
        assert first.detection.model_id == "body-plus"
        assert len(scan.current()) == 1
        both = await scan.wait_until(lambda s: s if len(s) == 2 else None, 5)
        assert both is not None
        assert {s.detection.model_id for s in both} == {"body-plus", "improv-device"}


async def test_the_detection_is_computed_only_when_the_content_changes(
    bench: Bench, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = SimpleNamespace(detections=0, packets=0, wanted=0, there=asyncio.Event())
    detect, callback = Detector.detect, Scan._on_advert

    def counted(self: Detector, *args: object) -> object:
        count.detections += 1
        return detect(self, *args)  # type: ignore[arg-type]

    def heard(self: Scan, device: BLEDevice, advert: AdvertisementData) -> None:
        callback(self, device, advert)
        count.packets += 1
        if count.packets == count.wanted:
            count.there.set()

    monkeypatch.setattr(Detector, "detect", counted)
    monkeypatch.setattr(Scan, "_on_advert", heard)
    devices = [f"F0:00:00:00:{n >> 8:02X}:{n & 255:02X}" for n in range(200)]
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        for turn in range(10):
            for device in devices:
                bench.broadcast(device, IMPROV, name("Scale"), rssi=-50 - turn % 3)
            count.wanted = (turn + 1) * 2 * len(devices)
            async with asyncio.timeout(20):
                await count.there.wait()
            count.there.clear()
            assert len(scan.current()) == 200
        assert count.packets == 4000
        # The advertisement, and then the name from the scan response.
        assert count.detections <= 2 * len(devices)


async def test_the_signal_is_smoothed_and_its_jumps_do_not_wake_anybody(bench: Bench, adapter: Adapter) -> None:
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        bench.broadcast(ONE, IMPROV, rssi=-60)
        first = await scan.wait_until(only, 5)
        assert first is not None
        assert first.rssi == -60
        version = scan.version
        bench.broadcast(ONE, IMPROV, rssi=-61)
        await scan.wait_until(lambda s: s[0].seen != first.seen or None, 0.2)
        assert scan.version == version
        bench.broadcast(ONE, IMPROV, rssi=-90)
        moved = await scan.wait_until(lambda s: s[0] if s[0].rssi < -62 else None, 5)
        assert moved is not None
        assert -72 < moved.rssi < -62
        assert scan.version > version


async def test_a_device_that_is_silent_is_forgotten(
    bench: Bench, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1000.0)
    async with Scan(adapter, DETECTOR, forget_after=10.0, settle=0) as scan:
        bench.broadcast(ONE, IMPROV)
        assert await scan.wait_until(only, 5) is not None
        seen = scan.current()[0].seen
        version = scan.version
        monkeypatch.setattr(scanning.time, "monotonic", lambda: clock.now)
        clock.now = seen + 9.9
        assert len(scan.current()) == 1
        clock.now = seen + 10.1
        assert scan.current() == []
        assert scan.version > version
        with pytest.raises(InstallerError) as caught:
            scan.ble_device(ONE)
        assert caught.value.code is ErrorCode.DEVICE_NOT_FOUND


async def test_waiting_ends_with_what_the_predicate_finds_or_with_nothing(bench: Bench, adapter: Adapter) -> None:
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await scan.wait_until(only, 0.05) is None
        assert await scan.wait_until(lambda s: len(s), 0) == 0
        waiting = asyncio.ensure_future(scan.wait_until(only, 10))
        await asyncio.sleep(0)
        bench.broadcast("f0:00:00:00:00:0a", IMPROV)
        found = await waiting
        assert found is not None
        assert found.address == "F0:00:00:00:00:0A"
        assert scan.ble_device("f0:00:00:00:00:0a").address == "F0:00:00:00:00:0A"


async def test_several_scans_share_one_controller(bench: Bench, adapter: Adapter) -> None:
    async with Scan(adapter, DETECTOR, settle=0) as one:
        async with Scan(adapter, DETECTOR, settle=0) as two:
            bench.broadcast(ONE, IMPROV)
            assert await two.wait_until(only, 5) is not None
        bench.broadcast("F0:00:00:00:00:02", IMPROV)
        assert await one.wait_until(lambda s: s[1] if len(s) == 2 else None, 5) is not None
        assert len(two.current()) == 1


async def test_what_was_heard_before_is_forgotten_on_request(bench: Bench, adapter: Adapter) -> None:
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        bench.broadcast(ONE, IMPROV)
        assert await scan.wait_until(only, 5) is not None
        scan.forget(ONE.lower())
        assert scan.current() == []
        bench.broadcast(ONE, IMPROV)
        assert await scan.wait_until(only, 5) is not None


async def test_a_pause_is_no_time_of_listening(bench: Bench, adapter: Adapter) -> None:
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        await scan.pause()
        waiting = asyncio.ensure_future(scan.wait_until(only, 0.5))
        done, _ = await asyncio.wait([waiting], timeout=0.8)
        assert not done
        await scan.resume()
        bench.broadcast(ONE, IMPROV)
        assert await waiting is not None


async def test_a_scan_that_stays_paused_is_not_waited_for_without_end(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "MAX_TIMEOUT_FACTOR_WITH_PAUSES", 1)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        await scan.pause()
        async with asyncio.timeout(10):
            assert await scan.wait_until(only, 0.1) is None
