"""The same lab and home as the flow tests use, and the PostgreSQL server of the system tests."""

from __future__ import annotations

from tests.flow.conftest import home, world
from tests.system.conftest import postgres

__all__ = ["home", "postgres", "world"]
