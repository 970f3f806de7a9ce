"""The store on PostgreSQL: the same behaviours as on SQLite."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.measurements.store import Store
from tests.installer.measurements.store_behaviours import StoreBehaviours
from tests.postgres import PostgresServer


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    return postgres.database()


class TestOnPostgres(StoreBehaviours):
    pass


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    with pytest.raises(InstallerError) as caught:
        Store.open("postgresql://somebody@/nowhere?host=/nonexistent", password=lambda: SecretStr("secret-password"))
    assert caught.value.code is ErrorCode.DATABASE_FAILED
    assert "secret-password" not in f"{caught.value} {caught.value.data}"
