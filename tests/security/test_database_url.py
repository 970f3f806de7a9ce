"""The URL of a database: it holds no password in any spelling, and no server gets the password in clear text."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.ledger import location
from installer.measurements.open_store import open_store
from installer.settings import LedgerSettings, Settings
from installer.storage import database, postgresql
from tests.security.postgres_listener import CLEAR_TEXT, MD5, NOTHING, AskingListener

SECRET = "database-password-that-nobody-may-see"
WITH_PASSWORD = [
    f"postgresql://me:{SECRET}@db/x",
    f"postgres://:{SECRET}@db/x",
    f"postgresql://me:{SECRET}#1@db/x",
    f"postgresql://me:{SECRET}/?@db/x",
    f"postgresql+psycopg://me:{SECRET}@db/x",
    *(
        f"postgresql://me@db/x?{name}={SECRET}"
        for name in (
            *("password", "PASSWORD", "passw%6Frd", "%70assword", "sslmode=disable&password", "a=b&sslpassword"),
            *(
                "sslpass%77ord",
                "oauth_client_secret",
                "scram_client_key",
                "scram_server_key",
                "conninfo",
                "#x&password",
            ),
        )
    ),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGSSLMODE", "PGREQUIREAUTH", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_a_password_in_a_url_is_refused_wherever_it_is_given(
    url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = []
    for given in (
        lambda: location.target(url, LedgerSettings()),
        lambda: open_store(Settings(), given=url),
        lambda: database.open_engine(url),
    ):
        with pytest.raises(InstallerError) as raised:
            given()
        refusals.append(raised.value)
    monkeypatch.setenv(location.URL_VARIABLE, url)
    with pytest.raises(InstallerError) as raised:
        location.target(None, LedgerSettings())
    refusals.append(raised.value)
    for section in ("data", "ledger"):
        path = home / "config.toml"
        path.write_text(f"[{section}]\nurl = '{url}'\n", "utf-8")
        with pytest.raises(InstallerError) as raised:
            settings.load(path)
        assert raised.value.code is ErrorCode.SETTINGS_INVALID
        refusals.append(raised.value)
    for refused in refusals:
        assert "password" in refused.what
        assert SECRET not in f"{refused} {refused.data} {refused!r}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@db/x",
        "postgresql://me@[::1]:5432/x?sslmode=require",
        "postgresql:///x?host=/run/postgresql&passfile=/home/me/.pgpass",
        "sqlite:////tmp/a:b@c/password.sqlite",
    ],
)
def test_a_url_without_a_password_is_taken(url: str) -> None:
    assert settings.check_database_url(url) == url


REMOTE = {"sslmode": "verify-full", "require_auth": "scram-sha-256"}
PORT = {"require_auth": "scram-sha-256"}  # of this computer: any user can listen on one
SOCKET = {"require_auth": "!password,!md5"}


@pytest.mark.parametrize(
    ("url", "variables", "expected"),
    [
        ("postgresql://db.example/x", {}, REMOTE),
        ("postgresql://192.0.2.7/x", {}, REMOTE),
        ("postgresql://localhost.example/x", {}, REMOTE),
        ("postgresql://me@/x?host=db.example", {}, REMOTE),
        ("postgresql://me@/x?host=localhost&host=db.example", {}, REMOTE),
        ("postgresql://me@/x?host=localhost,db.example", {}, REMOTE),
        ("postgresql://localhost/x?hostaddr=192.0.2.7", {}, REMOTE),
        ("postgresql:///x", {"PGHOST": "db.example"}, REMOTE),
        ("postgresql://localhost/x", {"PGHOSTADDR": "192.0.2.7"}, REMOTE),
        ("postgresql:///x?service=clinic", {}, REMOTE),
        ("postgresql://localhost/x", {"PGSERVICE": "clinic"}, REMOTE),
        # Only the URL can ask for less.
        ("postgresql://db.example/x", {"PGSSLMODE": "disable", "PGREQUIREAUTH": "password"}, REMOTE),
        ("postgresql://db.example/x?sslmode=require", {}, {"require_auth": "scram-sha-256"}),
        ("postgresql://db.example/x?require_auth=md5", {}, {"sslmode": "verify-full"}),
        ("postgresql://localhost/x", {}, PORT),
        ("postgresql://127.0.0.1/x", {}, PORT),
        ("postgresql://127.1.2.3/x", {"PGREQUIREAUTH": "md5"}, PORT),
        ("postgresql://[::1]/x", {}, PORT),
        ("postgresql://db.example/x?hostaddr=127.0.0.1", {}, PORT),
        ("postgresql:///x?host=/run/postgresql&host=localhost", {}, PORT),
        ("postgresql:///x", {"PGHOST": "localhost"}, PORT),
        ("postgresql://localhost/x?require_auth=none", {}, {}),
        ("postgresql:///x", {}, SOCKET),
        ("postgresql:///x?host=/run/postgresql", {}, SOCKET),
        ("postgresql:///x?host=@abstract", {}, SOCKET),
        ("postgresql:///x?require_auth=password", {}, {}),
        ("postgresql:///x", {"PGREQUIREAUTH": "scram-sha-256"}, {}),
        ("postgresql:///x", {"PGREQUIREAUTH": "password"}, SOCKET),
        ("postgresql:///x?host=/run/postgresql", {"PGREQUIREAUTH": "none"}, SOCKET),
    ],
)
def test_what_a_server_must_do_before_it_gets_a_password(
    url: str, variables: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = postgresql.connect_arguments(database.parse_url(url), "--ledger")
    assert {name: found[name] for name in ("sslmode", "require_auth") if name in found} == expected


@pytest.mark.parametrize("name", ["autocommit", "row_factory", "conn%69nfo", "%2570assword", "context", "SSLMODE"])
def test_a_parameter_that_libpq_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(InstallerError) as raised:
        database.open_engine(f"postgresql://db.example/x?{name}=1", "--ledger")
    assert raised.value.code is ErrorCode.DATABASE_FAILED


@pytest.mark.parametrize("query", ["host=a:x,b:y", "host=a:1&host=b", "port=1&port=2&port=3", "host=a&host=b:7:7"])
def test_hosts_that_make_no_sense_are_an_error_and_no_defect(query: str) -> None:
    with pytest.raises(InstallerError) as raised:
        connect(f"postgresql:///x?{query}&connect_timeout=2")
    assert raised.value.code is ErrorCode.DATABASE_FAILED


def test_which_certificates_are_trusted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def root(query: str = "") -> object:
        url = database.parse_url(f"postgresql://db.example/x{query}")
        return postgresql.connect_arguments(url, "--ledger").get("sslrootcert")

    assert Path(str(root())).is_file()
    mine = home / "ca.pem"
    mine.write_text("a certificate", "utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(mine))
    assert root() == str(mine)
    assert root("?sslrootcert=system") == str(mine)
    # libpq finds these by itself.
    assert root("?sslrootcert=/etc/clinic/ca.pem") is None
    assert root("?sslmode=require") is None
    monkeypatch.setenv("PGSSLROOTCERT", str(mine))
    assert root() is None
    monkeypatch.delenv("PGSSLROOTCERT")
    own = home / ".postgresql" / "root.crt"
    own.parent.mkdir()
    own.write_text("a certificate", "utf-8")
    assert root() is None


def test_a_library_that_cannot_refuse_a_clear_text_password_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # No real part: the installed libpq can.
    from psycopg import pq

    monkeypatch.setattr(pq, "version", lambda: 150004)
    with pytest.raises(InstallerError, match="libpq 15") as raised:
        postgresql.connect_arguments(database.parse_url("postgresql://db.example/x"), "--ledger")
    assert "psycopg[binary]" in raised.value.todo
    assert "require_auth" not in postgresql.connect_arguments(database.parse_url("postgresql:///x"), "--ledger")


def connect(url: str) -> None:
    engine = database.open_engine(url, password=lambda: SecretStr(SECRET))
    try:
        with database.database_errors("be opened"), engine.connect():
            pass
    finally:
        engine.dispose()


# 0.0.0.0 is this computer, and does not count as it: it stands for another one.
@pytest.mark.parametrize(
    ("request_", "host", "query", "said"),
    [
        (CLEAR_TEXT, "0.0.0.0", "", "offers no encryption"),
        (CLEAR_TEXT, "0.0.0.0", "?sslmode=disable", "in clear text. It was not sent"),
        (CLEAR_TEXT, "0.0.0.0", "?sslmode=prefer", "in clear text. It was not sent"),
        (MD5, "0.0.0.0", "?sslmode=disable", "does not use scram-sha-256"),
        (NOTHING, "0.0.0.0", "?sslmode=disable", "does not use scram-sha-256"),
        (CLEAR_TEXT, "127.0.0.1", "", "in clear text. It was not sent"),
        (MD5, "127.0.0.1", "", "does not use scram-sha-256"),
        (MD5, "localhost", "", "does not use scram-sha-256"),
        (NOTHING, "127.0.0.1", "", "does not use scram-sha-256"),
        (CLEAR_TEXT, "socket", "", "in clear text. It was not sent"),
        (MD5, "socket", "", "does not use scram-sha-256"),
    ],
)
def test_a_listener_that_asks_for_the_password_gets_none(
    request_: bytes, host: str, query: str, said: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("pg") if host == "socket" else None
    with AskingListener(request_, folder) as listener:
        at = f"{host}:{listener.port}/x{query}" if folder is None else f"/x?host={folder}&port={listener.port}"
        with pytest.raises(InstallerError) as raised:
            connect(f"postgresql://me@{at}")
        assert listener.received
        assert SECRET.encode() not in listener.received
        assert b"md5" not in listener.received
    assert raised.value.code is ErrorCode.DATABASE_FAILED
    assert said in raised.value.what
    assert SECRET not in f"{raised.value} {raised.value.data}"


def test_the_url_can_allow_it() -> None:
    with AskingListener(CLEAR_TEXT) as listener:
        with pytest.raises(InstallerError):
            connect(
                f"postgresql://me@0.0.0.0:{listener.port}/x?sslmode=disable&require_auth=password&connect_timeout=2"
            )
        assert SECRET.encode() in listener.received


@pytest.mark.parametrize("name", ["sslkeylogfile", "sslkey%6Cogfile", "SSLKEYLOGFILE"])
def test_no_url_has_the_keys_of_the_connection_written_down(name: str, tmp_path: Path) -> None:
    with pytest.raises(InstallerError, match="cannot be used") as caught:
        database.open_engine(f"postgresql://me@db/x?{name}={tmp_path}/keys")
    assert caught.value.code is ErrorCode.DATABASE_FAILED
