"""Each decoder takes any bytes without anything but its own errors; what fuzzing found is kept here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.decoders import DECODERS


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.binary(max_size=300))
def test_any_bytes(name: str, data: bytes) -> None:
    # Whatever it may not raise fails the test.
    DECODERS[name](data)
