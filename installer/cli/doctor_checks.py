"""The checks of `doctor`: each looks at one thing that an installation needs, and stops no other."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import datetime
from importlib import metadata
from typing import TypeVar

from installer import settings
from installer.cli import crash_report
from installer.cli.doctor_finding import Check, Computer, Finding
from installer.cli.doctor_place import check_folders, check_protocol_packages, check_terminal
from installer.errors import ErrorCode, InstallerError
from installer.flow.run_options import RunConfig
from installer.flow.run_resources import RunResources
from installer.storage.secret_references import SecretRef
from installer.text import printable
from installer.timing.deadlines import call_with_deadline

OWN_PACKAGES = ("installer", "screens", "assets")
DISTRIBUTION = "device-installer"
KEYRING_TIMEOUT_SECONDS = 5.0
CLOUD_SECONDS = 10.0
# Two servers may stand behind one name, and each is waited for.
DATABASE_SECONDS = 25.0
# A lab that has to be started takes longest.
CHECK_SECONDS = 40.0
T = TypeVar("T")


async def run_checks(config: RunConfig) -> list[Finding]:
    """All findings, in the order in which a user would fix them. A check that fails stops no other check."""
    computer = Computer(config)
    checks: tuple[tuple[str, Check], ...] = (
        ("settings", _settings),
        ("python", _python),
        ("names", _names),
        ("protocols", check_protocol_packages),
        ("catalogue", _catalogue),
        ("bluetooth", _bluetooth),
        ("keyring", _keyring),
        ("connection", _connection),
        ("cloud", _cloud),
        ("webhook", _webhook),
        ("gateway", _gateway_devices),
        ("time zones", _time_zones),
        ("terminal", check_terminal),
        ("folders", check_folders),
        ("accounts", _accounts),
        ("ledger", _ledger),
        ("measurements", _measurements),
    )
    try:
        return [finding for subject, check in checks for finding in await _guarded(subject, check, computer)]
    finally:
        if computer.resources is not None:
            await computer.resources.close()


async def _guarded(subject: str, check: Check, computer: Computer) -> list[Finding]:
    """What a check finds. What it dies of is a finding, too: it is what `doctor` is asked for."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            found = await check(computer)
    except InstallerError as error:
        found = Finding(subject=subject, state="error", text=error.what, todo=error.todo)
    except TimeoutError:
        text = f"This check did not end within {CHECK_SECONDS:.0f} s."
        found = Finding(subject=subject, state="error", text=text, todo="Start doctor again; restart the computer.")
    except Exception as error:  # noqa: BLE001 - what nobody foresaw must not hide the other findings
        found = Finding(
            subject=subject,
            state="error",
            text=f"This check failed by a defect of device-installer ({type(error).__name__}).",
            todo=crash_report.saved_where(error),
        )
    return found if isinstance(found, list) else [found]


async def _settings(computer: Computer) -> Finding:
    computer.resources = RunResources(computer.config)
    file = settings.config_dir() / settings.SETTINGS_FILE
    return Finding(subject="settings", state="ok", text=f"{file}" if file.exists() else f"none ({file})")


async def _catalogue(computer: Computer) -> Finding:
    if computer.resources is None:
        return _not_checked("catalogue")
    return Finding(subject="catalogue", state="ok", text=f"{len(computer.resources.catalogue.models)} models")


def _not_checked(subject: str) -> Finding:
    return Finding(subject=subject, state="warning", text="Not checked, because the settings are wrong.")


async def _python(_computer: Computer) -> Finding:
    return Finding(subject="python", state="ok", text=f"Python {sys.version.split()[0]} on {sys.platform}")


async def _names(_computer: Computer) -> Finding:
    """Check that no other distribution has our import names. Pypa's wheel library is also called `installer`."""
    owners = metadata.packages_distributions()
    for name in OWN_PACKAGES:
        others = sorted(set(owners.get(name, [])) - {DISTRIBUTION})
        if others:
            return Finding(
                subject="names",
                state="error",
                text=f"The package name “{name}” also belongs to {', '.join(others)} in this environment.",
                todo="Install device-installer in a separate environment (uv tool install, pipx).",
            )
    return Finding(subject="names", state="ok", text="installer, screens and assets have one owner")


async def _bluetooth(computer: Computer) -> Finding:
    from installer.bluetooth.open_adapter import check_adapter

    spec = computer.config.adapter
    if spec is None and computer.config.lab:
        if computer.resources is None:
            return _not_checked("bluetooth")
        spec = (await computer.resources.lab()).adapter
    return Finding(subject="bluetooth", state="ok", text=await check_adapter(spec))


async def _keyring(_computer: Computer) -> Finding:
    def backend_name() -> str:
        from installer.storage.keyring_backend import keyring_library

        return type(keyring_library().get_keyring()).__module__

    try:
        backend = await call_with_deadline(backend_name, KEYRING_TIMEOUT_SECONDS)
    except TimeoutError:
        backend = "keyring.backends.fail"
    if backend.endswith((".fail", ".null")):
        return Finding(
            subject="keyring",
            state="warning",
            text="This system has no keyring that works; tokens go into a file that only you can read.",
            todo=f"The tokens are stored in {settings.data_dir() / 'accounts'}.",
        )
    return Finding(subject="keyring", state="ok", text=f"keyring: {backend}")


async def _connection(computer: Computer) -> Finding:
    """The proxy and the certificates of this computer, without asking any server."""
    from installer.cloud.connection_settings import describe_connection

    cloud = await _cloud_settings(computer)
    if cloud is None:
        return _not_checked("connection")
    text = describe_connection(cloud.api)
    computer.can_connect = True
    return Finding(subject="connection", state="ok", text=text)


async def _cloud(computer: Computer) -> Finding | list[Finding]:
    from installer.cloud.http_client import HttpClient

    cloud = await _cloud_settings(computer)
    if cloud is None or not computer.can_connect:
        return []  # the check of the connection has said why
    client = HttpClient(cloud.api, cloud.api, seconds=CLOUD_SECONDS)
    try:
        async with client.stream("GET", "", seconds=CLOUD_SECONDS):
            pass
    finally:
        await client.close()
    if not cloud.client_id:
        return Finding(
            subject="cloud",
            state="warning",
            text=f"{cloud.api} answers, but no application is configured for it (client_id).",
            todo="Register an application with the vendor, and write its client_id into "
            f"{settings.config_dir() / 'config.toml'}; see docs/account.md.",
        )
    return Finding(subject="cloud", state="ok", text=f"{cloud.api} answers")


async def _cloud_settings(computer: Computer) -> settings.CloudSettings | None:
    if computer.resources is None:
        return None
    if computer.config.lab:
        await computer.resources.lab()
    return computer.resources.cloud_settings()


async def _webhook(computer: Computer) -> list[Finding]:
    """The gateway's webhook, if there is one: the way to it. Nothing is sent to it."""
    from installer.cloud.connection_settings import describe_connection
    from installer.gateway.webhook_sink import check_url

    webhook = computer.resources.settings.gateway.webhook if computer.resources is not None else ""
    if not webhook:
        return []
    if isinstance(webhook, SecretRef):
        webhook = (await webhook.fetch_within(KEYRING_TIMEOUT_SECONDS, "address of the webhook")).get_secret_value()
    return [Finding(subject="webhook", state="ok", text=describe_connection(check_url(webhook)))]


async def _gateway_devices(computer: Computer) -> list[Finding]:
    """The devices at whose address another unit answers."""
    from installer.gateway.files_and_lock import GatewayFiles
    from installer.gateway.status import changed_devices, read_status

    found = changed_devices(await read_status(GatewayFiles.in_data_dir(lab=computer.config.lab)))
    return [
        Finding(
            subject="gateway",
            state="warning",
            text=printable(device.failure or "", 500),
            todo=f"Check it. If it is the right one: device-installer gateway accept {printable(device.address)}",
        )
        for device in found
    ]


async def _time_zones(_computer: Computer) -> Finding:
    from installer.timing.own_zone import named_zone
    from installer.timing.zones import known_zone, offset_name

    if known_zone("Europe/Paris") is None:
        return Finding(
            subject="time zones",
            state="warning",
            text="This computer has no database of time zones, so days are stored without their hours.",
            todo="Install the package tzdata; the next `data` command corrects the days.",
        )
    name = named_zone()
    if name is not None and known_zone(name) is None:
        return Finding(
            subject="time zones",
            state="warning",
            text=f"TZ names “{printable(name)}”, which this computer does not know, so its clock counts as UTC.",
            todo="Correct TZ, for example to Europe/Paris.",
        )
    here = offset_name(datetime.now().astimezone())
    return Finding(subject="time zones", state="ok", text=f"the database is here; this computer's clock is {here}")


async def _accounts(computer: Computer) -> list[Finding]:
    """The stored accounts whose tokens cannot be read. The other accounts can be used."""
    if computer.resources is None:
        return []
    stored = await (await computer.resources.accounts()).stored()
    damage = [account.damage for account in stored if account.damage is not None]
    return [Finding(subject="accounts", state="warning", text=error.what, todo=error.todo) for error in damage]


async def _ledger(computer: Computer) -> list[Finding]:
    """A ledger on a server: whether it answers, and how the way to it is secured."""
    from installer.ledger import location, schema_migration

    if computer.resources is None:
        return []
    target = location.target(None, computer.resources.settings.ledger, lab=computer.config.lab)
    if target.is_file:
        return []
    found = await _ask_server("ledger", lambda: schema_migration.status(target))
    return [_way_to_server("ledger", found["connection"]["words"], is_safe=found["connection"]["is_safe"])]


async def _measurements(computer: Computer) -> list[Finding]:
    """The same for a store of measurements on a server."""
    from installer.measurements.open_store import server_security

    if computer.resources is None or computer.config.lab:
        return []
    user_settings = computer.resources.settings
    found = await _ask_server("store of measurements", lambda: server_security(user_settings))
    return [] if found is None else [_way_to_server("measurements", found.words, is_safe=found.is_safe)]


async def _ask_server(store: str, call: Callable[[], T]) -> T:
    """What a database server says. Raises DATABASE_FAILED, also if it is silent: this computer is not to blame."""
    try:
        return await call_with_deadline(call, DATABASE_SECONDS)
    except TimeoutError:
        raise InstallerError(
            ErrorCode.DATABASE_FAILED,
            f"The server of the {store} did not answer within {DATABASE_SECONDS:g} s.",
            "Check that it runs, that this computer reaches it, and its address in the settings.",
        ) from None


def _way_to_server(subject: str, words: str, *, is_safe: bool) -> Finding:
    if is_safe:
        return Finding(subject=subject, state="ok", text=f"the way to its server is {words}")
    return Finding(
        subject=subject,
        state="warning",
        text=f"The way to its server is {words}.",
        todo="Take sslmode out of its URL: then the server must prove itself. See docs/records.md.",
    )
