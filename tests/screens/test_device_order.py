"""The order of the found devices, without a screen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from installer.bluetooth.sighting import SetupState
from screens.choice_list import fitted
from screens.device_order import SETTLE_SECONDS, DeviceOrder, matches
from tests.screens.fake_engine import sighting


def test_new_known_models_first_then_signal() -> None:
    seen = [
        sighting("A", "other", None, -40),
        sighting("B", "set up", "body", -40, state=SetupState.SET_UP),
        sighting("C", "weak", "body", -85),
        sighting("D", "strong", "body", -50),
    ]
    assert [s.address for s in DeviceOrder().arrange(seen, 0, False)] == ["D", "C", "B", "A"]


def test_rows_settle_after_two_seconds_or_at_the_first_move() -> None:
    weak, strong = sighting("A", "a", "body", -90), sighting("B", "b", "body", -40)
    order = DeviceOrder()
    order.arrange([], 0, False)
    assert [s.address for s in order.arrange([weak], 10, False)] == ["A"]
    assert [s.address for s in order.arrange([weak, strong], 10 + SETTLE_SECONDS / 2, False)] == ["B", "A"]
    swapped = [sighting("A", "a", "body", -40), sighting("B", "b", "body", -90)]
    assert [s.address for s in order.arrange(swapped, 10 + SETTLE_SECONDS / 2, True)] == ["B", "A"]
    assert [s.address for s in order.arrange(swapped, 10 + SETTLE_SECONDS, False)] == ["B", "A"]
    order.sort()
    assert [s.address for s in order.arrange(swapped, 10 + SETTLE_SECONDS, True)] == ["A", "B"]


def test_every_word_must_match_somewhere() -> None:
    device = sighting("00:24:E4:AA:BB:CC", "Body+ 3C", "body-plus")
    assert matches(device, "Body+", "")
    assert matches(device, "Body+", "3c BODY")
    assert matches(device, "Body+", "aa:bb improv")
    assert not matches(device, "Body+", "3c sleep")


DEVICES = st.dictionaries(
    st.integers(0, 30),
    st.tuples(st.integers(-100, -30), st.sampled_from([None, "body"]), st.sampled_from(SetupState)),
    max_size=20,
)


@given(st.lists(DEVICES, min_size=2, max_size=6))
def test_once_settled_known_rows_never_change_places(
    rounds: list[dict[int, tuple[int, str | None, SetupState]]],
) -> None:
    order, before = DeviceOrder(), []
    for index, devices in enumerate(rounds):
        seen = [sighting(f"{k:02}", "x", m, rssi, state=state) for k, (rssi, m, state) in devices.items()]
        now = [s.address for s in order.arrange(seen, index * 10.0, False)]
        assert sorted(now) == sorted(s.address for s in seen)
        kept = [k for k in before if k in now]
        assert [k for k in now if k in kept] == kept
        before = now


@given(st.text(max_size=60), st.integers(0, 40))
def test_a_cell_has_exactly_its_width(text: str, width: int) -> None:
    from rich.cells import cell_len

    assert cell_len(fitted(text.replace("\n", " "), width)) == width
