"""The same lab and home as the flow tests use."""

from __future__ import annotations

from tests.flow.conftest import home, world

__all__ = ["home", "world"]
