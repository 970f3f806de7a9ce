"""Opening a PostgreSQL database, on a real server."""

from __future__ import annotations

from sqlalchemy import text

from installer.storage import database
from tests.postgres import PostgresServer


def test_a_database_is_opened_by_its_url(postgres: PostgresServer) -> None:
    engine = database.open_engine(postgres.database())
    with database.database_errors("say its version"), engine.connect() as connection:
        assert str(connection.execute(text("SELECT version()")).scalar_one()).startswith("PostgreSQL")
    engine.dispose()
