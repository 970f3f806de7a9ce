"""Settings: the folders and their environment variables, the file and its mistakes, clouds by address."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.settings import CloudSettings
from installer.storage.secret_references import SecretRef


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "CONFIG_DIR", "DATA_DIR", "STATE_DIR", "RUNTIME_DIR", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"DEVICE_INSTALLER_{name}", raising=False)
    monkeypatch.setenv("DEVICE_INSTALLER_CONFIG_DIR", str(tmp_path))


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return path


def failing(path: Path | None = None) -> InstallerError:
    with pytest.raises(InstallerError) as caught:
        settings.load(path)
    assert caught.value.code is ErrorCode.SETTINGS_INVALID
    return caught.value


def test_the_folders_are_the_systems_and_each_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DEVICE_INSTALLER_CONFIG_DIR")
    kinds = {
        "config": settings.config_dir,
        "data": settings.data_dir,
        "state": settings.state_dir,
        "runtime": settings.runtime_dir,
    }
    assert all("device-installer" in str(folder()) for folder in kinds.values())
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    assert {folder() for folder in kinds.values()} == {tmp_path / "home" / kind for kind in kinds}
    for kind, folder in kinds.items():
        monkeypatch.setenv(f"DEVICE_INSTALLER_{kind.upper()}_DIR", str(tmp_path / f"own-{kind}"))
        assert folder() == tmp_path / f"own-{kind}"
    assert not list(tmp_path.iterdir())


def test_without_a_file_the_cloud_is_the_vendors() -> None:
    cloud = settings.load().cloud
    assert (cloud.api, cloud.authorize) == ("https://wbsapi.withings.net", "https://account.withings.com")
    assert cloud.redirect_uri == "http://localhost:8080/callback"
    assert cloud.scopes == ("user.info", "user.metrics", "user.activity")
    assert min(cloud.poll_seconds) >= 5
    assert cloud.requests_per_minute < 120
    assert settings.load().accounts.backend is None


def test_a_file(tmp_path: Path) -> None:
    written(
        tmp_path,
        """
        [cloud]
        client_id = "my-app"
        client_secret = { env = "MY_SECRET" }
        redirect_uri = "https://clinic.example/done"
        scopes = ["user.info", "user.metrics", "user.sleepevents"]
        [accounts]
        keep_in = "file"
        """,
    )
    found = settings.load()
    assert found.cloud.client_id == "my-app"
    assert found.cloud.client_secret == SecretRef(env="MY_SECRET")
    assert found.accounts.backend == "file"


def test_the_client_id_and_the_secret_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_ID", " env-app ")
    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_SECRET", "env-secret")
    cloud = settings.load().cloud
    assert cloud.client_id == "env-app"
    assert cloud.fetch_secret() == SecretStr("env-secret")
    assert "env-secret" not in repr(cloud)


def test_a_missing_secret() -> None:
    with pytest.raises(InstallerError) as caught:
        settings.load().cloud.fetch_secret()
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE
    assert "DEVICE_INSTALLER_CLIENT_SECRET" in caught.value.what


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("version = 1\ncloud = ]\n", "line 2"),
        ("[cloud]\nclient_id = 7", "cloud.client_id"),
        ("[cloud]\nclientid = 'x'", "cloud.clientid: there is no such key"),
        ("[clouds]", "clouds"),
        ("version = 2", "version"),
        ("[cloud]\napi = 'ftp://x'", "cloud.api"),
        ("[cloud]\napi = 'http://wbsapi.withings.net'", "cloud.api: tokens are sent over https"),
        ("[cloud]\napi = 'https://user@x.example'", "cloud.api"),
        ("[cloud]\napi = 'https://x.example:port'", "cloud.api"),
        ("[cloud]\nredirect_uri = 'http://clinic.example/'", "cloud.redirect_uri"),
        ("[cloud]\nredirect_uri = 'localhost:8080'", "cloud.redirect_uri"),
        ("[cloud]\nredirect_uri = 'http://localhost:99999/'", "cloud.redirect_uri"),
        ("[cloud]\nscopes = []", "cloud.scopes"),
        ("[cloud]\nscopes = ['user.info,user.metrics']", "cloud.scopes"),
        ("[cloud]\npoll_seconds = [0, 5]", "cloud.poll_seconds"),
        ("[cloud]\nclient_secret = { env = 'A', file = 'B' }", "cloud.client_secret"),
        ("[accounts]\nkeep_in = 'clipboard'", "accounts.keep_in"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, text: str, where: str) -> None:
    path = written(tmp_path, text)
    error = failing()
    assert str(path) in error.what
    assert where in error.what
    assert error.data["file"] == str(path)


@pytest.mark.parametrize(
    "line", ["client_secret = 'hunter2-hunter2'", "secret = 'hunter2-hunter2'", "_secret = 'hunter2-hunter2'"]
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, line: str) -> None:
    written(tmp_path, f"[cloud]\n{line}")
    error = failing()
    assert "hunter2" not in str(error) + str(error.data)
    assert "{ env =" in error.todo


@pytest.mark.parametrize("url", ["https://wbsapi.us.withingsmed.net", "https://account.us.withingsmed.com/"])
def test_one_of_the_vendors_clouds_by_either_host(url: str) -> None:
    cloud = CloudSettings(client_id="app").at(url)
    assert cloud.api == "https://wbsapi.us.withingsmed.net"
    assert cloud.authorize == "https://account.us.withingsmed.com"
    assert cloud.client_id == "app"


def test_any_other_cloud_by_one_address() -> None:
    cloud = CloudSettings(client_id="app").at("https://cloud.example:8443/base/")
    assert cloud.api == cloud.authorize == "https://cloud.example:8443/base"
    assert cloud.redirect_uri == "http://localhost:8080/callback"
    assert "cloud.example" in cloud.name


def test_a_cloud_on_this_computer_uses_any_free_port_for_the_redirect() -> None:
    assert CloudSettings().at("http://127.0.0.1:4001").redirect_uri == "http://localhost:0/callback"


@pytest.mark.parametrize(
    "url", ["", "wbsapi.withings.net", "http://wbsapi.withings.net", "https://x/?a=b", "https://[::1"]
)
def test_an_invalid_cloud_address(url: str) -> None:
    with pytest.raises(InstallerError) as caught:
        CloudSettings().at(url)
    assert caught.value.code is ErrorCode.SETTINGS_INVALID


def test_the_labs_cloud() -> None:
    cloud = CloudSettings().at_lab("http://127.0.0.1:4001", "lab-client", SecretStr("lab-secret"))
    assert cloud.fetch_secret() == SecretStr("lab-secret")
    assert "lab-secret" not in f"{cloud!r} {cloud.model_dump()} {cloud.model_dump_json()}"
    assert max(cloud.poll_seconds) <= 1


def test_settings_are_immutable() -> None:
    with pytest.raises(ValidationError):
        settings.load().cloud.client_id = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("host", "here"),
    [("localhost", True), ("LOCALHOST", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
     ("example.org", False), ("localhost.example.org", False), ("0.0.0.0", False), ("", False)],
)  # fmt: skip
def test_loopback_addresses(host: str, here: bool) -> None:
    assert settings.is_loopback(host) is here


def test_the_consent_of_a_user_is_by_address_and_its_code_is_a_place(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    head = '[gateway.consent."f0:12:34:56:78:9a"]\nuser = 2\n'
    file.write_text(head + 'code = { env = "SCALE_CODE" }\n')
    found = settings.load(file).gateway.consent["F0:12:34:56:78:9A"]
    assert (found.user, found.code.env) == (2, "SCALE_CODE")
    for wrong in ("code = 4711", 'code = "4711"'):
        file.write_text(head + wrong)
        with pytest.raises(InstallerError) as caught:
            settings.load(file)
        assert caught.value.code is ErrorCode.SETTINGS_INVALID
        assert "4711" not in f"{caught.value} {caught.value.data}"
