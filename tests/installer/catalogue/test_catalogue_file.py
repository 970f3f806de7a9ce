"""A user's catalogue file: merged with the built-in one, or refused with file, key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.catalogue.catalogue_file import load, parse
from installer.catalogue.model import SyncMethod
from installer.catalogue.sync_rule_wifi_or_bluetooth import check_sync
from installer.errors import ErrorCode, InstallerError

GOOD = """
[[model]]
id = "kitchen-scale"
name = "Kitchen Scale"
type = "scale"
sync = ["wifi"]
missing = { bluetooth = "It has no health profile." }
[[model.rules]]
evidence = "name"
value = "^Kitchen"
score = 40
"""


def test_a_users_own_model_joins_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD)
    catalogue = load([path])
    assert catalogue.get("kitchen-scale").name == "Kitchen Scale"
    assert catalogue.get("KITCHEN SCALE").id == "kitchen-scale"
    assert catalogue.get("body-plus").allows(SyncMethod.WIFI)


def test_an_entry_with_a_known_id_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD.replace("kitchen-scale", "body").replace("Kitchen Scale", "Body of ours"))
    assert load([path]).get("body").name == "Body of ours"
    assert len(load([path]).models) == len(load().models)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('type = "scale"', 'type = "toaster"'), ["(kitchen-scale)", "type", "'scale'", "'watch'"]),
        (('sync = ["wifi"]', 'sync = ["wlan"]'), ["sync", "'wifi' or 'bluetooth'"]),
        (('sync = ["wifi"]', "sync = []"), ["sync", "at least 1"]),
        (('missing = { bluetooth = "It has no health profile." }', ""), ["missing.bluetooth must say"]),
        (("score = 40", "score = 400"), ["rules [1].score", "100"]),
        (('value = "^Kitchen"', 'value = "("'), ["rules [1]", "not a regular expression"]),
        (('name = "Kitchen Scale"', 'nmae = "K"'), ["nmae", "no such key", "name: is missing"]),
        (('id = "kitchen-scale"', 'id = "Kitchen Scale"'), ["id", "pattern"]),
        (("[[model]]", "[[model"), ["not TOML", "line 2"]),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: tuple[str, str], words: list[str]) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(InstallerError) as caught:
        load([path])
    assert caught.value.code is ErrorCode.CATALOGUE_INVALID
    for word in [str(path), *words]:
        assert word in caught.value.what, caught.value.what


def test_an_id_twice() -> None:
    with pytest.raises(InstallerError, match="kitchen-scale is there twice"):
        parse(GOOD + GOOD, "own.toml")


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(InstallerError) as caught:
        load().get("toaster")
    assert "body-plus" in caught.value.todo


@pytest.mark.parametrize(
    ("model", "refused", "code"),
    [
        ("body", None, None),
        ("body-plus", None, None),
        ("bpm-connect", None, None),
        ("thermo", None, None),
        ("sleep", SyncMethod.BLUETOOTH, ErrorCode.SYNC_WIFI_ONLY),
        ("move", SyncMethod.WIFI, ErrorCode.SYNC_BLUETOOTH_ONLY),
        ("pulse-hr", SyncMethod.WIFI, ErrorCode.SYNC_BLUETOOTH_ONLY),
    ],
)
def test_the_sync_rule(model: str, refused: SyncMethod | None, code: ErrorCode | None) -> None:
    entry = load().get(model)
    for method in SyncMethod:
        if method is not refused:
            check_sync(entry, method)
            continue
        with pytest.raises(InstallerError) as caught:
            check_sync(entry, method)
        assert caught.value.code is code
        assert entry.missing[method] in caught.value.what
