"""The stored accounts: known and unknown names, signing out, and lazy imports."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import SecretStr

from installer.cloud.accounts import Accounts
from installer.cloud.token_store import TokenStore
from installer.errors import ErrorCode, InstallerError
from tests.installer.cloud.world import Lab, lab


async def test_an_unknown_account_names_the_known_ones_and_the_command(practice: Lab) -> None:
    await practice.sign_in("clinic")
    await practice.sign_in("home")
    with pytest.raises(InstallerError) as caught:
        await practice.accounts.open("my office")
    assert caught.value.code is ErrorCode.ACCOUNT_UNKNOWN
    assert caught.value.data["known"] == ["clinic", "home"]
    assert "“clinic”, “home”" in caught.value.todo
    assert "device-installer account login 'my office'" in caught.value.todo


async def test_no_account_at_all(practice: Lab) -> None:
    assert await practice.accounts.stored() == []
    with pytest.raises(InstallerError) as caught:
        await practice.accounts.open("default")
    assert "No account is stored yet" in caught.value.todo


async def test_an_account_serves_a_later_program(practice: Lab) -> None:
    await practice.sign_in("clinic")
    later = practice.another()
    assert await (await later.open("clinic")).devices() == []
    await later.close()


async def test_signing_in_again_replaces_the_tokens(practice: Lab) -> None:
    first = await (await practice.sign_in("clinic")).access_token()
    second = await (await practice.sign_in("clinic")).access_token()
    assert first != second
    assert len(await practice.accounts.stored()) == 1


async def test_signing_out_forgets_the_tokens_of_one_account(practice: Lab) -> None:
    await practice.sign_in("clinic")
    await practice.sign_in("home")
    await practice.accounts.logout("clinic")
    assert [a.name for a in await practice.accounts.stored()] == ["home"]
    with pytest.raises(InstallerError) as caught:
        await practice.accounts.logout("clinic")
    assert caught.value.code is ErrorCode.ACCOUNT_UNKNOWN


async def test_an_account_of_the_lab_is_unknown_to_the_real_cloud(practice: Lab) -> None:
    await practice.sign_in("default")
    from installer.settings import CloudSettings

    real = Accounts(CloudSettings(client_id="lab-client"), TokenStore(practice.folder, "file"))
    assert await real.stored() == []
    with pytest.raises(InstallerError) as caught:
        await real.open("default")
    await real.close()
    assert caught.value.code is ErrorCode.ACCOUNT_UNKNOWN


async def test_a_new_lab_does_not_take_the_tokens_of_the_last_one(practice: Lab) -> None:
    await practice.sign_in("default")
    async with lab(practice.folder) as other:
        with pytest.raises(InstallerError) as caught:
            await other.accounts.open("default")
        assert caught.value.code is ErrorCode.ACCOUNT_UNKNOWN
        assert await (await other.sign_in("default")).devices() == []


def test_listing_accounts_loads_no_http_and_no_web_server() -> None:
    program = (
        "import sys, installer.settings, installer.cloud.accounts, installer.cloud.token_store, installer.qr.draw\n"
        "print([m for m in ('httpx', 'uvicorn', 'starlette', 'stamina', 'keyring', 'qrcode') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_closing_twice_is_no_trouble(practice: Lab) -> None:
    await practice.sign_in()
    await practice.accounts.close()
    await practice.accounts.close()
    assert await (await practice.accounts.open("default")).devices() == []


def test_settings_of_the_lab_show_no_secret(practice: Lab) -> None:
    shown = f"{practice.cloud} {practice.cloud!r} {practice.cloud.model_dump()} {practice.cloud.model_dump_json()}"
    assert "lab-secret" not in shown
    assert SecretStr("lab-secret") == practice.cloud.fetch_secret()
