"""Each decoder takes any bytes without anything but its own errors; what fuzzing found is kept here."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import all_targets

TARGETS = all_targets()


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes(name: str, data: bytes) -> None:
    # Whatever it may not raise fails the test.
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_what_well_behaved_devices_say_a_little_changed(name: str) -> None:
    dice = random.Random(name)
    for seed in TARGETS[name].seeds:
        TARGETS[name](seed)
        for _ in range(20):
            changed = bytearray(seed)
            for _ in range(dice.randint(1, 3)):
                changed[dice.randrange(len(changed))] = dice.randrange(256)
            TARGETS[name](bytes(changed[: dice.randint(1, len(changed))]))


@pytest.mark.parametrize("name", TARGETS)
def test_every_function_has_a_seed_that_it_accepts(name: str) -> None:
    accepted = {seed[0] % len(TARGETS[name].functions) for seed in TARGETS[name].seeds if TARGETS[name].accepts(seed)}
    assert accepted == set(range(len(TARGETS[name].functions)))
