"""Each decoder takes any bytes without anything but its own errors; what fuzzing found is kept here."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.decoders import DECODERS
from tests.fuzz.seeds import SEEDS


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes(name: str, data: bytes) -> None:
    # Whatever it may not raise fails the test.
    DECODERS[name](data)


@pytest.mark.parametrize("name", DECODERS)
def test_what_well_behaved_devices_say_a_little_changed(name: str) -> None:
    dice = random.Random(name)
    for seed in SEEDS[name]:
        DECODERS[name](seed)
        for _ in range(20):
            changed = bytearray(seed)
            for _ in range(dice.randint(1, 3)):
                changed[dice.randrange(len(changed))] = dice.randrange(256)
            DECODERS[name](bytes(changed[: dice.randint(1, len(changed))]))


@pytest.mark.parametrize("name", DECODERS)
def test_every_function_has_a_seed_that_it_accepts(name: str) -> None:
    accepted = {seed[0] % len(DECODERS[name].functions) for seed in SEEDS[name] if DECODERS[name].accepts(seed)}
    assert accepted == set(range(len(DECODERS[name].functions)))
