"""The same lab as the flow tests use; a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flow.conftest import home, world
from tests.postgres import PostgresServer

__all__ = ["home", "world"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server; `postgres.database()` is the URL of a new database."""
    with PostgresServer() as server:
        yield server
