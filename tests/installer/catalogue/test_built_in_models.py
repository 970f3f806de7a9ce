"""The built-in catalogue, entry by entry, against the design's table and the facts sheets."""

from __future__ import annotations

import pytest

from installer.catalogue import catalogue_file as catalog
from installer.catalogue.catalogue_file import Catalogue
from installer.catalogue.model import DataService, DeviceType, Evidence, Profile, SyncMethod
from installer.catalogue.sync_rule_wifi_or_bluetooth import check_sync
from installer.errors import ErrorCode, InstallerError

WIFI, BLUETOOTH = SyncMethod.WIFI, SyncMethod.BLUETOOTH
MEASURES, SLEEP, ACTIVITY = DataService.MEASURES, DataService.SLEEP, DataService.ACTIVITY

# id, name, type, methods, suffix, cloud ids, set-up number, data service, appli, first types, profile
TABLE = [
    ("body", "Body", "scale", {WIFI, BLUETOOTH}, "0007", (7,), 7, MEASURES, 1, (1,), Profile.WEIGHT),
    ("body-plus", "Body+", "scale", {WIFI, BLUETOOTH}, "0005", (5,), 6, MEASURES, 1, (1,), Profile.WEIGHT),
    ("bpm-connect", "BPM Connect", "blood-pressure monitor", {WIFI, BLUETOOTH}, "002d", (45,), 45, MEASURES, 4, (9, 10),
     Profile.BLOOD_PRESSURE),
    ("thermo", "Thermo", "thermometer", {WIFI, BLUETOOTH}, "0046", (70,), 70, MEASURES, 2, (71,), Profile.TEMPERATURE),
    ("sleep", "Sleep", "sleep mat", {WIFI}, "003f", (63, 13), 63, SLEEP, 44, (), None),
    ("move", "Move", "watch", {BLUETOOTH}, "005a", (90,), 90, ACTIVITY, 16, (), Profile.STEPS),
    ("pulse-hr", "Pulse HR", "watch", {BLUETOOTH}, "003a", (58,), 58, ACTIVITY, 16, (), Profile.STEPS),
]  # fmt: skip


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return catalog.load()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_a_model_is_as_the_design_says(catalogue: Catalogue, row: tuple) -> None:  # type: ignore[type-arg]
    ident, name, kind, methods, suffix, ids, setup, data, appli, types, profile = row
    model = catalogue.get(ident)
    assert (model.name, model.vendor, model.type) == (name, "Withings", DeviceType(kind))
    assert set(model.sync) == methods
    assert (model.cloud.model_ids, model.cloud.setup_model) == (ids, setup)
    assert (model.cloud.data, model.cloud.appli, model.cloud.measure_types) == (data, appli, types)
    assert model.profile is profile
    assert "guided" in model.protocols
    services = [rule.value for rule in model.rules if rule.evidence is Evidence.SERVICE]
    assert services == [f"xxxxxxxx-5749-5448-{suffix}-000000000000"]
    # Set-up buttons are unconfirmed for every model.
    assert model.button.startswith("Check")
    assert model.generic is False


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_a_missing_method_is_refused_with_a_sentence(catalogue: Catalogue, row: tuple) -> None:  # type: ignore[type-arg]
    model = catalogue.get(row[0])
    for method in SyncMethod:
        if model.allows(method):
            check_sync(model, method)
            continue
        with pytest.raises(InstallerError) as caught:
            check_sync(model, method)
        wanted = ErrorCode.SYNC_WIFI_ONLY if method is BLUETOOTH else ErrorCode.SYNC_BLUETOOTH_ONLY
        assert caught.value.code is wanted
        assert caught.value.what.endswith(".")
        assert len(model.missing[method]) > 30


def test_what_is_not_confirmed_never_adds_up_to_certain(catalogue: Catalogue) -> None:
    for ident, *_ in TABLE:
        model = catalogue.get(ident)
        best = dict.fromkeys(Evidence, 0)
        for rule in model.rules:
            best[rule.evidence] = max(best[rule.evidence], rule.score)
        assert (sum(best.values()) >= 100) is (ident == "body-plus")


def test_the_generic_entries_come_last_and_have_wifi(catalogue: Catalogue) -> None:
    generic = [model for model in catalogue.models if model.generic]
    assert [model.id for model in generic] == ["improv-device", "espressif-device", "shelly-device", "nordic-device"]
    assert catalogue.models[-4:] == tuple(generic)
    assert all(model.sync == (WIFI,) for model in generic)


def test_the_table_is_the_whole_catalogue(catalogue: Catalogue) -> None:
    assert {model.id for model in catalogue.models if not model.generic} == {row[0] for row in TABLE}
