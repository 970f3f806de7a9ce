"""Values that no program of ours writes into a database, for tests that put them there by SQL."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

# They clear the screen, change its title, hide what follows, forge a line, turn the direction round, are markup.
HOSTILE_TEXT = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e\x7f\r\nforged line [red]x[/] [@click=app.quit]y[/]"
DEEP = "[" * 900 + "]" * 900

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["find", "device", "name", "cloud", "catalogues", "rssi", "method", "forgotten", "later", "A"]
    ), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
odd_json = st.one_of(
    _json.map(json.dumps),
    st.sampled_from(
        ["[1]", '"x"', "{", "null", "7", '{"find": "x"}', '{"find": {"device": 7}}', '{"a": 1e999}', '{"a": NaN}', DEEP]
        + ['{"catalogues": 7}', '{"cloud": []}', '{"rssi": Infinity}', '"\\ud800"', '{"A": 5}', "1" * 5000, "[" * 99999]
    ),
)
odd_value: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=8),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(
        [HOSTILE_TEXT, "", "a/../b", "; rm x", "x" * 100_000, "yesterday", "null", "0001-01-01T00:00:00.000+00:00"]
    ),
    st.sampled_from(["9999-12-31T23:59:59.999+00:00", "2026-11-01", "2026-02-31T00:00:00.000+00:00", "running", "-1"]),
    st.sampled_from([-1, 0, 1e308, float("inf"), b"\xff\xfe", "perhaps", "smoke", "failed", "interrupted"]),
)
