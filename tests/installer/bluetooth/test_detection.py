"""Which model a sighting is: the rules of the facts sheet, and its traps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.bluetooth.sighting import Advert, Certainty, Detection, SetupState
from installer.catalogue import catalogue_file
from installer.catalogue.catalogue_file import Catalogue, load, parse
from installer.provisioning import registry
from installer.provisioning.espressif import advertisement_signature as espressif
from installer.provisioning.improv import advertisement_signature as improv
from installer.provisioning.matter import advertisement_signature as matter
from installer.provisioning.nordic import advertisement_signature as nordic
from installer.provisioning.withings import advertisement_signature as withings

CATALOGUE = catalogue_file.load()
DETECTOR = registry.detector(CATALOGUE)
OTHER = "C0:11:22:33:44:55"
OWN = "00:24:E4:11:22:33"
MAC_UUID = "6E4F5A3B-0000-4000-8000-1234567890AB"  # what macOS gives in place of an address


def scheme(suffix: str, part: str = "00000020") -> str:
    return f"{part}-5749-5448-{suffix}-000000000000"


def seen(address: str = OTHER, name: str | None = None, *services: str, **more: object) -> Detection:
    return DETECTOR.detect(address, Advert(name=name, services=services, **more))  # type: ignore[arg-type]


SUFFIXES = {
    "body": "0007",
    "bpm-connect": "002d",
    "sleep": "003f",
    "thermo": "0046",
    "move": "005a",
    "pulse-hr": "003a",
}


@pytest.mark.parametrize(("model", "suffix"), SUFFIXES.items())
def test_an_inferred_number_is_likely_whatever_comes_with_it(model: str, suffix: str) -> None:
    name = CATALOGUE.get(model).name
    alone = seen(OTHER, None, scheme(suffix))
    everything = seen(OWN, name, scheme(suffix), manufacturer_data={0x03FF: b""})
    for found in (alone, everything):
        assert (found.model_id, found.certainty) == (model, Certainty.LIKELY)


def test_the_confirmed_number_of_body_plus_is_certain() -> None:
    found = seen(OTHER, None, scheme("0005"))
    assert (found.model_id, found.certainty, found.protocol) == ("body-plus", Certainty.CERTAIN, "guided")
    assert any("scanwatch_ble" in reason for reason in found.reasons)
    # Another part of the same scheme says the same.
    assert seen(OTHER, None, scheme("0005", "10000059")).model_id == "body-plus"


@pytest.mark.parametrize("name", ["Body+", "Body+ 3C", "body+ 6e", "Withings Body+ 3C"])
def test_a_speaking_name_alone_is_possible_and_with_the_address_likely(name: str) -> None:
    assert (seen(OTHER, name).model_id, seen(OTHER, name).certainty) == ("body-plus", Certainty.POSSIBLE)
    assert (seen(OWN, name).model_id, seen(OWN, name).certainty) == ("body-plus", Certainty.LIKELY)


@pytest.mark.parametrize(
    ("model", "name"), [("body", "Body"), ("sleep", "Sleep"), ("thermo", "Thermo"), ("move", "Move")]
)
def test_a_common_word_alone_is_no_withings_device(model: str, name: str) -> None:
    assert seen(OTHER, name).model_id is None
    assert seen(MAC_UUID, name).model_id is None
    weak = seen(OTHER, name, manufacturer_data={0x03FF: b"\x01"})
    assert (weak.model_id, weak.certainty) == (model, Certainty.POSSIBLE)
    assert (seen(OWN, name).model_id, seen(OWN, name).certainty) == (model, Certainty.LIKELY)


@pytest.mark.parametrize(
    "name",
    ["ThermoPro TP357", "ThermoBeacon", "Sleepace", "Bodyguard", "Body Cardio 11", "Body Comp", "Body Smart",
     "Body Scan", "Body Pro", "Move ECG", "BPM Connect Pro", "MoveSense", "Body+X", "Pulse HRM"],
)  # fmt: skip
@pytest.mark.parametrize("address", [OTHER, OWN])
def test_names_that_only_look_alike_are_not_claimed(name: str, address: str) -> None:
    assert seen(address, name).model_id is None


@pytest.mark.parametrize(
    ("name", "services", "told"),
    [
        ("Steel HR", (), "Steel HR"),
        ("ScanWatch 2", (), "ScanWatch 2"),
        ("Activite", (), "Activite"),
        (None, (scheme("005f"),), "ScanWatch Light"),
        ("Move", (scheme("005d"),), "ScanWatch"),
        ("Body+ 3C", (scheme("0037"),), "Steel HR"),
    ],
)
def test_other_withings_models_get_a_polite_word(name: str | None, services: tuple[str, ...], told: str) -> None:
    found = seen(OTHER, name, *services)
    assert found.model_id is None
    assert f"Withings {told}." in found.note


def test_the_address_or_the_newer_service_alone_names_no_model() -> None:
    for found in (
        seen(OWN),
        seen(OTHER, None, withings.NEWER_SERVICE),
        seen("A4:7E:FA:00:00:01", "XYZ"),
    ):
        assert found.model_id is None
        assert found.protocol == "guided"
        assert "Withings" in found.note
    assert seen(OWN, "Body Cardio 3C").note.startswith("This seems to be a Withings Body Cardio.")


def test_the_company_number_alone_says_nothing() -> None:
    found = seen(OTHER, "Galaxy", manufacturer_data={0x03FF: b"\x00"})
    assert (found.model_id, found.protocol, found.note) == (None, None, "")
    assert found.reasons


def test_an_improv_device_without_a_model_is_likely_a_generic_one() -> None:
    found = seen(OTHER, "Temperature Monitor", improv.SERVICE)
    assert (found.model_id, found.certainty, found.protocol) == ("improv-device", Certainty.LIKELY, "improv")
    # "Thermo" is a common word: an Improv thermometer of another maker is not a Withings one.
    assert seen(OTHER, "Thermo", improv.SERVICE).model_id == "improv-device"
    data = seen(OTHER, None, service_data={improv.SERVICE_DATA: bytes.fromhex("020500000000")})
    assert (data.model_id, data.certainty, data.protocol) == ("improv-device", Certainty.LIKELY, "improv")


@pytest.mark.parametrize("address", [OWN, "A4:7E:FA:00:00:01"])
def test_a_device_of_the_vendor_is_never_taken_for_any_improv_device(address: str) -> None:
    # A watch whose name was not heard yet must not get around the sync rule.
    found = seen(address, None, improv.SERVICE, service_data={improv.SERVICE_DATA: b"\x02\x03"})
    assert (found.model_id, found.protocol) == (None, "improv")
    assert "Withings" in found.note


def test_a_withings_model_that_speaks_improv_is_that_model_set_up_by_improv() -> None:
    found = seen(OWN, "Thermo", scheme("0046"), improv.SERVICE)
    assert (found.model_id, found.protocol) == ("thermo", "improv")


@pytest.mark.parametrize(
    ("advert", "protocol"),
    [
        (Advert(services=(espressif.SERVICE,)), "espressif"),
        (Advert(services=(espressif.EXAMPLE_SERVICE,)), "espressif"),
        (Advert(name="PROV_1234", services=(espressif.OLD_SERVICE,)), "espressif"),
        (Advert(name="PROV_1234"), "espressif"),
        (Advert(services=(espressif.OLD_SERVICE,)), None),
        (Advert(service_data={nordic.SERVICE: b"\x01\x00\x00\xce"}), "nordic"),
        (Advert(manufacturer_data={0x0BA9: b""}), "shelly"),
        (Advert(name="ShellyPlus1-AABB"), "shelly"),
        (Advert(name="ShellyPlus1", services=(improv.SERVICE,)), "improv"),
        (
            Advert(name="PROV_1", services=(improv.SERVICE, espressif.SERVICE)),
            "improv",
        ),
        (Advert(name="Shelly", services=(espressif.SERVICE,)), "espressif"),
        (Advert(name="Shelly", service_data={nordic.SERVICE: b""}), "nordic"),
        (Advert(services=(scheme("0005"), nordic.SERVICE)), "nordic"),
        (Advert(service_data={improv.SERVICE_DATA: b"\x02"}), None),
        (Advert(), None),
    ],
)
def test_the_strongest_mark_decides_the_protocol(advert: Advert, protocol: str | None) -> None:
    found = DETECTOR.detect(OTHER, advert)
    assert found.protocol == protocol


def test_matter_is_explained() -> None:
    for advert in (
        Advert(services=(matter.SERVICE,)),
        Advert(service_data={matter.SERVICE: bytes(8)}),
    ):
        found = DETECTOR.detect(OTHER, advert)
        assert found.model_id is None
        assert "Matter" in found.note


def test_a_catalogue_entry_makes_a_new_device_known() -> None:
    mine = catalogue_file.parse(
        """
        [[model]]
        id = "acme"
        name = "Acme"
        type = "scale"
        sync = ["wifi"]
        missing = { bluetooth = "none" }
        rules = [
            { evidence = "service-data", value = "0xFE95", score = 60 },
            { evidence = "name", value = "Acme", score = 99 },
        ]
        """,
        "mine",
    )
    detector = registry.detector(Catalogue(models=(*CATALOGUE.models, *mine)))
    key = "0000fe95-0000-1000-8000-00805f9b34fb"
    found = detector.detect(OTHER, Advert(name="Acme 1", services=(improv.SERVICE,), service_data={key: b"1"}))
    assert (found.model_id, found.certainty, found.protocol) == ("acme", Certainty.CERTAIN, "improv")
    # However high its score, a name alone stays possible.
    assert detector.detect(OTHER, Advert(name="Acme 1")).certainty is Certainty.POSSIBLE


def test_two_models_that_fit_alike_are_not_guessed() -> None:
    twins = catalogue_file.parse(
        "\n".join(
            f'[[model]]\nid="t{n}"\nname="Twin {n}"\ntype="other"\nsync=["wifi","bluetooth"]\n'
            'rules=[{evidence="company",value="1",score=60}]'
            for n in (1, 2)
        ),
        "twins",
    )
    found = registry.detector(Catalogue(models=twins)).detect(OTHER, Advert(manufacturer_data={1: b""}))
    assert found.model_id is None
    assert found.note == "This could be: Twin 1, Twin 2."


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (None, SetupState.UNKNOWN),
        (b"", SetupState.UNKNOWN),
        (b"\x00\x05\x00\x00\x00\x00", SetupState.SET_UP),
        (b"\x01\x05\x00\x00\x00\x00", SetupState.NEW),
        (b"\x02\x05", SetupState.NEW),
        (b"\x03\x05\x00\x00\x00\x00", SetupState.SET_UP),
        (b"\x04\x05\x00\x00\x00\x00", SetupState.SET_UP),
        (b"\x77\x05", SetupState.SET_UP),
    ],
)
def test_the_state_comes_from_the_service_data(data: bytes | None, state: SetupState) -> None:
    advert = Advert(
        services=(improv.SERVICE,),
        service_data={} if data is None else {improv.SERVICE_DATA: data},
    )
    assert DETECTOR.setup_state(advert) is state


uuids = st.one_of(
    st.uuids().map(str),
    st.sampled_from(
        [
            scheme("0005"),
            scheme("zzzz"),
            improv.SERVICE,
            matter.SERVICE,
            withings.NEWER_SERVICE,
            "",
            "0x4677",
        ]
    ),
)
names = st.one_of(
    st.none(), st.text(max_size=40), st.sampled_from(["Body+ 3C", "Thermo", "PROV_", "ScanWatch", "shelly"])
)


def test_a_catalogue_entry_is_a_hint_of_the_protocol() -> None:
    (model,) = parse(
        """
        [[model]]
        id = "kitchen-scale"
        name = "Kitchen Scale"
        type = "scale"
        sync = ["wifi"]
        missing = { bluetooth = "It has none." }
        protocols = ["espressif"]
        rules = [{ evidence = "service", value = "5ca1ab1e-0000-4000-8000-00000000c0de", score = 40 }]
        """,
        "test",
    )
    advert = Advert(name="Kitchen Scale", services=("5ca1ab1e-0000-4000-8000-00000000c0de",))
    found = registry.detector(load().joined([model])).detect(OTHER, advert)
    assert (found.model_id, found.protocol) == ("kitchen-scale", "espressif")


@given(
    st.one_of(st.text(max_size=20), st.sampled_from([OWN, OTHER, MAC_UUID])),
    st.builds(
        Advert,
        name=names,
        services=st.lists(uuids, max_size=5).map(tuple),
        service_data=st.dictionaries(uuids, st.binary(max_size=8), max_size=4),
        manufacturer_data=st.dictionaries(st.integers(0, 0xFFFF) | st.just(0x03FF), st.binary(max_size=8), max_size=3),
    ),
)
def test_nothing_that_is_advertised_breaks_it(address: str, advert: Advert) -> None:
    found = DETECTOR.detect(address, advert)
    DETECTOR.setup_state(advert)
    if found.model_id is not None:
        assert found.certainty is not Certainty.UNKNOWN
        assert found.score >= 20
        assert found.reasons
    assert all(reason.isprintable() for reason in (*found.reasons, found.note))
