"""A PostgreSQL server that is not on this computer: it must show a certificate that is trusted and fits its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from installer.cli.main import _main
from installer.errors import ErrorCode
from tests.flow.support import lines
from tests.postgres import PostgresServer

PASSWORD = "database-password-that-nobody-may-see"
# 0.0.0.0 is this computer, and does not count as it: it stands for another one.
HOST = "0.0.0.0"
FAILED = ErrorCode.DATABASE_FAILED.exit_status


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[PostgresServer]:
    """A server with TLS that asks for a password, by SCRAM or (for the user `careless`) in clear text."""
    with PostgresServer() as server:
        rules = ["host all careless 127.0.0.1/32 password", "host all all 127.0.0.1/32 scram-sha-256"]
        server.listen(authority.issue_cert(HOST, "127.0.0.1"), rules)
        for user in ("clinic", "careless"):
            server.execute(f"CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        yield server


@pytest.fixture
def root(authority: trustme.CA, tmp_path: Path) -> Path:
    """The certificate of the server's authority."""
    path = tmp_path / "root.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DEVICE_INSTALLER_LEDGER_PASSWORD", PASSWORD)
    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PGSSLROOTCERT", "DEVICE_INSTALLER_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    return folder


def url_of(server: PostgresServer, query: str = "", user: str = "clinic", host: str = HOST) -> str:
    name = server.database().partition("@/")[2].partition("?")[0]
    return f"postgresql://{user}@{host}:{server.port}/{name}{query}"


def status(url: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    found = _main(["ledger", "status", "--ledger", url])
    said = capsys.readouterr()
    assert PASSWORD not in said.out + said.err
    return found, said.out, said.err


def test_a_server_that_proves_itself_is_used_and_it_is_said(
    server: PostgresServer, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = url_of(server, f"?sslrootcert={root}")
    assert _main(["ledger", "migrate", "--ledger", url]) == 0
    capsys.readouterr()
    found, out, _ = status(url, capsys)
    assert found == 0
    assert "encrypted and verified; SCRAM-SHA-256, which does not send the password" in out
    assert _main(["ledger", "status", "--ledger", url, "--json"]) == 0
    connection = json.loads(capsys.readouterr().out)["connection"]
    assert (connection["encrypted"], connection["verified"], connection["is_safe"]) == (True, True, True)
    assert _main(["records", "list", "--ledger", url]) == 0


@pytest.mark.parametrize("by", ["SSL_CERT_FILE", "PGSSLROOTCERT", "root.crt", "system"])
def test_the_authority_is_taken_from_where_people_keep_it(
    server: PostgresServer, root: Path, by: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "root.crt":
        folder = Path.home() / ".postgresql"
        folder.mkdir()
        root.rename(folder / by)
    else:
        monkeypatch.setenv("SSL_CERT_FILE" if by == "system" else by, str(root))
    found, out, _ = status(url_of(server, "?sslrootcert=system" if by == "system" else ""), capsys)
    assert found == 0
    assert "encrypted and verified" in out


def test_each_refusal_names_who_has_to_do_what(
    server: PostgresServer, root: Path, authority: trustme.CA, capsys: pytest.CaptureFixture[str]
) -> None:
    found, _, said = status(url_of(server), capsys)
    assert (found, "not trusted here" in said, "?sslrootcert=FILE" in said) == (FAILED, True, True)
    found, _, said = status(
        url_of(server, f"?sslrootcert={root}&hostaddr=127.0.0.1&sslmode=verify-full", host="db"), capsys
    )
    assert (found, "certificate of another server" in said) == (FAILED, True)
    found, _, said = status(url_of(server, "?sslrootcert=/nonexistent/root.pem"), capsys)
    assert (found, "certificates for the database server is not there" in said) == (FAILED, True)
    found, _, said = status(url_of(server, f"?sslrootcert={root}", "careless"), capsys)
    assert (found, "clear text. It was not sent" in said, "pg_hba.conf" in said) == (FAILED, True, True)


def test_what_the_url_allows_is_used_and_called_what_it_is(
    server: PostgresServer, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for query, user, words in (
        ("?sslmode=require", "clinic", "encrypted, not verified"),
        ("?sslmode=disable", "clinic", "not encrypted: somebody on the way can read"),
        (
            f"?sslrootcert={root}&require_auth=password",
            "careless",
            "encrypted and verified; the password in clear text",
        ),
    ):
        found, out, _ = status(url_of(server, query, user), capsys)
        assert (found, words in out) == (0, True), query
    found, out, _ = status(url_of(server, host="127.0.0.1"), capsys)
    assert (found, "SCRAM-SHA-256, which does not send the password" in out) == (0, True)
    found, out, _ = status(server.database(), capsys)
    assert (found, "not encrypted; the server is on this computer; without a password" in out) == (0, True)


def test_doctor_says_it_of_the_ledger_and_of_the_measurements(
    server: PostgresServer, root: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = home / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    ledger, data = url_of(server, f"?sslrootcert={root}"), url_of(server, "?sslmode=disable")
    password = 'password = { env = "DEVICE_INSTALLER_LEDGER_PASSWORD" }'
    config.write_text(f'[ledger]\nurl = "{ledger}"\n[data]\nurl = "{data}"\n{password}\n', "utf-8")
    _main(["doctor", "--json"])
    found = {one["subject"]: one for one in lines(capsys.readouterr().out)}
    assert (found["ledger"]["state"], "encrypted and verified" in found["ledger"]["text"]) == ("ok", True)
    assert (found["measurements"]["state"], "not encrypted" in found["measurements"]["text"]) == ("warning", True)


def test_a_server_without_tls_is_not_used(capsys: pytest.CaptureFixture[str]) -> None:
    with PostgresServer() as plain:
        plain.listen(None, ["host all all 127.0.0.1/32 scram-sha-256"])
        plain.execute(f"CREATE ROLE clinic LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        found, _, said = status(url_of(plain), capsys)
        assert (found, "offers no encryption (TLS)" in said) == (FAILED, True)
        found, out, _ = status(url_of(plain, "?sslmode=disable"), capsys)
        assert (found, "SCRAM-SHA-256" in out) == (0, True)
